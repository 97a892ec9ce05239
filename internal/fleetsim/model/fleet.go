// Package model is a fleet of processes with caches over one store, which ask one origin: what
// the library does with reads, flights, renewals, leases and tiers, as events of a simulation.
//
// A request to a process reads the store, or the process's memory where there is a tier. What
// is live is the answer. Otherwise the caller waits for a flight of its process, the only one
// for that key, which asks the origin and saves the answer. With a lease, a flight asks only
// while it holds the key's; the others wait for its answer to appear in the store.
package model

import (
	"errors"
	"math/rand/v2"
	"time"

	"github.com/endpointcache/endpointcache/internal/fleetsim/simulation"
)

// Fleet is what is simulated.
type Fleet struct {
	Workload Workload
	Start    Start
	Settings Settings
	Origin   Origin
	Costs    Costs
	Life     time.Duration // of an answer, from when it has come to its expiry
	Kills    []Kill
	Measure  time.Duration // what is counted begins here
	Bucket   time.Duration // what a count over time is of
}

// Start is what is in the store at the beginning.
type Start struct {
	Full   bool          // there is an entry for each key; otherwise for none
	Expiry time.Duration // when they expire, all of them; 0: at any time within their life
}

// Settings are those of the library that every process has.
type Settings struct {
	RefreshAhead         float64       // as in policy.Policy
	RefreshBeta          float64       // as in policy.Policy
	StaleWhileRevalidate time.Duration // as in policy.Policy
	Lease                time.Duration // how long one is held at most; 0: there are none
	Tier                 bool          // each process has a tier in its memory

	// ShortLife is how long an entry stays in a tier whose store does not tell of changes.
	ShortLife time.Duration
}

// Kill ends a share of the processes at once, with their flights and their memory. They begin
// again immediately, as under a supervisor; the callers that waited are lost.
type Kill struct {
	At    time.Duration
	Share float64
}

// Validate reports what cannot be simulated.
func (f *Fleet) Validate() error {
	w := f.Workload
	switch {
	case w.Processes <= 0 || w.Keys <= 0 || w.PerSecond <= 0 || w.Duration <= 0:
		return errors.New("there are no processes, keys or requests, or no time for them")
	case f.Life <= 0 || f.Bucket <= 0:
		return errors.New("the life of an answer and the bucket have to be positive")
	case f.Measure < 0 || f.Measure >= w.Duration:
		return errors.New("nothing is measured: it begins when all is over")
	case f.Settings.Tier && f.Costs.Notify == nil && f.Settings.ShortLife <= 0:
		return errors.New("a tier over a store that tells of no changes needs a short life")
	}
	return nil
}

// run is a simulation under way.
type run struct {
	*Fleet
	simulation.Simulation
	random    *rand.Rand
	arrivals  *Arrivals
	processes []process
	keys      []key
	store     store
	origin    origin
	tally     tally
}

// key is what there is of one key outside the processes.
type key struct {
	entry     entry           // in the store
	told      []time.Duration // when processes hear of each version, the first one in front
	lease     lease
	listening []*flight // those that wait for the lease, and are told of changes
	underWay  int       // requests to the origin
	saving    int       // answers on their way into the store
}

// entry is what the store or a tier has of a key.
type entry struct {
	version int           // how often the key had been saved with it; 0: nothing is stored
	sent    time.Duration // when the origin was asked
	expires time.Duration
	took    time.Duration // what the origin took
}

func (e *entry) live(now time.Duration) bool { return e.version > 0 && now < e.expires }

// Simulate returns what the fleet does. It depends on nothing but the fleet, seed included.
func Simulate(f *Fleet) (*Result, error) {
	if err := f.Validate(); err != nil {
		return nil, err
	}
	r := &run{
		Fleet:     f,
		random:    rand.New(rand.NewPCG(f.Workload.Seed, 1)),
		arrivals:  f.Workload.Arrivals(),
		processes: make([]process, f.Workload.Processes),
		keys:      make([]key, f.Workload.Keys),
	}
	r.store.run, r.origin.run = r, r
	r.tally = newTally(r)
	for i := range r.processes {
		r.processes[i].run = r
		r.processes[i].begin()
	}
	r.fill()
	for _, k := range f.Kills {
		r.At(k.At, func() { r.kill(k.Share) })
	}
	r.arrive()
	r.Run(f.Workload.Duration)
	return r.tally.result(), nil
}

// fill stores the entries that are there from the start.
func (r *run) fill() {
	if !r.Start.Full {
		return
	}
	for i := range r.keys {
		expires := r.Start.Expiry
		if expires == 0 {
			expires = time.Duration(r.random.Int64N(int64(r.Life)))
		}
		took := r.Origin.Latency.Median()
		r.keys[i].entry = entry{version: 1, sent: expires - r.Life - took, expires: expires, took: took}
		r.keys[i].told = []time.Duration{0}
	}
}

// arrive lets the next request come, and those after it. Only one of them is among the
// events at a time.
func (r *run) arrive() {
	a, ok := r.arrivals.Next()
	if !ok {
		return
	}
	r.At(a.At, func() {
		r.processes[a.Process].ask(a.Key)
		r.arrive()
	})
}

func (r *run) kill(share float64) {
	for i := range r.processes {
		if r.random.Float64() < share {
			r.processes[i].end()
			r.processes[i].begin()
		}
	}
}
