package model

import (
	"time"

	"github.com/endpointcache/endpointcache/internal/fleetsim/simulation"
)

// Costs are what operations on a store take.
type Costs struct {
	Get     Cost `json:"get"`     // an entry
	Save    Cost `json:"save"`    // an entry, by PutIf
	Lease   Cost `json:"lease"`   // taking a lease or trying to, by PutIf
	Release Cost `json:"release"` // of a lease, by Delete

	// Notify is how long it takes after a save until another process is told of it; nil for
	// a store that tells of nothing.
	Notify *Notify `json:"notify"`

	Memory simulation.Distribution `json:"-"` // a get from the process's own memory, if it has a tier
}

// Cost is what one kind of operation takes.
type Cost struct {
	Latency   simulation.Distribution `json:"us"`         // of one that no other is in the way of
	PerSecond float64                 `json:"per_second"` // the most that the store does; 0: no limit
}

// Notify is what a notification takes.
type Notify struct {
	Latency  simulation.Distribution `json:"us"`
	Measured bool                    `json:"measured"` // otherwise it is assumed
}

// store has the entries and leases, and serves one operation after the other.
type store struct {
	run  *run
	line simulation.Line
}

// lease is the right to ask the origin for a key.
type lease struct {
	holder *flight // nil: nobody has taken it, or it was given back
	until  time.Duration
}

func (l *lease) held(now time.Duration) bool { return l.holder != nil && now < l.until }

// do has an operation done, which takes effect when it ends.
func (s *store) do(c *Cost, then func()) {
	var serve time.Duration
	if c.PerSecond > 0 {
		serve = time.Duration(float64(time.Second) / c.PerSecond)
	}
	wait := s.line.Join(s.run.Now(), serve)
	s.run.tally.operation(s.run.Now() + wait)
	s.run.After(wait+c.Latency.Draw(s.run.random), then)
}

func (s *store) get(k int, then func(entry)) {
	s.do(&s.run.Costs.Get, func() { then(s.run.keys[k].entry) })
}

// save stores an entry if the one that is there is not newer. Then is called with the version
// that is there afterwards.
func (s *store) save(k int, e entry, then func(entry)) {
	s.do(&s.run.Costs.Save, func() {
		key := &s.run.keys[k]
		if e.sent >= key.entry.sent || key.entry.version == 0 {
			e.version = key.entry.version + 1
			key.entry = e
			key.told = append(key.told, s.tell(key))
		}
		then(key.entry)
	})
}

// tell has everybody who waits for a change of the key look again, and returns when those
// are told that have the entry in memory: one notification goes to all.
func (s *store) tell(k *key) (at time.Duration) {
	if s.run.Costs.Notify == nil {
		return 0
	}
	at = s.run.Now() + s.run.Costs.Notify.Latency.Draw(s.run.random)
	waiting := k.waiting
	k.waiting = nil
	for _, f := range waiting {
		s.run.At(at, f.told)
	}
	return at
}

// take tries to take the key's lease. Then is called with that which is held afterwards, by
// f or another.
func (s *store) take(f *flight, then func(lease)) {
	s.do(&s.run.Costs.Lease, func() {
		l := &s.run.keys[f.key].lease
		if !l.held(s.run.Now()) {
			*l = lease{holder: f, until: s.run.Now() + s.run.Settings.Lease}
		}
		then(*l)
	})
}

// release gives the lease back, if f still holds it.
func (s *store) release(f *flight) {
	s.do(&s.run.Costs.Release, func() {
		if k := &s.run.keys[f.key]; k.lease.holder == f {
			k.lease = lease{}
			s.tell(k)
		}
	})
}
