package prefetch_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/internal/memuse"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/memory"
	"github.com/endpointcache/endpointcache/origin"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/prefetch"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/sqlite"
)

func TestRunFetchesWhatIsMissing(t *testing.T) {
	repo := tracksOf(t, byID)
	server := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		switch path.Base(r.URL.Path) {
		case "gone":
			http.NotFound(w, r)
		case "html":
			io.WriteString(w, "<html>log in</html>")
		case "empty":
			w.WriteHeader(http.StatusNoContent)
		default:
			serveTrack(w, r)
		}
	})
	if err := repo.Save(t.Context(), "a", track{ID: "a", Title: "there before"}); err != nil {
		t.Fatal(err)
	}
	if err := repo.Save(t.Context(), "old", track{}, repository.ExpireAt(time.Now().Add(-time.Hour))); err != nil {
		t.Fatal(err)
	}
	fetcher := over(t, repo, to(t, fetch.Options{BaseURL: server.URL}))
	result := run(t, fetcher, nil, "b", "gone", "a", "b", "html", "c", "old", "a", "empty")

	want := []prefetch.Item[string]{
		{Key: "b", Status: prefetch.Fetched},
		{Key: "gone", Status: prefetch.Absent},
		{Key: "a", Status: prefetch.Cached},
		{Key: "html", Status: prefetch.Failed},
		{Key: "c", Status: prefetch.Fetched},
		{Key: "old", Status: prefetch.Fetched},
		{Key: "empty", Status: prefetch.Failed},
	}
	got := slices.Clone(result.Items)
	for i := range got {
		got[i].Err = nil
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if want := int64(2*len(trackBody("b")) + len(trackBody("old"))); result.Bytes != want {
		t.Errorf("Bytes = %d, want %d", result.Bytes, want)
	}
	var failed []string
	for key, err := range result.Failures() {
		failed = append(failed, key)
		var status *fetch.StatusError
		var decode *repository.DecodeError
		switch {
		case key == "empty" && errors.As(err, &status) && status.Code == 204:
		case key == "html" && errors.As(err, &decode) && decode.Key == "html":
		default:
			t.Errorf("%s: %v", key, err)
		}
	}
	if len(failed) != 2 {
		t.Errorf("Failures yields %v", failed)
	}
	values, err := repo.GetMany(t.Context(), []string{"a", "b", "c", "old", "gone", "html", "empty"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]track{
		"a": {"a", "there before"}, "b": {"b", "Title of b"}, "c": {"c", "Title of c"}, "old": {"old", "Title of old"},
	}, values); diff != "" {
		t.Error(diff)
	}
	if n := server.total(); n != 6 {
		t.Errorf("%d requests for 6 keys that were missing", n)
	}

	before := server.total()
	again := run(t, fetcher, nil, "a", "b", "c", "old")
	if counts(again) != [3]int{4, 0, 0} || server.total() != before {
		t.Errorf("the second run has %v and made %d requests", counts(again), server.total()-before)
	}
}

func TestRefreshFetchesWhatIsCached(t *testing.T) {
	repo := tracksOf(t, byID)
	server := newOrigin(t, nil)
	if err := repo.Save(t.Context(), "a", track{ID: "a", Title: "old"}); err != nil {
		t.Fatal(err)
	}
	result := run(t, over(t, repo, to(t, fetch.Options{BaseURL: server.URL})), &prefetch.Options{Refresh: true}, "a", "a", "b")
	if counts(result) != [3]int{0, 2, 0} {
		t.Error(result)
	}
	if got, _, _ := repo.Get(t.Context(), "a"); got.Title != "Title of a" {
		t.Errorf("got %+v", got)
	}
}

func TestPoliciesOfTheCallApply(t *testing.T) {
	repo := tracksOf(t, byID)
	server := newOrigin(t, nil)
	fetcher := over(t, repo, to(t, fetch.Options{BaseURL: server.URL}))
	until := time.Now().Add(time.Hour).UTC().Truncate(time.Microsecond)
	run(t, fetcher, &prefetch.Options{Fetch: []fetch.Option{fetch.With(policy.Policy{Expire: policy.At(until)})}}, "a")
	if e, _, err := repo.GetEntry(t.Context(), "a"); err != nil || !e.ExpiresAt.Equal(until) {
		t.Errorf("it expires at %v (%v), want %v", e.ExpiresAt, err, until)
	}
	_, err := prefetch.Run(t.Context(), fetcher, slices.Values([]string{"b"}), &prefetch.Options{
		Fetch: []fetch.Option{fetch.With(policy.Policy{RefreshAhead: 2})},
	})
	if err == nil || server.total() != 1 {
		t.Errorf("a wrong policy: error %v after %d requests", err, server.total())
	}
}

