package fetch

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/exchange"
)

// chunk are keys of a Fill that are looked up together. One whose keys were all found
// can be used again for others.
type chunk[K comparable, V any] struct {
	run    *fill[K, V]
	keys   []K
	told   []bool // of keys that are not sent for
	memory []exchange.Ask
	doors  []door[K, V]
	values driver.Key
	asks   *exchange.Many
	again  []again[K, V] // what the keys were before, where they are looked up once more

	mu     sync.Mutex // guards what joins, ends and settles flights
	flying map[int]bool
	forget func() bool // lets the run's context hold the chunk no longer; nil where it does not
}

func (r *fill[K, V]) newChunk() *chunk[K, V] {
	return &chunk[K, V]{run: r, flying: make(map[int]bool)}
}

// prepare makes an ask for each key.
func (c *chunk[K, V]) prepare(ctx context.Context) error {
	r, n := c.run, len(c.keys)
	call, err := r.f.caller(ctx, &c.keys[0])
	if err == nil && !r.opts.Unsaved {
		err = call.storeErr
	}
	if err != nil {
		return err
	}
	c.told, c.memory, c.doors = cleared(c.told, n), cleared(c.memory, n), cleared(c.doors, n)
	values := cleared(c.values, n*call.width())[:0]
	c.values = values
	for i, key := range c.keys {
		a, from := &c.memory[i], len(values)
		if err := call.set(ctx, a, &c.doors[i], r.rules, values[from:from:cap(values)], key); err != nil {
			return err
		}
		values = values[:from+len(a.Key)]
		c.doors[i].batches = r.batches
		a.Batched, a.Bare, a.MostUnsaved = true, true, r.unsavedMost
		a.Doubt, a.Answers = &r.doubt, &r.answers
	}
	for i, before := range c.again {
		c.memory[i].Repeat(&before.chunk.memory[before.i])
	}
	c.again = nil
	c.asks = r.f.table.Exchange().NewMany(c.memory, c.found)
	c.asks.Tally = r.tally
	return nil
}

// cleared is memory for n elements.
func cleared[S ~[]E, E any](s S, n int) S {
	if cap(s) < n {
		return make(S, n)
	}
	clear(s[:cap(s)])
	return s[:n]
}

// found reports a key of which the repository knows.
func (c *chunk[K, V]) found(i int, e driver.Entry) bool {
	status := Cached
	if exchange.Gone(e.Status) {
		status = Absent
	}
	c.tell(i, status, nil)
	return true
}

func (c *chunk[K, V]) tell(i int, status Status, err error) {
	if !c.told[i] {
		c.told[i] = true
		c.run.done(c.keys[i], status, err)
	}
}

// fly looks all keys up and joins or begins the flights of those that are missing. It
// reports whether the chunk can be used again.
func (c *chunk[K, V]) fly(ctx context.Context) (free bool) {
	keys := make([]int, len(c.keys))
	for i := range keys {
		keys[i] = i
	}
	free = true
	for len(keys) > 0 {
		missing, err := c.asks.Lookup(ctx, keys, func(i int, err error) {
			c.tell(i, Failed, c.run.f.explain(c.keys[i], err))
		})
		if err != nil {
			missing = keys
		} else if err := c.asks.StoreErr(); err != nil {
			free = false
			c.run.storeFailed(err)
		}
		if ctx.Err() != nil {
			for _, i := range missing {
				c.tell(i, Cancelled, nil)
			}
			return false
		}
		free = free && len(missing) == 0
		keys = c.join(ctx, missing)
	}
	return free
}

// join begins flights as there is room for them, and returns the keys that are to be
// looked up once more.
func (c *chunk[K, V]) join(ctx context.Context, missing []int) (again []int) {
	r := c.run
	for len(missing) > 0 {
		n := 0
		for n < len(missing) && r.hasRoom(n == 0) {
			n++
		}
		r.flying.Add(n)
		begun, more := c.depart(ctx, missing[:n])
		for range more {
			<-r.room
			r.flying.Done()
		}
		again = append(again, more...)
		missing = missing[n:]
		r.batches.add(begun...)
		if d := c.asks.SoftLimit(); d > 0 {
			time.AfterFunc(d, c.answerSoon)
		}
	}
	return again
}

// depart joins or begins flights, which end with ctx.
func (c *chunk[K, V]) depart(ctx context.Context, of []int) (begun []*exchange.Flight, again []int) {
	c.mu.Lock()
	defer c.mu.Unlock() // those that have landed are settled afterwards
	begun, again = c.asks.Join(ctx, of, c)
	for _, i := range of {
		c.flying[i] = true
	}
	for _, i := range again {
		delete(c.flying, i)
	}
	if c.forget == nil && len(c.flying) > 0 {
		c.forget = context.AfterFunc(ctx, c.giveUp)
	} else if ctx.Err() != nil {
		c.giveUpLocked()
	}
	return begun, again
}

