package doors

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/identity"
	"github.com/endpointcache/endpointcache/internal/exchange"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/sqlite"
	"github.com/endpointcache/endpointcache/transport"
)

// Programs that meet their origins at the same time on one file have tables of their own.
func TestOriginsRaceForATable(t *testing.T) {
	servers := []string{at(t, "one").URL, at(t, "two").URL}
	for round := range 8 {
		file := filepath.Join(t.TempDir(), "cache.db")
		var group sync.WaitGroup
		for i := range 4 {
			group.Go(func() {
				store, err := sqlite.Open(t.Context(), file, nil)
				check(t, err)
				c, err := cache.New(store, nil)
				check(t, err)
				defer c.Close()
				client, err := fetch.NewClient(&fetch.Options{BaseURL: servers[i%2]})
				check(t, err)
				defer client.Close()
				f, err := fetch.Create(t.Context(), c, client, places{Name: "places", Pattern: "GET /places/{id}"}, nil)
				if err != nil {
					t.Errorf("%d: %v", round, err)
					return
				}
				for range 3 {
					got, err := f.Fetch(t.Context(), "a")
					if want := []string{"one", "two"}[i%2]; err != nil || got.Who != want {
						t.Errorf("%s got %s, %v", want, got.Who, err)
					}
				}
			})
		}
		group.Wait()
	}
}

// counted counts what is done with the tables of a store.
type counted struct {
	driver.Store
	n sync.Map
}

type countedTable struct {
	driver.Table
	n *atomic.Int64
}

func (s *counted) OpenTable(ctx context.Context, spec driver.TableSpec) (driver.Table, error) {
	t, err := s.Store.OpenTable(ctx, spec)
	n, _ := s.n.LoadOrStore(spec.Name, new(atomic.Int64))
	return countedTable{t, n.(*atomic.Int64)}, err
}

func (t countedTable) Get(ctx context.Context, keys []driver.Key, sel driver.Selection, visit func(int, driver.Entry)) error {
	t.n.Add(1)
	return t.Table.Get(ctx, keys, sel, visit)
}

// A hit reads the entry's table, and no other.
func TestAHitReadsOneTable(t *testing.T) {
	s := at(t, "x")
	store := &counted{Store: inMemory(t)}
	c, err := cache.New(store, nil)
	check(t, err)
	defer c.Close()
	client, err := fetch.NewClient(&fetch.Options{BaseURL: s.URL})
	check(t, err)
	defer client.Close()
	f, err := fetch.Create(t.Context(), c, client, places{Name: "places", Pattern: "GET /places/{id}"}, nil)
	check(t, err)
	ask := func() {
		_, err := f.Fetch(t.Context(), "a")
		check(t, err)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/places/a", nil)
		check(t, err)
		resp, err := transport.New(c, nil).RoundTrip(req)
		check(t, err)
		resp.Body.Close()
	}
	ask()
	store.n.Range(func(_, n any) bool { n.(*atomic.Int64).Store(0); return true })
	ask()
	store.n.Range(func(name, n any) bool {
		if got := n.(*atomic.Int64).Load(); (name == "places") != (got == 2) || name != "places" && got != 0 {
			t.Errorf("%d reads of %v", got, name)
		}
		return true
	})
}

