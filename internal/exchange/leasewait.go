package exchange

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/hooks"
)

// The pauses between two looks of a flight that waits for another process's lease. They grow
// by a half.
const (
	firstLook  = 5 * time.Millisecond
	latestLook = 100 * time.Millisecond
)

// queue are the flights of a table that wait for leases of other processes. All that are due
// are looked up together. It is guarded by the leases' lock.
type queue struct {
	waiting []*queued
	changed chan struct{} // tells of new flights, and of changes in the store
}

// queued is a flight that waits.
type queued struct {
	flight  *Flight
	since   time.Time // before it has found that there is a lease
	next    time.Time // when it is looked for what has become of that
	pause   time.Duration
	verdict chan<- bool // whether it may ask; nil: see Door.Launch
	decided bool        // it waits no more, or again
}

// wait adds flights to the queue of their table.
func (l *leases) wait(t *Table, flights []*Flight, since time.Time, verdict chan<- bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var added []*queued
	for _, f := range flights {
		added = append(added, &queued{flight: f, since: since, next: since.Add(jittered(firstLook)), pause: firstLook, verdict: verdict})
	}
	q := l.queues[t]
	if q == nil {
		if !l.x.running.enterAlso() {
			go l.launch(added, true) // which fails, as the cache is closed
			return
		}
		q = &queue{changed: make(chan struct{}, 1)}
		l.queues[t] = q
		go l.attend(t, q)
	}
	q.waiting = append(q.waiting, added...)
	q.tell()
}

// tell wakes the goroutine of the queue.
func (q *queue) tell() {
	select {
	case q.changed <- struct{}{}:
	default:
	}
}

// jittered is about d: processes that have begun to wait together do not look together.
func jittered(d time.Duration) time.Duration { return d/2 + rand.N(d) }

