package transport_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/filesystem"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/sqlite"
)

// embedded runs a test on each store that needs no server.
func embedded(t *testing.T, run func(t *testing.T, store driver.Store)) {
	t.Run("memory", func(t *testing.T) { run(t, memoryStore(t)) })
	t.Run("sqlite", func(t *testing.T) { run(t, sqliteFile(t, filepath.Join(t.TempDir(), "cache.db"))) })
	t.Run("filesystem", func(t *testing.T) {
		store, err := filesystem.Open(t.Context(), t.TempDir(), nil)
		check(t, err)
		t.Cleanup(func() { store.Close() })
		run(t, store)
	})
}

func sqliteFile(t *testing.T, path string) driver.Store {
	store, err := sqlite.Open(t.Context(), path, nil)
	check(t, err)
	t.Cleanup(func() { store.Close() })
	return store
}

// document is an origin whose answers are the version of what it has, in the form that is
// asked for. Anything but GET changes it.
type document struct {
	version atomic.Int64
	header  http.Header // of answers to GET
	changed http.Header // of answers to others
}

func (d *document) serve(w http.ResponseWriter, r *http.Request) {
	header := d.header
	if r.Method != http.MethodGet {
		d.version.Add(1)
		header = d.changed
	}
	for name, values := range header {
		w.Header()[name] = values
	}
	fmt.Fprintf(w, "%s %d", r.Header.Get("Accept"), d.version.Load())
}

// pathKey has a column for a header.
type pathKey struct {
	Path   string `path:"path"`
	Accept string `header:"Accept"`
}

// strictKey is that of requests that have a header.
type strictKey struct {
	Accept string `header:"Accept,required"`
	Path   string `path:"path"`
	Page   int    `query:"page"`
}

// TestAnUnsafeRequestInvalidatesAllOfItsURL is fault 8: whatever the headers of both.
func TestAnUnsafeRequestInvalidatesAllOfItsURL(t *testing.T) {
	for name, declare := range map[string]func(t *testing.T, c *cache.ResponseCache){
		"any request": func(*testing.T, *cache.ResponseCache) {}, // the harness's own
		"any request, by some headers": func(t *testing.T, c *cache.ResponseCache) {
			c.Remove("all")
			_, err := cache.CreateRepository(t.Context(), c, settings.CatchAll("some", &request.AnyOptions{Headers: []string{"Accept"}}))
			check(t, err)
		},
		"any request, by no headers": func(t *testing.T, c *cache.ResponseCache) {
			c.Remove("all")
			_, err := cache.CreateRepository(t.Context(), c, settings.CatchAll("none", &request.AnyOptions{IgnoreHeaders: []string{"*"}}))
			check(t, err)
		},
		"a pattern with a header": func(t *testing.T, c *cache.ResponseCache) {
			_, err := cache.CreateRepository(t.Context(), c, settings.RepositorySettings[pathKey, []byte]{
				Name: "pattern", Pattern: "GET /{path}", Payload: payload.Bytes(),
			})
			check(t, err)
		},
		"a pattern that requires a header": func(t *testing.T, c *cache.ResponseCache) {
			_, err := cache.CreateRepository(t.Context(), c, settings.RepositorySettings[strictKey, []byte]{
				Name: "pattern", Pattern: "GET /{path}", Payload: payload.Bytes(),
			})
			check(t, err)
		},
	} {
		for _, vary := range []string{"", "Accept"} {
			for _, mode := range []policy.Switch{policy.Off, policy.On} {
				t.Run(fmt.Sprintf("%s, Vary %q, Cache-Control %v", name, vary, mode), func(t *testing.T) {
					embedded(t, func(t *testing.T, store driver.Store) {
						d := &document{header: http.Header{"Cache-Control": {"max-age=3600"}}}
						if vary != "" {
							d.header.Set("Vary", vary)
						}
						h := startOn(t, store, d.serve, &options{Policy: policy.Policy{CacheControl: mode}})
						declare(t, h.cache)
						byOne := name == "any request, by no headers" && (vary == "" || mode == policy.Off)
						h.wantBody("/a", "text/html", "text/html 0", false)
						if !byOne {
							h.wantBody("/a", "text/plain", "text/plain 0", false)
						}
						h.wantBody("/b", "text/html", "text/html 0", false)
						h.wantBody("/a", "text/html", "text/html 0", true)
						h.do(h.request("PUT", "/a", "new", "Accept", "application/json"))
						h.wantBody("/a", "text/html", "text/html 1", false)
						h.wantBody("/a", "text/html", "text/html 1", true)
						if !byOne {
							h.wantBody("/a", "text/plain", "text/plain 1", false)
							h.wantBody("/a", "text/plain", "text/plain 1", true)
							h.wantBody("/a", "text/html", "text/html 1", true)
						}
						h.wantBody("/b", "text/html", "text/html 0", true)
					})
				})
			}
		}
	}
}

