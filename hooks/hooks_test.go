package hooks_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
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
	"github.com/endpointcache/endpointcache/pages"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/prefetch"
	"github.com/endpointcache/endpointcache/repository"
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

func TestEachAnswerIsToldOnceByItsKind(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store driver.Store) {
		f := newFixture(t, store, func(_ *cache.Options, s *settings.RepositorySettings[string, track]) {
			s.Policy.StaleIfError = 24 * time.Hour
		})
		doors := map[string]func(string, ...fetch.Option){
			"fetch": func(key string, opts ...fetch.Option) { _ = f.fetch(key, opts...) },
			"many": func(key string, opts ...fetch.Option) {
				if _, err := f.tracks.FetchMany(f.Context(), []string{key}, opts...); err != nil {
					f.Error(err)
				}
			},
			"transport": func(key string, opts ...fetch.Option) {
				p := policy.Policy{}
				for _, opt := range opts {
					opt(&p)
				}
				req, err := http.NewRequestWithContext(policy.With(f.Context(), p), http.MethodGet, f.url+"/tracks/"+key, nil)
				if err != nil {
					f.Fatal(err)
				}
				resp, err := f.http.Do(req)
				if err == nil {
					_, _ = io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
			},
			"prefetch": func(key string, opts ...fetch.Option) {
				if _, err := prefetch.Run(f.Context(), f.tracks, slices.Values([]string{key}), &prefetch.Options{Fetch: opts, BelieveAbsent: true}); err != nil {
					f.Error(err)
				}
			},
		}
		for door, ask := range doors {
			for i, c := range []struct {
				want  string
				serve handler
				later time.Duration
				opts  []fetch.Option
				key   string
			}{
				{want: "unanswered", serve: track200, opts: []fetch.Option{fetch.With(policy.Policy{Use: policy.OnlyIfCached})}},
				{want: "failed", serve: status(http.StatusForbidden)},
				{want: "fetched", serve: track200},
				{want: "fresh", serve: status(http.StatusInternalServerError)},
				{want: "revalidated", serve: track200, opts: []fetch.Option{fetch.Refresh()}},
				{want: "stale", serve: status(http.StatusInternalServerError), later: 2 * time.Hour},
				{want: "revalidated", serve: track200, later: 2 * time.Hour},
				{want: "fetched", serve: status(http.StatusNotFound), key: "absent"},
				{want: "absent", serve: track200, key: "absent"},
			} {
				f.serve(c.serve)
				f.later.Store(int64(c.later))
				ask(door+c.key, c.opts...)
				if d := cmp.Diff(map[string]int{"tracks " + c.want: 1}, f.answers()); d != "" {
					t.Errorf("%s, case %d, the answers differ:\n%s", door, i, d)
				}
				f.forget()
			}
			f.later.Store(0)
		}
	})
}

func TestABulkCallIsToldOnceForEachKind(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store driver.Store) {
		f := newFixture(t, store, func(_ *cache.Options, s *settings.RepositorySettings[string, track]) {
			s.Batch = request.BatchPattern[string]("GET /tracks?ids={id}", 10, payload.SplitArrayBy("tracks", "id"), nil)
		})
		var first, all []string
		for i := range 25 {
			first = append(first, fmt.Sprint("a", i))
		}
		all = append(all, first...)
		for i := range 30 {
			all = append(all, fmt.Sprint("b", i))
		}
		if _, err := f.tracks.FetchMany(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		f.wantAnswers(map[string]int{})
		if _, err := f.tracks.FetchMany(t.Context(), first); err != nil {
			t.Fatal(err)
		}
		f.forget()
		if _, err := f.tracks.FetchMany(t.Context(), all); err != nil {
			t.Fatal(err)
		}
		if told := eventsOf[hooks.Answer](f); len(told) != 2 {
			t.Errorf("one call is told by %d events: %+v", len(told), told)
		}
		requests := eventsOf[hooks.Request](f)
		for _, r := range requests {
			if r != (hooks.Request{Repository: "tracks", Store: store.Traits().Kind, Method: http.MethodGet, Keys: 10}) {
				t.Errorf("a request is %+v", r)
			}
		}
		if len(requests) != 3 {
			t.Errorf("there are %d requests", len(requests))
		}
		f.wantAnswers(map[string]int{"tracks fresh": 25, "tracks fetched": 30})

		if _, err := prefetch.Run(t.Context(), f.tracks, slices.Values(append(all, "c")), nil); err != nil {
			t.Fatal(err)
		}
		f.wantAnswers(map[string]int{"tracks fresh": 55, "tracks fetched": 1})

		ended, cancel := context.WithCancel(t.Context())
		f.serve(func(_ http.ResponseWriter, r *http.Request) {
			cancel()
			<-r.Context().Done()
		})
		if _, err := f.tracks.FetchMany(ended, []string{"a1", "d1", "d2"}); !errors.Is(err, context.Canceled) {
			t.Errorf("the error is %v", err)
		}
		f.wantAnswers(map[string]int{"tracks fresh": 1, "tracks cancelled": 2})
	})
}

