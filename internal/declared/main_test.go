package declared_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/memory"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/sqlite"
)

// The declarations of one repository, as an API and its client grow.
type (
	key1 struct {
		ID string `path:"id"`
	}
	key2 struct {
		ID     string `path:"id"`
		Market string `query:"market" default:"DE"`
	}
	track1 struct {
		Title string `json:"title"`
	}
	track2 struct {
		Name string `json:"name"`
	}
)

var (
	tracks1 = settings.RepositorySettings[key1, track1]{Name: "tracks", Version: 1, Pattern: "GET /v1/tracks/{id}", Expire: settings.NeverExpire}
	tracks2 = settings.RepositorySettings[key2, track1]{Name: "tracks", Version: 2, Pattern: "GET /v1/tracks/{id}", Expire: settings.NeverExpire}
	tracks3 = settings.RepositorySettings[key2, track2]{
		Name: "tracks", Version: 3, Pattern: "GET /v2/tracks/{id}", Expire: settings.NeverExpire,
		Migrations: []settings.Migration[key2, track2]{settings.MigrateFrom(tracks2, rename)},
	}
)

func rename(k key2, t track1) (key2, track2, bool, error) { return k, track2{Name: t.Title}, true, nil }

// shared is a store that many caches use, none of which closes it.
type shared struct{ driver.Store }

func (shared) Close() error { return nil }

func onEachStore(t *testing.T, test func(t *testing.T, store driver.Store)) {
	t.Run("memory", func(t *testing.T) {
		store, err := memory.New(nil)
		check(t, err)
		test(t, shared{store})
	})
	t.Run("sqlite", func(t *testing.T) {
		store, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "tracks.db"), nil)
		check(t, err)
		t.Cleanup(func() { _ = store.Close() })
		test(t, shared{store})
	})
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// logged is what a cache logs.
type logged struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func newCache(t *testing.T, store driver.Store) (*cache.ResponseCache, *logged) {
	t.Helper()
	log := &logged{}
	c, err := cache.New(store, &cache.Options{Logger: slog.New(slog.NewTextHandler(log, nil))})
	check(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c, log
}

func createIn[K comparable, V any](t *testing.T, c *cache.ResponseCache, s settings.RepositorySettings[K, V]) *repository.ResponseRepository[K, V] {
	t.Helper()
	r, err := cache.CreateRepository(t.Context(), c, s)
	check(t, err)
	return r
}

func open[K comparable, V any](ctx context.Context, t *testing.T, store driver.Store, s settings.RepositorySettings[K, V]) (*repository.ResponseRepository[K, V], error) {
	t.Helper()
	c, _ := newCache(t, store)
	return cache.CreateRepository(ctx, c, s)
}

func create[K comparable, V any](t *testing.T, store driver.Store, s settings.RepositorySettings[K, V]) *repository.ResponseRepository[K, V] {
	t.Helper()
	r, err := open(t.Context(), t, store, s)
	check(t, err)
	return r
}

func want[K comparable, V comparable](t *testing.T, r *repository.ResponseRepository[K, V], key K, value V) {
	t.Helper()
	if got, ok, err := r.Get(t.Context(), key); err != nil || !ok || got != value {
		t.Errorf("%v is %+v, %v, %v, want %+v", key, got, ok, err, value)
	}
}

// tables are the names of a store's tables, without those of caches.
func tables(t *testing.T, store driver.Store) string {
	t.Helper()
	c, _ := newCache(t, store)
	all, err := c.Tables(t.Context())
	check(t, err)
	var names []string
	for _, table := range all {
		if table.Repository != "" {
			names = append(names, table.Name)
		}
	}
	return strings.Join(names, " ")
}

// remembered is the record of the declaration, nil where there is none.
func remembered(t *testing.T, store driver.Store, repository string) (record map[string][]string) {
	t.Helper()
	table := records(t, store)
	check(t, table.Get(t.Context(), []driver.Key{{"declaration", repository}}, driver.Selection{Parts: driver.Meta}, func(_ int, e driver.Entry) {
		check(t, json.Unmarshal([]byte(e.Header), &record))
	}))
	return record
}

// first is the value of a field of a record.
func first(record map[string][]string, field string) string {
	return strings.Join(record[field], ",")
}

func records(t *testing.T, store driver.Store) driver.Table {
	t.Helper()
	table, err := store.OpenTable(t.Context(), driver.TableSpec{Name: "endpointcache_records", Key: []driver.Column{
		{Name: "kind", Kind: driver.String}, {Name: "item", Kind: driver.String},
	}})
	check(t, err)
	return table
}
