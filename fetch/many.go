package fetch

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/exchange"
)

// FetchMany returns what became of each key, in the order of keys. All are looked
// up together, and those that are missing fetched in the fewest requests, up to
// [FetcherOptions.Concurrency] at once. A key that is given twice is asked for
// once, and its results share a value. What comes is saved in bulk.
//
// That a key failed is no error of the call. There is one where ctx is done or the
// client closed before all keys had an answer: those without are [Cancelled] then.
func (f *Fetcher[K, V]) FetchMany(ctx context.Context, keys []K, opts ...Option) ([]Result[K, V], error) {
	m := newMany(f, keys)
	if err := f.enter(); err != nil {
		return m.cancelled(err)
	}
	defer f.leave()
	if err := ended(ctx); err != nil {
		return m.cancelled(err)
	}
	rules, err := f.rules(ctx, opts)
	if err != nil {
		return nil, fmt.Errorf("fetch: %w", err)
	}
	if err := m.prepare(ctx, rules); err != nil {
		return nil, err
	}
	began := f.table.Exchange().Began()
	defer func() { m.asks.TellAll(ctx, began) }()
	err = m.run(ctx)
	return m.inOrder(), err
}

// many is one FetchMany.
type many[K comparable, V any] struct {
	f       *Fetcher[K, V]
	keys    []K // each once
	results []Result[K, V]
	order   []int // of the results, as they were asked for; nil: as they are
	asks    *exchange.Many
	doors   []door[K, V]

	mu     sync.Mutex
	landed []bool
	flying int           // flights that have not landed
	done   chan struct{} // closed when no flight is under way
}

func newMany[K comparable, V any](f *Fetcher[K, V], keys []K) *many[K, V] {
	m := &many[K, V]{f: f, keys: make([]K, 0, len(keys)), results: make([]Result[K, V], 0, len(keys))}
	order, index := make([]int, len(keys)), make(map[K]int, len(keys))
	for i, key := range keys {
		at, twice := index[key]
		if !twice {
			at = len(m.keys)
			index[key] = at
			m.keys = append(m.keys, key)
			m.results = append(m.results, Result[K, V]{Key: key})
		}
		order[i] = at
	}
	if len(m.keys) < len(keys) {
		m.order = order
	}
	return m
}

// prepare makes an ask for each key.
func (m *many[K, V]) prepare(ctx context.Context, rules *exchange.Rules) error {
	f := m.f
	var example *K
	if len(m.keys) > 0 {
		example = &m.keys[0]
	}
	c, err := f.caller(ctx, example)
	if err != nil {
		return err
	}
	asks := make([]exchange.Ask, len(m.keys))
	m.doors = make([]door[K, V], len(m.keys))
	values := make(driver.Key, 0, len(m.keys)*c.width())
	for i, key := range m.keys {
		from := len(values)
		if err := c.set(ctx, &asks[i], &m.doors[i], rules, values[from:from:cap(values)], key); err != nil {
			return err
		}
		values = values[:from+len(asks[i].Key)]
		asks[i].Batched = true
	}
	m.asks = f.table.Exchange().NewMany(asks, m.found)
	m.landed = make([]bool, len(asks))
	return nil
}

// found enters a stored entry. It is false where that cannot be decoded.
func (m *many[K, V]) found(i int, e driver.Entry) bool {
	r := &m.results[i]
	if exchange.Gone(e.Status) {
		r.Status, r.Err = Absent, m.f.absent(r.Key)
		return true
	}
	value, err := m.f.decode(r.Key, e.Payload)
	if err != nil {
		m.f.table.Undecodable(err)
		return false
	}
	r.Value, r.Status = value, Cached
	return true
}

// run enters what became of all keys. The error is that of a call that has ended before.
func (m *many[K, V]) run(ctx context.Context) (err error) {
	defer m.leave()
	pending := make([]int, len(m.keys))
	for i := range pending {
		pending[i] = i
	}
	for len(pending) > 0 {
		missing, err := m.asks.Lookup(ctx, pending, func(i int, err error) {
			m.results[i].Status, m.results[i].Err = Failed, m.f.explain(m.keys[i], err)
		})
		if err != nil {
			_, _ = m.cancelled(ended(ctx))
			return ended(ctx)
		}
		again := m.join(ctx, missing)
		ended := m.await(ctx, missing, again)
		for _, i := range missing {
			if !m.settle(ctx, i, ended) {
				again = append(again, i)
			}
		}
		pending = again
		if ended != nil {
			_, _ = m.cancelled(ended)
			return ended
		}
	}
	return nil
}