func TestCallersThatShareARequestAreTold(t *testing.T) {
	f := newFixture(t, open["memory"](t), nil)
	arrived, goOn := make(chan struct{}), make(chan struct{})
	f.serve(func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-goOn
		track200(w, r)
	})
	var wg sync.WaitGroup
	wg.Go(func() { _ = f.fetch("a") })
	<-arrived
	for range 3 {
		wg.Go(func() { _ = f.fetch("a") })
		wg.Go(func() { f.get("/tracks/a") })
		wg.Go(func() { _, _ = f.tracks.FetchMany(t.Context(), []string{"a"}) })
	}
	table := exchange.OfRepository(f.tracks.Repository().Responses)
	waitfor.True(t, "all wait", func() bool { _, callers := table.Pending(); return callers == 10 })
	close(goOn)
	wg.Wait()
	f.wantAnswers(map[string]int{"tracks fetched": 1, "tracks coalesced": 9})
}

func TestWhatIsNotForTheCacheIsTold(t *testing.T) {
	f := newFixture(t, open["memory"](t), nil)
	f.get("/albums/1")
	f.wantAnswers(map[string]int{" bypassed": 1})
	resp, err := f.http.Post(f.url+"/tracks/1", "text/plain", strings.NewReader("a"))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	f.wantAnswers(map[string]int{" bypassed": 1})
	req, _ := http.NewRequestWithContext(policy.With(t.Context(), policy.Policy{Use: policy.OnlyIfCached}), http.MethodGet, f.url+"/albums/1", nil)
	if resp, err = f.http.Do(req); err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	f.wantAnswers(map[string]int{" unanswered": 1})
}

