package store_test

import (
	"sync"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/fleet"
	"github.com/endpointcache/endpointcache/internal/waitfor"
)

// Several processes keep to one rate on every store.
func TestOneRateForAFleet(t *testing.T) {
	const rate, each, burst = 200, 10, 2
	for kind, b := range backends {
		t.Run(kind, func(t *testing.T) {
			h := b.harness(kind)
			stores := []driver.Store{h.Open(t)}
			if h.Reopen != nil {
				stores = append(stores, h.Reopen(t, stores[0]), h.Reopen(t, stores[0]))
			}
			begun := time.Now()
			var wait sync.WaitGroup
			for _, s := range stores {
				t.Cleanup(func() { s.Close() })
				l, err := fleet.New(t.Context(), s, fleet.Limits{Rate: rate, Burst: burst, StoreTimeout: waitfor.Limit})
				if err != nil {
					t.Fatal(err)
				}
				for range each {
					wait.Go(func() {
						if err := l.Wait(t.Context()); err != nil {
							t.Error(err)
						}
					})
				}
			}
			wait.Wait()
			least := time.Duration(each*len(stores)-burst) * time.Second / rate
			if took := time.Since(begun); took < least {
				t.Errorf("%d requests took %v, which is less than %v", each*len(stores), took, least)
			}
		})
	}
}
