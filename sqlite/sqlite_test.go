package sqlite_test

import (
	"context"
	"database/sql"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/drivertest"
	"github.com/endpointcache/endpointcache/sqlite"
)

func TestMain(m *testing.M) {
	if isOtherProcess() {
		otherProcess()
		return
	}
	goleak.VerifyTestMain(m)
}

// must returns s, and ends the test where it could not be opened.
func must(tb testing.TB) func(s *sqlite.Store, err error) *sqlite.Store {
	return func(s *sqlite.Store, err error) *sqlite.Store {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
		return s
	}
}

// harnesses are the ways to open a store.
func harnesses() map[string]drivertest.Harness {
	ctx := context.Background()
	return map[string]drivertest.Harness{
		"file": {
			Open: func(tb testing.TB) driver.Store {
				return must(tb)(sqlite.Open(ctx, filepath.Join(tb.TempDir(), "cache.db"), nil))
			},
			Reopen: func(tb testing.TB, s driver.Store) driver.Store {
				return must(tb)(sqlite.Open(ctx, s.(*sqlite.Store).Path(), nil))
			},
		},
		"memory": {
			Open: func(tb testing.TB) driver.Store { return must(tb)(sqlite.OpenMemory(ctx, nil)) },
		},
		"temporary": {
			Open: func(tb testing.TB) driver.Store { return must(tb)(sqlite.OpenTemp(ctx, nil)) },
		},
		"the caller's database": {
			Open: func(tb testing.TB) driver.Store {
				db := openDB(tb, unsynced(filepath.Join(tb.TempDir(), "own.db")))
				return must(tb)(sqlite.New(ctx, db, nil))
			},
		},
		"the caller's only connection": {
			Open: func(tb testing.TB) driver.Store {
				db := openDB(tb, ":memory:")
				db.SetMaxOpenConns(1)
				return must(tb)(sqlite.New(ctx, db, nil))
			},
		},
	}
}

// openDB opens a database as users do, with all defaults: no WAL.
func openDB(tb testing.TB, path string) *sql.DB {
	tb.Helper()
	db, err := sql.Open(driverName, path)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { db.Close() })
	return db
}

func TestConformance(t *testing.T) {
	for name, h := range harnesses() {
		t.Run(name, func(t *testing.T) {
			if name == "temporary" { // a file as any other, until it is closed
				drivertest.RunTopics(t, h, "Open", "Tables", "Concurrent", "Close")
				return
			}
			drivertest.Run(t, h)
		})
	}
}

func Benchmark(b *testing.B) { drivertest.Bench(b, harnesses()["file"]) }
