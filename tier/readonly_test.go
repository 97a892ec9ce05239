package tier_test

import (
	"errors"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/sqlite"
)

// What a store refuses as it is opened to be read is not done later: its entries stay in memory.
func TestARefusedWriteLeavesNothingInDoubt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cache.db")
	spec := driver.TableSpec{Name: "tracks", Key: []driver.Column{{Name: "id", Kind: driver.String}}}
	entry := driver.Entry{Key: driver.Key{"a"}, Status: http.StatusOK, CachedAt: time.Now().UTC().Truncate(time.Microsecond)}
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	below := openSQLite(t, path)
	table, err := below.OpenTable(t.Context(), spec)
	check(err)
	check(table.Put(t.Context(), []driver.Entry{entry}))
	check(below.Close())

	readOnly, err := sqlite.Open(t.Context(), path, &sqlite.Options{ReadOnly: true})
	check(err)
	s := closing(t, over(t, readOnly, nil))
	table, err = s.OpenTable(t.Context(), spec)
	check(err)
	if err := table.Put(t.Context(), []driver.Entry{entry}); !errors.Is(err, driver.ErrReadOnly) {
		t.Fatalf("a put: %v", err)
	}
	if _, err := table.Clear(t.Context(), driver.Filter{}); !errors.Is(err, driver.ErrReadOnly) {
		t.Fatalf("a clear: %v", err)
	}
	for range 2 {
		check(table.Get(t.Context(), []driver.Key{entry.Key}, driver.Selection{Parts: driver.Meta}, func(int, driver.Entry) {}))
	}
	if stats := s.Stats(); stats.Hits != 1 {
		t.Errorf("%d hits of the second get", stats.Hits)
	}
}