func TestConcurrencyIsNeverExceeded(t *testing.T) {
	repo := tracksOf(t, byID)
	join := waitfor.Meeting(3)
	server := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		join()
		serveTrack(w, r)
	})
	result := run(t, over(t, repo, to(t, fetch.Options{BaseURL: server.URL})), &prefetch.Options{Concurrency: 3}, numbered(0, 60)...)
	if result.Fetched != 60 || server.most != 3 {
		t.Errorf("fetched %d, up to %d at once, want 60 and 3", result.Fetched, server.most)
	}
}

func TestRateCountsRetriesButNoCachedKeys(t *testing.T) {
	repo := tracksOf(t, byID)
	server := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "broken", http.StatusInternalServerError)
	})
	cached := map[string]track{}
	for _, key := range numbered(0, 1000) {
		cached[key] = track{ID: key}
	}
	if err := repo.SaveMany(t.Context(), cached); err != nil {
		t.Fatal(err)
	}
	// 4 keys with 3 attempts each are 12 requests, 11 of which wait.
	start := time.Now()
	result := run(t, over(t, repo, limited(t, server, 50, 2)), nil,
		append(numbered(0, 1000), "w", "x", "y", "z")...)
	if took := time.Since(start); took < 200*time.Millisecond {
		t.Errorf("12 requests at 50 in a second took %v, want 220ms", took)
	}
	if counts(result) != [3]int{1000, 0, 4} || server.total() != 12 {
		t.Errorf("result %v after %d requests", counts(result), server.total())
	}
}

// limited is a client that sends no more than so many requests in a second.
func limited(t testing.TB, server *countingServer, rate float64, n int) *fetch.Client {
	base := &http.Transport{}
	t.Cleanup(base.CloseIdleConnections)
	transport := origin.New(base, &origin.Options{Limits: origin.Limits{Rate: rate}, Pause: time.Millisecond})
	return to(t, fetch.Options{BaseURL: server.URL, Transport: transport, Retry: retries(n)})
}

func TestLimitIsSharedByRuns(t *testing.T) {
	server := newOrigin(t, nil)
	client := limited(t, server, 100, 0)
	done := make(chan error)
	start := time.Now()
	for range 2 {
		repo := tracksOf(t, byID)
		go func() {
			_, err := prefetch.Run(t.Context(), over(t, repo, client), slices.Values(numbered(0, 10)), nil)
			done <- err
		}()
	}
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if took := time.Since(start); took < 180*time.Millisecond {
		t.Errorf("20 requests at 100 in a second took %v", took)
	}
}

func TestMaxFailures(t *testing.T) {
	repo := tracksOf(t, byID)
	server := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		if path.Base(r.URL.Path) < "t000020" && path.Base(r.URL.Path)[6]%2 == 0 {
			serveTrack(w, r)
			return
		}
		w.WriteHeader(http.StatusUnauthorized)
	})
	opts := &prefetch.Options{Concurrency: 1, MaxFailures: 3}
	result, err := prefetch.Run(t.Context(), over(t, repo, to(t, fetch.Options{BaseURL: server.URL})), slices.Values(numbered(0, 5000)), opts)
	var status *fetch.StatusError
	if !errors.Is(err, prefetch.ErrMaxFailures) || !errors.As(err, &status) || status.Code != 401 {
		t.Errorf("error %v", err)
	}
	check(t, result)
	// 0 to 19 alternate, and 19 is the first of three in a row. A few more are asked for
	// until the run has learnt of it.
	if result.Fetched != 10 || result.Failed < 12 || result.Failed > 500 {
		t.Errorf("result %v after %d requests", counts(result), server.total())
	}
}

func TestOneTooLargeForTheStore(t *testing.T) {
	repo := forgetful(t, 16<<10)
	server := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		if path.Base(r.URL.Path) == "t000007" {
			io.WriteString(w, strings.Repeat("x", 20_000))
		}
	})
	result, err := prefetch.Run(t.Context(), over(t, repo, to(t, fetch.Options{BaseURL: server.URL})), slices.Values(numbered(0, 20)), nil)
	if err != nil {
		t.Fatal(err)
	}
	check(t, result)
	if counts(result) != [3]int{0, 19, 1} || result.Items[7].Status != prefetch.Failed || !errors.Is(result.Items[7].Err, driver.ErrTooLarge) {
		t.Errorf("result %v, item 7: %v", counts(result), result.Items[7])
	}
}

