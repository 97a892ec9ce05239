package fetch

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/endpointcache/endpointcache/repository"
)

// flight is the fetch of one key, for all who wait for it.
type flight[K comparable, V any] struct {
	key     K
	trip    *trip[K, V]
	options *saveOptions // how the answer is saved; nil: it is not
	landed  chan struct{}

	// Guarded by the endpoint's lock.
	waiters int
	recheck bool // the key may have been saved since it was looked up

	// How it ends, set before it has landed.
	entry    repository.Entry
	value    V // decoded of the entry
	given    atomic.Bool
	cached   bool // it was saved meanwhile
	err      error
	panicked any // of the user's code
}

// trip is the request that flights share, or those that come of halving it.
type trip[K comparable, V any] struct {
	flights []*flight[K, V]
	ctx     context.Context // has the values of the first caller's; its end is the trip's own
	turns   chan struct{}   // of the first caller, see [plan]; nil: as many at once as there are

	// Guarded by the endpoint's lock.
	cancel context.CancelFunc // nil until it has begun
	wanted int                // flights that somebody waits for
	group  any
	timer  *time.Timer // ends the gathering of keys
}

// flights are those of an endpoint that are under way.
type flights[K comparable, V any] struct {
	mu        sync.Mutex
	byKey     map[K]*flight[K, V]
	gathering map[any]*trip[K, V] // by group
	ended     [recent]ending[K]   // the last that have landed, in a ring
	count     atomic.Int64        // of all that have; changed under mu
}

// recent is how many flights are remembered that have landed.
const recent = 512

// ending is how a flight has landed: with an error for all who wanted the key, or in
// a way that they have to look again.
type ending[K comparable] struct {
	key K
	err error
}

// begin returns how many flights have landed so far. Whoever looks a key up after
// that, and finds nothing, tells it to join.
func (f *flights[K, V]) begin() int64 { return f.count.Load() }

// since returns how the flights have ended that have landed since, by key, unless
// these are too many. The lock is held.
func (f *flights[K, V]) since(seen int64) (ended map[K]error, tooMany bool) {
	count := f.count.Load()
	if count == seen || count-seen > recent {
		return nil, count != seen
	}
	ended = make(map[K]error, count-seen)
	for i := seen; i < count; i++ {
		ended[f.ended[i%recent].key] = f.ended[i%recent].err
	}
	return ended, false
}

// join returns the flight of each key, no two of which are equal, with the caller
// counted among those who wait for it. Those that are not under way begin. Seen is
// what [flights.begin] said before the keys were looked up.
func (e *Endpoint[K, V]) join(ctx context.Context, c *call, keys []K, seen int64) []*flight[K, V] {
	planned := newPlan(ctx, e, keys)
	joined := make([]*flight[K, V], len(keys))
	fl := &e.flights
	fl.mu.Lock()
	ended, tooMany := fl.since(seen)
	for i, key := range keys {
		if f, ok := fl.byKey[key]; ok {
			f.join(c)
			joined[i] = f
			e.counts.shared.Add(1)
			continue
		}
		err, landed := ended[key]
		if err != nil { // as it has for a caller who was a little faster
			joined[i] = &flight[K, V]{key: key, err: err, landed: closedChannel}
			continue
		}
		f := &flight[K, V]{key: key, landed: make(chan struct{})}
		f.recheck = (landed || tooMany) && e.repo != nil && !c.refresh
		if !c.readOnly && e.repo != nil {
			f.options = c.save
		}
		joined[i], fl.byKey[key] = f, f
		planned.add(i, f)
		f.join(c)
	}
	fl.mu.Unlock()
	e.launch(planned.ready)
	return joined
}

var closedChannel = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// join counts one more caller. The lock is held.
func (f *flight[K, V]) join(c *call) {
	if f.waiters == 0 {
		f.trip.wanted++
	}
	f.waiters++
	f.recheck = f.recheck && !c.refresh
}

// release tells that a caller waits no more. A trip that nobody waits for ends.
func (e *Endpoint[K, V]) release(joined []*flight[K, V]) {
	fl := &e.flights
	fl.mu.Lock()
	defer fl.mu.Unlock()
	for _, f := range joined {
		if f.trip == nil {
			continue
		}
		if f.waiters--; f.waiters > 0 {
			continue
		}
		if f.trip.wanted--; f.trip.wanted == 0 {
			fl.abandon(f.trip)
		}
	}
}

// abandon ends a trip that nobody waits for. The lock is held.
func (f *flights[K, V]) abandon(t *trip[K, V]) {
	if t.cancel != nil {
		t.cancel()
	}
	f.depart(t)
	for _, flight := range t.flights {
		f.forget(flight)
	}
}

// depart ends the gathering of keys, and reports whether there was any. The lock is
// held.
func (f *flights[K, V]) depart(t *trip[K, V]) bool {
	if t.timer == nil || f.gathering[t.group] != t {
		return false
	}
	t.timer.Stop()
	delete(f.gathering, t.group)
	return true
}

// forget lets nobody join a flight any more. The lock is held.
func (f *flights[K, V]) forget(flight *flight[K, V]) {
	if f.byKey[flight.key] == flight {
		delete(f.byKey, flight.key)
	}
}

// land tells those who wait how their flights have ended.
func (e *Endpoint[K, V]) land(landing ...*flight[K, V]) {
	for _, p := range e.flights.land(landing) {
		e.opts.Logger.Error("endpointcache: panic in a fetch that nobody waits for", "repository", e.settings.Name, "panic", p)
	}
}

// land returns the panics that nobody is told of.
func (f *flights[K, V]) land(landing []*flight[K, V]) (untold []any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, flight := range landing {
		end := ending[K]{key: flight.key}
		if f.byKey[flight.key] == flight && flight.panicked == nil {
			end.err = flight.err // not that of one which was abandoned
		}
		f.ended[f.count.Load()%recent] = end
		f.count.Add(1)
		f.forget(flight)
		if flight.panicked != nil && flight.waiters == 0 {
			untold = append(untold, flight.panicked)
		}
		close(flight.landed)
	}
	return untold
}

// await waits for a flight. The error is that of a call which ends before it has
// landed.
func (e *Endpoint[K, V]) await(ctx context.Context, f *flight[K, V]) error {
	closing := e.client.closing.ctx
	select {
	case <-f.landed:
		return nil
	case <-ctx.Done():
	case <-closing.Done():
	}
	select {
	case <-f.landed:
		return nil
	default:
		return cmp.Or(ended(ctx), fmt.Errorf("fetch: %w", ErrClosed))
	}
}

// outcome tells how a flight has ended. A panic of the user's code is that of all who
// have waited.
func (f *flight[K, V]) outcome() (Status, error) {
	switch {
	case f.panicked != nil:
		panic(f.panicked)
	case errors.Is(f.err, ErrClosed):
		return Cancelled, f.err
	case errors.Is(f.err, ErrAbsent):
		return Absent, f.err
	case f.err != nil:
		return Failed, f.err
	case f.cached:
		return Cached, nil
	}
	return Fetched, nil
}

// take returns the value of a flight that has landed well. Each caller gets its
// own.
func (e *Endpoint[K, V]) take(f *flight[K, V]) (V, error) {
	if !f.given.Swap(true) {
		return f.value, nil
	}
	return e.Decode(f.key, f.entry)
}

// takeEntry is take for the whole response.
func (e *Endpoint[K, V]) takeEntry(f *flight[K, V]) (repository.Entry, error) { //nolint:unparam // as take has it
	entry := f.entry
	entry.Payload = bytes.Clone(entry.Payload)
	return entry, nil
}