func (h *harness) wantBody(path, accept, want string, cached bool) {
	h.t.Helper()
	resp, body := h.do(h.request("GET", path, "", "Accept", accept))
	if body != want || hit(resp) != cached {
		h.t.Errorf("%s of %s is %q, hit: %t; want %q, %t", accept, path, body, hit(resp), want, cached)
	}
}

// TestWhereAResponsePointsTo is fault 17: a URL is the same however it is spelled.
func TestWhereAResponsePointsTo(t *testing.T) {
	for _, test := range []struct {
		request, location string
		gone              bool
	}{
		{"https://api.test/items", "/item/~1", true},
		{"https://api.test/items", "item/~1", true},
		{"https://api.test/items", "./a/../item/~1", true},
		{"https://api.test/items", "https://api.test/item/~1", true},
		{"https://api.test/items", "https://API.test/item/~1", true},
		{"https://api.test/items", "HTTPS://api.test:443/item/~1", true},
		{"https://API.TEST:443/items", "https://api.test/item/~1", true},
		{"https://api.test/items", "//api.test/item/~1", true},
		{"https://api.test/items", "/item/%7E1", true},
		{"https://api.test/items", "/item/%7e1", true},
		{"https://api.test/items", "/x/../item/./~1", true},
		{"https://api.test/items", "https://api.test/x/../item/~1#top", true},
		{"https://api.test/items", "https://user@api.test/item/~1", true},
		{"https://api.test/items", "http://api.test/item/~1", false},
		{"https://api.test/items", "https://api.test:444/item/~1", false},
		{"https://api.test/items", "https://api.test.evil/item/~1", false},
		{"https://api.test/items", "https://other.test/item/~1", false},
		{"https://api.test/items", "/item/~1?page=2", false},
		{"https://api.test/items", "/item/~1/", false},
		{"https://api.test/items", "/Item/~1", false},
		{"https://api.test/items", "::", false},
	} {
		for _, name := range []string{"Location", "Content-Location"} {
			for kind, declare := range map[string]func(t *testing.T, c *cache.ResponseCache){
				"any request": func(*testing.T, *cache.ResponseCache) {},
				"a pattern": func(t *testing.T, c *cache.ResponseCache) {
					_, err := cache.CreateRepository(t.Context(), c, settings.RepositorySettings[string, []byte]{
						Name: "pattern", Pattern: "GET api.test/item/{id}", Payload: payload.Bytes(),
					})
					check(t, err)
				},
				"a pattern with a header": func(t *testing.T, c *cache.ResponseCache) {
					_, err := cache.CreateRepository(t.Context(), c, settings.RepositorySettings[pathKey, []byte]{
						Name: "pattern", Pattern: "GET api.test/item/{path}", Payload: payload.Bytes(),
					})
					check(t, err)
				},
			} {
				t.Run(fmt.Sprintf("%s %s: %s, %s", test.request, name, test.location, kind), func(t *testing.T) {
					h := start(t, nil, &options{Base: roundTripper(func(req *http.Request) (*http.Response, error) {
						closeAll(req)
						resp := answering(200, req.Header.Get("Accept"))
						if req.Method == http.MethodPost {
							resp.StatusCode = 201
							resp.Header.Set(name, test.location)
						}
						return resp, nil
					})})
					declare(t, h.cache)
					read := func() bool {
						req, err := http.NewRequestWithContext(t.Context(), "GET", "https://api.test/item/~1", nil)
						check(t, err)
						req.Header.Set("Accept", "text/html")
						resp, err := h.client.Do(req)
						check(t, err)
						_, err = io.ReadAll(resp.Body)
						check(t, err)
						return hit(resp)
					}
					read()
					req, err := http.NewRequestWithContext(t.Context(), "POST", test.request, strings.NewReader("new"))
					check(t, err)
					resp, err := h.transport.RoundTrip(req)
					check(t, err)
					check(t, resp.Body.Close())
					if read() == test.gone {
						t.Errorf("a hit afterwards: %t", test.gone)
					}
				})
			}
		}
	}
}

