package fetch_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/memory"
	"github.com/endpointcache/endpointcache/settings"
)

// Each fetcher's repository is about the fetcher's own origin. One for which there is no
// table says so, and neither reads nor writes another's.
func TestRepositoriesOfFetchersAreOfTheirOrigins(t *testing.T) {
	store, err := memory.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := cache.New(store, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	repo, err := cache.CreateRepository(t.Context(), c, settings.RepositorySettings[string, string]{Name: "names", Pattern: "GET /names/{id}"})
	if err != nil {
		t.Fatal(err)
	}
	var fetchers []*fetch.Fetcher[string, string]
	kept := 0
	for i := range 70 {
		client, err := fetch.NewClient(&fetch.Options{BaseURL: fmt.Sprintf("https://h%d.example.com", i)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { client.Close() })
		f, err := fetch.New(client, repo, nil)
		if err != nil {
			t.Fatal(err)
		}
		fetchers = append(fetchers, f)
		switch err := f.Repository().Save(t.Context(), "a", fmt.Sprint(i)); {
		case err == nil:
			kept++
		case !strings.Contains(err.Error(), "further origins are not kept"):
			t.Fatal(err)
		}
	}
	if kept != 65 {
		t.Errorf("%d origins have a table", kept)
	}
	for i, f := range fetchers {
		got, ok, err := f.Repository().Get(t.Context(), "a")
		if i < kept && (err != nil || !ok || got != fmt.Sprint(i)) {
			t.Errorf("origin %d has %q, %t, %v", i, got, ok, err)
		}
		if i >= kept && (err == nil || ok) {
			t.Errorf("origin %d has %q, %t, %v", i, got, ok, err)
		}
	}
	if n := c.Stats().StoreErrors; n != 0 {
		t.Errorf("%d errors of the store", n)
	}
}
