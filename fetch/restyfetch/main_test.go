package restyfetch_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-resty/resty/v2"
	"go.uber.org/goleak"

	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/fetch/restyfetch"
	"github.com/endpointcache/endpointcache/memory"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	byID        = request.Pattern[string]("/tracks/{id}")
	splitTracks = payload.SplitArrayBy("tracks", "id")
)

// batchOf is a batch that the server of these tests answers.
func batchOf(size int) request.Batch[string] {
	return request.BatchPattern[string]("GET /tracks?ids={id}", size, splitTracks, nil)
}

// bodies are settings of an endpoint whose values are its bodies.
func bodies[K comparable](endpoint request.Endpoint[K], batch request.Batch[K]) settings.RepositorySettings[K, []byte] {
	return settings.RepositorySettings[K, []byte]{Name: "tracks", Endpoint: endpoint, Batch: batch, Payload: payload.Bytes(), Scope: settings.Shared}
}

// server counts what it is asked for.
type server struct {
	*httptest.Server
	count atomic.Int32
}

// newServer serves with the handler, or where that is nil a track or many.
func newServer(t testing.TB, handler http.HandlerFunc) *server {
	t.Helper()
	if handler == nil {
		handler = serve
	}
	s := &server{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.count.Add(1)
		handler(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

// asked is how many requests there were since it was last called.
func (s *server) asked() int { return int(s.count.Swap(0)) }

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

func trackBody(id string) string { return fmt.Sprintf(`{"id":%q}`, id) }

func tracksBody(ids ...string) string {
	items := make([]string, len(ids))
	for i, id := range ids {
		items[i] = trackBody(id)
	}
	return `{"tracks":[` + strings.Join(items, ",") + `]}`
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// quick is a client whose retries do not wait for long. Its connections end with
// the test.
func quick(t testing.TB) *resty.Client {
	transport := &http.Transport{MaxIdleConnsPerHost: 8}
	t.Cleanup(transport.CloseIdleConnections)
	return resty.NewWithClient(&http.Client{Transport: transport}).SetRetryWaitTime(time.Millisecond).SetLogger(silent{})
}

// silent is a logger for resty.
type silent struct{}

func (silent) Errorf(string, ...any) {}
func (silent) Warnf(string, ...any)  {}
func (silent) Debugf(string, ...any) {}

// source returns bodies, which it keeps in memory.
type source[K comparable] = fetch.Fetcher[K, []byte]

// answer is a response with a value, or why there is none.
type answer struct {
	Entry repository.Entry
	Err   error
}

// sourceOf is closed with the test.
func sourceOf[K comparable](t testing.TB, opts *fetch.Options, s settings.RepositorySettings[K, []byte]) *source[K] {
	t.Helper()
	client, err := fetch.NewClient(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	store, err := memory.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	repo, err := repository.New(t.Context(), store, s, nil)
	if err != nil {
		t.Fatal(err)
	}
	f, err := fetch.New(client, repo, &fetch.FetcherOptions{Concurrency: 1})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// at are the options of a client for the API at a URL.
func at(url string, client *resty.Client) *fetch.Options {
	opts := restyfetch.Options(client)
	opts.BaseURL = url
	return opts
}

// ask returns the answer for each of keys, as it was saved.
func ask[K comparable](t testing.TB, f *source[K], keys ...K) []answer {
	t.Helper()
	results, err := f.FetchMany(t.Context(), keys)
	if err != nil || len(results) != len(keys) {
		t.Fatalf("%d answers for %d keys, %v", len(results), len(keys), err)
	}
	all := make([]answer, len(keys))
	for i, r := range results {
		if all[i].Err = r.Err; r.Err != nil {
			continue
		}
		saved, ok, err := f.Repository().GetEntry(t.Context(), keys[i])
		if err != nil || !ok {
			t.Fatalf("%+v is not saved: %v", keys[i], err)
		}
		all[i].Entry = saved
	}
	return all
}

// askOne returns the answer for a key that is asked for alone.
func askOne(t testing.TB, opts *fetch.Options, key string) answer {
	t.Helper()
	return ask(t, sourceOf(t, opts, bodies(byID, nil)), key)[0]
}