func TestStoreClosedMidRun(t *testing.T) {
	repo, store := storedTracks(t, byID)
	server := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		if path.Base(r.URL.Path) == "t000030" {
			store.Close()
		}
		serveTrack(w, r)
	})
	result, err := prefetch.Run(t.Context(), over(t, repo, to(t, fetch.Options{BaseURL: server.URL})), slices.Values(numbered(0, 50_000)), nil)
	if !errors.Is(err, driver.ErrClosed) {
		t.Errorf("error %v, want ErrClosed", err)
	}
	check(t, result)
	for key, err := range result.Failures() {
		if !errors.Is(err, driver.ErrClosed) {
			t.Errorf("%s: %v", key, err)
		}
	}
	// What was taken from the sequence until then is cancelled.
	if result.Fetched > 40 || len(result.Items) > 5000 || result.Cancelled == 0 {
		t.Errorf("fetched %d, cancelled %d of %d", result.Fetched, result.Cancelled, len(result.Items))
	}
	if _, err := prefetch.Run(t.Context(), alone(t, repo), slices.Values(numbered(0, 1)), nil); !errors.Is(err, driver.ErrClosed) {
		t.Errorf("a run on a closed store: %v", err)
	}
}

func TestInterruptedRunResumes(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tracks.db")
	open := func() (*tracks, func()) {
		store, err := sqlite.Open(t.Context(), file, nil)
		if err != nil {
			t.Fatal(err)
		}
		repo, err := repository.New(t.Context(), store, settings.RepositorySettings[string, track]{
			Name: "tracks", Endpoint: byID, Payload: payload.JSON[track](),
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return repo, func() { store.Close() }
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var hits atomic.Int32
	server := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		if hits.Add(1) == 100 {
			cancel()
			<-r.Context().Done()
			return
		}
		serveTrack(w, r)
	})
	keys := numbered(0, 300)
	client := to(t, fetch.Options{BaseURL: server.URL})

	repo, closeStore := open()
	result, err := prefetch.Run(ctx, over(t, repo, client), slices.Values(keys), nil)
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v, want context.Canceled", err)
	}
	check(t, result)
	// Up to 8 others were aborted; those that were answered before the run could end
	// their requests are saved.
	if result.Fetched < 85 || result.Fetched > 290 || result.Failed != 0 || result.Cancelled != 300-result.Fetched {
		t.Errorf("fetched %d, failed %d, cancelled %d", result.Fetched, result.Failed, result.Cancelled)
	}
	closeStore()

	repo, closeStore = open()
	defer closeStore()
	again, err := prefetch.Run(t.Context(), over(t, repo, client), slices.Values(keys), nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := [3]int{result.Fetched, 300 - result.Fetched, 0}; counts(again) != want {
		t.Errorf("the second run has %v, want %v", counts(again), want)
	}
	for _, item := range result.Items {
		if n := server.count("/tracks/" + item.Key); n != 1 && item.Status == prefetch.Fetched {
			t.Errorf("%s was requested %d times", item.Key, n)
		}
	}
}

func TestCancelAbortsRequestsAndWaits(t *testing.T) {
	server := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		switch path.Base(r.URL.Path)[:1] {
		case "h": // hangs
			<-r.Context().Done()
		case "w": // asks to wait
			w.Header().Set("Retry-After", "30")
			w.WriteHeader(http.StatusTooManyRequests)
		}
	})
	for name, client := range map[string]*fetch.Client{
		"hang":  to(t, fetch.Options{BaseURL: server.URL}),
		"wait":  to(t, fetch.Options{BaseURL: server.URL}),
		"limit": limited(t, server, 0.01, 0),
	} {
		t.Run(name, func(t *testing.T) {
			repo := tracksOf(t, byID)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			time.AfterFunc(30*time.Millisecond, cancel)
			keys := []string{name + "1", name + "2", name + "3"}
			var result *prefetch.Result[string]
			var err error
			waitfor.End(t, "the run ends with its context", func() {
				result, err = prefetch.Run(ctx, over(t, repo, client), slices.Values(keys), nil)
			})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("error %v", err)
			}
			check(t, result)
			if result.Fetched > 0 {
				t.Error(result.Items)
			}
		})
	}
}

