package prefetch_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/internal/exchange"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/origin"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/prefetch"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/sqlite"
)

func init() { exchange.DefaultStoreTimeout = waitfor.Limit }

func TestMain(m *testing.M) {
	if isOtherProcess() {
		if err := otherProcess(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

type track struct {
	ID    string `json:"id"`
	Title string `json:"title"`
}

type tracks = repository.ResponseRepository[string, track]

// tracksOf returns an empty repository of the endpoint in memory.
func tracksOf(t testing.TB, endpoint request.Endpoint[string]) *tracks {
	t.Helper()
	repo, _ := storedTracks(t, endpoint)
	return repo
}

func storedTracks(t testing.TB, endpoint request.Endpoint[string]) (*tracks, *sqlite.Store) {
	t.Helper()
	store, err := sqlite.OpenMemory(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	repo, err := repository.New(t.Context(), store, settings.RepositorySettings[string, track]{
		Name:     "tracks",
		Endpoint: endpoint,
		Payload:  payload.JSON[track](),
		Scope:    settings.Shared,
		NameOf:   func(t track) string { return t.Title },
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return repo, store
}

// repositoryOf is for other types than tracksOf.
func repositoryOf[K comparable, V any](t testing.TB, endpoint request.Endpoint[K]) *repository.ResponseRepository[K, V] {
	t.Helper()
	store, err := sqlite.OpenMemory(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	var handler any = payload.String()
	if _, ok := any(*new(V)).([]byte); ok {
		handler = payload.Bytes()
	}
	repo, err := repository.New(t.Context(), store, settings.RepositorySettings[K, V]{
		Name: "other", Endpoint: endpoint, Payload: handler.(payload.Handler[V]),
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return repo
}

var byID = request.Pattern[string]("/tracks/{id}")

// countingServer is an API that counts what it is asked for.
type countingServer struct {
	*httptest.Server

	mu       sync.Mutex
	requests map[string]int // by path
	times    []time.Time
	running  int
	most     int // running at once
}

// newOrigin serves with the handler, or where it is nil a track for each path.
func newOrigin(t testing.TB, handler http.HandlerFunc) *countingServer {
	t.Helper()
	o := &countingServer{requests: map[string]int{}}
	if handler == nil {
		handler = serveTrack
	}
	o.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.mu.Lock()
		o.requests[r.URL.Path]++
		o.times = append(o.times, time.Now())
		o.running++
		o.most = max(o.most, o.running)
		o.mu.Unlock()
		defer func() {
			o.mu.Lock()
			o.running--
			o.mu.Unlock()
		}()
		handler(w, r)
	}))
	t.Cleanup(o.Close)
	return o
}

func serveTrack(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	io.WriteString(w, trackBody(path.Base(r.URL.Path)))
}

func trackBody(id string) string { return fmt.Sprintf(`{"id":%q,"title":"Title of %s"}`, id, id) }

// count is how many requests there were for the path.
func (o *countingServer) count(path string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.requests[path]
}

func (o *countingServer) total() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.times)
}

// retries do not wait for long.
func retries(n int) *origin.RetryOptions {
	return &origin.RetryOptions{Retries: n, Wait: time.Millisecond}
}

// quick is a client without limits and pauses. Its connections end with the test.
func quick(t testing.TB) *http.Client {
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// changed is a client that sends what change makes of a request, unless that fails.
func changed(t testing.TB, change func(*http.Request) error) fetch.Doer {
	client := quick(t)
	return does(func(req *http.Request) (*http.Response, error) {
		if err := change(req); err != nil {
			return nil, err
		}
		return client.Do(req)
	})
}

// addingQuery is a client that adds a parameter to each request.
func addingQuery(t testing.TB, name, value string) fetch.Doer {
	return changed(t, func(req *http.Request) error {
		query := req.URL.Query()
		query.Add(name, value)
		req.URL.RawQuery = query.Encode()
		return nil
	})
}

type does func(*http.Request) (*http.Response, error)

func (f does) Do(req *http.Request) (*http.Response, error) { return f(req) }

// to is a client that ends with the test.
func to(t testing.TB, opts fetch.Options) *fetch.Client {
	t.Helper()
	client, err := fetch.NewClient(&opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

// over is a fetcher of a repository.
func over[K comparable, V any](t testing.TB, repo *repository.ResponseRepository[K, V], client *fetch.Client) *fetch.Fetcher[K, V] {
	t.Helper()
	fetcher, err := fetch.New(client, repo, nil)
	if err != nil {
		t.Fatal(err)
	}
	return fetcher
}

// alone is a fetcher of a repository whose origin is not asked.
func alone[K comparable, V any](t testing.TB, repo *repository.ResponseRepository[K, V]) *fetch.Fetcher[K, V] {
	t.Helper()
	return over(t, repo, to(t, fetch.Options{Offline: true}))
}

// run runs over keys and ends the test where the run fails.
func run(t *testing.T, fetcher *fetch.Fetcher[string, track], opts *prefetch.Options, keys ...string) *prefetch.Result[string] {
	t.Helper()
	result, err := prefetch.Run(t.Context(), fetcher, slices.Values(keys), opts)
	if err != nil {
		t.Fatal(err)
	}
	check(t, result)
	return result
}

// check compares the counts of a result with its items.
func check[K comparable](t *testing.T, result *prefetch.Result[K]) {
	t.Helper()
	counts := map[prefetch.Status]int{}
	for _, item := range result.Items {
		counts[item.Status]++
		if (item.Status == prefetch.Failed || item.Status == prefetch.Stale) != (item.Err != nil) {
			t.Errorf("key %v is %v with error %v", item.Key, item.Status, item.Err)
		}
	}
	want := map[prefetch.Status]int{}
	for status, n := range map[prefetch.Status]int{
		prefetch.Cached: result.Cached, prefetch.Fetched: result.Fetched, prefetch.Absent: result.Absent,
		prefetch.Failed: result.Failed, prefetch.Cancelled: result.Cancelled,
		prefetch.Confirmed: result.Confirmed, prefetch.Stale: result.Stale,
	} {
		if n > 0 {
			want[status] = n
		}
	}
	if fmt.Sprint(counts) != fmt.Sprint(want) {
		t.Errorf("items count %v, the result says %v", counts, want)
	}
}

func numbered(from, to int) []string {
	var keys []string
	for i := from; i < to; i++ {
		keys = append(keys, fmt.Sprintf("t%06d", i))
	}
	return keys
}

// counts are a result's, to compare.
func counts[K comparable](r *prefetch.Result[K]) [3]int { return [3]int{r.Cached, r.Fetched, r.Failed} }