func closeAll(req *http.Request) {
	if req.Body != nil {
		req.Body.Close()
	}
}

func answering(status int, body string) *http.Response {
	return &http.Response{
		StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{},
		Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
	}
}

// A host that is asked at another address is told by the Host header.
func TestAResponseMayPointToTheHostThatWasAsked(t *testing.T) {
	h := start(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			w.Header().Set("Location", "http://api.test/a")
		}
		io.WriteString(w, "body")
	}, nil)
	read := func() bool {
		req := h.request("GET", "/a", "")
		req.Host = "api.test"
		resp, _ := h.do(req)
		return hit(resp)
	}
	read()
	if !read() {
		t.Fatal("no hit")
	}
	req := h.request("POST", "/items", "new")
	req.Host = "api.test"
	h.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	h.do(req)
	if read() {
		t.Error("what the answer points to is a hit")
	}
}

// RFC 9111, section 4.4: what is invalid is validated before it is used again.
func TestWhatIsInvalidIsNeverServed(t *testing.T) {
	serve := func(status *atomic.Int64) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.Method != http.MethodGet:
			case status.Load() != 0:
				w.WriteHeader(int(status.Load()))
			case r.Header.Get("If-None-Match") == `"1"`:
				w.WriteHeader(http.StatusNotModified)
			default:
				w.Header().Set("Etag", `"1"`)
				w.Header().Set("Cache-Control", "max-age=60, stale-while-revalidate=3600, stale-if-error=3600")
				io.WriteString(w, "body")
			}
		}
	}
	for name, test := range map[string]struct {
		policy policy.Policy
		header []string
		want   int // the status, where the origin fails
	}{
		"stale-if-error":           {policy.Policy{StaleIfError: time.Hour}, nil, 500},
		"by the response":          {policy.Policy{CacheControl: policy.On}, nil, 500},
		"max-stale":                {policy.Policy{CacheControl: policy.On}, []string{"Cache-Control", "max-stale"}, 500},
		"only-if-cached":           {policy.Policy{CacheControl: policy.On}, []string{"Cache-Control", "only-if-cached, max-stale"}, 504},
		"stale-while-revalidate":   {policy.Policy{StaleWhileRevalidate: time.Hour}, nil, 500},
		"a soft limit":             {policy.Policy{SoftTimeout: time.Nanosecond}, nil, 500},
		"offline":                  {policy.Policy{Use: policy.Offline}, nil, 504},
		"where it is what it uses": {policy.Policy{Use: policy.OnlyIfCached}, nil, 504},
	} {
		t.Run(name, func(t *testing.T) {
			var status atomic.Int64
			h := start(t, serve(&status), nil)
			other := h.another(&options{Policy: test.policy}) // of the same store
			ask := func() (*http.Response, string) {
				req := h.request("GET", "/a", "", append([]string{"Accept", "text/html"}, test.header...)...)
				resp, err := other.RoundTrip(req)
				check(t, err)
				body, err := io.ReadAll(resp.Body)
				check(t, err)
				check(t, resp.Body.Close())
				return resp, string(body)
			}
			h.do(h.request("GET", "/a", "", "Accept", "text/html"))
			if resp, body := ask(); !hit(resp) || body != "body" {
				t.Fatalf("%d %q before", resp.StatusCode, body)
			}
			h.do(h.request("PUT", "/a", "new", "Accept", "application/json"))
			status.Store(500)
			if resp, body := ask(); resp.StatusCode != test.want || body == "body" {
				t.Errorf("%d %q", resp.StatusCode, body)
			}
			if test.want == 504 {
				return
			}
			status.Store(0)
			resp, body := ask() // by a 304
			if !hit(resp) || body != "body" {
				t.Errorf("%d %q, hit: %t", resp.StatusCode, body, hit(resp))
			}
			before := h.requests.Load()
			if resp, body := ask(); !hit(resp) || body != "body" || h.requests.Load() != before {
				t.Errorf("after a 304: %d %q, hit: %t, %d requests", resp.StatusCode, body, hit(resp), h.requests.Load()-before)
			}
		})
	}
}

