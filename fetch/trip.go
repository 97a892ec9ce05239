package fetch

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/endpointcache/endpointcache/repository"
)

// errEnded means that the user's code has called runtime.Goexit.
var errEnded = errors.New("fetch: a function of the settings or of the client ended its goroutine")

// plan puts the flights that a caller begins on trips, as few as can be.
type plan[K comparable, V any] struct {
	e      *Endpoint[K, V]
	ctx    context.Context
	groups []group // of the keys, by index
	open   map[any]*trip[K, V]
	ready  []*trip[K, V] // that need not wait for more keys
	turns  chan struct{} // taken by trips, where those that gather keys may be too many at once
}

type group struct {
	id any
	ok bool
}

// newPlan asks for the groups of keys, which is the user's code, so no lock is held.
func newPlan[K comparable, V any](ctx context.Context, e *Endpoint[K, V], keys []K) *plan[K, V] {
	p := &plan[K, V]{e: e, ctx: ctx, groups: make([]group, len(keys)), open: make(map[any]*trip[K, V])}
	for i, key := range keys {
		g := &p.groups[i]
		g.id, g.ok = e.source.Group(key)
		_ = p.open[g.id] // panics where it is not comparable, which it must not do later
	}
	if e.opts.Gather > 0 {
		p.open = e.flights.gathering
		if len(keys) > e.opts.Concurrency {
			p.turns = make(chan struct{}, e.opts.Concurrency)
		}
	}
	return p
}

// add puts the flight of the i-th key on a trip. The lock is held.
func (p *plan[K, V]) add(i int, f *flight[K, V]) {
	g := p.groups[i]
	t := p.tripFor(g)
	t.flights, f.trip = append(t.flights, f), t
	if !g.ok || len(t.flights) < p.e.source.BatchSize() {
		return
	}
	delete(p.open, g.id)
	if t.timer != nil {
		t.timer.Stop()
		p.ready = append(p.ready, t)
	}
}

// tripFor is one that has room for a key of the group.
func (p *plan[K, V]) tripFor(g group) *trip[K, V] {
	if t := p.open[g.id]; t != nil && g.ok {
		return t
	}
	t := &trip[K, V]{ctx: context.WithoutCancel(p.ctx), turns: p.turns, group: g.id}
	if g.ok {
		p.open[g.id] = t
	}
	if g.ok && p.e.opts.Gather > 0 {
		t.timer = time.AfterFunc(p.e.opts.Gather, func() { p.e.gathered(t) })
	} else {
		p.ready = append(p.ready, t)
	}
	return t
}

// gathered begins a trip that has waited for keys as long as it may.
func (e *Endpoint[K, V]) gathered(t *trip[K, V]) {
	e.flights.mu.Lock()
	ready := e.flights.depart(t)
	e.flights.mu.Unlock()
	if ready && e.client.closing.enter() {
		defer e.client.closing.leave()
		e.run(t)
	}
}

// launch makes trips in the background, as many at once as one call may.
func (e *Endpoint[K, V]) launch(trips []*trip[K, V]) {
	if len(trips) == 0 {
		return
	}
	waiting := make(chan *trip[K, V], len(trips))
	for _, t := range trips {
		waiting <- t
	}
	close(waiting)
	for range min(e.opts.Concurrency, len(trips)) {
		if !e.client.closing.enter() {
			return // nobody waits
		}
		go e.runAll(waiting)
	}
}

// runAll makes trips one after another.
func (e *Endpoint[K, V]) runAll(waiting <-chan *trip[K, V]) {
	ended := false
	defer func() {
		if !ended { // by the user's code, which is no reason not to make the others
			go e.runAll(waiting)
			return
		}
		e.client.closing.leave()
	}()
	for t := range waiting {
		e.run(t)
	}
	ended = true
}

