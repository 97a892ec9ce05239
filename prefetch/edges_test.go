package prefetch_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/prefetch"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/sqlite"
)

// mixture are keys of every kind, near and far duplicates among them.
func mixture(random *rand.Rand, n int) []marketKey {
	keys := make([]marketKey, n)
	for i := range keys {
		kind := []string{"", "", "", "", "", "", "", "gone", "html", "there", "a,b"}[random.IntN(11)]
		if random.IntN(300) == 0 {
			kind = "bad"
		}
		keys[i] = marketKey{kind + fmt.Sprint(random.IntN(n)), []string{"", "DE", "US"}[random.IntN(3)]}
	}
	return keys
}

func kindOf(id string) prefetch.Status {
	switch {
	case strings.HasPrefix(id, "gone"):
		return prefetch.Absent
	case strings.HasPrefix(id, "bad"), strings.HasPrefix(id, "html"):
		return prefetch.Failed
	case strings.HasPrefix(id, "there"):
		return prefetch.Cached
	}
	return prefetch.Fetched
}

func unique(keys []marketKey) []marketKey {
	seen := map[marketKey]bool{}
	var once []marketKey
	for _, key := range keys {
		if !seen[key] {
			seen[key] = true
			once = append(once, key)
		}
	}
	return once
}

// saveThere saves those of the keys that are to be found.
func saveThere(t *testing.T, repo *marketTracks, keys []marketKey) {
	t.Helper()
	there := map[marketKey]track{}
	for _, key := range keys {
		if kindOf(key.ID) == prefetch.Cached {
			there[key] = track{ID: key.ID}
		}
	}
	if err := repo.SaveMany(t.Context(), there); err != nil {
		t.Fatal(err)
	}
}

// The result says what the store has, also where answers are saved together.
func TestItemsFollowTheInputAndTellTheTruth(t *testing.T) {
	server := newBatches(t)
	client := to(t, fetch.Options{BaseURL: server.URL, Client: quick(t)})
	for seed := range uint64(3) {
		repo := newMarketTracks(t, inBatches)
		keys := mixture(rand.New(rand.NewPCG(seed, 0)), 1500)
		saveThere(t, repo, keys)
		result := runMarkets(t, over(t, repo, client), nil, keys...)
		want := unique(keys)
		values, err := repo.GetMany(t.Context(), want)
		if err != nil || len(result.Items) != len(want) {
			t.Fatalf("%d items for %d keys, %v", len(result.Items), len(want), err)
		}
		for i, item := range result.Items {
			_, stored := values[item.Key]
			if item.Key != want[i] || item.Status != kindOf(item.Key.ID) || stored != (item.Status == prefetch.Cached || item.Status == prefetch.Fetched) {
				t.Errorf("item %d of %+v is %+v, stored: %v", i, want[i], item, stored)
			}
		}
		for _, item := range result.Items {
			if item.Status == prefetch.Fetched {
				if value, _, err := repo.Get(t.Context(), item.Key); err != nil || value.ID != item.Key.ID+item.Key.Market {
					t.Errorf("%+v has the value of %q, %v", item.Key, value.ID, err)
				}
			}
		}
	}
}

// A batch may be full of keys that the run does not want any more, as it has been
// interrupted.
func TestAnInterruptedRunSendsNoEmptyBatches(t *testing.T) {
	var interrupt atomic.Pointer[context.CancelFunc] // of the run that goes on
	var requests atomic.Int64
	server := newBatches(t)
	serve := server.Config.Handler
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if requests.Add(1)%3 == 0 {
			(*interrupt.Load())()
		}
		serve.ServeHTTP(w, r)
	})
	client := to(t, fetch.Options{BaseURL: server.URL, Client: quick(t)})
	random := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		ctx, cancel := context.WithCancel(t.Context())
		interrupt.Store(&cancel)
		_, err := prefetch.Run(ctx, over(t, newMarketTracks(t, inBatches), client), slices.Values(mixture(random, 400)), nil)
		cancel()
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
}

// Wherever a run is interrupted, it tells what is saved, and the next one fetches the rest.
func TestARunMayBeInterruptedAnywhere(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var left atomic.Int64
	var cancel context.CancelFunc
	server := newBatches(t)
	serve := server.Config.Handler
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if left.Add(-1) == 0 {
			cancel()
		}
		serve.ServeHTTP(w, r)
	})
	client := to(t, fetch.Options{BaseURL: server.URL, Client: quick(t)})
	for range 12 {
		repo := newMarketTracks(t, inBatches)
		keys := mixture(random, 400)
		saveThere(t, repo, keys)
		left.Store(int64(random.IntN(50)) + 1)
		var ctx context.Context
		ctx, cancel = context.WithCancel(t.Context())
		told := map[marketKey]prefetch.Status{}
		result, err := prefetch.Each(ctx, over(t, repo, client), slices.Values(keys), nil,
			func(item prefetch.Item[marketKey]) {
				if told[item.Key] == 0 { // the second time it is found in the store
					told[item.Key] = item.Status
				}
			})
		cancel()
		if err != nil && !errors.Is(err, context.Canceled) || err == nil && result.Cancelled > 0 {
			t.Fatalf("%v, %v", result, err)
		}
		once := unique(keys)
		values, err := repo.GetMany(t.Context(), once)
		if err != nil {
			t.Fatal(err)
		}
		missing := 0
		for _, key := range once {
			status := told[key]
			_, stored := values[key]
			if status != 0 && status != prefetch.Cancelled && status != kindOf(key.ID) || stored != (status == prefetch.Fetched || kindOf(key.ID) == prefetch.Cached) {
				t.Errorf("%+v was told %v, stored: %v", key, status, stored)
			}
			if !stored && kindOf(key.ID) == prefetch.Fetched {
				missing++
			}
		}
		left.Store(0)
		if again := runMarkets(t, over(t, repo, client), nil, keys...); again.Fetched != missing {
			t.Errorf("the next run has fetched %d of %d", again.Fetched, missing)
		}
	}
}

