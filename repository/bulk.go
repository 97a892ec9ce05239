package repository

import (
	"context"
	"errors"
	"runtime"
	"sync"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/parallel"
)

// bulk is a bulk get: entries for keys, each turned into a T.
type bulk[K comparable, T any] struct {
	keys    []K
	convert func(K, driver.Entry) (T, error)

	mu     sync.Mutex
	values map[K]T
	failed []error
}

// hit is an entry that was found for the i-th key.
type hit struct {
	i     int
	entry driver.Entry
}

// batchSize is how many hits are handed over to be converted. For no more keys
// than that it is not worth it.
const batchSize = 64

// getMany gets the entries for keys and converts them while others are still
// being read: decoding costs as much as reading, or more.
func getMany[K comparable, V, T any](ctx context.Context, r *ResponseRepository[K, V], keys []K, parts driver.Parts, wanted func(status int) bool, opts []ReadOption, convert func(K, driver.Entry) (T, error)) (map[K]T, error) {
	b := &bulk[K, T]{keys: keys, convert: convert, values: make(map[K]T, len(keys))}
	sel := r.selection(parts, opts)
	read := func(visit func(int, driver.Entry)) error {
		return r.table.Get(ctx, r.driverKeys(keys), sel, func(i int, e driver.Entry) {
			if wanted(e.Status) {
				visit(i, e)
			}
		})
	}
	var err error
	if len(keys) <= batchSize {
		err = b.convertAfter(read)
	} else {
		err = b.pipeline(read)
	}
	if err != nil {
		return nil, err
	}
	return b.values, errors.Join(b.failed...)
}

func (b *bulk[K, T]) add(h hit) {
	value, err := b.convert(b.keys[h.i], h.entry)
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil {
		b.failed = append(b.failed, err)
		return
	}
	b.values[b.keys[h.i]] = value
}

// convertAfter converts when all has been read.
func (b *bulk[K, T]) convertAfter(read func(visit func(int, driver.Entry)) error) error {
	var mu sync.Mutex
	hits := make([]hit, 0, len(b.keys))
	err := read(func(i int, e driver.Entry) {
		mu.Lock()
		defer mu.Unlock()
		hits = append(hits, hit{i, e})
	})
	for _, h := range hits {
		b.add(h)
	}
	return err
}

// pipeline reads on the caller's goroutine, and on those that the store has, and
// converts on as many as there are processors. Reading never waits for a
// conversion, which is the user's code: it may use the store, too.
func (b *bulk[K, T]) pipeline(read func(visit func(int, driver.Entry)) error) error {
	batches := make(chan []hit, len(b.keys)/batchSize+1)
	return parallel.Do(1+runtime.GOMAXPROCS(0), func(i int) error {
		if i > 0 {
			for batch := range batches {
				for _, h := range batch {
					b.add(h)
				}
			}
			return nil
		}
		defer close(batches)
		var mu sync.Mutex
		var batch []hit
		err := read(func(i int, e driver.Entry) {
			mu.Lock()
			defer mu.Unlock()
			if batch == nil {
				batch = make([]hit, 0, batchSize)
			}
			if batch = append(batch, hit{i, e}); len(batch) == batchSize {
				batches <- batch
				batch = nil
			}
		})
		batches <- batch
		return err
	})
}
