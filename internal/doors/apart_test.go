package doors

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/identity"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/origin"
	"github.com/endpointcache/endpointcache/pages"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/sqlite"
	"github.com/endpointcache/endpointcache/transport"
)

type place struct {
	ID  string `json:"id"`
	Who string `json:"who"`
}

type places = settings.RepositorySettings[string, place]

// at is an API that answers who it is.
func at(t testing.TB, who string) *httptest.Server {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/places") {
			fmt.Fprintf(w, `[{"id":"a","who":%q}]`, who)
			return
		}
		fmt.Fprintf(w, `{"id":"a","who":%q}`, who+r.URL.Path[:strings.LastIndex(r.URL.Path, "/places")])
	}))
	t.Cleanup(s.Close)
	return s
}

// unsound is a store whose tables fail or hang, as long as it is told to.
type unsound struct {
	driver.Store
	fails, hangs atomic.Bool
}

func (s *unsound) Close() error { return nil }

func (s *unsound) now(ctx context.Context) error {
	if s.hangs.Load() {
		<-ctx.Done()
		return ctx.Err()
	}
	if s.fails.Load() {
		return errors.New("the disk is broken")
	}
	return nil
}

type unsoundTable struct {
	driver.Table
	s *unsound
}

func (s *unsound) OpenTable(ctx context.Context, spec driver.TableSpec) (driver.Table, error) {
	if err := s.now(ctx); err != nil {
		return nil, err
	}
	t, err := s.Store.OpenTable(ctx, spec)
	return unsoundTable{t, s}, err
}

func (t unsoundTable) Get(ctx context.Context, keys []driver.Key, sel driver.Selection, visit func(int, driver.Entry)) error {
	if err := t.s.now(ctx); err != nil {
		return err
	}
	return t.Table.Get(ctx, keys, sel, visit)
}

func (t unsoundTable) PutIf(ctx context.Context, e []driver.Entry, c driver.Condition) ([]bool, error) {
	if err := t.s.now(ctx); err != nil {
		return nil, err
	}
	return t.Table.PutIf(ctx, e, c)
}

func (t unsoundTable) Put(ctx context.Context, e []driver.Entry) error {
	if err := t.s.now(ctx); err != nil {
		return err
	}
	return t.Table.Put(ctx, e)
}

// Requests to two APIs on one host are not shared where the store fails, so that nobody can
// tell which tables they have.
func TestAPIsOfOneHostAreKeptApartWhileTheStoreFails(t *testing.T) {
	arrived, release := make(chan bool, 9), make(chan bool)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		arrived <- true
		<-release
		fmt.Fprintf(w, `{"id":"a","who":%q}`, r.URL.Path)
	}))
	defer s.Close()
	store := &unsound{Store: inMemory(t)}
	c, err := cache.New(store, &cache.Options{StoreTimeout: time.Second})
	check(t, err)
	defer c.Close()
	repo, err := cache.CreateRepository(t.Context(), c, places{Name: "places", Pattern: "GET /places/{id}"})
	check(t, err)
	store.fails.Store(true)
	var group sync.WaitGroup
	for _, base := range []string{"/v1", "/v2"} {
		client, err := fetch.NewClient(&fetch.Options{BaseURL: s.URL + base})
		check(t, err)
		defer client.Close()
		f, err := fetch.New(client, repo, nil)
		check(t, err)
		group.Go(func() {
			got, err := f.Fetch(t.Context(), "a")
			if err != nil || got.Who != base+"/places/a" {
				t.Errorf("%s: %+v, %v", base, got, err)
			}
		})
		if base == "/v1" {
			<-arrived
		}
	}
	time.Sleep(50 * time.Millisecond) // the other has time to join it, if it would
	close(release)
	group.Wait()
}

