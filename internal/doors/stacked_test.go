package doors

import (
	"net/http"
	"slices"
	"testing"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/memory"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/prefetch"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/transport"
)

// An SDK may send its typed calls with the client that it has put the cache under: its
// own requests neither wait for themselves nor are they answered by what they renew.
func TestAClientOverTheSameCacheAsksTheOrigin(t *testing.T) {
	h := newHouse(t, option{})
	store, err := memory.New(nil)
	check(t, err)
	c, err := cache.New(store, nil)
	check(t, err)
	defer c.Close()
	_, err = cache.CreateRepository(t.Context(), c, settings.CatchAll("rest", nil))
	check(t, err)
	base := &http.Transport{}
	defer base.CloseIdleConnections()
	cached := transport.New(c, &transport.Options{Base: transport.New(c, &transport.Options{Base: base})})
	client, err := fetch.NewClient(&fetch.Options{BaseURL: h.api.URL, Client: &http.Client{Transport: cached}})
	check(t, err)
	defer client.Close()
	fetcher, err := fetch.Create(t.Context(), c, client, tracks{Name: "tracks", Pattern: "GET /tracks/{id}"}, nil)
	check(t, err)

	v, err := fetcher.Fetch(t.Context(), "a")
	want(t, "fetched", typed(v, err), version(1))
	h.api.version.Store(2)
	v, err = fetcher.Fetch(t.Context(), "a")
	want(t, "stored", typed(v, err), version(1))
	v, err = fetcher.Fetch(policy.With(t.Context(), policy.Policy{Use: policy.Reload}), "a")
	want(t, "reloaded", typed(v, err), version(2))
	_, err = prefetch.Run(t.Context(), fetcher, slices.Values([]string{"b", "c"}), nil)
	check(t, err)
	results, err := fetcher.FetchMany(t.Context(), []string{"a", "b", "d"})
	check(t, err)
	for _, r := range results {
		want(t, r.Key, typed(r.Value, r.Err), version(2))
	}
	h.wantRequests(5)
	resp, err := (&http.Client{Transport: cached}).Get(h.api.URL + "/tracks/d")
	check(t, err)
	resp.Body.Close()
	h.wantRequests(5)
}