// What was asked for before the write is neither joined after it nor stored.
func TestARequestForAnotherVariantThatIsUnderWayIsOutdated(t *testing.T) {
	var version atomic.Int64
	asked, release := make(chan struct{}, 2), make(chan struct{})
	h := start(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			version.Add(1)
			return
		}
		v := version.Load()
		asked <- struct{}{}
		if v == 0 {
			<-release
		}
		fmt.Fprint(w, v)
	}, nil)
	first := make(chan string)
	go func() {
		_, body := h.do(h.request("GET", "/a", "", "Accept", "text/html"))
		first <- body
	}()
	<-asked
	h.do(h.request("PUT", "/a", "new", "Accept", "application/json"))
	go h.do(h.request("GET", "/a", "", "Accept", "text/html"))
	waitfor.Receive(t, "another request is at the origin", asked)
	close(release)
	if body := <-first; body != "0" {
		t.Errorf("the first caller gets %q", body)
	}
	waitfor.True(t, "the new answer is stored", func() bool { return h.transport.Stats().Stored == 1 })
	h.wantBody("/a", "text/html", "1", true)
}

// An answer of before the write that another process stores after it is old, too.
func TestAnotherProcessHoldsToIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cache.db")
	d := &document{}
	h := startOn(t, sqliteFile(t, path), d.serve, nil)
	c, err := cache.New(sqliteFile(t, path), &cache.Options{Now: h.clock.Now})
	check(t, err)
	t.Cleanup(func() { c.Close() })
	all, err := cache.CreateRepository(t.Context(), c, settings.CatchAll("all", nil))
	check(t, err)
	h.wantBody("/a", "text/html", "text/html 0", false)
	req := h.request("GET", "/a", "", "Accept", "text/html")
	key, _, err := all.Key(req)
	check(t, err)
	if ok, err := all.Contains(t.Context(), key); !ok || err != nil {
		t.Fatalf("the other process finds %t, %v", ok, err)
	}
	asked := h.clock.Now()
	h.clock.Advance(time.Second)
	h.do(h.request("PUT", "/a", "new", "Accept", "application/json"))
	if ok, err := all.Contains(t.Context(), key); ok || err != nil {
		t.Errorf("the other process finds %t, %v", ok, err)
	}
	h.clock.Advance(time.Second)
	check(t, all.Save(t.Context(), key, []byte("late"), repository.AsOf(asked)))
	if body, ok, err := all.Get(t.Context(), key); ok || err != nil {
		t.Errorf("the other process finds %q, %v", body, err)
	}
	check(t, all.Save(t.Context(), key, []byte("new")))
	h.wantBody("/a", "text/html", "new", true)
}

// A write of its own endpoint type.
type byHeader struct{ request.Endpoint[pathKey] }

// BesideURL is what the transport asks for.
func (byHeader) BesideURL() []string { return []string{"accept"} }

