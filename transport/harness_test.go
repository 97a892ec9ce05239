package transport_test

import (
	"context"
	"io"
	"log/slog"
	"net"
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
	"github.com/endpointcache/endpointcache/internal/exchange"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/memory"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/transport"
)

func init() { exchange.DefaultStoreTimeout = waitfor.Limit }

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock is one that only moves when it is told to, or by a tick when it is read.
type clock struct {
	mu   sync.Mutex
	now  time.Time
	tick time.Duration
}

func newClock() *clock { return &clock{now: time.Now().UTC().Truncate(time.Second)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(c.tick)
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// options are those of the harness's cache, of its repository and of its transport.
type options struct {
	Base         http.RoundTripper
	Policy       policy.Policy            // the cache's
	Repositories map[string]policy.Policy // by their names; "all" is the harness's own
	Absent       time.Duration            // settings.ExpireAbsent of the harness's own
	Scope        settings.Scope           // its scope

	MaxBody       int64
	MaxInFlight   int64
	FinishTimeout time.Duration
	FinishBytes   int64
	StreamAfter   time.Duration
	StoreTimeout  time.Duration
	RenewTimeout  time.Duration
	Logger        *slog.Logger
}

func (o *options) ofCache(now func() time.Time) *cache.Options {
	c := &cache.Options{
		Name: "test", Now: now, Policy: o.Policy, MaxBody: o.MaxBody, MaxInFlight: o.MaxInFlight,
		FinishTimeout: o.FinishTimeout, FinishBytes: o.FinishBytes, StreamAfter: o.StreamAfter,
		StoreTimeout: o.StoreTimeout, RenewTimeout: o.RenewTimeout, Logger: o.Logger,
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// door is a transport with the cache that it is over.
type door struct {
	*transport.Transport
	cache *cache.ResponseCache
}

// Stats are those of the cache.
func (d door) Stats() cache.Stats { return d.cache.Stats() }

// Close ends what goes on in the background and waits for it, as the cache's Close
// does. The store stays open, so that a test can look at it.
func (d door) Close() error { return exchange.OfCache(d.cache).Close() }

// harness is an origin, a cache of all its responses, and a client over both.
type harness struct {
	t         testing.TB
	clock     *clock
	store     driver.Store
	cache     *cache.ResponseCache
	server    *httptest.Server
	base      *http.Transport // to the origin
	transport door
	client    *http.Client

	requests atomic.Int64 // that have reached the origin
}

// start returns a harness over a store in memory. opts may be nil; its Base is used
// where it is set.
func start(t testing.TB, handler http.HandlerFunc, opts *options) *harness {
	t.Helper()
	return startOn(t, memoryStore(t), handler, opts)
}

// startOn is start over another store. When the test ends, the cache, the origin and
// the store are closed, and no goroutine may be left of any.
func startOn(t testing.TB, store driver.Store, handler http.HandlerFunc, opts *options) *harness {
	t.Helper()
	return startAt(t, store, handler, opts, nil)
}

// startStill is start in a bubble of package synctest: nothing of it is outside, so time
// stands still as long as anybody works, however busy the machine is.
func startStill(t testing.TB, handler http.HandlerFunc, opts *options) *harness {
	t.Helper()
	return startAt(t, memoryStore(t), handler, opts, &pipes{dialled: make(chan net.Conn), closed: make(chan struct{})})
}

// startAt is startOn with an origin at the other end of pipes, or where these are nil of the
// network.
func startAt(t testing.TB, store driver.Store, handler http.HandlerFunc, opts *options, at *pipes) *harness {
	t.Helper()
	noLeaks(t)
	h := &harness{t: t, clock: newClock(), store: store, base: &http.Transport{}}
	h.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.requests.Add(1)
		handler(w, r)
	}))
	if at != nil {
		check(t, h.server.Listener.Close())
		h.server.Listener, h.base.DialContext = at, at.dial
	}
	h.server.Start()
	t.Cleanup(h.server.Close)
	t.Cleanup(h.base.CloseIdleConnections)
	if opts == nil {
		opts = &options{}
	}
	h.cache = h.caching(store, opts)
	h.transport = h.over(h.cache, opts.Base)
	h.client = &http.Client{Transport: h.transport}
	return h
}

// pipes are connections within the process. They implement [net.Listener].
type pipes struct {
	dialled chan net.Conn
	closed  chan struct{}
	close   sync.Once
}

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case p.dialled <- far:
		return near, nil
	case <-p.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.dialled:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.close.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80} }

// caching returns a cache of all the origin's responses.
func (h *harness) caching(store driver.Store, opts *options) *cache.ResponseCache {
	h.t.Helper()
	c, err := cache.New(store, opts.ofCache(h.clock.Now))
	check(h.t, err)
	h.t.Cleanup(func() { c.Close() })
	all := settings.CatchAll("all", nil)
	all.Policy, all.ExpireAbsent, all.Scope = opts.Repositories["all"], opts.Absent, opts.Scope
	if all.Scope == settings.PerIdentity {
		all.Name = "own" // its table has another key
	}
	_, err = cache.CreateRepository(h.t.Context(), c, all)
	check(h.t, err)
	return c
}

// over returns a transport over a cache, with a base of its own where that is not nil.
func (h *harness) over(c *cache.ResponseCache, base http.RoundTripper) door {
	if base == nil {
		base = h.base
	}
	return door{transport.New(c, &transport.Options{Base: base}), c}
}

// another returns a transport over one more cache of the harness's store, as another
// program would have it.
func (h *harness) another(opts *options) door {
	h.t.Helper()
	return h.over(h.caching(sharedStore{h.store}, opts), opts.Base)
}

// sharedStore is one that another cache has, too, and closes.
type sharedStore struct{ driver.Store }

func (sharedStore) Close() error { return nil }

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

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