// The items of a page are kept for the origin of the page, and a fetcher's repository is
// about the origin of its client.
func TestItemsOfPagesAreKeptForTheirOrigin(t *testing.T) {
	staging, production := at(t, "staging"), at(t, "production")
	c, err := cache.New(inMemory(t), nil)
	check(t, err)
	defer c.Close()
	repo, err := cache.CreateRepository(t.Context(), c, places{Name: "places", Pattern: "GET /places/{id}"})
	check(t, err)
	lists, err := cache.CreateRepository(t.Context(), c, settings.RepositorySettings[string, []place]{Name: "lists", Pattern: "GET /{list}"})
	check(t, err)
	var fs []*fetch.Fetcher[string, place]
	var ls []*fetch.Fetcher[string, []place]
	for _, s := range []*httptest.Server{staging, production} {
		client, err := fetch.NewClient(&fetch.Options{BaseURL: s.URL})
		check(t, err)
		defer client.Close()
		f, err := fetch.New(client, repo, nil)
		check(t, err)
		l, err := fetch.New(client, lists, nil)
		check(t, err)
		fs, ls = append(fs, f), append(ls, l)
	}
	walk := pages.Walk(t.Context(), ls[1], "places", func(*pages.Page[string, []place]) (string, bool, error) { return "", false, nil }, nil)
	for _, err := range pages.Items(t.Context(), walk, fs[1], payload.Array(""), func(_ string, p place) (string, bool) { return p.ID, true }) {
		check(t, err)
	}
	got, err := fs[0].Fetch(t.Context(), "a")
	if err != nil || got.Who != "staging" {
		t.Errorf("staging: %+v, %v", got, err)
	}
	if got, ok, err := fs[1].Repository().Get(t.Context(), "a"); err != nil || !ok || got.Who != "production" {
		t.Errorf("production's own repository: %+v, %v %v", got, ok, err)
	}
}

// Base URLs that a store can hardly tell apart, or not have in a name, are cached nevertheless.
func TestBaseURLsOfAnyPathAreCached(t *testing.T) {
	s := at(t, "x")
	store, err := sqlite.OpenMemory(t.Context(), nil)
	check(t, err)
	c, err := cache.New(store, nil)
	check(t, err)
	defer c.Close()
	repo, err := cache.CreateRepository(t.Context(), c, places{Name: "places", Pattern: "GET /places/{id}"})
	check(t, err)
	for _, base := range []string{"", "/a", "/A", "/a%2Fb", "/a/b", "/" + strings.Repeat("x", 400), "/" + strings.Repeat("x", 401), "/ü"} {
		client, err := fetch.NewClient(&fetch.Options{BaseURL: s.URL + base})
		if err != nil {
			t.Log(base, err)
			continue
		}
		defer client.Close()
		f, err := fetch.New(client, repo, nil)
		check(t, err)
		for range 2 {
			if _, err := f.Fetch(t.Context(), "a"); err != nil {
				t.Error(base, err)
			}
		}
		if f.Requests() != 1 {
			t.Errorf("%q: %d requests", base, f.Requests())
		}
	}
}

// No repository can have the table of another one's further origin, or one of the cache's own.
func TestNamesOfTheCachesOwnTablesAreRefused(t *testing.T) {
	c, err := cache.New(inMemory(t), nil)
	check(t, err)
	defer c.Close()
	for _, name := range []string{"places@https://example.com", "a@b@http://[::1]:8080/v1", "endpointcache_records", "HTTP_variants"} {
		if _, err := cache.CreateRepository(t.Context(), c, places{Name: name, Pattern: "GET /places/{id}"}); err == nil {
			t.Errorf("a repository may have the name %q", name)
		}
	}
	for _, name := range []string{"places@home", "https://example.com"} {
		if _, err := cache.CreateRepository(t.Context(), c, places{Name: name, Pattern: "GET /" + name[:5] + "/{id}"}); err != nil {
			t.Error(err)
		}
	}
}

