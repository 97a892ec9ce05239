package store_test

import (
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/drivertest"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/tier"
)

// whatMemoryCanChange are the topics that are run with memory over each store, in the short form
// the first two: what it does over any store has the whole suite in its own package. The
// tests' servers of some stores are slow, and get the first four.
var whatMemoryCanChange = []string{"Near", "Open", "Renew", "Pop", "Values", "Delete", "Clear", "Parts", "Usage", "Tables", "Concurrent", "Close", "Errors"}

func TestMemoryOverEveryStore(t *testing.T) {
	for name, b := range backends {
		t.Run(name, func(t *testing.T) {
			topics := whatMemoryCanChange
			switch {
			case testing.Short():
				topics = topics[:2]
			case b.many > 0:
				topics = topics[:4]
			}
			drivertest.RunTopics(t, b.harness(name, withMemory), topics...)
		})
	}
}

// withMemory puts memory over a store, and waits until it is used. Where the store does not tell
// of changes, entries live shortly, so that the tests need not wait long.
func withMemory(tb testing.TB, s driver.Store) driver.Store {
	tb.Helper()
	o := &tier.Options{}
	_, watches := driver.As[driver.Watcher](s)
	if !watches {
		o.MaxAge = 100 * time.Millisecond
	}
	t, err := tier.New(s, o)
	if err != nil {
		tb.Fatal(err)
	}
	if watches {
		waitfor.True(tb, "the store is watched", func() bool { return t.Stats().Watching })
	}
	return t
}
