package pages_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/memory"
	"github.com/endpointcache/endpointcache/pages"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/settings"
)

// Items of a page are kept for the API that has listed them, and for no other.
func TestItemsAreOfTheirPagesOrigin(t *testing.T) {
	type item struct {
		ID, By string
	}
	type list struct{ Items []item }
	store, err := memory.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := cache.New(store, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	asked := 0
	clientOf := func(name string) *fetch.Client {
		api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked++
			one := fmt.Sprintf(`{"id": "a", "by": %q}`, name)
			if r.URL.Path == "/lists/all" {
				one = `{"items": [` + one + `]}`
			}
			fmt.Fprint(w, one)
		}))
		t.Cleanup(api.Close)
		client, err := fetch.NewClient(&fetch.Options{BaseURL: api.URL})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { client.Close() })
		return client
	}
	production, staging := clientOf("production"), clientOf("staging")
	items, err := fetch.Create(t.Context(), c, production, settings.RepositorySettings[string, item]{Name: "items", Pattern: "GET /items/{id}"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	staged, err := fetch.New(staging, items.Repository(), nil)
	if err != nil {
		t.Fatal(err)
	}
	lists, err := fetch.Create(t.Context(), c, staging, settings.RepositorySettings[string, list]{Name: "lists", Pattern: "GET /lists/{id}"}, nil)
	if err != nil {
		t.Fatal(err)
	}

	last := func(*pages.Page[string, list]) (string, bool, error) { return "", false, nil }
	walk := pages.Walk(t.Context(), lists, "all", last, nil)
	for _, err := range pages.Into(t.Context(), walk, staged, payload.Array("items"), func(_ string, i item) (string, bool) { return i.ID, true }) {
		if err != nil {
			t.Fatal(err)
		}
	}
	asked = 0
	for name, f := range map[string]*fetch.Fetcher[string, item]{"staging": staged, "production": items} {
		if got, err := f.Fetch(t.Context(), "a"); err != nil || got.By != name {
			t.Errorf("%s was asked for an item, and has that of %s: %v", name, got.By, err)
		}
		if got, ok, err := f.Repository().Get(t.Context(), "a"); err != nil || !ok || got.By != name {
			t.Errorf("%s's repository has the item of %s, %t: %v", name, got.By, ok, err)
		}
	}
	if asked != 1 {
		t.Errorf("%d requests, want one to production", asked)
	}
}
