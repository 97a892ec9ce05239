package doors

import (
	"testing"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/scopetest"
	"github.com/endpointcache/endpointcache/memory"
)

func TestNobodyGetsAnothersAnswer(t *testing.T) {
	scopetest.Run(t, inMemory)
}

func TestNoOriginIsServedForAnother(t *testing.T) {
	scopetest.Origins(t, inMemory)
}

func inMemory(t testing.TB) driver.Store {
	store, err := memory.New(nil)
	check(t, err)
	t.Cleanup(func() { check(t, store.Close()) })
	return store
}
