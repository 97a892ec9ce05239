package fetch_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path"
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
	polite "github.com/endpointcache/endpointcache/origin"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
)

func init() { exchange.DefaultStoreTimeout = waitfor.Limit }

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type track struct {
	ID    string `json:"id"`
	Title string `json:"title"`
}

type (
	tracks    = repository.ResponseRepository[string, track]
	ofTracks  = settings.RepositorySettings[string, track]
	fetcher   = fetch.Fetcher[string, track]
	result    = fetch.Result[string, track]
	endpoints = request.Endpoint[string]
)

var byID = request.Pattern[string]("/tracks/{id}")

// batchOf is a batch that the origin of these tests answers.
func batchOf(size int) request.Batch[string] {
	return request.BatchPattern[string]("GET /tracks?ids={id}", size, splitTracks, nil)
}

var splitTracks = payload.SplitArrayBy("tracks", "id")

func settingsOf(endpoint endpoints, batch request.Batch[string]) ofTracks {
	return ofTracks{
		Name:     "tracks",
		Endpoint: endpoint,
		Batch:    batch,
		Payload:  payload.JSON[track](),
		NameOf:   func(t track) string { return t.Title },
	}
}

// repositoryOf is an empty one in memory.
func repositoryOf[K comparable, V any](t testing.TB, s settings.RepositorySettings[K, V]) *repository.ResponseRepository[K, V] {
	t.Helper()
	store, err := memory.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return repositoryIn(t, store, s)
}

func repositoryIn[K comparable, V any](t testing.TB, store driver.Store, s settings.RepositorySettings[K, V]) *repository.ResponseRepository[K, V] {
	t.Helper()
	repo, err := repository.New(t.Context(), store, s, nil)
	if err != nil {
		t.Fatal(err)
	}
	return repo
}