func TestContextDoneBefore(t *testing.T) {
	repo := tracksOf(t, byID)
	server := newOrigin(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	result, err := prefetch.Run(ctx, over(t, repo, to(t, fetch.Options{BaseURL: server.URL})), slices.Values([]string{"a"}), nil)
	if !errors.Is(err, context.Canceled) || len(result.Items) > 0 {
		t.Errorf("result %v, error %v", result, err)
	}
	if server.total() != 0 {
		t.Error("it made requests")
	}
}

func TestEndlessSequence(t *testing.T) {
	repo := tracksOf(t, byID)
	server := newOrigin(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	pulled := 0
	var endless iter.Seq[string] = func(yield func(string) bool) {
		for {
			pulled++
			if server.total() >= 50 {
				cancel()
			}
			if !yield(fmt.Sprintf("t%06d", pulled)) {
				return
			}
		}
	}
	result, err := prefetch.Run(ctx, over(t, repo, to(t, fetch.Options{BaseURL: server.URL})), endless, nil)
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	check(t, result)
	if result.Fetched < 20 || pulled > 6000 {
		t.Errorf("fetched %d of %d keys that were pulled", result.Fetched, pulled)
	}
}

func TestSlowSequenceIsFetchedAsItComes(t *testing.T) {
	repo := tracksOf(t, byID)
	arrived := make(chan string)
	server := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		serveTrack(w, r)
		arrived <- path.Base(r.URL.Path)
	})
	slow := func(yield func(string) bool) {
		for _, key := range []string{"a", "b", "c"} {
			if !yield(key) {
				return
			}
			// The next key comes only after this one was fetched.
			if got := <-arrived; got != key {
				t.Errorf("got %q, want %q", got, key)
			}
		}
		// And after it was saved.
		waitfor.True(t, "the last is saved", func() bool {
			n, err := repo.Count(t.Context(), repository.Live)
			return err != nil || n == 3
		})
	}
	result, err := prefetch.Run(t.Context(), over(t, repo, to(t, fetch.Options{BaseURL: server.URL})), slow, nil)
	if err != nil || result.Fetched != 3 {
		t.Error(result, err)
	}
}

func TestPanicOfTheSequence(t *testing.T) {
	repo := tracksOf(t, byID)
	server := newOrigin(t, nil)
	defer func() {
		if got := recover(); got != "no more keys" {
			t.Errorf("recovered %v", got)
		}
	}()
	prefetch.Run(t.Context(), over(t, repo, to(t, fetch.Options{BaseURL: server.URL})), func(yield func(string) bool) {
		yield("a")
		panic("no more keys")
	}, nil)
}

func TestEmptySequence(t *testing.T) {
	result := run(t, alone(t, tracksOf(t, byID)), nil)
	if len(result.Items) != 0 {
		t.Error(result)
	}
}

// forgetful is a repository of bodies, in a store that keeps size bytes of them,
// or all where it is 0.
func forgetful(t *testing.T, size int64) *repository.ResponseRepository[string, []byte] {
	t.Helper()
	store, err := memory.New(&memory.Options{MaxBytes: size})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	repo, err := repository.New(t.Context(), store, settings.RepositorySettings[string, []byte]{
		Name: "blobs", Endpoint: byID, Payload: payload.Bytes(),
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return repo
}

func TestManyCachedKeysNeedLittleMemory(t *testing.T) {
	const n = 100_000
	repo := forgetful(t, 0)
	keys := numbered(0, n)
	values := make(map[string][]byte, n)
	body := make([]byte, 2048)
	for _, key := range keys {
		values[key] = body
	}
	if err := repo.SaveMany(t.Context(), values); err != nil {
		t.Fatal(err)
	}
	before := memuse.Allocated()
	result, err := prefetch.Run(t.Context(), alone(t, repo), slices.Values(keys), nil)
	if err != nil || result.Cached != n {
		t.Fatal(counts(result), err)
	}
	// Items of 40 bytes in a slice that grows, the set of keys, and the lookups.
	if each := (memuse.Allocated() - before) / n; each > 600 {
		t.Errorf("%d bytes were allocated for each key", each)
	}
}

func TestPayloadsHeldAreBounded(t *testing.T) {
	const n, size = 320, 1 << 19 // 160 MiB in all
	repo := forgetful(t, 1<<21)
	blob := make([]byte, size)
	before := memuse.Held()
	var served atomic.Int32
	var most atomic.Int64
	server := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		if served.Add(1)%20 == 0 {
			most.Store(max(most.Load(), memuse.Held()))
		}
		w.Write(blob)
	})
	result, err := prefetch.Run(t.Context(), over(t, repo, to(t, fetch.Options{BaseURL: server.URL})), slices.Values(numbered(0, n)), &prefetch.Options{Concurrency: 4})
	if err != nil || result.Fetched != n {
		t.Fatal(counts(result), err)
	}
	// Two batches of 8 MiB, what the store copies of one, what is on its way, and what others allocate
	// during a collection.
	if most := most.Load() - before; most > 80<<20 {
		t.Errorf("%d MiB were in use", most>>20)
	}
}

