package hooks_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/hooks"
	"github.com/endpointcache/endpointcache/internal/exchange"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/memory"
	"github.com/endpointcache/endpointcache/origin"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/sqlite"
	"github.com/endpointcache/endpointcache/transport"
)

func init() { exchange.DefaultStoreTimeout = waitfor.Limit }

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type track struct {
	ID   string `json:"id"`
	Next string `json:"next,omitempty"`
}

// fixture is a cache with hooks that take everything down, over an API of tracks.
type fixture struct {
	*testing.T
	cache  *cache.ResponseCache
	client *fetch.Client
	tracks *fetch.Fetcher[string, track]
	http   *http.Client
	url    string
	later  atomic.Int64            // by which the clock is ahead, in nanoseconds
	answer atomic.Pointer[handler] // of the API
	asked  atomic.Int64            // requests that the API has got

	mu     sync.Mutex
	events []any
}

type handler = func(http.ResponseWriter, *http.Request)

// record takes all events down.
func (f *fixture) record() hooks.Hooks {
	return hooks.Hooks{
		Answered:    func(ctx context.Context, e hooks.Answer) { f.took(ctx, e) },
		Renewing:    func(ctx context.Context, e hooks.Renewal) { f.took(ctx, e) },
		Evicted:     func(ctx context.Context, e hooks.Eviction) { f.took(ctx, e) },
		Damaged:     func(ctx context.Context, e hooks.Damage) { f.took(ctx, e) },
		StoreFailed: func(ctx context.Context, e hooks.StoreFailure) { f.took(ctx, e) },
		StoreState:  func(ctx context.Context, e hooks.StoreState) { f.took(ctx, e) },
		Requesting: func(ctx context.Context, e hooks.Request) (context.Context, func(hooks.RequestEnd)) {
			f.took(ctx, e)
			return context.WithValue(ctx, spanKey{}, "span"), func(end hooks.RequestEnd) { f.took(ctx, end) }
		},
		Prefetching: func(ctx context.Context, e hooks.Prefetch) func(hooks.Progress) {
			f.took(ctx, e)
			return func(p hooks.Progress) { f.took(ctx, p) }
		},
	}
}

type spanKey struct{}

func (f *fixture) took(ctx context.Context, e any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if ctx == nil {
		f.Error("an event has no context")
	}
	f.events = append(f.events, e)
}

// eventsOf returns the events of a type so far.
func eventsOf[E any](f *fixture) (all []E) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range f.events {
		if e, ok := e.(E); ok {
			all = append(all, e)
		}
	}
	return all
}

// forget forgets what has happened.
func (f *fixture) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.events = nil
}

// answers are how many keys were answered by each kind, after all events so far.
func (f *fixture) answers() map[string]int {
	sums := make(map[string]int)
	for _, a := range eventsOf[hooks.Answer](f) {
		sums[a.Repository+" "+a.Result.String()] += a.Keys
	}
	return sums
}

func (f *fixture) wantAnswers(want map[string]int) {
	f.Helper()
	if d := cmp.Diff(want, f.answers()); d != "" {
		f.Errorf("the answers differ:\n%s", d)
	}
	f.forget()
}

// open opens stores of a kind.
var open = map[string]func(testing.TB) driver.Store{
	"memory": func(tb testing.TB) driver.Store {
		store, err := memory.New(nil)
		if err != nil {
			tb.Fatal(err)
		}
		return store
	},
	"sqlite": func(tb testing.TB) driver.Store {
		store, err := sqlite.Open(tb.Context(), tb.TempDir()+"/cache.db", nil)
		if err != nil {
			tb.Fatal(err)
		}
		return store
	},
}

// base is a client's transport that notes whether requests have what Requesting has added.
type base struct {
	*http.Transport
	unmarked atomic.Int64
}

func (b *base) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Context().Value(spanKey{}) == nil {
		b.unmarked.Add(1)
	}
	return b.Transport.RoundTrip(req)
}

func newFixture(t *testing.T, store driver.Store, change func(*cache.Options, *settings.RepositorySettings[string, track])) *fixture {
	t.Helper()
	f := &fixture{T: t}
	f.serve(track200)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.asked.Add(1)
		(*f.answer.Load())(w, r)
	}))
	t.Cleanup(server.Close)
	f.url = server.URL
	now := func() time.Time { return time.Now().Add(time.Duration(f.later.Load())) }
	opts := cache.Options{Hooks: f.record(), Now: now, Logger: slog.New(slog.DiscardHandler)}
	declared := settings.RepositorySettings[string, track]{
		Name: "tracks", Endpoint: request.Pattern[string]("/tracks/{id}"), Payload: payload.JSON[track](),
		Scope: settings.Shared, Expire: time.Hour, ExpireAbsent: time.Hour,
	}
	if change != nil {
		change(&opts, &declared)
	}
	var err error
	if f.cache, err = cache.New(store, &opts); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.cache.Close() })
	b := &base{Transport: &http.Transport{}}
	t.Cleanup(b.CloseIdleConnections)
	t.Cleanup(func() {
		if n := b.unmarked.Load(); n > 0 {
			t.Errorf("%d requests were made without the context that Requesting has returned", n)
		}
	})
	f.client, err = fetch.NewClient(&fetch.Options{
		BaseURL: server.URL, Client: &http.Client{Transport: b}, Retry: &origin.RetryOptions{Retries: 2, Wait: time.Millisecond},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.client.Close() })
	if f.tracks, err = fetch.Create(t.Context(), f.cache, f.client, declared, nil); err != nil {
		t.Fatal(err)
	}
	f.http = &http.Client{Transport: transport.New(f.cache, &transport.Options{Base: &base{Transport: b.Transport}})}
	return f
}

func (f *fixture) serve(h handler) { f.answer.Store(&h) }

// track200 answers with the track of the path, or with those of a batch, and confirms by a 304.
func track200(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Etag", `"1"`)
	if r.Header.Get("If-None-Match") == `"1"` {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	if ids := r.URL.Query().Get("ids"); ids != "" {
		var all []track
		for id := range strings.SplitSeq(ids, ",") {
			all = append(all, track{ID: id})
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"tracks": all})
		return
	}
	_ = json.NewEncoder(w).Encode(track{ID: strings.TrimPrefix(r.URL.Path, "/tracks/")})
}

func status(code int) handler {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// get makes a GET and reads the body.
func (f *fixture) get(path string) int {
	f.Helper()
	resp, err := f.http.Get(f.url + path)
	if err != nil {
		f.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		f.Fatal(err)
	}
	return resp.StatusCode
}

func (f *fixture) fetch(key string, opts ...fetch.Option) error {
	_, err := f.tracks.Fetch(f.Context(), key, opts...)
	return err
}

func onEveryStore(t *testing.T, test func(*testing.T, driver.Store)) {
	for kind, open := range open {
		t.Run(kind, func(t *testing.T) { test(t, open(t)) })
	}
}
