package inspectortest

import (
	"fmt"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/sqlite"
)

// A cache of a million rows is looked at as one of a few. How long the pages take is logged: a busy machine
// is no failure.
func TestAMillionRows(t *testing.T) {
	rows := 1_000_000
	if testing.Short() {
		rows = 20_000
	}
	store, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "million.db"), nil)
	must(t, err)
	c := newCache(t, store, nil)
	repo, err := cache.CreateRepository(t.Context(), c, settings.RepositorySettings[hostileKey, []byte]{
		Name: "items", Pattern: "GET /items/{id}", Payload: payload.Bytes(), Scope: settings.Shared,
		NameOf: func(body []byte) string { return "Item " + string(body[len(`{"id":"item-`):][:7]) },
	})
	must(t, err)
	fillItems(t, repo, rows)
	pages := serve(t, c, nil)
	b := open(t, pages.URL, look{})
	for _, p := range []struct{ what, page, shows string }{
		{"repositories, not counted yet", "", "items"},
		{"the list by key", "list?repository=items", "item-0000000"},
		{"the list by key, again", "list?repository=items", "item-0000000"},
		{"a prefix of the key", "list?repository=items&key.id=item-00001*", "item-0000100"},
		{"the list from its end", "list?repository=items&descending=1", fmt.Sprintf("item-%07d", rows-1)},
		{"the list by name, for the first time", "list?repository=items&order=name", "Item 0000000"},
		{"the list by name", "list?repository=items&order=name", "Item 0000000"},
		{"a prefix of the name", "list?repository=items&name=Item+00001*", "Item 0000100"},
		{"an entry", "entry?table=items&key=item-0000042", "Item 0000042"},
	} {
		began := time.Now()
		b.visit(p.page)
		t.Logf("%d rows: %s: %v", rows, p.what, time.Since(began).Round(time.Millisecond))
		b.shows(p.shows)
	}
	b.visit("list?repository=items")
	began := time.Now()
	b.follow("Next page")
	t.Logf("%d rows: the next page: %v", rows, time.Since(began).Round(time.Millisecond))
	b.shows("item-0000100")
	b.visit("")
	waitfor.True(t, "the count", func() bool { return b.count("#refreshed[data-refresh]") == 0 })
	t.Logf("%d rows: counted within %v", rows, time.Since(began).Round(time.Millisecond))
}

func fillItems(t *testing.T, repo *repository.ResponseRepository[hostileKey, []byte], rows int) {
	t.Helper()
	const batch = 10_000
	head := repository.Head{Header: http.Header{"Content-Type": {"application/json"}, "Etag": {`"1"`}}}
	for from := 0; from < rows; from += batch {
		entries := make(map[hostileKey]repository.Entry, batch)
		for i := from; i < from+batch; i++ {
			e, err := repository.NewEntry(http.StatusOK, head, fmt.Appendf(nil, `{"id":"item-%07d","price":%d}`, i, i%1000))
			must(t, err)
			entries[hostileKey{fmt.Sprintf("item-%07d", i)}] = e
		}
		must(t, repo.SaveEntries(t.Context(), entries))
	}
}
