package prefetch_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/prefetch"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/sqlite"
)

// marketKey is that of a track in a market; those of a market share requests.
type marketKey struct {
	ID     string `path:"id"`
	Market string `query:"market"`
}

const batchSize = 10

var inBatches = settings.RepositorySettings[marketKey, track]{
	Name:     "tracks",
	Endpoint: request.Pattern[marketKey]("/tracks/{id}"),
	Batch:    request.BatchPattern[marketKey]("/tracks?ids={id}", batchSize, payload.SplitArray("tracks"), nil),
	Payload:  payload.JSON[track](),
	NameOf:   func(t track) string { return t.Title },
}

type marketTracks = repository.ResponseRepository[marketKey, track]

func newMarketTracks(t testing.TB, s settings.RepositorySettings[marketKey, track]) *marketTracks {
	t.Helper()
	store, err := sqlite.OpenMemory(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	repo, err := repository.New(t.Context(), store, s, nil)
	if err != nil {
		t.Fatal(err)
	}
	return repo
}

// batches is an API that answers for many ids, or for one. It refuses ids that begin
// with "bad", has nothing for those with "gone", and something else for "html".
type batches struct {
	*countingServer
	mu    sync.Mutex
	asked [][]string // the ids of each request
}

func newBatches(t testing.TB) *batches {
	b := &batches{}
	b.countingServer = newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		single := strings.TrimPrefix(r.URL.Path, "/tracks/")
		ids := strings.Split(r.FormValue("ids"), ",")
		if single != r.URL.Path {
			ids = []string{single}
		}
		b.mu.Lock()
		b.asked = append(b.asked, ids)
		b.mu.Unlock()
		items := make([]string, len(ids))
		for i, id := range ids {
			switch {
			case strings.HasPrefix(id, "bad"):
				w.WriteHeader(http.StatusBadRequest)
				return
			case strings.HasPrefix(id, "gone"):
				items[i] = "null"
			case strings.HasPrefix(id, "html"):
				items[i] = `"<html>"`
			default:
				items[i] = trackBody(id + r.FormValue("market"))
			}
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("ETag", `"of the whole"`)
		if single == r.URL.Path {
			fmt.Fprintf(w, `{"tracks": [%s]}`, strings.Join(items, ", "))
			return
		}
		if items[0] == "null" {
			w.WriteHeader(http.StatusNotFound)
		}
		io.WriteString(w, items[0])
	})
	return b
}

func marketKeys(market string, ids ...string) []marketKey {
	keys := make([]marketKey, len(ids))
	for i, id := range ids {
		keys[i] = marketKey{id, market}
	}
	return keys
}

// runMarkets runs over keys and ends the test where the run fails.
func runMarkets(t *testing.T, fetcher *fetch.Fetcher[marketKey, track], opts *prefetch.Options, keys ...marketKey) *prefetch.Result[marketKey] {
	t.Helper()
	result, err := prefetch.Run(t.Context(), fetcher, slices.Values(keys), opts)
	if err != nil {
		t.Fatal(err)
	}
	check(t, result)
	return result
}

func TestMissingKeysShareTheFewestRequests(t *testing.T) {
	repo := newMarketTracks(t, inBatches)
	server := newBatches(t)
	fetcher, opts := over(t, repo, to(t, fetch.Options{BaseURL: server.URL})), &prefetch.Options{Concurrency: 3}
	// More keys than are looked up together, those of three markets in turn, every
	// fifth of which is there.
	ids := numbered(0, 5000)
	var keys []marketKey
	there := map[marketKey]track{}
	missing := map[string]int{}
	for i, id := range ids {
		key := marketKey{id, []string{"AT", "DE", "US"}[i%3]}
		keys = append(keys, key)
		if i%5 == 0 {
			there[key] = track{ID: id}
		} else {
			missing[key.Market]++
		}
	}
	if err := repo.SaveMany(t.Context(), there); err != nil {
		t.Fatal(err)
	}
	result := runMarkets(t, fetcher, opts, keys...)
	if counts(result) != [3]int{1000, 4000, 0} {
		t.Fatal(counts(result))
	}
	want := 0
	for _, n := range missing {
		want += (n + batchSize - 1) / batchSize
	}
	if result.Requests != want || server.total() != want || server.most > 3 {
		t.Errorf("%d requests, and the server had %d, up to %d at once, want %d", result.Requests, server.total(), server.most, want)
	}
	for i, item := range result.Items {
		if item.Key != keys[i] {
			t.Fatalf("item %d is %v, want %v", i, item.Key, keys[i])
		}
	}
	values, err := repo.GetMany(t.Context(), keys)
	if err != nil {
		t.Fatal(err)
	}
	for i, key := range keys {
		if i%5 != 0 && values[key].ID != key.ID+key.Market {
			t.Fatalf("%v is %v", key, values[key])
		}
	}
	if again := runMarkets(t, fetcher, opts, keys...); counts(again) != [3]int{5000, 0, 0} || again.Requests != 0 {
		t.Errorf("the second run has %v and made %d requests", counts(again), again.Requests)
	}
}

