package doors

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/internal/exchange"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/memory"
	"github.com/endpointcache/endpointcache/origin"
	"github.com/endpointcache/endpointcache/pages"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/prefetch"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/transport"
)

func init() { exchange.DefaultStoreTimeout = waitfor.Limit }

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// track is what the origin tells of a key.
type track struct {
	ID      string `json:"id"`
	Version int    `json:"version"`
}

type tracks = settings.RepositorySettings[string, track]

// clock is one that only moves when it is told to.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// api is an origin of tracks. Each part of an answer can be told by a test.
type api struct {
	*httptest.Server
	clock                         *clock
	requests, conditional, bodies atomic.Int64
	version                       atomic.Int64

	mu     sync.Mutex
	answer func(w http.ResponseWriter, r *http.Request) // instead of a track; nil: none
	header http.Header
	gate   chan struct{} // requests wait until it is closed; nil: none
}

func (a *api) set(header ...string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.header = make(http.Header)
	for i := 0; i+1 < len(header); i += 2 {
		a.header.Set(header[i], header[i+1])
	}
}

// says lets the origin answer with a status.
func (a *api) says(status int, header ...string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answer = func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"error":%d}`, status)
	}
}

func (a *api) works() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answer = nil
}

// block lets requests wait until release is called.
func (a *api) block() (release func()) {
	gate := make(chan struct{})
	a.mu.Lock()
	defer a.mu.Unlock()
	a.gate = gate
	return sync.OnceFunc(func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.gate = nil
		close(gate)
	})
}

func (a *api) serve(w http.ResponseWriter, r *http.Request) {
	a.requests.Add(1)
	version := a.version.Load() // what it knows when it is asked
	a.mu.Lock()
	answer, gate := a.answer, a.gate
	for name, values := range a.header {
		w.Header()[name] = values
	}
	a.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-r.Context().Done():
			return
		}
	}
	w.Header().Set("Date", a.clock.Now().Format(http.TimeFormat))
	if answer != nil {
		answer(w, r)
		return
	}
	tag := fmt.Sprintf(`"%d"`, version)
	if w.Header().Get("Etag") != "" {
		w.Header().Set("Etag", tag)
	}
	if r.Header.Get("If-None-Match") != "" {
		a.conditional.Add(1)
		if r.Header.Get("If-None-Match") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	a.bodies.Add(1)
	ids := []string{strings.TrimPrefix(r.URL.Path, "/tracks/")}
	if r.URL.Query().Has("ids") {
		ids = strings.Split(r.URL.Query().Get("ids"), ",")
	}
	var list []track
	for _, id := range ids {
		list = append(list, track{id, int(version)})
	}
	var body []byte
	if r.URL.Query().Has("ids") {
		body, _ = json.Marshal(list)
	} else {
		body, _ = json.Marshal(list[0])
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body)
}

// house is a cache of tracks, with every door to it.
type house struct {
	t       *testing.T
	clock   *clock
	api     *api
	store   driver.Store
	cache   *cache.ResponseCache
	fetcher *fetch.Fetcher[string, track]
	http    *http.Client
}

// option changes how a house is made.
type option struct {
	cache    cache.Options
	settings tracks
	store    func(driver.Store) driver.Store
	fetcher  fetch.FetcherOptions
	client   fetch.Options
	base     func(http.RoundTripper) http.RoundTripper
}

func newHouse(t *testing.T, o option) *house {
	t.Helper()
	c := &clock{now: time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)}
	h := &house{t: t, clock: c, api: &api{clock: c}}
	h.api.version.Store(1)
	h.api.Server = httptest.NewServer(http.HandlerFunc(h.api.serve))
	t.Cleanup(h.api.Close)
	store, err := memory.New(nil)
	check(t, err)
	h.store = store
	if o.store != nil {
		h.store = o.store(store)
	}
	h.furnish(o)
	return h
}

// another is one more process on the same store, with the same origin.
func (h *house) another(o option) *house {
	h.t.Helper()
	other := &house{t: h.t, clock: h.clock, api: h.api, store: unclosed{h.store}}
	other.furnish(o)
	return other
}

func (h *house) furnish(o option) {
	t := h.t
	t.Helper()
	var err error
	o.cache.Now = h.clock.Now
	h.cache, err = cache.New(h.store, &o.cache)
	check(t, err)
	o.settings.Name = "tracks"
	o.settings.Pattern = "GET /tracks/{id}"
	o.client.BaseURL = h.api.URL
	if o.client.Retry == nil {
		o.client.Retry = &origin.RetryOptions{Retries: origin.NoRetries}
	}
	client, err := fetch.NewClient(&o.client)
	check(t, err)
	t.Cleanup(func() { check(t, client.Close()) })
	t.Cleanup(func() { check(t, h.cache.Close()) })
	h.fetcher, err = fetch.Create(t.Context(), h.cache, client, o.settings, &o.fetcher)
	check(t, err)
	base := &http.Transport{}
	t.Cleanup(base.CloseIdleConnections)
	var below http.RoundTripper = base
	if o.base != nil {
		below = o.base(base)
	}
	h.http = &http.Client{Transport: transport.New(h.cache, &transport.Options{Base: below})}
}

// answered is how a door has answered.
type answered struct {
	version int // of the track; 0: none
	absent  bool
	failed  bool
}

func (a answered) String() string {
	switch {
	case a.failed:
		return "failed"
	case a.absent:
		return "absent"
	}
	return fmt.Sprintf("version %d", a.version)
}

var (
	absent = answered{absent: true}
	failed = answered{failed: true}
)

func version(n int) answered { return answered{version: n} }

// door asks for a key in one way.
type door struct {
	name string
	ask  func(ctx context.Context, h *house, id string) answered
}

var doors = []door{
	{"RoundTrip", func(ctx context.Context, h *house, id string) answered {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.api.URL+"/tracks/"+id, nil)
		check(h.t, err)
		resp, err := h.http.Do(req)
		if err != nil {
			return failed
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		switch {
		case err != nil:
			return failed
		case resp.StatusCode == http.StatusNotFound, resp.StatusCode == http.StatusGone:
			return absent
		case resp.StatusCode > 299:
			return failed
		}
		var v track
		check(h.t, json.Unmarshal(body, &v))
		return version(v.Version)
	}},
	{"Fetch", func(ctx context.Context, h *house, id string) answered {
		return typed(h.fetcher.Fetch(ctx, id))
	}},
	{"FetchMany", func(ctx context.Context, h *house, id string) answered {
		results, err := h.fetcher.FetchMany(ctx, []string{id})
		if err != nil {
			return failed
		}
		r := results[0]
		if r.Status == fetch.Stale {
			r.Err = nil
		}
		return typed(r.Value, r.Err)
	}},
	{"prefetch", func(ctx context.Context, h *house, id string) answered {
		result, err := prefetch.Run(ctx, h.fetcher, slices.Values([]string{id}), nil)
		if err != nil {
			return failed
		}
		switch result.Items[0].Status {
		case fetch.Absent:
			return absent
		case fetch.Failed, fetch.Cancelled:
			return failed
		default:
		}
		v, ok, err := h.fetcher.Repository().Get(context.WithoutCancel(ctx), id, repository.AllowExpired())
		if err != nil || !ok {
			return version(-1) // fetched, and not kept
		}
		return version(v.Version)
	}},
	{"pages", func(ctx context.Context, h *house, id string) answered {
		none := func(*pages.Page[string, track]) (string, bool, error) { return "", false, nil }
		for page, err := range pages.Walk(ctx, h.fetcher, id, none, nil) {
			if err != nil {
				return typed(track{}, err)
			}
			return version(page.Value.Version)
		}
		return failed
	}},
}

func typed(v track, err error) answered {
	switch {
	case errors.Is(err, fetch.ErrAbsent):
		return absent
	case err != nil:
		return failed
	}
	return version(v.Version)
}

// row is what the table has for a key.
func (h *house) row(id string) string {
	h.t.Helper()
	e, ok, err := h.fetcher.Repository().GetEntry(h.t.Context(), id, repository.AllowExpired())
	check(h.t, err)
	if !ok {
		return "none"
	}
	header, err := e.Header()
	check(h.t, err)
	header.Del("Content-Length")
	names := make([]string, 0, len(header))
	for name := range header {
		names = append(names, fmt.Sprintf("%s=%s", name, header[name]))
	}
	slices.Sort(names)
	start := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	expires := "never"
	if !e.ExpiresAt.IsZero() {
		expires = e.ExpiresAt.Sub(start).String()
	}
	return fmt.Sprintf("%d %s as of %v until %s, %s", e.Status, e.Payload, e.CachedAt.Sub(start), expires, strings.Join(names, " "))
}

// through runs a test by every door, and compares what is left in the tables.
func through(t *testing.T, o option, test func(t *testing.T, h *house, ask func(id string) answered)) {
	t.Helper()
	throughSome(t, doors, o, test)
}

func throughSome(t *testing.T, some []door, o option, test func(t *testing.T, h *house, ask func(id string) answered)) {
	t.Helper()
	rows := make(map[string]string)
	requests := make(map[string]int64)
	for _, d := range some {
		t.Run(d.name, func(t *testing.T) {
			h := newHouse(t, o)
			test(t, h, func(id string) answered { return d.ask(t.Context(), h, id) })
			h.settle()
			rows[d.name], requests[d.name] = h.row("a"), h.api.requests.Load()
		})
	}
	for _, d := range some[1:] {
		if rows[d.name] != rows[some[0].name] {
			t.Errorf("%s leaves the row\n\t%s\nand %s\n\t%s", d.name, rows[d.name], some[0].name, rows[some[0].name])
		}
		if requests[d.name] != requests[some[0].name] {
			t.Errorf("%s makes %d requests, %s %d", d.name, requests[d.name], some[0].name, requests[some[0].name])
		}
	}
}

// settle waits until nothing goes on in the background: a request of its own, which does
// not share any, is answered after what came before was saved.
func (h *house) settle() {
	h.t.Helper()
	before := h.api.requests.Load()
	waitfor.True(h.t, "the background is quiet", func() bool {
		time.Sleep(20 * time.Millisecond)
		after := h.api.requests.Load()
		quiet := after == before
		before = after
		return quiet
	})
}

// call returns a context with a policy.
func call(t *testing.T, p policy.Policy) context.Context { return policy.With(t.Context(), p) }

func want(t *testing.T, what string, got, want answered) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func (h *house) wantRequests(n int64) {
	h.t.Helper()
	if got := h.api.requests.Load(); got != n {
		h.t.Errorf("%d requests have reached the origin, want %d", got, n)
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
