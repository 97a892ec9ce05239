package fetch

import (
	"context"
	"errors"
	"sync"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/exchange"
)

// chunk are keys of a Fill that are looked up together.
type chunk[K comparable, V any] struct {
	run  *fill[K, V]
	keys []K
	asks *exchange.Many

	mu     sync.Mutex // guards what joins, ends and settles flights
	flying map[int]bool
	stop   func() bool // ends waiting for the end of the run; nil where none is flying
}

func (r *fill[K, V]) newChunk(keys []K) (*chunk[K, V], error) {
	c := &chunk[K, V]{run: r, keys: keys, flying: make(map[int]bool)}
	asks := make([]exchange.Ask, len(keys))
	doors := make([]door[K, V], len(keys))
	values := make(driver.Key, 0, len(keys)*len(r.f.key.Fields))
	for i, key := range keys {
		from := len(values)
		if err := r.f.set(&asks[i], &doors[i], r.rules, values[from:from:cap(values)], key); err != nil {
			return nil, err
		}
		values = values[:from+len(asks[i].Key)]
		asks[i].Batched, asks[i].Bare, asks[i].Idle = true, true, true
		asks[i].Doubt = &r.doubt
	}
	c.asks = r.f.table.Exchange().NewMany(asks, c.found)
	return c, nil
}

// found reports a key of which the repository knows.
func (c *chunk[K, V]) found(i int, e driver.Entry) bool {
	status := Cached
	if exchange.Gone(e.Status) {
		status = Absent
	}
	c.run.done(Filled[K]{Key: c.keys[i], Status: status})
	return true
}

// fly looks keys up and joins or begins the flights of those that are missing.
func (c *chunk[K, V]) fly(ctx context.Context, keys []int) {
	r := c.run
	for len(keys) > 0 {
		missing, err := c.asks.Lookup(ctx, keys, func(i int, err error) {
			r.done(Filled[K]{Key: c.keys[i], Status: Failed, Err: r.f.explain(c.keys[i], err)})
		})
		if err == nil {
			if err := c.asks.StoreErr(); err != nil {
				r.storeFailed(err)
			}
		}
		if err != nil || ctx.Err() != nil {
			for _, i := range missing {
				r.done(Filled[K]{Key: c.keys[i], Status: Cancelled})
			}
			if err != nil {
				for _, i := range keys {
					r.done(Filled[K]{Key: c.keys[i], Status: Cancelled})
				}
			}
			return
		}
		keys = c.join(ctx, missing)
	}
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
		begun, more := c.begin(ctx, missing[:n])
		for range more {
			<-r.room
			r.flying.Done()
		}
		again = append(again, more...)
		missing = missing[n:]
		r.batches.add(begun...)
	}
	return again
}

func (c *chunk[K, V]) begin(ctx context.Context, missing []int) (begun []*exchange.Flight, again []int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, i := range missing {
		c.flying[i] = true
	}
	begun, again = c.asks.Join(ctx, missing, c)
	for _, i := range again {
		delete(c.flying, i)
	}
	if c.stop == nil && len(c.flying) > 0 {
		c.stop = context.AfterFunc(ctx, c.giveUp)
	}
	return begun, again
}

// result is what a flight that has landed has brought.
func (c *chunk[K, V]) result(i int) (exchange.Result, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.flying, i)
	if len(c.flying) == 0 {
		c.stop() // else the run would remember the chunk to its end
		c.stop = nil
	}
	return c.asks.Result(i)
}

// hasRoom reports whether one more flight may be under way; with must, it waits until
// one may, for which those that wait for others are sent.
func (r *fill[K, V]) hasRoom(must bool) bool {
	select {
	case r.room <- struct{}{}:
		return true
	default:
	}
	if must {
		r.batches.flush()
		r.room <- struct{}{}
	}
	return must
}

// giveUp lets the requests of the chunk end.
func (c *chunk[K, V]) giveUp() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.flying {
		c.asks.GiveUp(i)
	}
}

// Landed implements [exchange.Waiter].
func (c *chunk[K, V]) Landed(i int, _ *exchange.Flight) {
	c.run.tell(report[K, V]{chunk: c, i: i})
}

// settle reports what the flight of a key has brought.
func (c *chunk[K, V]) settle(ctx context.Context, i int) {
	r := c.run
	defer r.flying.Done()
	res, ok := c.result(i)
	<-r.room
	switch {
	case ok:
		r.settle(ctx, c.keys[i], res)
	case ctx.Err() != nil:
		r.call(Filled[K]{Key: c.keys[i], Status: Cancelled})
	default:
		r.flying.Add(1)
		go func() {
			defer r.flying.Done()
			r.begin(ctx, c.keys[i:i+1])
			r.batches.flush()
		}()
	}
}

// settle reports a result.
func (r *fill[K, V]) settle(ctx context.Context, key K, res exchange.Result) {
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
		}
	default:
	}
	if res.SaveErr != nil {
		filled.Status, filled.Err = Failed, res.SaveErr
		if !errors.Is(res.SaveErr, driver.ErrTooLarge) {
			r.storeFailed(res.SaveErr)
		}
	}
	r.call(filled)
}

// trust believes absences from now on: the origin has values.
func (r *fill[K, V]) trust(ctx context.Context) {
	r.doubt.Store(false)
	r.believe(ctx)
}
