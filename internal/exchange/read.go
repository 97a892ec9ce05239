package exchange

import (
	"context"
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

// batchSize is how many hits are handed over to be converted. For no more keys than
// that it is not worth it.
const batchSize = 64

// Read gets entries and calls convert for each while others are still being read, from
// several goroutines: decoding costs as much as reading, or more. Reading never waits
// for a conversion, which may use the store, too.
func (t *Table) Read(ctx context.Context, keys []driver.Key, sel driver.Selection, convert func(int, driver.Entry)) error {
	read := func(visit func(int, driver.Entry)) error { return t.table.Get(ctx, keys, sel, visit) }
	if len(keys) <= batchSize {
		return convertAfter(len(keys), read, convert)
	}
	return pipeline(len(keys), read, convert)
}

// convertAfter converts when all has been read.
func convertAfter(n int, read func(visit func(int, driver.Entry)) error, convert func(int, driver.Entry)) error {
	var mu sync.Mutex
	hits := make([]hit, 0, n)
	err := read(func(i int, e driver.Entry) {
		mu.Lock()
		defer mu.Unlock()
		hits = append(hits, hit{i, e})
	})
	for _, h := range hits {
		convert(h.i, h.entry)
	}
	return err
}

// pipeline reads on the caller's goroutine, and on those that the store has, and
// converts on as many as there are processors.
func pipeline(n int, read func(visit func(int, driver.Entry)) error, convert func(int, driver.Entry)) error {
	batches := make(chan []hit, n/batchSize+1)
	return parallel.Do(1+runtime.GOMAXPROCS(0), func(i int) error {
		if i > 0 {
			for batch := range batches {
				for _, h := range batch {
					convert(h.i, h.entry)
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
