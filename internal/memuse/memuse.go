// Package memuse measures the memory that a piece of code takes, for tests. Other
// goroutines of the process count, too, so nothing else should run meanwhile, but for [Held].
package memuse

import (
	"runtime"
	"runtime/metrics"
	"sync"
)

// Of calls do, and returns how many bytes it has allocated in all, and how many of them
// were in use at one time. It collects garbage as long as do runs: what nobody uses any
// more does not count.
func Of(do func()) (total, peak int64) {
	before, first := Allocated(), InUse()
	ended := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			peak = max(peak, InUse()-first)
			select {
			case <-ended:
				return
			default:
			}
		}
	})
	do()
	close(ended)
	wg.Wait()
	return Allocated() - before, peak
}

// Allocated is how many bytes the process has allocated so far.
func Allocated() int64 {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.TotalAlloc) //nolint:gosec // it is no larger
}

// InUse is how many bytes are in use.
func InUse() int64 {
	runtime.GC()
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	return int64(live[0].Value.Uint64()) //nolint:gosec // it is no larger
}

// Held is how many bytes are in use while others go on: what they allocate during one
// collection counts as used, and is gone after another.
func Held() int64 {
	least := InUse()
	for range 3 {
		least = min(least, InUse())
	}
	return least
}
