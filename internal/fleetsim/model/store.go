package model

import (
	"time"

	"github.com/endpointcache/endpointcache/internal/fleetsim/simulation"
)

// Costs are what operations on a store take.
type Costs struct {
	Get     Cost `json:"get"`     // an entry
	Save    Cost `json:"save"`    // an entry, by PutIf
	Lease   Cost `json:"lease"`   // taking a lease, by PutIf
	Refused Cost `json:"refused"` // the same where another process has it
	Release Cost `json:"release"` // of a lease, by Delete

	// Notify is how long it takes after a save until another process is told of it; nil for
	// a store that tells of nothing.
	Notify *simulation.Distribution `json:"notify_us"`

	Memory simulation.Distribution `json:"-"` // a get from the process's own memory, if it has a tier
}

// Cost is what one kind of operation takes.
type Cost struct {
	Latency   simulation.Distribution `json:"us"`         // of one that no other is in the way of
	PerSecond float64                 `json:"per_second"` // the most that the store does; 0: no limit
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

// do has an operation done. It takes effect when it ends; then is called at that time, or
// before with false, when it has taken as long as the library waits for the store.
func (s *store) do(c *Cost, effect func(), then func(ok bool)) {
	var serve time.Duration
	if c.PerSecond > 0 {
		serve = time.Duration(float64(time.Second) / c.PerSecond)
	}
	wait := s.line.Join(s.run.Now(), serve)
	s.run.tally.operation(s.run.Now() + wait)
	took := wait + c.Latency.Draw(s.run.random)
	if took > storeTimeout {
		s.run.After(storeTimeout, func() { then(false) })
		s.run.After(took, effect)
		return
	}
	s.run.After(took, func() {
		effect()
		then(true)
	})
}

// The operations below are those of a process. Where the store fails it, then is called with
// false. A get sees what is there when it ends; with one that saw less, the library would look
// again, as a flight of the process has landed meanwhile.

func (s *store) get(p *process, k int, then func(e entry, ok bool)) {
	var e entry
	p.guard.do(&s.run.Costs.Get, func() { e = s.run.keys[k].entry }, func(ok bool) { then(e, ok) })
}

// save stores an entry if the one that is there is not newer. Then is called with the one
// that is there afterwards.
func (s *store) save(p *process, k int, e entry, then func(e entry, ok bool)) {
	key := &s.run.keys[k]
	effect := func() {
		key.saving--
		if e.sent >= key.entry.sent || key.entry.version == 0 {
			e.version = key.entry.version + 1
			key.entry = e
			key.told = append(key.told, s.tell(key))
		}
		e = key.entry
	}
	if p.guard.do(&s.run.Costs.Save, effect, func(ok bool) { then(e, ok) }) {
		key.saving++
	}
}

// tell has everybody who waits for a change of the key look again, and returns when those
// are told that have the entry in memory: one notification goes to all.
func (s *store) tell(k *key) (at time.Duration) {
	if s.run.Costs.Notify == nil {
		return 0
	}
	at = s.run.Now() + s.run.Costs.Notify.Draw(s.run.random)
	listening := k.listening
	k.listening = nil
	s.run.At(at, func() {
		for _, f := range listening {
			f.told()
		}
	})
	return at
}

// take tries to take the key's lease, and reports whether f has it.
func (s *store) take(f *flight, then func(mine, ok bool)) {
	l, mine := &s.run.keys[f.key].lease, false
	cost := &s.run.Costs.Lease
	if l.held(s.run.Now()) {
		cost = &s.run.Costs.Refused
	}
	effect := func() {
		if now := s.run.Now(); !l.held(now) {
			*l, mine = lease{holder: f, until: now + s.run.Settings.Lease}, true
		}
	}
	f.process.guard.do(cost, effect, func(ok bool) { then(mine, ok) })
}

// seeLease reports whether somebody has the key's lease.
func (s *store) seeLease(f *flight, then func(held, ok bool)) {
	held := false
	f.process.guard.do(&s.run.Costs.Get, func() { held = s.run.keys[f.key].lease.held(s.run.Now()) }, func(ok bool) { then(held, ok) })
}

// release gives the lease back, if f still holds it.
func (s *store) release(f *flight) {
	effect := func() {
		if l := &s.run.keys[f.key].lease; l.holder == f {
			*l = lease{}
		}
	}
	f.process.guard.do(&s.run.Costs.Release, effect, func(bool) {})
}