// cacheOf is an empty cache on the store, which it closes.
func cacheOf(t testing.TB, store driver.Store, opts cache.Options) *cache.ResponseCache {
	t.Helper()
	c, err := cache.New(store, &opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// cachedIn is the fetcher of a repository in a cache with these settings.
func cachedIn(t testing.TB, o *origin, store driver.Store, s ofTracks, cached cache.Options, opts *fetch.FetcherOptions) *fetcher {
	t.Helper()
	f, err := fetch.Create(t.Context(), cacheOf(t, store, cached), clientOf(t, fetch.Options{BaseURL: o.URL}), s, opts)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// clientOf is closed with the test. Its retries do not wait for long.
func clientOf(t testing.TB, opts fetch.Options) *fetch.Client {
	t.Helper()
	if opts.Client == nil {
		opts.Client = quick(t)
	}
	if opts.Retry == nil {
		opts.Retry = retries(3)
	}
	client, err := fetch.NewClient(&opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

// retries do not wait for long.
func retries(n int) *polite.RetryOptions {
	return &polite.RetryOptions{Retries: n, Wait: time.Millisecond}
}

// quick is a client whose connections end with the test.
func quick(t testing.TB) *http.Client {
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// does is a client that a test makes of a function.
type does func(*http.Request) (*http.Response, error)

func (f does) Do(req *http.Request) (*http.Response, error) { return f(req) }

// changed is a client that sends what change makes of a request.
func changed(t testing.TB, change func(*http.Request)) fetch.Doer {
	client := quick(t)
	return does(func(req *http.Request) (*http.Response, error) {
		change(req)
		return client.Do(req)
	})
}

// addingQuery is a client that adds a parameter to each request.
func addingQuery(t testing.TB, name, value string) fetch.Doer {
	return changed(t, func(req *http.Request) {
		query := req.URL.Query()
		query.Add(name, value)
		req.URL.RawQuery = query.Encode()
	})
}

// addingToken is a client that adds a token to each request.
func addingToken(t testing.TB, token string) fetch.Doer {
	return changed(t, func(req *http.Request) { req.Header.Set("Authorization", "Bearer "+token) })
}

// fetcherOf is that of a repository in memory.
func fetcherOf(t testing.TB, o *origin, s ofTracks, opts *fetch.FetcherOptions) *fetcher {
	t.Helper()
	return fetcherIn(t, o, repositoryOf(t, s), opts)
}

func fetcherIn(t testing.TB, o *origin, repo *tracks, opts *fetch.FetcherOptions) *fetcher {
	t.Helper()
	e, err := fetch.New(clientOf(t, fetch.Options{BaseURL: o.URL}), repo, opts)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// origin is a server of tracks that counts. It serves /tracks/{id}, and /tracks?ids=
// for many.
type origin struct {
	*httptest.Server
	handler http.HandlerFunc

	mu       sync.Mutex
	requests []string // path and query
	running  int
	most     int // running at once

	gate chan struct{} // where it is not nil, requests wait for it to be closed
	came chan string   // where it is not nil, it is told of each request
}

// newOrigin serves with the handler, or where that is nil whatever is asked for.
func newOrigin(t testing.TB, handler http.HandlerFunc) *origin {
	t.Helper()
	o := &origin{}
	if handler == nil {
		handler = serve
	}
	o.handler = handler
	o.Server = httptest.NewServer(http.HandlerFunc(o.serve))
	t.Cleanup(o.Close)
	return o
}

// nearOrigin is one without a network: a client for bubbles of package synctest.
func nearOrigin(handler http.HandlerFunc) *origin { return &origin{handler: handler} }

// Do answers a request. It implements [fetch.Doer].
func (o *origin) Do(req *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	o.serve(w, req)
	resp := w.Result()
	resp.Request = req
	return resp, req.Context().Err()
}

func (o *origin) serve(w http.ResponseWriter, r *http.Request) {
	o.enter(r)
	defer o.leave()
	if o.came != nil {
		o.came <- r.URL.RequestURI()
	}
	if o.gate != nil {
		select {
		case <-o.gate:
		case <-r.Context().Done():
			return
		}
	}
	o.handler(w, r)
}

func (o *origin) enter(r *http.Request) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.requests = append(o.requests, r.URL.RequestURI())
	o.running++
	o.most = max(o.most, o.running)
}

func (o *origin) leave() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.running--
}

func (o *origin) idle() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.running == 0
}

func (o *origin) total() int { return len(o.seen()) }

func (o *origin) seen() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]string(nil), o.requests...)
}

// serve answers one or many.
func serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if ids, many := idsOf(r); many {
		io.WriteString(w, tracksBody(ids...))
		return
	}
	io.WriteString(w, trackBody(path.Base(r.URL.Path)))
}

// idsOf are those that a batch asks for.
func idsOf(r *http.Request) (ids []string, many bool) {
	if r.URL.Path != "/tracks" {
		return nil, false
	}
	return strings.Split(r.URL.Query().Get("ids"), ","), true
}

func trackBody(id string) string { return fmt.Sprintf(`{"id":%q,"title":"Title of %s"}`, id, id) }

func tracksBody(ids ...string) string {
	bodies := make([]string, len(ids))
	for i, id := range ids {
		bodies[i] = trackBody(id)
	}
	return `{"tracks":[` + strings.Join(bodies, ",") + `]}`
}

func titled(id string) track { return track{id, "Title of " + id} }

func numbered(n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("t%06d", i)
	}
	return keys
}

// statuses are those of results, to compare.
func statuses[K comparable, V any](results []fetch.Result[K, V]) string {
	var b strings.Builder
	for _, r := range results {
		b.WriteString(strings.ToUpper(r.Status.String()[:2]) + " ")
	}
	return strings.TrimSpace(b.String())
}