func TestAnEndpointOfOnesOwnTellsWhichColumnsAreNotTheURLs(t *testing.T) {
	for _, tells := range []bool{true, false} {
		d := &document{}
		h := start(t, d.serve, nil)
		own := request.Func(request.Pattern[pathKey]("GET /{path}").Key, nil)
		if tells {
			own = byHeader{own}
		}
		_, err := cache.CreateRepository(t.Context(), h.cache, settings.RepositorySettings[pathKey, []byte]{
			Name: "own", Endpoint: own, Payload: payload.Bytes(),
		})
		check(t, err)
		h.wantBody("/a", "text/html", "text/html 0", false)
		h.wantBody("/a", "text/plain", "text/plain 0", false)
		h.do(h.request("PUT", "/a", "new", "Accept", "text/html"))
		h.wantBody("/a", "text/html", "text/html 1", false)
		if tells {
			h.wantBody("/a", "text/plain", "text/plain 1", false)
		} else {
			h.wantBody("/a", "text/plain", "text/plain 0", true)
		}
	}
}

// A store that fails does not fail the write, and is logged and counted.
func TestAWriteSucceedsThoughTheStoreFails(t *testing.T) {
	store := &faulty{Store: memoryStore(t)}
	d := &document{}
	h := startOn(t, store, d.serve, nil)
	h.wantBody("/a", "text/html", "text/html 0", false)
	store.set(func(_ context.Context, op string) error {
		if op == "put" || op == "delete" {
			return io.ErrUnexpectedEOF
		}
		return nil
	})
	resp, _ := h.do(h.request("PUT", "/a", "new"))
	if resp.StatusCode != 200 || h.transport.Stats().StoreErrors == 0 {
		t.Errorf("%d, %d errors of the store", resp.StatusCode, h.transport.Stats().StoreErrors)
	}
}

// Variants are stored beside the latest, each with its own tags.
func TestATagMakesTheVariantsOldThatHaveIt(t *testing.T) {
	embedded(t, func(t *testing.T, store driver.Store) {
		d := &document{header: http.Header{"Cache-Control": {"max-age=3600"}, "Vary": {"Accept"}}}
		h := startOn(t, store, d.serve, &options{Policy: policy.Policy{CacheControl: policy.On}})
		h.cache.Remove("all")
		s := settings.CatchAll("tagged", &request.AnyOptions{IgnoreHeaders: []string{"*"}})
		s.Tags = func(_ request.AnyKey, body []byte) []string { return strings.Fields(string(body))[:1] }
		_, err := cache.CreateRepository(t.Context(), h.cache, s)
		check(t, err)
		h.wantBody("/a", "text/html", "text/html 0", false)
		h.wantBody("/a", "text/plain", "text/plain 0", false) // the latest
		h.wantBody("/a", "text/html", "text/html 0", true)
		d.version.Store(1)
		check(t, h.cache.InvalidateTags(t.Context(), "text/html"))
		h.wantBody("/a", "text/plain", "text/plain 0", true)
		h.wantBody("/a", "text/html", "text/html 1", false) // the latest
		h.wantBody("/a", "text/plain", "text/plain 0", true)
		d.version.Store(2)
		check(t, h.cache.InvalidateTags(t.Context(), "text/html"))
		h.wantBody("/a", "text/html", "text/html 2", false)
		h.wantBody("/a", "text/html", "text/html 2", true)
		h.wantBody("/a", "text/plain", "text/plain 0", true)
	})
}

// Requests to one URL may be of several endpoints: some have a header that one requires.
func TestAnUnsafeRequestInvalidatesItsURLInAllEndpoints(t *testing.T) {
	embedded(t, func(t *testing.T, store driver.Store) {
		d := &document{}
		h := startOn(t, store, d.serve, nil)
		_, err := cache.CreateRepository(t.Context(), h.cache, settings.RepositorySettings[versionKey, []byte]{
			Name: "version", Pattern: "GET /item/{path}", Payload: payload.Bytes(),
		})
		check(t, err)
		_, err = cache.CreateRepository(t.Context(), h.cache, settings.RepositorySettings[string, []byte]{
			Name: "plain", Pattern: "GET /item/{path}", Payload: payload.Bytes(),
		})
		check(t, err)
		for i, version := range []string{"", "2", ""} {
			for _, cached := range []bool{false, true} {
				for _, asked := range []string{"", "2"} {
					var headers []string
					if asked != "" {
						headers = []string{"X-Version", asked}
					}
					resp, body := h.get("/item/a", headers...)
					if hit(resp) != cached || body != fmt.Sprint(" ", i) {
						t.Errorf("%d: version %q is %q, hit: %t", i, asked, body, hit(resp))
					}
				}
			}
			h.do(h.request("PUT", "/item/a", "new", "X-Version", version))
		}
	})
}