// A store that fails or hangs when an origin is first met neither fails requests nor holds
// them up, and what comes later is kept.
func TestAnOriginIsMetWhileTheStoreFails(t *testing.T) {
	for name, breaks := range map[string]func(*unsound){
		"fails": func(s *unsound) { s.fails.Store(true) },
		"hangs": func(s *unsound) { s.hangs.Store(true) },
	} {
		for _, scope := range []settings.Scope{settings.Shared, settings.PerIdentity} {
			t.Run(fmt.Sprint(name, scope), func(t *testing.T) {
				s := at(t, "x")
				known := at(t, "known")
				store := &unsound{Store: inMemory(t)}
				c, err := cache.New(store, &cache.Options{StoreTimeout: 200 * time.Millisecond})
				check(t, err)
				defer c.Close()
				repo, err := cache.CreateRepository(t.Context(), c, places{Name: "places", Scope: scope, Pattern: "GET /places/{id}"})
				check(t, err)
				client := &http.Client{Transport: transport.New(c, nil)}
				defer client.CloseIdleConnections()
				get := func(url string) {
					ctx, cancel := context.WithTimeout(t.Context(), waitfor.Limit)
					defer cancel()
					req, _ := http.NewRequestWithContext(ctx, http.MethodGet, url+"/places/a", nil)
					req.Header.Set("Authorization", "Bearer alice")
					resp, err := client.Do(req)
					if err != nil {
						t.Error("transport:", err)
						return
					}
					resp.Body.Close()
				}
				if scope == settings.Shared {
					get(known.URL)
				}
				breaks(store)
				var group sync.WaitGroup
				for range 10 {
					group.Go(func() { get(s.URL) })
				}
				group.Wait()
				get(known.URL)
				fc, err := fetch.NewClient(&fetch.Options{BaseURL: s.URL, Client: &http.Client{}})
				check(t, err)
				defer fc.Close()
				f, err := fetch.New(fc, repo, nil)
				check(t, err)
				ctx, cancel := context.WithTimeout(t.Context(), waitfor.Limit)
				defer cancel()
				if _, err := f.Fetch(identity.With(ctx, "alice"), "a"); err != nil {
					t.Error("typed:", err)
				}
				store.fails.Store(false)
				store.hangs.Store(false)
				hits := c.Stats().Hits
				waitfor.True(t, "a response is kept and found", func() bool {
					get(s.URL)
					return c.Stats().Hits > hits
				})
			})
		}
	}
}

// Who shares a revalidation does not see what it has told the user whose credentials the
// client has added.
func TestAConfirmationForOneUserIsNotAnothers(t *testing.T) {
	var clk atomic.Int64
	arrived, release := make(chan bool, 9), make(chan bool)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Etag", `"1"`)
		user := r.Header.Get("Authorization")
		w.Header().Set("X-Who", user)
		if user != "" {
			arrived <- true
			<-release
			if r.Header.Get("If-None-Match") != "" {
				w.WriteHeader(304)
				return
			}
		}
		fmt.Fprintf(w, `{"id":"a","who":%q}`, user)
	}))
	defer s.Close()
	c, err := cache.New(inMemory(t), &cache.Options{Now: func() time.Time { return time.Unix(1e9+clk.Load(), 0) }, Expire: time.Minute})
	check(t, err)
	defer c.Close()
	_, err = cache.CreateRepository(t.Context(), c, places{Name: "places", Pattern: "GET /places/{id}"})
	check(t, err)
	type key struct{}
	client := &http.Client{Transport: transport.New(c, &transport.Options{Base: roundTripFunc(func(r *http.Request) (*http.Response, error) {
		if u, ok := r.Context().Value(key{}).(string); ok {
			r = r.Clone(r.Context())
			r.Header.Set("Authorization", u)
		}
		return http.DefaultTransport.RoundTrip(r)
	})})}
	get := func(user string) {
		ctx := t.Context()
		if user != "" {
			ctx = context.WithValue(ctx, key{}, user)
		}
		req, _ := http.NewRequestWithContext(ctx, "GET", s.URL+"/places/a", nil)
		resp, err := client.Do(req)
		check(t, err)
		resp.Body.Close()
		if got := resp.Header.Get("X-Who"); got != user {
			t.Errorf("%q got %q", user, got)
		}
	}
	get("")
	clk.Store(3600)
	var group sync.WaitGroup
	group.Go(func() { get("alice") })
	<-arrived
	group.Go(func() { get("bob") })
	time.Sleep(30 * time.Millisecond) // he has time to join her, if he would
	close(release)
	group.Wait()
}

type roundTripFunc func(*http.Request) (*http.Response, error)