func TestAnItemOfABatchIsKeptAsIfFetchedAlone(t *testing.T) {
	repo := newMarketTracks(t, inBatches)
	server := newBatches(t)
	runMarkets(t, over(t, repo, to(t, fetch.Options{BaseURL: server.URL})), nil, marketKeys("DE", "a", "b")...)
	e, ok, err := repo.GetEntry(t.Context(), marketKey{"a", "DE"})
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	header, err := e.Header()
	if err != nil {
		t.Fatal(err)
	}
	if string(e.Payload) != trackBody("aDE") || e.Status != 200 || e.Name != "Title of aDE" ||
		header.Get("Content-Type") != "application/json" || header.Get("ETag") != "" {
		t.Errorf("%+v with header %v", e, header)
	}
}

func TestItemsOfABatchAreToldApart(t *testing.T) {
	repo := newMarketTracks(t, inBatches)
	server := newBatches(t)
	fetcher := over(t, repo, to(t, fetch.Options{BaseURL: server.URL}))
	keys := marketKeys("DE", "a", "gone", "b", "html", "bad", "c", "a,b", "")
	result := runMarkets(t, fetcher, nil, keys...)
	want := []prefetch.Status{
		prefetch.Fetched, prefetch.Absent, prefetch.Fetched, prefetch.Failed, prefetch.Failed, prefetch.Fetched,
		prefetch.Fetched, // alone, as a list would be two others
		prefetch.Failed,  // there is no request for it
	}
	for i, item := range result.Items {
		if item.Status != want[i] {
			t.Errorf("%v is %v, want %v: %v", item.Key, item.Status, want[i], item.Err)
		}
	}
	var decode *repository.DecodeError
	var status *fetch.StatusError
	if !errors.As(result.Items[3].Err, &decode) || decode.Key != keys[3] {
		t.Errorf("html: %v", result.Items[3].Err)
	}
	if !errors.As(result.Items[4].Err, &status) || status.Code != http.StatusBadRequest {
		t.Errorf("bad: %v", result.Items[4].Err)
	}
	if server.count("/tracks/a,b") != 1 {
		t.Errorf("asked for %q", server.asked)
	}
}

func TestOnePoisonousKeyCostsFewRequests(t *testing.T) {
	repo := newMarketTracks(t, inBatches)
	server := newBatches(t)
	keys := marketKeys("DE", append(numbered(0, 99), "bad")...)
	result := runMarkets(t, over(t, repo, to(t, fetch.Options{BaseURL: server.URL})), nil, keys...)
	if counts(result) != [3]int{0, 99, 1} || result.Requests > 10+8 {
		t.Errorf("%v with %d requests", counts(result), result.Requests)
	}
}

func TestAbsentKeysAreRemembered(t *testing.T) {
	for _, test := range []struct {
		name   string
		expire time.Duration
		again  int // requests of the second run
	}{{"not at all", 0, 2}, {"for a while", time.Hour, 0}} {
		t.Run(test.name, func(t *testing.T) {
			s := inBatches
			s.ExpireAbsent = test.expire
			repo := newMarketTracks(t, s)
			server := newBatches(t)
			fetcher := over(t, repo, to(t, fetch.Options{BaseURL: server.URL}))
			keys := append(marketKeys("DE", "a", "gone1", "gone2"), marketKeys("US", "gone3")...)
			for i, want := range []int{2, test.again} {
				result := runMarkets(t, fetcher, nil, keys...)
				if result.Absent != 3 || result.Requests != want {
					t.Errorf("run %d has %v, and made %d requests, want %d", i, result, result.Requests, want)
				}
			}
			if result := runMarkets(t, fetcher, &prefetch.Options{Refresh: true}, keys...); result.Requests != 2 || result.Absent != 3 {
				t.Errorf("a refresh has %v", result)
			}
		})
	}
}

func TestARefreshRemovesWhatIsGone(t *testing.T) {
	for _, expire := range []time.Duration{0, time.Hour} {
		s := inBatches
		s.ExpireAbsent = expire
		repo := newMarketTracks(t, s)
		server := newBatches(t)
		keys := marketKeys("DE", "a", "gone")
		if err := repo.SaveMany(t.Context(), map[marketKey]track{keys[0]: {}, keys[1]: {}}); err != nil {
			t.Fatal(err)
		}
		fetcher, opts := over(t, repo, to(t, fetch.Options{BaseURL: server.URL})), &prefetch.Options{Refresh: true}
		result := runMarkets(t, fetcher, opts, keys...)
		values, err := repo.GetMany(t.Context(), keys)
		if err != nil || result.Absent != 1 || len(values) != 1 || values[keys[0]].ID != "aDE" {
			t.Errorf("%v, %v, %v", result, values, err)
		}
	}
}