func TestAWalkThroughPagesIsTold(t *testing.T) {
	f := newFixture(t, open["memory"](t), nil)
	f.serve(func(w http.ResponseWriter, r *http.Request) {
		if id := strings.TrimPrefix(r.URL.Path, "/tracks/"); len(id) < 3 {
			_ = json.NewEncoder(w).Encode(track{ID: id, Next: id + "x"})
		} else {
			_ = json.NewEncoder(w).Encode(track{ID: id})
		}
	})
	next := func(p *pages.Page[string, track]) (string, bool, error) { return p.Value.Next, p.Value.Next != "", nil }
	for range 2 {
		for _, err := range pages.Walk(t.Context(), f.tracks, "a", next, nil) {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	f.wantAnswers(map[string]int{"tracks fetched": 3, "tracks fresh": 3})
}

func TestRequestsAreTold(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store driver.Store) {
		f := newFixture(t, store, nil)
		kind := store.Traits().Kind
		ask := map[string]func(string, int){
			"fetch": func(key string, _ int) { _ = f.fetch(key, fetch.Refresh()) },
			"transport": func(key string, want int) {
				req, _ := http.NewRequestWithContext(policy.With(t.Context(), policy.Policy{Use: policy.Revalidate}), http.MethodGet, f.url+"/tracks/"+key, nil)
				resp, err := f.http.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				if n, _ := io.Copy(io.Discard, resp.Body); want == http.StatusOK && n == 0 {
					t.Error("there is no body")
				}
				resp.Body.Close()
			},
		}
		for door, ask := range ask {
			for _, c := range []struct {
				status      int
				conditional bool
				end         hooks.RequestEnd
			}{
				{status: http.StatusOK, end: hooks.RequestEnd{Status: http.StatusOK, Attempts: 1, Bytes: int64(len(fmt.Sprintf("{\"id\":%q}\n", door)))}},
				{status: http.StatusOK, conditional: true, end: hooks.RequestEnd{Status: http.StatusNotModified, Attempts: 1}},
				{status: http.StatusForbidden, conditional: true, end: hooks.RequestEnd{Status: http.StatusForbidden, Attempts: 1, ErrorType: "403"}},
			} {
				f.serve(track200)
				if c.status != http.StatusOK {
					f.serve(status(c.status))
				}
				ask(door, c.status)
				waitfor.True(t, "the request has ended", func() bool { return len(eventsOf[hooks.RequestEnd](f)) > 0 })
				want := hooks.Request{Repository: "tracks", Store: kind, Method: http.MethodGet, Keys: 1, Conditional: c.conditional}
				if d := cmp.Diff([]hooks.Request{want}, eventsOf[hooks.Request](f)); d != "" {
					t.Errorf("%s: the request differs:\n%s", door, d)
				}
				ends := eventsOf[hooks.RequestEnd](f)
				for i := range ends {
					if ends[i].Duration <= 0 {
						t.Errorf("%s: the request has taken %v", door, ends[i].Duration)
					}
					ends[i].Duration = 0
				}
				if d := cmp.Diff([]hooks.RequestEnd{c.end}, ends); d != "" {
					t.Errorf("%s: its end differs:\n%s", door, d)
				}
				f.forget()
			}
		}
		// A fetcher repeats what fails, within one request.
		f.serve(status(http.StatusServiceUnavailable))
		_ = f.fetch("b")
		if ends := eventsOf[hooks.RequestEnd](f); len(ends) != 1 || ends[0].Attempts != 3 || ends[0].ErrorType != "503" {
			t.Errorf("a request that was repeated ends so: %+v", ends)
		}
		f.forget()
		f.serve(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
		_ = f.fetch("b")
		if ends := eventsOf[hooks.RequestEnd](f); len(ends) != 1 || ends[0].Attempts != 3 || ends[0].ErrorType != "connection" || ends[0].Status != 0 {
			t.Errorf("a request without an answer ends so: %+v", ends)
		}
	})
}

func TestABodyThatIsClosedEarlyEndsItsRequest(t *testing.T) {
	f := newFixture(t, open["memory"](t), func(o *cache.Options, _ *settings.RepositorySettings[string, track]) { o.MaxBody = 1000 })
	f.serve(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100000")
		_, _ = w.Write(make([]byte, 5000))
	})
	resp, err := f.http.Get(f.url + "/tracks/a")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(resp.Body, make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	if ends := eventsOf[hooks.RequestEnd](f); len(ends) != 0 {
		t.Errorf("the request has ended: %+v", ends)
	}
	resp.Body.Close()
	waitfor.True(t, "the request has ended", func() bool { return len(eventsOf[hooks.RequestEnd](f)) == 1 })
	if e := eventsOf[hooks.RequestEnd](f)[0]; e.Bytes < 10 || e.Status != http.StatusOK {
		t.Errorf("the end is %+v", e)
	}
}

func TestRenewalsAreTold(t *testing.T) {
	for want, serve := range map[hooks.Outcome]handler{
		hooks.RenewalConfirmed: track200,
		hooks.RenewalFailed:    status(http.StatusInternalServerError),
		hooks.RenewalFetched:   func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"id":"new"}`) },
	} {
		t.Run(want.String(), func(t *testing.T) {
			f := newFixture(t, open["sqlite"](t), func(_ *cache.Options, s *settings.RepositorySettings[string, track]) {
				s.Policy.StaleWhileRevalidate = 24 * time.Hour
			})
			if err := f.fetch("a"); err != nil {
				t.Fatal(err)
			}
			f.forget()
			f.later.Store(int64(2 * time.Hour))
			f.serve(serve)
			if err := f.fetch("a"); err != nil {
				t.Fatal(err)
			}
			waitfor.True(t, "the renewal has ended", func() bool { return len(eventsOf[hooks.Renewal](f)) == 2 })
			var outcomes []hooks.Outcome
			for _, r := range eventsOf[hooks.Renewal](f) {
				outcomes = append(outcomes, r.Outcome)
			}
			if d := cmp.Diff([]hooks.Outcome{hooks.RenewalBegun, want}, outcomes); d != "" {
				t.Errorf("the outcomes differ:\n%s", d)
			}
			for _, r := range eventsOf[hooks.Request](f) {
				if !r.Background {
					t.Errorf("the request is %+v", r)
				}
			}
			f.wantAnswers(map[string]int{"tracks stale": 1})
		})
	}
}

func TestEvictionsAreTold(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store driver.Store) {
		f := newFixture(t, store, func(o *cache.Options, s *settings.RepositorySettings[string, track]) {
			o.KeepExpired, o.ClearEvery = time.Minute, time.Millisecond
			s.Limit = settings.Limit{Entries: 100}
		})
		values := make(map[string]track)
		for i := range 500 {
			values[fmt.Sprint(i)] = track{ID: "a"}
		}
		if err := f.tracks.Repository().SaveMany(t.Context(), values); err != nil {
			t.Fatal(err)
		}
		repo := f.tracks.Repository()
		sum := func(reason hooks.Reason) (n int, bytes int64) {
			for _, e := range eventsOf[hooks.Eviction](f) {
				if e.Repository == "tracks" && e.Reason == reason {
					n, bytes = n+e.Entries, bytes+e.Bytes
				}
			}
			return n, bytes
		}
		waitfor.True(t, "those over the limit are told", func() bool {
			n, bytes := sum(hooks.OverLimit)
			left, err := repo.Count(t.Context(), repository.All)
			return err == nil && n > 0 && n+left == 500 && bytes > 0
		})
		f.later.Store(int64(100 * time.Hour))
		waitfor.True(t, "those that have expired are told", func() bool {
			n, _ := sum(hooks.OverLimit)
			expired, _ := sum(hooks.Expired)
			return n+expired == 500
		})
	})
}

// failing is a store whose reads fail while it is told so.
type failing struct {
	driver.Store
	fails atomic.Bool
}

type failingTable struct {
	driver.Table
	of *failing
}

func (s *failing) OpenTable(ctx context.Context, spec driver.TableSpec) (driver.Table, error) {
	t, err := s.Store.OpenTable(ctx, spec)
	return failingTable{t, s}, err
}

func (t failingTable) Get(ctx context.Context, keys []driver.Key, sel driver.Selection, visit func(int, driver.Entry)) error {
	if t.of.fails.Load() {
		return errors.New("the store has failed")
	}
	return t.Table.Get(ctx, keys, sel, visit)
}

func TestAStoreThatFailsIsTold(t *testing.T) {
	store := &failing{Store: open["memory"](t)}
	f := newFixture(t, store, nil)
	store.fails.Store(true)
	for range 5 {
		if err := f.fetch("a", fetch.With(policy.Policy{Use: policy.Reload})); err != nil {
			t.Fatal(err)
		}
	}
	failed := eventsOf[hooks.StoreFailure](f)
	if len(failed) < 5 || failed[0] != (hooks.StoreFailure{Repository: "tracks", Store: "memory", Operation: "get", ErrorType: "other"}) {
		t.Errorf("the failures are %+v", failed)
	}
	if int64(len(failed)) != f.cache.Stats().StoreErrors {
		t.Errorf("%d failures were told, %d counted", len(failed), f.cache.Stats().StoreErrors)
	}
	if last := failed[len(failed)-1]; !last.Skipped {
		t.Errorf("the last failure is %+v", last)
	}
	store.fails.Store(false)
	waitfor.True(t, "the store is used again", func() bool {
		_ = f.fetch("a")
		return len(eventsOf[hooks.StoreState](f)) == 2
	})
	states := eventsOf[hooks.StoreState](f)
	if !states[0].LeftOut || states[1].LeftOut || states[1].Failures < 3 || states[1].Skipped == 0 || states[1].Store != "memory" {
		t.Errorf("the states are %+v", states)
	}
}

func TestPrefetchesAreTold(t *testing.T) {
	f := newFixture(t, open["memory"](t), nil)
	result, err := prefetch.Run(t.Context(), f.tracks, slices.Values([]string{"a", "b", "c"}), nil)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]hooks.Prefetch{{Repository: "tracks", Store: "memory"}}, eventsOf[hooks.Prefetch](f)); d != "" {
		t.Errorf("the prefetches differ:\n%s", d)
	}
	told := eventsOf[hooks.Progress](f)
	last := told[len(told)-1]
	if !last.Ended || last.Fetched != 3 || last.Bytes != result.Bytes || last.Requests != 3 {
		t.Errorf("the last progress is %+v", last)
	}
}

func TestTheEndOfAPrefetchThatPanicsIsTold(t *testing.T) {
	f := newFixture(t, open["memory"](t), nil)
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic is lost")
			}
		}()
		keys := func(yield func(string) bool) {
			yield("a")
			panic("the keys")
		}
		_, _ = prefetch.Run(t.Context(), f.tracks, keys, nil)
	}()
	if told := eventsOf[hooks.Progress](f); len(told) == 0 || !told[len(told)-1].Ended {
		t.Errorf("the progress is %+v", told)
	}
}

// TestHooksThatPanicDoNoHarm has every hook panic, and what hooks return.
func TestHooksThatPanicDoNoHarm(t *testing.T) {
	for _, atTheEnd := range []bool{false, true} {
		t.Run(fmt.Sprintf("at the end: %v", atTheEnd), func(t *testing.T) {
			store, err := hooks.Store(open["memory"](t), hooks.StoreHooks{
				Operation: func(context.Context, hooks.StoreOperation) (context.Context, func(hooks.StoreEnd)) {
					if !atTheEnd {
						panic("a hook")
					}
					return nil, func(hooks.StoreEnd) { panic("a hook") }
				},
				Logger: slog.New(slog.DiscardHandler),
			})
			if err != nil {
				t.Fatal(err)
			}
			var called sync.Map
			c, err := cache.New(store, &cache.Options{
				Logger: slog.New(slog.DiscardHandler),
				Hooks: hooks.Hooks{
					Answered: func(context.Context, hooks.Answer) { called.Store("answered", 1); panic("a hook") },
					Renewing: func(context.Context, hooks.Renewal) { called.Store("renewing", 1); panic("a hook") },
					Requesting: func(context.Context, hooks.Request) (context.Context, func(hooks.RequestEnd)) {
						called.Store("requesting", 1)
						if !atTheEnd {
							panic("a hook")
						}
						return nil, func(hooks.RequestEnd) { panic("a hook") }
					},
					Prefetching: func(context.Context, hooks.Prefetch) func(hooks.Progress) {
						called.Store("prefetching", 1)
						if !atTheEnd {
							panic("a hook")
						}
						return func(hooks.Progress) { panic("a hook") }
					},
				},
				Policy: policy.Policy{StaleWhileRevalidate: time.Hour},
			})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			server := httptest.NewServer(http.HandlerFunc(track200))
			defer server.Close()
			client, err := fetch.NewClient(&fetch.Options{BaseURL: server.URL})
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			tracks, err := fetch.Create(t.Context(), c, client, settings.RepositorySettings[string, track]{
				Name: "tracks", Endpoint: request.Pattern[string]("/tracks/{id}"), Scope: settings.Shared, Expire: time.Nanosecond,
				Payload: payload.JSON[track](),
			}, nil)
			if err != nil {
				t.Fatal(err)
			}
			for range 3 {
				if got, err := tracks.Fetch(t.Context(), "a"); err != nil || got.ID != "a" {
					t.Fatal(got, err)
				}
			}
			if _, err := prefetch.Run(t.Context(), tracks, slices.Values([]string{"b", "c"}), nil); err != nil {
				t.Fatal(err)
			}
			rt := &http.Client{Transport: transport.New(c, nil)}
			resp, err := rt.Get(server.URL + "/tracks/d")
			if err != nil {
				t.Fatal(err)
			}
			if body, err := io.ReadAll(resp.Body); err != nil || len(body) == 0 {
				t.Error(string(body), err)
			}
			resp.Body.Close()
			http.DefaultTransport.(*http.Transport).CloseIdleConnections()
			names := slices.Sorted(maps.Keys(toMap(&called)))
			if d := cmp.Diff([]string{"answered", "prefetching", "renewing", "requesting"}, names); d != "" {
				t.Errorf("the hooks that were called differ:\n%s", d)
			}
			if c.Stats().Panics == 0 {
				t.Error("no panic is counted")
			}
		})
	}
}

func toMap(m *sync.Map) map[string]bool {
	all := make(map[string]bool)
	for k := range m.Range {
		all[k.(string)] = true
	}
	return all
}
