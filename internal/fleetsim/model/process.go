package model

import (
	"math"
	"time"
)

// process is one of the fleet.
type process struct {
	run     *run
	life    int                   // counts its beginnings
	flights map[int]*flight       // by key
	landed  map[int]time.Duration // when the last flight of a key has
	spared  map[int]time.Duration // until when a key is not renewed, as another process does it
	tier    map[int]copied
}

// copied is an entry in a tier.
type copied struct {
	entry
	until time.Duration // when it leaves, where the store does not tell of changes
}

// caller waits for an answer of a process.
type caller struct {
	process *process
	life    int // of the process
	key     int
	arrived time.Duration
	looked  time.Duration // when it began to read
	looks   int
}

// maxLooks is how often a caller looks again because a flight has landed meanwhile, as in
// package exchange.
const maxLooks = 3

func (p *process) begin() {
	p.life++
	p.flights = make(map[int]*flight)
	p.landed = make(map[int]time.Duration)
	p.spared = make(map[int]time.Duration)
	p.tier = make(map[int]copied)
}

func (p *process) end() {
	for _, f := range p.flights {
		p.run.tally.lose(len(f.callers))
	}
}

// look reads what is stored, and decides by it.
func (p *process) look(c caller) {
	c.looked = p.run.Now()
	if e, ok := p.inMemory(c.key); ok {
		p.run.After(p.run.Costs.Memory.Draw(p.run.random), func() { p.decide(c, e) })
		return
	}
	p.run.store.get(c.key, func(e entry) {
		if p.life == c.life {
			p.keep(c.key, e)
		}
		p.decide(c, e)
	})
}

func (p *process) inMemory(k int) (entry, bool) {
	c, ok := p.tier[k]
	if !ok {
		return entry{}, false
	}
	now, told := p.run.Now(), p.run.keys[k].told
	if p.run.Costs.Notify == nil && now >= c.until || p.run.Costs.Notify != nil && len(told) > c.version && now >= told[c.version] {
		delete(p.tier, k)
		return entry{}, false
	}
	return c.entry, true
}

// keep takes what was read or saved into the tier, unless something newer is there.
func (p *process) keep(k int, e entry) {
	if p.run.Settings.Tier && e.version > p.tier[k].version {
		p.tier[k] = copied{e, p.run.Now() + p.run.Settings.ShortLife}
	}
}

// decide is what the library does with an entry, which may have been found or not.
func (p *process) decide(c caller, e entry) {
	now, s := p.run.Now(), &p.run.Settings
	switch {
	case p.life != c.life:
		p.run.tally.lose(1)
	case e.live(now) && !p.dueAhead(&e):
		p.run.tally.answer(now - c.arrived)
	case e.live(now), e.version > 0 && now-e.expires <= s.StaleWhileRevalidate && s.StaleWhileRevalidate > 0:
		p.run.tally.answer(now - c.arrived)
		p.renew(c, e)
	default:
		p.wait(c, e)
	}
}

// dueAhead is the rule of the same name in package exchange.
func (p *process) dueAhead(e *entry) bool {
	s, left := &p.run.Settings, e.expires-p.run.Now()
	if s.RefreshAhead > 0 && float64(left) <= s.RefreshAhead*float64(e.expires-e.sent) {
		return true
	}
	return s.RefreshBeta > 0 && float64(e.took)*s.RefreshBeta*-math.Log(1-p.run.random.Float64()) >= float64(left)
}

// renew begins a flight that nobody waits for, unless there is one.
func (p *process) renew(c caller, e entry) {
	landed, ever := p.landed[c.key]
	if p.flights[c.key] != nil || ever && landed > c.looked || p.run.Now() < p.spared[c.key] {
		return
	}
	p.begins(c.key, e)
}

// wait has the caller answered by a flight.
func (p *process) wait(c caller, e entry) {
	landed, ever := p.landed[c.key]
	switch f := p.flights[c.key]; {
	case f != nil:
		f.callers = append(f.callers, c)
	case ever && landed > c.looked && c.looks < maxLooks:
		c.looks++
		p.look(c)
	default:
		p.begins(c.key, e, c)
	}
}

func (p *process) begins(k int, seen entry, callers ...caller) {
	f := &flight{process: p, life: p.life, key: k, seen: seen, callers: callers}
	p.flights[k] = f
	f.begin()
}