// What is requested for an identity before its entries are deleted is not kept afterwards,
// and deleting removes variants, and what other origins have said.
func TestDeletingAnIdentityLeavesNothing(t *testing.T) {
	store := inMemory(t)
	c, err := cache.New(store, &cache.Options{Policy: policy.Policy{CacheControl: policy.On}})
	check(t, err)
	defer c.Close()
	_, err = cache.CreateRepository(t.Context(), c, places{Name: "places", Scope: settings.PerIdentity, Pattern: "GET /places/{id}"})
	check(t, err)
	arrived, release := make(chan bool, 1), make(chan bool)
	client := &http.Client{Transport: transport.New(c, &transport.Options{Base: roundTripFunc(func(r *http.Request) (*http.Response, error) {
		if strings.HasSuffix(r.URL.Path, "slow") {
			arrived <- true
			<-release
		}
		body := fmt.Sprintf(`{"id":"a","who":%q}`, r.Header.Get("Accept-Language"))
		return &http.Response{StatusCode: 200, Request: r, Header: http.Header{"Vary": {"Accept-Language"}, "Cache-Control": {"max-age=600"}},
			Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))}, nil
	})})}
	get := func(name, host, id, language string) {
		req, _ := http.NewRequestWithContext(identity.With(t.Context(), name), http.MethodGet, "http://"+host+"/places/"+id, nil)
		req.Header.Set("Accept-Language", language)
		resp, err := client.Do(req)
		check(t, err)
		resp.Body.Close()
	}
	for _, name := range []string{"ann", "anna", "an"} {
		for _, host := range []string{"one.example.com", "two.example.com", "three.example.com"} {
			for _, language := range []string{"de", "en", "fr"} {
				get(name, host, "a", language)
			}
		}
	}
	var group sync.WaitGroup
	group.Go(func() { get("ann", "two.example.com", "slow", "de") })
	<-arrived
	if n, err := c.Identity("ann").Delete(t.Context()); err != nil || n != 3 {
		t.Errorf("%d entries are deleted, %v", n, err)
	}
	close(release)
	group.Wait()
	for name, want := range map[string]int{"ann": 0, "anna": 3, "an": 3} {
		if n, err := c.Identity(name).Count(t.Context(), repository.All); err != nil || n != want {
			t.Errorf("%s has %d entries, %v", name, n, err)
		}
	}
	variants, err := store.OpenTable(t.Context(), driver.TableSpec{Name: exchange.VariantsTable, Key: []driver.Column{
		{Name: "repository", Kind: driver.String}, {Name: "identity", Kind: driver.String},
		{Name: "generation", Kind: driver.String}, {Name: "entry", Kind: driver.String}, {Name: "variant", Kind: driver.String},
	}})
	check(t, err)
	of := map[driver.Value]int{}
	for e, err := range variants.Entries(t.Context(), driver.Selection{}) {
		check(t, err)
		of[e.Key[1]]++
	}
	if of["ann"] != 0 || of["anna"] != 6 || of["an"] != 6 {
		t.Errorf("variants are left: %v", of)
	}
}

// What is not to be asked is not asked, also where no answer can be kept.
func TestOfflineIsKeptToWithoutAScope(t *testing.T) {
	c, err := cache.New(inMemory(t), nil)
	check(t, err)
	defer c.Close()
	_, err = cache.CreateRepository(t.Context(), c, places{Name: "places", Pattern: "GET /places/{id}"})
	check(t, err)
	tr := transport.New(c, &transport.Options{Base: roundTripFunc(func(*http.Request) (*http.Response, error) {
		t.Error("the origin is asked")
		return nil, http.ErrServerClosed
	})})
	for _, use := range []policy.Use{policy.Offline, policy.OnlyIfCached} {
		for _, header := range []string{"Authorization", "Cookie", "X-Nothing"} {
			ctx := policy.With(t.Context(), policy.Policy{Use: use})
			req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://x.example.com/places/a", nil)
			req.Header.Set(header, "x")
			resp, err := tr.RoundTrip(req)
			check(t, err)
			resp.Body.Close()
			if resp.StatusCode != http.StatusGatewayTimeout {
				t.Error(use, header, resp.StatusCode)
			}
		}
	}
	if n := c.Stats().Unscoped; n != 4 {
		t.Errorf("%d requests are counted as without a scope, want 4", n)
	}
}

// That requests bypass the cache is logged once for a repository, whatever their origins are,
// and while the store fails, too.
func TestWhatBypassesTheCacheIsLoggedOnce(t *testing.T) {
	var log strings.Builder
	store := &unsound{Store: inMemory(t)}
	c, err := cache.New(store, &cache.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	check(t, err)
	_, err = cache.CreateRepository(t.Context(), c, places{Name: "places", Pattern: "GET /places/{id}"})
	check(t, err)
	tr := transport.New(c, &transport.Options{Base: roundTripFunc(func(r *http.Request) (*http.Response, error) {
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", "me")
		return &http.Response{StatusCode: http.StatusOK, Request: r, Header: http.Header{}, Body: http.NoBody}, nil
	})})
	for i := range 8 {
		store.fails.Store(i > 3)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, fmt.Sprintf("http://n%d.example.com/places/a", i), nil)
		check(t, err)
		resp, err := tr.RoundTrip(req)
		check(t, err)
		resp.Body.Close()
	}
	check(t, c.Close())
	if n := strings.Count(log.String(), "requests bypass the cache"); n != 1 || c.Stats().Unscoped != 8 {
		t.Errorf("%d lines, %d counted:\n%s", n, c.Stats().Unscoped, &log)
	}
}