func TestProgress(t *testing.T) {
	repo := tracksOf(t, byID)
	server := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(5 * time.Millisecond)
		if path.Base(r.URL.Path) == "t000003" {
			http.NotFound(w, r)
			return
		}
		serveTrack(w, r)
	})
	if err := repo.Save(t.Context(), "t000000", track{}); err != nil {
		t.Fatal(err)
	}
	var all []prefetch.Progress
	result := run(t, over(t, repo, to(t, fetch.Options{BaseURL: server.URL})), &prefetch.Options{Concurrency: 2, Total: 500, Progress: func(p prefetch.Progress) { all = append(all, p) }}, append(numbered(0, 150), numbered(0, 10)...)...)
	if len(all) < 2 {
		t.Fatalf("%d calls in %v", len(all), result.Elapsed)
	}
	if most := int(result.Elapsed/(100*time.Millisecond)) + 2; len(all) > most {
		t.Errorf("%d calls in %v", len(all), result.Elapsed)
	}
	var last prefetch.Progress
	for _, p := range all {
		if p.Done < last.Done || p.Cached < last.Cached || p.Fetched < last.Fetched || p.Failed < last.Failed ||
			p.Bytes < last.Bytes || p.Elapsed < last.Elapsed || p.InFlight > 2 || p.Requests < last.Requests ||
			p.Done != p.Cached+p.Fetched+p.Absent+p.Failed {
			t.Errorf("after %+v came %+v", last, p)
		}
		last = p
	}
	if last.Elapsed > result.Elapsed {
		t.Errorf("the last came at %v, the run took %v", last.Elapsed, result.Elapsed)
	}
	if last.Rate < 1 {
		t.Errorf("the last rate was %v", last.Rate)
	}
	last.Elapsed, last.Rate = 0, 0
	want := prefetch.Progress{
		Done: 150, Total: 150, Cached: 1, Fetched: 148, Absent: 1, Requests: 149, Bytes: result.Bytes, Ended: true,
	}
	if last != want {
		t.Errorf("the last was %+v, want %+v", last, want)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	repo := tracksOf(t, byID)
	for want, opts := range map[string]*prefetch.Options{
		"prefetch: Concurrency is -1: it cannot be negative": {Concurrency: -1},
		"prefetch: RetryBudget is -1: it cannot be negative": {RetryBudget: -1},
		"prefetch: MaxFailures is -1: it cannot be negative": {MaxFailures: -1},
		"prefetch: Total is -1: it cannot be negative":       {Total: -1},
		"prefetch: LogEvery is -1s: it cannot be negative":   {LogEvery: -time.Second},
	} {
		result, err := prefetch.Run(t.Context(), alone(t, repo), slices.Values([]string{"a"}), opts)
		if err == nil || !strings.HasPrefix(err.Error(), want) || result != nil {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if _, err := prefetch.Run(t.Context(), alone(t, repo), nil, nil); err == nil {
		t.Error("a nil sequence passes")
	}
	if _, err := prefetch.Run(t.Context(), (*fetch.Fetcher[string, track])(nil), slices.Values([]string{"a"}), nil); err == nil {
		t.Error("a nil fetcher passes")
	}
	uncached, err := fetch.Uncached(to(t, fetch.Options{}), settings.RepositorySettings[string, track]{Name: "tracks", Endpoint: byID}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := prefetch.Run(t.Context(), uncached, slices.Values([]string{"a"}), nil); err == nil {
		t.Error("a fetcher without a repository passes")
	}
	onlyKeys := request.Func(func(*http.Request) (string, bool, error) { return "", false, nil },
		func(context.Context, *url.URL, string) (*http.Request, error) { return nil, request.ErrNoRequest })
	if _, err := prefetch.Run(t.Context(), alone(t, tracksOf(t, onlyKeys)), slices.Values([]string{"a"}), nil); !errors.Is(err, request.ErrNoRequest) {
		t.Errorf("an endpoint that builds no requests: %v", err)
	}
}