// attend looks for what has become of the leases until no flight waits.
func (l *leases) attend(t *Table, q *queue) {
	defer l.x.running.leave()
	defer l.listen(t, q)()
	for {
		due, next, ok := l.due(t, q)
		if !ok {
			return
		}
		if len(due) > 0 {
			l.lookApart(t, q, due)
			continue
		}
		timer := time.NewTimer(next)
		select {
		case <-q.changed:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// listen has changes of the table's entries lead to a look at once, where the store hears of
// them.
func (l *leases) listen(t *Table, q *queue) (stop func()) {
	announcer, ok := driver.As[driver.Announcer](l.keptIn())
	if !ok {
		return func() {}
	}
	return announcer.OnChange(func(c driver.Change) {
		if c.Table != "" && c.Table != t.stored {
			return
		}
		keys := make(map[string]bool, len(c.Keys))
		for _, k := range c.Keys {
			keys[encodeKey(k)] = true
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, w := range q.waiting {
			if c.Keys == nil || keys[w.flight.ask.flightKey().key] {
				w.next = time.Time{}
			}
		}
		q.tell()
	})
}

// due takes those out of the queue that are to be looked up now. Next is how long it is to the
// next one; ok is false where none is left, and the queue is none any more.
func (l *leases) due(t *Table, q *queue) (due []*queued, next time.Duration, ok bool) {
	now := leaseNow()
	l.mu.Lock()
	defer l.mu.Unlock()
	q.waiting = slices.DeleteFunc(q.waiting, func(w *queued) bool {
		if w.gone() {
			return true
		}
		wait := w.next.Sub(now)
		if wait <= firstLook/2 {
			due = append(due, w)
			return true
		}
		if next == 0 || wait < next {
			next = wait
		}
		return false
	})
	if len(due) == 0 && next == 0 {
		delete(l.queues, t)
		return nil, 0, false
	}
	return due, next, true
}

// gone reports whether nobody waits for the flight any more.
func (w *queued) gone() bool {
	if w.verdict != nil {
		return w.flight.ctx.Err() != nil
	}
	fs := &w.flight.x.flights
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return w.flight.landed || w.flight.abandoned
}

// lookApart is look on a goroutine of its own, which a function of a policy or of an endpoint may
// end. Those that it has not come to ask.
func (l *leases) lookApart(t *Table, q *queue, due []*queued) {
	for _, w := range due {
		w.decided = false
	}
	if apart(func() { l.look(t, q, due) }) {
		return
	}
	left := slices.DeleteFunc(due, func(w *queued) bool { return w.decided })
	apart(func() { l.launch(left, true) })
}

// look sees what has become of the leases that flights wait for: some are answered, some may
// ask, the others go on waiting.
func (l *leases) look(t *Table, q *queue, due []*queued) {
	answered, err := l.x.answered(t, flightsOf(due))
	if err != nil {
		l.launch(due, true) // the store is no more than a help
		return
	}
	served, left := split(due, answered)
	tellWaited(hooks.LeaseAwaited, served)
	for _, w := range served {
		w.answered()
	}
	if len(left) == 0 {
		return
	}
	seen, err := l.seen(t, left)
	if err != nil {
		l.launch(left, true)
		return
	}
	l.decide(t, q, left, seen)
}

func flightsOf(due []*queued) []*Flight {
	flights := make([]*Flight, len(due))
	for i, w := range due {
		flights[i] = w.flight
	}
	return flights
}

// seen are the leases that flights wait for, as they are stored; without a key where there is
// none.
func (l *leases) seen(t *Table, due []*queued) ([]driver.Entry, error) {
	keys := make([]driver.Key, len(due))
	for i, w := range due {
		keys[i] = w.flight.leaseKey().row(t)
	}
	return guardedBy(l, t, "get", len(keys), func(ctx context.Context, table driver.Table) ([]driver.Entry, error) {
		found := make([]driver.Entry, len(keys))
		err := table.Get(ctx, keys, driver.Selection{Parts: driver.Meta}, func(i int, e driver.Entry) {
			found[i] = e
			found[i].Key = keys[i]
		})
		return found, err
	})
}

// decide goes by the leases as they were seen. Who has waited while one was given back without
// an answer asks without. One whose process has died, or that was given back before,
// goes to one of those who want it.
func (l *leases) decide(t *Table, q *queue, due []*queued, seen []driver.Entry) {
	now := leaseNow()
	var ended, given, waiting, asking []*queued
	var givenRows []driver.Entry
	wanted := make(map[leaseKey]bool)
	shared := l.shared(due)
	for i, w := range due {
		row, key := &seen[i], w.flight.leaseKey()
		live := row.Key != nil && row.Live(now)
		switch {
		case shared[i]:
			waiting = append(waiting, w)
		case live && row.Header == "": // it is held
			waiting = append(waiting, w)
		case live && !row.CachedAt.Before(w.since):
			asking = append(asking, w)
		case wanted[key]: // by another flight of this process
			waiting = append(waiting, w)
		case live:
			given, givenRows, wanted[key] = append(given, w), append(givenRows, *row), true
		default:
			ended, wanted[key] = append(ended, w), true
		}
	}
	l.launch(asking, true)
	waiting = append(waiting, l.contend(t, ended, func(flights []*Flight) ([]bool, error) { return l.put(t, flights, now) })...)
	waiting = append(waiting, l.contend(t, given, func(flights []*Flight) ([]bool, error) { return l.takeOver(t, flights, givenRows) })...)
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, w := range waiting {
		w.decided, w.pause = true, min(w.pause*3/2, latestLook)
		w.next = now.Add(jittered(w.pause))
	}
	q.waiting = append(q.waiting, waiting...)
}

// shared reports which flights wait for others of this process.
func (l *leases) shared(due []*queued) []bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	shared := make([]bool, len(due))
	for i, w := range due {
		shared[i] = l.shares(w.flight)
	}
	return shared
}

// contend tries to get leases, and returns the flights that go on waiting as others have got
// theirs.
func (l *leases) contend(t *Table, due []*queued, get func([]*Flight) ([]bool, error)) (waiting []*queued) {
	if len(due) == 0 {
		return nil
	}
	won, err := get(flightsOf(due))
	if err != nil {
		l.launch(due, true)
		return nil
	}
	winners, waiting := split(due, won)
	served, winners := split(winners, l.check(t, flightsOf(winners)))
	others, asking := split(winners, l.outgrown(flightsOf(winners)))
	tellWaited(hooks.LeaseAwaited, served)
	tellWaited(hooks.LeaseTakenOver, asking)
	for _, w := range served {
		w.answered()
	}
	l.launch(asking, false)
	return append(waiting, others...)
}

// launch lets flights ask the origin, without a lease or with the one that each has.
func (l *leases) launch(due []*queued, without bool) {
	if without {
		l.without(flightsOf(due))
	}
	var together []*Flight
	for _, w := range due {
		w.decided = true
		if w.verdict != nil {
			w.verdict <- true
		} else {
			together = append(together, w.flight)
		}
	}
	if len(together) > 0 {
		together[0].ask.Door.Launch(together...)
	}
}

// answered ends a flight for which another process has asked.
func (w *queued) answered() {
	w.decided = true
	if w.verdict != nil {
		w.verdict <- false
	} else {
		w.flight.landElsewhere()
	}
}