// versionKey is that of requests that have a header.
type versionKey struct {
	Version string `header:"X-Version,required"`
	Path    string `path:"path"`
}

// feedKey is that of an endpoint with one URL.
type feedKey struct {
	Accept string `header:"Accept"`
}

func TestAnUnsafeRequestInvalidatesAllEntriesOfTheOnlyURL(t *testing.T) {
	for name, scope := range map[string]settings.Scope{"shared": settings.Shared, "per identity": settings.PerIdentity} {
		t.Run(name, func(t *testing.T) {
			embedded(t, func(t *testing.T, store driver.Store) {
				d := &document{}
				h := startOn(t, store, d.serve, nil)
				_, err := cache.CreateRepository(t.Context(), h.cache, settings.RepositorySettings[feedKey, []byte]{
					Name: "feed", Pattern: "GET /feed", Payload: payload.Bytes(), Scope: scope,
				})
				check(t, err)
				for i, want := range []bool{false, true, false, true} {
					if i == 2 {
						h.do(h.request("PUT", "/feed", "new", "Accept", "application/json", "Authorization", "Bearer one"))
					}
					resp, body := h.do(h.request("GET", "/feed", "", "Accept", "text/html", "Authorization", "Bearer two"))
					if hit(resp) != want || body != fmt.Sprint("text/html ", i/2) {
						t.Errorf("%d: %q, hit: %t", i, body, hit(resp))
					}
				}
			})
		})
	}
}

// What was read before the clock was set back is old after a write, too.
func TestTheClockIsSetBackBeforeAWrite(t *testing.T) {
	embedded(t, func(t *testing.T, store driver.Store) {
		d := &document{header: http.Header{"Cache-Control": {"max-age=3600"}}}
		h := startOn(t, store, d.serve, &options{Policy: policy.Policy{CacheControl: policy.On}})
		h.wantBody("/a", "text/html", "text/html 0", false)
		h.clock.Advance(-time.Minute)
		h.do(h.request("PUT", "/a", "new"))
		h.wantBody("/a", "text/html", "text/html 1", false)
		h.wantBody("/a", "text/html", "text/html 1", true)
	})
}

// What is declared to be a write is none that the cache answers.
func TestADeclaredWriteReachesTheOrigin(t *testing.T) {
	d := &document{}
	h := start(t, d.serve, &options{Policy: policy.Policy{Methods: []string{http.MethodPost}}})
	_, err := cache.AddWrite(h.cache, settings.WriteSettings[string]{
		Pattern: "POST /playlists/{id}", InvalidatesAll: []string{"all"},
	})
	check(t, err)
	for i, path := range []string{"/playlists/a", "/playlists/a", "/search", "/playlists/b", "/search"} {
		resp, _ := h.do(h.request("POST", path, "body"))
		if hit(resp) {
			t.Errorf("%d: %s is a hit", i, path)
		}
	}
	if resp, _ := h.do(h.request("POST", "/search", "body")); !hit(resp) {
		t.Error("a read by POST is no hit")
	}
}

// userKey is that of what a user has; who that is, is no part of it.
type userKey struct {
	Path string `path:"path"`
}