func (f roundTripFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A cache below hides nothing from one above: not that the client below both adds
// credentials.
func TestNobodyGetsAnothersAnswerThroughTwoCaches(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Etag", `"1"`)
		if r.Header.Get("If-None-Match") != "" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		fmt.Fprintf(w, `{"id":"a","who":%q}`, r.Header.Get("Authorization"))
	}))
	defer s.Close()
	adding := func(user string) http.RoundTripper {
		return roundTripFunc(func(r *http.Request) (*http.Response, error) {
			r = r.Clone(r.Context())
			r.Header.Set("Authorization", user)
			return http.DefaultTransport.RoundTrip(r)
		})
	}
	signing := func(user string) http.RoundTripper {
		return origin.New(nil, &origin.Options{Credentials: &origin.Credentials{
			Hosts: []string{strings.TrimPrefix(s.URL, "http://")},
			Token: origin.Static(user), Set: func(r *http.Request, token string) { r.Header.Set("Authorization", token) },
		}})
	}
	hidden := func(user string) http.RoundTripper { return roundTripFunc(signing(user).RoundTrip) }
	repeated := func(user string) http.RoundTripper {
		retrier, err := origin.NewRetrier(hidden(user), nil)
		check(t, err)
		return roundTripFunc(retrier.RoundTrip)
	}
	for name, base := range map[string]func(string) http.RoundTripper{"added": adding, "signed": signing, "signed below": hidden, "repeated": repeated} {
		for _, scope := range []settings.Scope{settings.Undeclared, settings.PerIdentity} {
			for below, inner := range map[string]func(t *testing.T) *cache.ResponseCache{
				"nothing":  func(*testing.T) *cache.ResponseCache { return nil },
				"another":  func(t *testing.T) *cache.ResponseCache { return placesIn(t, "elsewhere", scope) },
				"the same": func(t *testing.T) *cache.ResponseCache { return placesIn(t, "places", scope) },
			} {
				t.Run(fmt.Sprint(name, ", ", scope, ", below it ", below), func(t *testing.T) {
					outer, inner := placesIn(t, "places", scope), inner(t)
					for _, user := range []string{"alice", "bob", "alice"} {
						client := &http.Client{Transport: transport.New(outer, &transport.Options{
							Base: transport.New(inner, &transport.Options{Base: base(user)}),
						})}
						req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/places/a", nil)
						check(t, err)
						if scope == settings.PerIdentity {
							req.Header.Set("X-Api-Key", "the app's")
						}
						resp, err := client.Do(req)
						check(t, err)
						body, err := io.ReadAll(resp.Body)
						check(t, err)
						resp.Body.Close()
						if want := fmt.Sprintf(`{"id":"a","who":%q}`, user); string(body) != want {
							t.Errorf("%s got %s", user, body)
						}
					}
				})
			}
		}
	}
}

func placesIn(t *testing.T, path string, scope settings.Scope) *cache.ResponseCache {
	c, err := cache.New(inMemory(t), nil)
	check(t, err)
	t.Cleanup(func() { check(t, c.Close()) })
	_, err = cache.CreateRepository(t.Context(), c, places{Name: "places", Scope: scope, Pattern: "GET /" + path + "/{id}"})
	check(t, err)
	return c
}

// A fetcher whose endpoint tells the origin by the call asks, and answers for, that of each.
func TestAFetcherOfSeveralOriginsKeepsThemApart(t *testing.T) {
	staging, production := at(t, "staging"), at(t, "production")
	type hostKey struct{}
	c, err := cache.New(inMemory(t), nil)
	check(t, err)
	defer c.Close()
	client, err := fetch.NewClient(nil)
	check(t, err)
	defer client.Close()
	f, err := fetch.Create(t.Context(), c, client, places{Name: "places", Endpoint: request.Func(
		func(*http.Request) (string, bool, error) { return "", false, nil },
		func(ctx context.Context, _ *url.URL, key string) (*http.Request, error) {
			return http.NewRequestWithContext(ctx, http.MethodGet, ctx.Value(hostKey{}).(string)+"/places/"+key, nil)
		},
	)}, nil)
	check(t, err)
	for range 2 {
		for who, s := range map[string]*httptest.Server{"staging": staging, "production": production} {
			if got, err := f.Fetch(context.WithValue(t.Context(), hostKey{}, s.URL), "a"); err != nil || got.Who != who {
				t.Errorf("%s: %+v, %v", who, got, err)
			}
		}
	}
	if n := f.Requests(); n != 2 {
		t.Errorf("%d requests, want one for each", n)
	}
}
