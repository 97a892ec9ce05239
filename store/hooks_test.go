package store_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/drivertest"
	"github.com/endpointcache/endpointcache/hooks"
)

// whatHooksCanChange are the topics that are run with hooks over each store; in package hooks,
// two stores have the whole suite.
var whatHooksCanChange = []string{"Values", "PutIfKept", "Renew", "Pop", "Context", "Close", "Errors"}

// TestOperationsOfEveryStoreCanBeTold does without in the short form: then the stores of package
// hooks' own test are enough.
func TestOperationsOfEveryStoreCanBeTold(t *testing.T) {
	if testing.Short() {
		t.Skip("every store is tried in the long form alone")
	}
	for kind, b := range backends {
		t.Run(kind, func(t *testing.T) {
			var begun, ended atomic.Int64
			told := func(tb testing.TB, below driver.Store) driver.Store {
				tb.Helper()
				s, err := hooks.Store(below, hooks.StoreHooks{
					Operation: func(ctx context.Context, op hooks.StoreOperation) (context.Context, func(hooks.StoreEnd)) {
						if op.Store != kind {
							t.Errorf("an operation is one of %q", op.Store)
						}
						begun.Add(1)
						return ctx, func(hooks.StoreEnd) { ended.Add(1) }
					},
				})
				if err != nil {
					tb.Fatal(err)
				}
				return s
			}
			t.Run("suite", func(t *testing.T) { drivertest.RunTopics(t, b.harness(kind, told), whatHooksCanChange...) })
			if begun.Load() == 0 || begun.Load() != ended.Load() {
				t.Errorf("%d operations have begun, %d have ended", begun.Load(), ended.Load())
			}
		})
	}
}
