package transport_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/memory"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/transport"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock is one that only moves when it is told to.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Now().UTC().Truncate(time.Second)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// harness is an origin, a cache of all its responses, and a client over both.
type harness struct {
	t         testing.TB
	clock     *clock
	store     driver.Store
	cache     *cache.ResponseCache
	server    *httptest.Server
	base      *http.Transport // to the origin
	transport *transport.Transport
	client    *http.Client

	requests atomic.Int64 // that have reached the origin
}

// start returns a harness over a store in memory. opts may be nil; its Base is used
// where it is set.
func start(t testing.TB, handler http.HandlerFunc, opts *transport.Options) *harness {
	t.Helper()
	return startOn(t, memoryStore(t), handler, opts)
}

// startOn is start over another store. When the test ends, the transport, the
// origin and the store are closed, and no goroutine may be left of any.
func startOn(t testing.TB, store driver.Store, handler http.HandlerFunc, opts *transport.Options) *harness {
	t.Helper()
	noLeaks(t)
	h := &harness{t: t, clock: newClock(), store: store}
	h.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.requests.Add(1)
		handler(w, r)
	}))
	t.Cleanup(h.server.Close)
	h.base = &http.Transport{}
	t.Cleanup(h.base.CloseIdleConnections)
	var err error
	h.cache, err = cache.New(store, &cache.Options{Name: "test", Now: h.clock.Now})
	check(t, err)
	t.Cleanup(func() { h.cache.Close() })
	_, err = cache.CreateRepository(t.Context(), h.cache, settings.CatchAll("all", nil))
	check(t, err)
	h.transport = h.another(opts)
	h.client = &http.Client{Transport: h.transport}
	return h
}

// another returns one more transport over the harness's cache and origin.
func (h *harness) another(opts *transport.Options) *transport.Transport {
	o := transport.Options{}
	if opts != nil {
		o = *opts
	}
	if o.Base == nil {
		o.Base = h.base
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	t := transport.New(h.cache, &o)
	h.t.Cleanup(func() { t.Close() })
	return t
}

func memoryStore(t testing.TB) driver.Store {
	t.Helper()
	store, err := memory.New(nil)
	check(t, err)
	return store
}

// noLeaks fails the test where goroutines are left that were not there before, once
// all that is registered afterwards has been cleaned up.
func noLeaks(t testing.TB) {
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) })
}

// url is one of the origin.
func (h *harness) url(path string) string { return h.server.URL + path }

// request is one to the origin; headers are pairs of name and value.
func (h *harness) request(method, path, body string, headers ...string) *http.Request {
	h.t.Helper()
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(h.t.Context(), method, h.url(path), r)
	check(h.t, err)
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	return req
}

// do makes a request and reads the response's body, which is to be whole.
func (h *harness) do(req *http.Request) (*http.Response, string) {
	h.t.Helper()
	resp, err := h.transport.RoundTrip(req)
	check(h.t, err)
	body, err := io.ReadAll(resp.Body)
	check(h.t, err)
	check(h.t, resp.Body.Close())
	return resp, string(body)
}

// get is do for a GET.
func (h *harness) get(path string, headers ...string) (*http.Response, string) {
	h.t.Helper()
	return h.do(h.request(http.MethodGet, path, "", headers...))
}

// hit reports whether a response came from the cache.
func hit(resp *http.Response) bool { return resp.Header.Get("X-From-Cache") == "1" }

// wantRequests checks how many requests have reached the origin so far.
func (h *harness) wantRequests(want int) {
	h.t.Helper()
	if got := h.requests.Load(); got != int64(want) {
		h.t.Errorf("%d requests have reached the origin, want %d", got, want)
	}
}

// eventually waits until something that goes on in the background has happened.
func eventually(t testing.TB, what string, happened func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !happened(); {
		if time.Now().After(deadline) {
			t.Fatal("not within 5 seconds: " + what)
		}
		time.Sleep(time.Millisecond)
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