// landed takes the result of a flight. The chunk is not held by the run's context any
// longer than it has flights.
func (c *chunk[K, V]) landed(i int) (res exchange.Result, flying, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.flying[i] {
		return res, false, false
	}
	delete(c.flying, i)
	if len(c.flying) == 0 && c.forget != nil {
		c.forget()
		c.forget = nil
	}
	res, ok = c.asks.Result(i)
	return res, true, ok
}

// hasRoom reports whether one more flight may be under way; with must, it waits until
// one may. Where too many wait for others to share a request with, the oldest are sent.
func (r *fill[K, V]) hasRoom(must bool) bool {
	select {
	case r.room <- struct{}{}:
		return true
	default:
	}
	if must {
		r.batches.flushTo(heldFlights)
		r.room <- struct{}{}
	}
	return must
}

// giveUp lets the requests of the chunk end. For those that go on, as others wait for
// them, the run does not wait.
func (c *chunk[K, V]) giveUp() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.giveUpLocked()
}

func (c *chunk[K, V]) giveUpLocked() {
	for i := range c.flying {
		if c.asks.GiveUp(i) {
			c.answer(i, Cancelled, nil)
		}
	}
}

// answer reports a key whose flight goes on. The lock is held.
func (c *chunk[K, V]) answer(i int, status Status, err error) {
	delete(c.flying, i)
	c.tell(i, status, err)
	<-c.run.room
	c.run.flying.Done()
}

// answerSoon answers with what is stored for the keys that the origin takes its time for.
func (c *chunk[K, V]) answerSoon() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.flying {
		if res, ok := c.asks.Soon(i); ok {
			c.answer(i, Stale, res.Err)
		}
	}
}

// Landed implements [exchange.Waiter].
func (c *chunk[K, V]) Landed(i int, _ *exchange.Flight) {
	c.run.tell(report[K, V]{chunk: c, i: i})
}

// settle reports what the flight of a key has brought, before which there were so many
// answers of use.
func (c *chunk[K, V]) settle(ctx context.Context, i int, answers int64) {
	r := c.run
	res, flying, ok := c.landed(i)
	if !flying {
		return // it had an answer before
	}
	defer r.flying.Done()
	<-r.room
	switch {
	case ok:
		r.settle(ctx, c.keys[i], res, answers)
	case ctx.Err() != nil:
		r.call(Filled[K]{Key: c.keys[i], Status: Cancelled})
	default:
		r.flying.Add(1) // until it was looked up
		r.again = append(r.again, again[K, V]{c, i})
	}
}

// settle reports a result.
func (r *fill[K, V]) settle(ctx context.Context, key K, res exchange.Result, answers int64) {
	defer r.catch()
	filled := Filled[K]{Key: key}
	filled.Err = r.f.failure(ctx, key, &res)
	filled.Status = statusOf(res.Kind, filled.Err)
	switch filled.Status {
	case Fetched:
		filled.Size = len(res.Entry.Payload)
		r.trust(ctx)
	case Confirmed:
		r.trust(ctx)
	case Absent:
		filled.Err = nil
		if res.Doubted() {
			r.doubted = append(r.doubted, res)
			switch {
			case !r.doubt.Load():
				r.believe(ctx)
			case len(r.doubted) >= doubtAbsents:
				r.abort(ErrAllAbsent)
			}
		}
	case Cancelled:
		filled.Err = nil
	case Failed:
		if ctx.Err() != nil && (errors.Is(filled.Err, context.Canceled) || errors.Is(filled.Err, exchange.ErrGivenUp)) {
			filled.Status, filled.Err = Cancelled, nil // the run did not come to it
		} else {
			filled.FailedInRow = r.failed(answers)
		}
	case Stale:
		filled.Err, filled.FailedInRow = res.Err, r.failed(answers)
	default:
	}
	if res.SaveErr != nil {
		filled.Status, filled.Err = Failed, res.SaveErr
		r.unsaved++
		filled.FailedInRow = r.unsaved
		if !errors.Is(res.SaveErr, driver.ErrTooLarge) {
			r.storeFailed(res.SaveErr)
		}
	} else if filled.Status == Fetched || filled.Status == Confirmed {
		r.unsaved = 0
	}
	r.call(filled)
}

// trust believes absences from now on: the origin has values.
func (r *fill[K, V]) trust(ctx context.Context) {
	r.doubt.Store(false)
	r.believe(ctx)
}