// wellFormed checks what holds for all results.
func wellFormed(t *testing.T, keys []string, results []result) {
	t.Helper()
	if len(results) != len(keys) {
		t.Fatalf("%d results for %d keys", len(results), len(keys))
	}
	for i, r := range results {
		if r.Key != keys[i] {
			t.Errorf("result %d is that of %s, want %s", i, r.Key, keys[i])
		}
		hasValue := r.Status == fetch.Cached || r.Status == fetch.Fetched || r.Status == fetch.Confirmed || r.Status == fetch.Stale
		if hasValue && r.Value.ID != r.Key {
			t.Errorf("%s, %v, has the value %+v", r.Key, r.Status, r.Value)
		}
		if hasError := r.Err != nil; hasError != (!hasValue || r.Status == fetch.Stale) {
			t.Errorf("%s, %v, has the error %v", r.Key, r.Status, r.Err)
		}
	}
}

// fetchMany ends the test where the call fails.
func fetchMany(t *testing.T, e *fetcher, keys []string, opts ...fetch.Option) []result {
	t.Helper()
	results, err := e.FetchMany(t.Context(), keys, opts...)
	if err != nil {
		t.Fatal(err)
	}
	wellFormed(t, keys, results)
	return results
}

// logged collects what is logged.
type logged struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *logged) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// wrapped is a store in front of a real one, which does what it is told.
type wrapped struct {
	driver.Store
	get func(context.Context) error                 // before each; nil: nothing
	got func()                                      // after each
	put func(context.Context, []driver.Entry) error // before each

	gets, puts, renews, deletes atomic.Int32
	entries                     atomic.Int64 // that were put
}

func (w *wrapped) OpenTable(ctx context.Context, spec driver.TableSpec) (driver.Table, error) {
	table, err := w.Store.OpenTable(ctx, spec)
	if spec.Name == "endpointcache_records" { // the cache's own
		return table, err
	}
	return &wrappedTable{table, w}, err
}

type wrappedTable struct {
	driver.Table
	store *wrapped
}

func (t *wrappedTable) PutIf(ctx context.Context, entries []driver.Entry, c driver.Condition) ([]bool, error) {
	if err := t.beforePut(ctx, entries); err != nil {
		return nil, err
	}
	return t.Table.PutIf(ctx, entries, c)
}

func (t *wrappedTable) Renew(ctx context.Context, renewals []driver.Renewal) ([]bool, error) {
	t.store.renews.Add(1)
	return t.Table.Renew(ctx, renewals)
}

func (t *wrappedTable) Get(ctx context.Context, keys []driver.Key, sel driver.Selection, visit func(int, driver.Entry)) error {
	t.store.gets.Add(1)
	if t.store.get != nil {
		if err := t.store.get(ctx); err != nil {
			return &driver.OpError{Store: "wrapped", Op: "get from", Err: err}
		}
	}
	err := t.Table.Get(ctx, keys, sel, visit)
	if t.store.got != nil {
		t.store.got()
	}
	return err
}

func (t *wrappedTable) Put(ctx context.Context, entries []driver.Entry) error {
	if err := t.beforePut(ctx, entries); err != nil {
		return err
	}
	return t.Table.Put(ctx, entries)
}

func (t *wrappedTable) beforePut(ctx context.Context, entries []driver.Entry) error {
	t.store.puts.Add(1)
	t.store.entries.Add(int64(len(entries)))
	if t.store.put != nil {
		if err := t.store.put(ctx, entries); err != nil {
			return &driver.OpError{Store: "wrapped", Op: "save to", Err: err}
		}
	}
	return nil
}

func (t *wrappedTable) Delete(ctx context.Context, keys []driver.Key) (int, error) {
	t.store.deletes.Add(1)
	return t.Table.Delete(ctx, keys)
}

func inMemory(t testing.TB) *memory.Store {
	t.Helper()
	store, err := memory.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store
}

// waiting waits until so many callers wait for the origin.
func waiting(t *testing.T, e *fetcher, n int) {
	t.Helper()
	waitfor.True(t, fmt.Sprintf("%d callers wait", n), func() bool {
		_, callers := e.Pending()
		return callers == n
	})
}
