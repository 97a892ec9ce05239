package fetch

import (
	"context"
	"fmt"

	"github.com/endpointcache/endpointcache/repository"
)

// FetchMany returns what became of each key, in the order of keys. All are looked
// up together, and those that are missing fetched in the fewest requests, up to
// [EndpointOptions.Concurrency] at once. A key that is given twice is asked for
// once, and its results share a value. What comes is saved in bulk.
//
// That a key failed is no error of the call. There is one where ctx is done or the
// client closed before all keys had an answer: those without are [Cancelled] then.
func (e *Endpoint[K, V]) FetchMany(ctx context.Context, keys []K, opts ...Option) ([]Result[K, V], error) {
	m := newMany(e, keys)
	if !e.client.closing.enter() {
		return m.cancelled(fmt.Errorf("fetch: %w", ErrClosed))
	}
	defer e.client.closing.leave()
	if err := ended(ctx); err != nil {
		return m.cancelled(err)
	}
	c, err := e.newCall(ctx, opts)
	if err != nil {
		return nil, err
	}
	seen := e.flights.begin()
	if e.repo != nil && !c.refresh {
		if err := m.lookup(ctx, c); err != nil {
			return m.cancelled(err)
		}
	}
	err = m.fetch(ctx, c, seen)
	if c.stale && e.repo != nil {
		m.lookupStale(ctx, c)
	}
	for i := range m.results {
		e.counts.add(m.results[i].Status)
	}
	return m.inOrder(), err
}

// many is one FetchMany.
type many[K comparable, V any] struct {
	e       *Endpoint[K, V]
	keys    []K // each once
	results []Result[K, V]
	order   []int // of the results, as they were asked for; nil: as they are
}

func newMany[K comparable, V any](e *Endpoint[K, V], keys []K) *many[K, V] {
	m := &many[K, V]{e: e, keys: make([]K, 0, len(keys)), results: make([]Result[K, V], 0, len(keys))}
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

// lookup enters what the repository has.
func (m *many[K, V]) lookup(ctx context.Context, c *call) error {
	found, err := m.e.lookup(ctx, c, m.keys)
	if err != nil {
		return err
	}
	for i, f := range found {
		r := &m.results[i]
		switch f.Presence {
		case repository.Present:
			r.Value, r.Status = f.Value, Cached
		case repository.Absent:
			r.Status, r.Err = Absent, m.e.absent(r.Key)
		case repository.Unknown:
		}
	}
	return nil
}

// with returns the indexes and keys of the results of that status.
func (m *many[K, V]) with(status Status) (indexes []int, keys []K) {
	for i := range m.results {
		if m.results[i].Status == status {
			indexes, keys = append(indexes, i), append(keys, m.keys[i])
		}
	}
	return indexes, keys
}

// fetch enters what the origin has for the keys without a result.
func (m *many[K, V]) fetch(ctx context.Context, c *call, seen int64) (err error) {
	indexes, missing := m.with(0)
	if len(missing) == 0 {
		return nil
	}
	joined := m.e.join(ctx, c, missing, seen)
	defer m.e.release(joined)
	for i, f := range joined {
		r := &m.results[indexes[i]]
		r.Status, r.Err = m.e.outcome(ctx, f)
		switch r.Status {
		case Fetched, Cached:
			if r.Value, r.Err = m.e.take(f); r.Err != nil {
				r.Status = Failed
			}
		case Cancelled:
			err = r.Err
		default:
		}
	}
	return err
}

// lookupStale enters what the repository still has for the keys that have failed.
func (m *many[K, V]) lookupStale(ctx context.Context, c *call) {
	indexes, keys := m.with(Failed)
	if len(keys) == 0 {
		return
	}
	found, err := m.e.lookup(ctx, c, keys, repository.AllowExpired())
	if err != nil {
		return // ctx is done, and the origin's failure stands
	}
	for i, f := range found {
		if f.Presence == repository.Present {
			r := &m.results[indexes[i]]
			r.Value, r.Status = f.Value, Stale
		}
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

// cancelled are the results of a call that has ended before it began.
func (m *many[K, V]) cancelled(err error) ([]Result[K, V], error) {
	for i := range m.results {
		m.results[i].Status, m.results[i].Err = Cancelled, err
	}
	return m.inOrder(), err
}