func TestABatchDoesNotWaitForKeysThatDoNotCome(t *testing.T) {
	for name, pause := range map[string]time.Duration{
		"none come": time.Hour,
		"they drip": 40 * time.Millisecond, // less than is waited for the next
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := newBatches(t)
			s := inBatches
			s.Batch = request.BatchPattern[marketKey]("/tracks?ids={id}", 1000, payload.SplitArray("tracks"), nil)
			repo := newMarketTracks(t, s)
			ctx, cancel := context.WithTimeout(t.Context(), waitfor.Limit)
			defer cancel()
			slow := func(yield func(marketKey) bool) {
				for i := range 1_000_000 {
					if ctx.Err() != nil || server.total() > 0 || !yield(marketKey{fmt.Sprint(i), "DE"}) {
						return
					}
					for waited := time.Duration(0); waited < pause && server.total() == 0 && ctx.Err() == nil; waited += 5 * time.Millisecond {
						time.Sleep(5 * time.Millisecond)
					}
				}
			}
			result, err := prefetch.Run(ctx, over(t, repo, to(t, fetch.Options{BaseURL: server.URL})), slow, nil)
			if err != nil || result.Fetched == 0 {
				t.Fatal(result, err)
			}
		})
	}
}

func TestABatchDoesNotWaitForCachedKeys(t *testing.T) {
	repo := newMarketTracks(t, inBatches)
	server := newBatches(t)
	if err := repo.Save(t.Context(), marketKey{"there", "DE"}, track{}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), waitfor.Limit)
	defer cancel()
	keys := func(yield func(marketKey) bool) {
		more := yield(marketKey{"a", "DE"})
		for more && server.total() == 0 && ctx.Err() == nil {
			more = yield(marketKey{"there", "DE"})
		}
	}
	result, err := prefetch.Each(ctx, over(t, repo, to(t, fetch.Options{BaseURL: server.URL})), keys, nil, func(prefetch.Item[marketKey]) {})
	// It leaves no sooner than where no key comes at all, which a busy machine can make of these.
	if err != nil || result.Fetched != 1 || result.Elapsed < 200*time.Millisecond {
		t.Error(result, err)
	}
}

func TestInterruptedBatchesResume(t *testing.T) {
	mirrored := inBatches
	mirrored.BaseURL = settings.AnyBaseURL
	repo := newMarketTracks(t, mirrored)
	server := newBatches(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var answers atomic.Int32
	slow := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		if answers.Add(1) > 20 {
			cancel()
			<-r.Context().Done()
			return
		}
		server.Config.Handler.ServeHTTP(w, r)
	})
	keys := marketKeys("DE", numbered(0, 500)...)
	first, err := prefetch.Run(ctx, over(t, repo, to(t, fetch.Options{BaseURL: slow.URL})), slices.Values(keys), nil)
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	check(t, first)
	if first.Fetched == 0 || first.Fetched > 20*batchSize || first.Failed > 0 || first.Fetched+first.Cancelled != 500 {
		t.Errorf("%d fetched, %d failed, %d cancelled", first.Fetched, first.Failed, first.Cancelled)
	}
	second := runMarkets(t, over(t, repo, to(t, fetch.Options{BaseURL: server.URL})), nil, keys...)
	if second.Cached != first.Fetched || second.Fetched != first.Cancelled || second.Requests != first.Cancelled/batchSize {
		t.Errorf("the second run has %v with %d requests, after %v", counts(second), second.Requests, counts(first))
	}
}

func TestMaxFailuresCountsTheKeysOfABatch(t *testing.T) {
	repo := newMarketTracks(t, inBatches)
	server := newOrigin(t, status(http.StatusUnauthorized))
	keys := marketKeys("DE", numbered(0, 5000)...)
	result, err := prefetch.Run(t.Context(), over(t, repo, to(t, fetch.Options{BaseURL: server.URL})), slices.Values(keys), &prefetch.Options{
		Concurrency: 1, MaxFailures: 15,
	})
	if !errors.Is(err, prefetch.ErrMaxFailures) {
		t.Error(err)
	}
	check(t, result)
	if result.Failed < 15 || result.Failed == len(keys) { // the answers on the way still come
		t.Errorf("%d failed", result.Failed)
	}
}

func TestABatchWithoutAnEndpoint(t *testing.T) {
	s := inBatches
	s.Endpoint = nil
	repo := newMarketTracks(t, s)
	server := newBatches(t)
	result := runMarkets(t, over(t, repo, to(t, fetch.Options{BaseURL: server.URL})), nil, marketKeys("DE", "a", "b", "gone", "a,b")...)
	// The last can be asked for neither in a list nor alone.
	if counts(result) != [3]int{0, 2, 1} || result.Absent != 1 || !errors.Is(result.Items[3].Err, request.ErrNoRequest) {
		t.Error(result)
	}
}
