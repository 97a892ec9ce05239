package scopetest

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/prefetch"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/transport"
)

// Origins tries whether the answers of one origin are served for another: staging and
// production on one store, one after the other and side by side.
func Origins(t *testing.T, open func(t testing.TB) driver.Store) {
	store := open(t)
	t.Cleanup(func() { check(t, store.Close()) })
	staging, production := newStage(t, "staging"), newStage(t, "production")
	declared := things{Name: "things", Pattern: "GET /things/{id}"}

	// Each as a program of its own, the first one first and last.
	for i, s := range []*stage{staging, production, staging} {
		c, err := cache.New(kept{store}, nil)
		check(t, err)
		client, err := fetch.NewClient(&fetch.Options{BaseURL: s.server.URL})
		check(t, err)
		f, err := fetch.Create(t.Context(), c, client, declared, nil)
		check(t, err)
		s.fetch(t, f, "a")
		s.get(t, c, "a")
		s.get(t, c, "b")
		s.fetch(t, f, "b")
		if _, err := prefetch.Run(t.Context(), f, slices.Values([]string{"a", "c"}), nil); err != nil {
			t.Error(err)
		}
		for _, id := range []string{"a", "b", "c"} {
			if got, ok, err := f.Repository().Get(t.Context(), id); err != nil || !ok || got.User != s.name {
				t.Errorf("%s's repository has %+v, %t, %v", s.name, got, ok, err)
			}
		}
		if n := s.requests.Swap(0); n != map[int]int64{0: 3, 1: 3, 2: 0}[i] {
			t.Errorf("%s made %d requests", s.name, n)
		}
		check(t, client.Close())
		check(t, c.Close())
	}

	// Both in one program, through transports alone, and for two schemes.
	c, err := cache.New(kept{store}, nil)
	check(t, err)
	repo, err := cache.CreateRepository(t.Context(), c, declared)
	check(t, err)
	for range 2 {
		for _, s := range []*stage{production, staging} {
			s.get(t, c, "a")
			s.get(t, c, "d")
		}
	}
	if got, ok, err := repo.Get(t.Context(), "d"); err != nil || !ok || got.User != "production" {
		t.Errorf("typed calls are about the first origin that was met: %+v, %t, %v", got, ok, err)
	}
	if n := staging.requests.Load() + production.requests.Load(); n != 2 {
		t.Errorf("%d requests, want one for each", n)
	}
	if n, err := repo.Count(t.Context(), repository.All); err != nil || n != 8 {
		t.Errorf("%d entries of both, %v", n, err)
	}
	if n, err := repo.Clear(t.Context(), repository.All); err != nil || n != 8 {
		t.Errorf("%d entries of both are removed, %v", n, err)
	}
	check(t, c.Close())

	// Only who asks for it gets one for the other.
	c, err = cache.New(kept{store}, nil)
	check(t, err)
	mirrored := declared
	mirrored.Name, mirrored.BaseURL = "mirrored", settings.AnyBaseURL
	_, err = cache.CreateRepository(t.Context(), c, mirrored)
	check(t, err)
	staging.get(t, c, "m")
	asked := *production
	asked.name = "staging"
	asked.get(t, c, "m")
	check(t, c.Close())
}

// stage is an API that tells which one it is.
type stage struct {
	*api
	name   string
	server *httptest.Server
}

func newStage(t testing.TB, name string) *stage {
	s := &stage{api: &api{}, name: name}
	s.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		tell(w, http.StatusOK, own{strings.TrimPrefix(r.URL.Path, "/things/"), name})
	}))
	t.Cleanup(s.server.Close)
	return s
}

func (s *stage) fetch(t testing.TB, f *fetch.Fetcher[string, own], id string) {
	t.Helper()
	if got, err := f.Fetch(t.Context(), id); err != nil || got.User != s.name {
		t.Errorf("%s was asked for %s, and %s has answered: %v", s.name, id, got.User, err)
	}
}

func (s *stage) get(t testing.TB, c *cache.ResponseCache, id string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.server.URL+"/things/"+id, nil)
	check(t, err)
	resp, err := (&http.Client{Transport: transport.New(c, nil)}).Do(req)
	check(t, err)
	defer resp.Body.Close() //nolint:errcheck // it has been read
	var got own
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil || got.User != s.name {
		t.Errorf("%s was asked for %s, and %s has answered: %v", s.name, id, got.User, err)
	}
}
