package model

import (
	"math"
	"time"
)

// process is one of the fleet.
type process struct {
	run     *run
	life    int             // counts its beginnings
	flights map[int]*flight // by key
	tier    map[int]copied
	pending int // callers who are not answered yet
	guard   guard
}

// copied is an entry in a tier.
type copied struct {
	entry
	until time.Duration // when it leaves, where the store does not tell of changes
}

// caller waits for an answer of a process.
type caller struct {
	key     int
	arrived time.Duration
	unread  bool // the store has failed it: what it fetches is not saved
}

func (p *process) begin() {
	p.life++
	p.flights = make(map[int]*flight)
	p.tier = make(map[int]copied)
	p.guard = guard{process: p}
}

// end is that of a process which is killed.
func (p *process) end() {
	p.run.tally.lose(p.pending)
	p.pending = 0
}

// ask is a request for a key.
func (p *process) ask(k int) {
	p.pending++
	p.look(caller{key: k, arrived: p.run.Now()})
}

func (p *process) answer(c caller) {
	p.pending--
	p.run.tally.answer(p.run.Now() - c.arrived)
}

// look reads what is stored, and decides by it.
func (p *process) look(c caller) {
	if e, ok := p.inMemory(c.key); ok {
		life := p.life
		p.run.After(p.run.Costs.Memory.Draw(p.run.random), func() {
			if p.life == life {
				p.decide(c, e)
			}
		})
		return
	}
	p.lookBelow(c)
}

// lookBelow reads from the store, whatever the tier has.
func (p *process) lookBelow(c caller) {
	p.run.store.get(p, c.key, func(e entry, ok bool) {
		if ok {
			p.keep(c.key, e)
		}
		c.unread = c.unread || !ok
		p.decide(c, e)
	})
}

func (p *process) inMemory(k int) (entry, bool) {
	c, ok := p.tier[k]
	if !ok {
		return entry{}, false
	}
	now, told := p.run.Now(), p.run.keys[k].told
	old := now >= c.until
	if p.run.Costs.Notify != nil {
		old = len(told) > c.version && now >= told[c.version] // of the next version
	}
	if old {
		delete(p.tier, k)
	}
	return c.entry, !old
}

// keep takes what was read or saved into the tier, unless something newer is there. That there
// is nothing is kept, too.
func (p *process) keep(k int, e entry) {
	if held, ok := p.tier[k]; p.run.Settings.Tier && (!ok || e.version > held.version) {
		p.tier[k] = copied{e, p.run.Now() + p.run.Settings.ShortLife}
	}
}

// decide is what the library does with an entry, which may have been found or not.
func (p *process) decide(c caller, e entry) {
	now, s := p.run.Now(), &p.run.Settings
	switch {
	case e.live(now) && !p.dueAhead(&e):
		p.answer(c)
	case e.live(now), e.version > 0 && now-e.expires <= s.StaleWhileRevalidate && s.StaleWhileRevalidate > 0:
		p.answer(c)
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
	if p.flights[c.key] == nil {
		p.fly(&flight{seen: e}, c)
	}
}

// wait has the caller answered by a flight.
func (p *process) wait(c caller, e entry) {
	if f := p.flights[c.key]; f != nil {
		f.callers = append(f.callers, c)
		return
	}
	p.fly(&flight{seen: e, callers: []caller{c}}, c)
}

// fly begins a flight on behalf of a caller, who need not wait for it.
func (p *process) fly(f *flight, c caller) {
	f.process, f.life, f.key, f.unsaved = p, p.life, c.key, c.unread
	p.flights[c.key] = f
	f.begin()
}
