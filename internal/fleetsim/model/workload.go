package model

import (
	"math/rand/v2"
	"time"

	"github.com/endpointcache/endpointcache/internal/fleetsim/simulation"
)

// Workload is which requests come, and when.
type Workload struct {
	Processes int
	Keys      int
	Exponent  float64 // of the keys' popularity, see [simulation.Zipf]
	PerSecond float64 // requests that one process gets, at random times
	Duration  time.Duration
	Seed      uint64
}

// Arrival is a request that comes to a process.
type Arrival struct {
	At      time.Duration
	Process int
	Key     int
}

// Arrivals are the requests of a workload in the order in which they come: the same ones
// each time.
type Arrivals struct {
	workload Workload
	keys     *simulation.Zipf
	random   *rand.Rand
	at       time.Duration
}

// Arrivals returns the requests, the first one next.
func (w Workload) Arrivals() *Arrivals {
	return &Arrivals{
		workload: w,
		keys:     simulation.NewZipf(w.Keys, w.Exponent),
		random:   rand.New(rand.NewPCG(w.Seed, 0)),
	}
}

// Next returns the next request; ok is false when there are no more. The requests of the
// whole fleet are drawn in one, and each given to a process at random: that is the same as
// one Poisson process for each.
func (a *Arrivals) Next() (next Arrival, ok bool) {
	w := a.workload
	a.at += simulation.Exponential(w.PerSecond*float64(w.Processes), a.random)
	if a.at >= w.Duration {
		return Arrival{}, false
	}
	return Arrival{At: a.at, Process: a.random.IntN(w.Processes), Key: a.keys.Draw(a.random)}, true
}