// An unsafe request makes all entries of its URL old, of whoever they are; a declared write
// those of whoever has made it.
func TestTheEntriesOfAllIdentitiesAreInvalidated(t *testing.T) {
	embedded(t, func(t *testing.T, store driver.Store) {
		d := &document{}
		h := startOn(t, store, d.serve, nil)
		_, err := cache.CreateRepository(t.Context(), h.cache, settings.RepositorySettings[userKey, []byte]{
			Name: "users", Pattern: "GET /{path}", Payload: payload.Bytes(), Scope: settings.PerIdentity,
			Tags: func(k userKey, _ []byte) []string { return []string{k.Path} },
		})
		check(t, err)
		_, err = cache.AddWrite(h.cache, settings.WriteSettings[struct{}]{
			Pattern: "POST /changes",
			Invalidates: []settings.Invalidation[struct{}]{settings.InvalidateKeys("users", func(struct{}) []userKey {
				return []userKey{{"a"}}
			})},
		})
		check(t, err)
		wantHits := func(when string, wanted map[string]bool) {
			t.Helper()
			for _, user := range []string{"one", "two"} {
				for _, path := range []string{"/a", "/b"} {
					resp, _ := h.do(h.request("GET", path, "", "Authorization", "Bearer "+user))
					if want := wanted[user+path]; hit(resp) != want {
						t.Errorf("%s, %s for %s is a hit: %t, want %t", when, path, user, hit(resp), want)
					}
				}
			}
		}
		wantHits("at first", nil)
		wantHits("again", map[string]bool{"one/a": true, "one/b": true, "two/a": true, "two/b": true})
		h.do(h.request("PUT", "/a", "new", "Authorization", "Bearer one"))
		wantHits("after a PUT", map[string]bool{"one/b": true, "two/b": true})
		h.do(h.request("PUT", "/a", "new", "Authorization", "Bearer three"))
		wantHits("after a PUT of another", map[string]bool{"one/b": true, "two/b": true})
		h.do(h.request("PUT", "/a", "new"))
		wantHits("after a PUT of nobody", map[string]bool{"one/b": true, "two/b": true})
		h.do(h.request("POST", "/changes", "new", "Authorization", "Bearer two"))
		wantHits("after a declared write", map[string]bool{"one/a": true, "one/b": true, "two/b": true})
		check(t, h.cache.InvalidateTags(t.Context(), "b"))
		wantHits("after a tag", map[string]bool{"one/a": true, "two/a": true})
	})
}

// What is stored for another host stays.
func TestOtherOriginsAreLeftAlone(t *testing.T) {
	h := start(t, nil, &options{Base: roundTripper(func(req *http.Request) (*http.Response, error) {
		closeAll(req)
		return answering(200, req.URL.Host), nil
	})})
	_, err := cache.CreateRepository(t.Context(), h.cache, settings.RepositorySettings[pathKey, []byte]{
		Name: "pattern", Pattern: "GET /{path}", Payload: payload.Bytes(),
		Tags: func(pathKey, []byte) []string { return []string{"all"} },
	})
	check(t, err)
	ask := func(method, url string) bool {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
		check(t, err)
		req.Header.Set("Accept", method)
		resp, err := h.client.Do(req)
		check(t, err)
		_, err = io.ReadAll(resp.Body)
		check(t, err)
		return hit(resp)
	}
	urls := []string{"https://one.test/a", "https://two.test/a", "http://one.test/a", "https://one.test/x/y"}
	for _, url := range urls {
		ask("GET", url)
	}
	ask("PUT", "https://one.test/a")
	for i, url := range urls {
		if got := ask("GET", url); got != (i > 0) {
			t.Errorf("%s is a hit: %t", url, got)
		}
	}
	check(t, h.cache.InvalidateTags(t.Context(), "all"))
	for i, url := range urls {
		if got := ask("GET", url); got != (i == 3) { // which is in the catch-all
			t.Errorf("after a tag, %s is a hit: %t", url, got)
		}
	}
	_, err = h.cache.Clear(t.Context(), repository.All)
	check(t, err)
	records, err := h.store.OpenTable(t.Context(), driver.TableSpec{Name: "endpointcache_records", Key: []driver.Column{
		{Name: "kind", Kind: driver.String}, {Name: "item", Kind: driver.String},
	}})
	check(t, err)
	for e, err := range records.Entries(t.Context(), driver.Selection{Parts: driver.Payload}) {
		check(t, err)
		if e.Key[0] == "mark" && len(e.Payload) > 0 {
			t.Errorf("the mark of a URL of %s is left", e.Payload)
		}
	}
}