// run makes a trip, for those of its flights that somebody still waits for.
func (e *Endpoint[K, V]) run(t *trip[K, V]) {
	if t.turns != nil {
		t.turns <- struct{}{}
		defer func() { <-t.turns }()
	}
	left, unsure := e.board(t)
	if len(left) == 0 {
		return
	}
	defer t.cancel()
	defer func() {
		// The user's code has panicked, or ended the goroutine.
		p := recover()
		for _, f := range left {
			f.panicked, f.err = p, errEnded
		}
		e.land(left...)
	}()
	if len(unsure) > 0 {
		left = e.recheck(t, left, unsure)
	}
	if len(left) == 0 {
		return
	}
	asked := left
	e.source.ask(t.ctx, keysOf(asked), false, func(from int, answers []answer) {
		next := from + len(answers)
		e.answered(asked[from:next], values(answers))
		left = asked[next:]
	})
}

func keysOf[K comparable, V any](flights []*flight[K, V]) []K {
	keys := make([]K, len(flights))
	for i, f := range flights {
		keys[i] = f.key
	}
	return keys
}

// recheck lands those of the unsure flights whose keys have been saved since they were
// looked up, and returns the others of all.
func (e *Endpoint[K, V]) recheck(t *trip[K, V], all, unsure []*flight[K, V]) []*flight[K, V] {
	found, err := e.lookupEntries(t.ctx, &call{}, keysOf(unsure))
	if err != nil {
		return all // as whoever asks will find
	}
	known := e.stillUnsure(unsure, found)
	for i, f := range unsure {
		switch {
		case !known[f]:
		case found[i].Presence == repository.Absent:
			f.err = e.absent(f.key)
		default:
			f.entry, f.cached = found[i].Value, true
			e.decode(f)
		}
	}
	var unknown []*flight[K, V]
	for _, f := range all {
		if !known[f] {
			unknown = append(unknown, f)
		}
	}
	e.land(slices.Collect(maps.Keys(known))...)
	return unknown
}

// stillUnsure are those of the flights that land with what was found: nobody has joined
// them who asks for a refresh, nor will anybody.
func (e *Endpoint[K, V]) stillUnsure(unsure []*flight[K, V], found []repository.Found[repository.Entry]) map[*flight[K, V]]bool {
	e.flights.mu.Lock()
	defer e.flights.mu.Unlock()
	known := make(map[*flight[K, V]]bool)
	for i, f := range unsure {
		if f.recheck && found[i].Presence != repository.Unknown {
			e.flights.forget(f)
			known[f] = true
		}
	}
	return known
}

// answered decodes answers, and has them saved before those who wait are told.
func (e *Endpoint[K, V]) answered(asked []*flight[K, V], answers []Answer) {
	var saving, landing []*flight[K, V]
	for i, f := range asked {
		f.entry, f.err = answers[i].Entry, answers[i].Err
		if f.err == nil {
			e.decode(f)
		}
		isKnown := f.panicked == nil && (f.err == nil || errors.Is(f.err, ErrAbsent))
		if isKnown && f.options != nil {
			saving = append(saving, f)
		} else {
			landing = append(landing, f)
		}
	}
	e.land(landing...)
	e.save(saving)
}

// decode is the user's code: a panic is for those who wait.
func (e *Endpoint[K, V]) decode(f *flight[K, V]) {
	defer func() { f.panicked = recover() }()
	f.value, f.err = e.Decode(f.key, f.entry)
}

// board returns the flights that somebody waits for, and lets nobody join the others.
// Those whose keys may have been saved meanwhile are unsure. If there are any, the
// trip can be cancelled from now on.
func (e *Endpoint[K, V]) board(t *trip[K, V]) (asked, unsure []*flight[K, V]) {
	fl := &e.flights
	fl.mu.Lock()
	defer fl.mu.Unlock()
	for _, f := range t.flights {
		if f.waiters == 0 {
			fl.forget(f)
			continue
		}
		asked = append(asked, f)
		if f.recheck {
			unsure = append(unsure, f)
		}
	}
	t.flights = asked
	if len(asked) > 0 {
		t.ctx, t.cancel = e.client.closing.bind(t.ctx)
	}
	return asked, unsure
}
