package tier_test

import (
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/drivertest"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/memory"
	"github.com/endpointcache/endpointcache/sqlite"
	"github.com/endpointcache/endpointcache/tier"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// unwatched is a store that cannot tell of changes.
type unwatched struct{ driver.Store }

func openMemory(tb testing.TB) driver.Store {
	tb.Helper()
	s, err := memory.New(nil)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func openSQLite(tb testing.TB, path string) driver.Store {
	tb.Helper()
	s, err := sqlite.Open(tb.Context(), path, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// over puts memory over a store, and waits until it is used.
func over(tb testing.TB, below driver.Store, opts *tier.Options) *tier.Store {
	tb.Helper()
	s, err := tier.New(below, opts)
	if err != nil {
		tb.Fatal(err)
	}
	if _, watches := driver.As[driver.Watcher](below); watches {
		waitfor.True(tb, "the store watches", func() bool { return s.Stats().Watching })
	}
	return s
}

func closing(tb testing.TB, s *tier.Store) *tier.Store {
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Errorf("close: %v", err)
		}
	})
	return s
}

func TestConformance(t *testing.T) {
	for name, open := range map[string]func(testing.TB, *hub) driver.Store{
		"a store that tells of changes": func(tb testing.TB, h *hub) driver.Store { return over(tb, h.open(), nil) },
		"a store that does not": func(tb testing.TB, h *hub) driver.Store {
			return over(tb, unwatched{h.open()}, &tier.Options{MaxAge: 50 * time.Millisecond})
		},
		"little memory": func(tb testing.TB, h *hub) driver.Store { return over(tb, h.open(), &tier.Options{MaxBytes: 4 << 10}) },
	} {
		t.Run(name, func(t *testing.T) {
			drivertest.Run(t, drivertest.At(func(tb testing.TB) *hub { return newHub(openMemory(tb)) }, open))
		})
	}
	t.Run("SQLite", func(t *testing.T) {
		h := drivertest.At(
			func(tb testing.TB) string { return filepath.Join(tb.TempDir(), "cache.db") },
			func(tb testing.TB, path string) driver.Store { return over(tb, openSQLite(tb, path), nil) })
		drivertest.RunTopics(t, h, "Open", "PutIf", "Renew", "Delete", "Watch", "Near", "Concurrent") // with a watcher of its own
	})
}