// noAbsent is a store that can save values only.
type noAbsent struct{ driver.Store }

type noAbsentTable struct{ driver.Table }

func (s noAbsent) OpenTable(ctx context.Context, spec driver.TableSpec) (driver.Table, error) {
	table, err := s.Store.OpenTable(ctx, spec)
	if spec.Name == "endpointcache_records" { // the cache's own
		return table, err
	}
	return noAbsentTable{table}, err
}

func (t noAbsentTable) PutIf(ctx context.Context, entries []driver.Entry, c driver.Condition) ([]bool, error) {
	for _, e := range entries {
		if e.Status == http.StatusNotFound {
			return nil, &driver.OpError{Store: "noAbsent", Op: "save to", Err: errors.New("the disk is full")}
		}
	}
	return t.Table.PutIf(ctx, entries, c)
}

// A key that was saved has not failed, though others of its batch have.
func TestSavedKeysHaveNotFailed(t *testing.T) {
	store, err := sqlite.OpenMemory(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	s := inBatches
	s.ExpireAbsent = time.Hour
	repo, err := repository.New(t.Context(), noAbsent{store}, s, nil)
	if err != nil {
		t.Fatal(err)
	}
	client := to(t, fetch.Options{BaseURL: newBatches(t).URL, Client: quick(t)})
	keys := marketKeys("", "a", "gone1", "b", "gone2", "c")
	result, err := prefetch.Run(t.Context(), over(t, repo, client), slices.Values(keys), nil)
	if err == nil || !strings.Contains(err.Error(), "the disk is full") {
		t.Errorf("error %v", err)
	}
	check(t, result)
	values, err := repo.GetMany(t.Context(), keys)
	if err != nil {
		t.Fatal(err)
	}
	for _, item := range result.Items {
		if _, stored := values[item.Key]; stored != (item.Status == prefetch.Fetched) {
			t.Errorf("%+v, stored: %v", item, stored)
		}
	}
}

// A queue has a key no more that it has given.
func TestAKeyThatWasTakenIsAnItem(t *testing.T) {
	repo := tracksOf(t, byID)
	server := newOrigin(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	var given []string
	queue := func(yield func(string) bool) {
		for _, key := range numbered(0, 10) {
			if key == "t000003" {
				cancel()
			}
			given = append(given, key)
			if !yield(key) {
				return
			}
		}
	}
	result, err := prefetch.Run(ctx, over(t, repo, to(t, fetch.Options{BaseURL: server.URL})), queue, nil)
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	check(t, result)
	var keys []string
	for _, item := range result.Items {
		keys = append(keys, item.Key)
	}
	if d := cmp.Diff(given, keys); d != "" {
		t.Error(d)
	}
}

// The panic comes when all keys are done.
func TestALatePanicOfProgress(t *testing.T) {
	repo := tracksOf(t, byID)
	server := newOrigin(t, nil)
	began := make(chan struct{})
	calls := 0
	defer func() {
		if p := recover(); p != "late" {
			t.Errorf("recovered %v", p)
		}
	}()
	_, err := prefetch.Run(t.Context(), over(t, repo, to(t, fetch.Options{BaseURL: server.URL})), func(yield func(string) bool) {
		yield("a")
		<-began
	}, &prefetch.Options{
		Progress: func(prefetch.Progress) {
			if calls++; calls == 1 {
				close(began)
				time.Sleep(300 * time.Millisecond)
				panic("late")
			}
		},
	})
	t.Errorf("no panic, %v", err)
}

// A cause is one line of the report, whatever the user's code has to say.
func TestACauseIsAShortLine(t *testing.T) {
	store, err := sqlite.OpenMemory(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	repo, err := repository.New(t.Context(), store, settings.RepositorySettings[string, track]{
		Name: "tracks", Endpoint: byID,
		Payload: payload.Codec[track]("text/plain", func([]byte, any) error {
			return errors.New("line\n\tof a text " + strings.Repeat("é", 10_000))
		}, nil),
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	server := newOrigin(t, nil)
	result := run(t, over(t, repo, to(t, fetch.Options{BaseURL: server.URL})), nil, "a", "b")
	if report := result.Report(); strings.Count(report, "\n") != 2 || len(report) > 1000 || !strings.Contains(report, "line of a text é") {
		t.Errorf("%q", report)
	}
}