// leave leaves the flights whose results were not taken, as the user's code has panicked.
func (m *many[K, V]) leave() {
	for i := range m.keys {
		m.asks.Leave(i)
	}
}

// join joins the flights of the missing keys and sends those that begin. It returns the
// keys that are to be looked up once more.
func (m *many[K, V]) join(ctx context.Context, missing []int) (again []int) {
	m.mu.Lock()
	m.flying, m.done = len(missing), make(chan struct{})
	m.mu.Unlock()
	begun, again := m.asks.Join(ctx, missing, m)
	m.mu.Lock()
	m.flying -= len(again)
	if m.flying == 0 {
		m.end()
	}
	m.mu.Unlock()
	if m.f.shared != nil {
		m.f.shared.add(begun...)
	} else if len(begun) > 0 {
		newBatcher(m.f, 0).flushed(begun...)
	}
	return again
}

// Landed implements [exchange.Waiter].
func (m *many[K, V]) Landed(i int, _ *exchange.Flight) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.landed[i] {
		return // it had an answer before
	}
	m.landed[i] = true
	if m.flying--; m.flying == 0 {
		m.end()
	}
}

// end is called with the lock held, when nothing is flying.
func (m *many[K, V]) end() {
	select {
	case <-m.done:
	default:
		close(m.done)
	}
}

// await waits until all flights have landed. The error is that of a call that ends
// before.
func (m *many[K, V]) await(ctx context.Context, missing, again []int) error {
	if len(missing) == len(again) {
		return nil
	}
	var soft <-chan time.Time
	if d := m.asks.SoftLimit(); d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		soft = timer.C
	}
	for {
		select {
		case <-m.done:
			return nil
		case <-soft:
			soft = nil
			m.answerSoon(missing)
		case <-ctx.Done():
			return ended(ctx)
		case <-m.f.client.closing.ctx.Done():
			return fmt.Errorf("fetch: %w", ErrClosed)
		case <-m.f.table.Exchange().Closing().Done():
			return fmt.Errorf("fetch: %w", exchange.ErrClosed)
		}
	}
}

// answerSoon enters what is stored for the keys that the origin takes its time for.
func (m *many[K, V]) answerSoon(missing []int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, i := range missing {
		if m.landed[i] || m.results[i].Status != 0 {
			continue
		}
		r, ok := m.asks.Soon(i)
		if !ok {
			continue
		}
		m.landed[i] = true
		m.enter(context.Background(), i, &r)
		if m.flying--; m.flying == 0 {
			m.end()
		}
	}
}

// settle enters what the flight of a key has brought. It is false where the key is to be
// looked up once more; an error says why the call has ended before.
func (m *many[K, V]) settle(ctx context.Context, i int, ended error) bool {
	if m.results[i].Status != 0 || !m.asks.Waits(i) {
		return true
	}
	m.mu.Lock()
	landed := m.landed[i]
	m.landed[i] = false
	m.mu.Unlock()
	if !landed {
		m.asks.Leave(i)
		m.results[i].Status, m.results[i].Err = Cancelled, ended
		return true
	}
	r, ok := m.asks.Result(i)
	if ok {
		m.enter(ctx, i, &r)
	}
	return ok
}

// enter enters a result.
func (m *many[K, V]) enter(ctx context.Context, i int, r *exchange.Result) {
	to := &m.results[i]
	to.Value, to.Err = m.f.value(ctx, to.Key, r)
	to.Status = statusOf(r.Kind, to.Err)
	if to.Status == Stale {
		to.Err = r.Err
	}
}

// inOrder are the results as they were asked for.
func (m *many[K, V]) inOrder() []Result[K, V] {
	if m.order == nil {
		return m.results
	}
	results := make([]Result[K, V], len(m.order))
	for i, at := range m.order {
		results[i] = m.results[at]
	}
	return results
}

// cancelled gives the keys without a result that of a call that has ended before.
func (m *many[K, V]) cancelled(err error) ([]Result[K, V], error) {
	for i := range m.results {
		if m.results[i].Status == 0 {
			m.results[i].Status, m.results[i].Err = Cancelled, err
		}
	}
	return m.inOrder(), err
}
