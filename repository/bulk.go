package repository

import (
	"context"
	"errors"
	"runtime"
	"sync"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/parallel"
)

// hit is an entry that was found for the i-th key.
type hit struct {
	i     int
	entry driver.Entry
}

// batchSize is how many hits are handed over to be converted. For no more keys
// than that it is not worth it.
const batchSize = 64

// getMany gets the entries for keys that are wanted, each turned into a T.
func getMany[K comparable, V, T any](ctx context.Context, r *ResponseRepository[K, V], keys []K, parts driver.Parts, wanted func(status int) bool, opts []ReadOption, convert func(K, driver.Entry) (T, error)) (map[K]T, error) {
	var mu sync.Mutex
	var failed []error
	values := make(map[K]T, len(keys))
	err := r.readBulk(ctx, keys, parts, opts, func(h hit) {
		if !wanted(h.entry.Status) {
			return
		}
		value, err := convert(keys[h.i], h.entry)
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			failed = append(failed, err)
			return
		}
		values[keys[h.i]] = value
	})
	if err != nil {
		return nil, err
	}
	return values, errors.Join(failed...)
}

// readBulk gets the entries for keys and calls convert for each while others are
// still being read, from several goroutines: decoding costs as much as reading, or
// more.
func (r *ResponseRepository[K, V]) readBulk(ctx context.Context, keys []K, parts driver.Parts, opts []ReadOption, convert func(hit)) error {
	if len(keys) == 1 {
		e, ok, err := r.get(ctx, keys[0], parts, opts)
		if ok && err == nil {
			convert(hit{0, e})
		}
		return err
	}
	sel := r.selection(parts, opts)
	wanted, err := r.driverKeys(keys)
	if err != nil {
		return err
	}
	read := func(visit func(int, driver.Entry)) error {
		return r.table.Get(ctx, wanted, sel, visit)
	}
	if len(keys) <= batchSize {
		return convertAfter(len(keys), read, convert)
	}
	return pipeline(len(keys), read, convert)
}

// convertAfter converts when all has been read.
func convertAfter(n int, read func(visit func(int, driver.Entry)) error, convert func(hit)) error {
	var mu sync.Mutex
	hits := make([]hit, 0, n)
	err := read(func(i int, e driver.Entry) {
		mu.Lock()
		defer mu.Unlock()
		hits = append(hits, hit{i, e})
	})
	for _, h := range hits {
		convert(h)
	}
	return err
}

// pipeline reads on the caller's goroutine, and on those that the store has, and
// converts on as many as there are processors. Reading never waits for a
// conversion, which is the user's code: it may use the store, too.
func pipeline(n int, read func(visit func(int, driver.Entry)) error, convert func(hit)) error {
	batches := make(chan []hit, n/batchSize+1)
	return parallel.Do(1+runtime.GOMAXPROCS(0), func(i int) error {
		if i > 0 {
			for batch := range batches {
				for _, h := range batch {
					convert(h)
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
