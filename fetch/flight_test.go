package fetch_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/sqlite"
)

// storesOf are stores to test with: one that answers promptly and one that does not.
func storesOf(t *testing.T) map[string]driver.Store {
	onDisk, err := sqlite.OpenMemory(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { onDisk.Close() })
	return map[string]driver.Store{"memory": inMemory(t), "sqlite": onDisk, "wrapped": &wrapped{Store: inMemory(t)}}
}

// A thousand callers that begin together make one request, whatever its answer.
func TestOneFlightForAKey(t *testing.T) {
	for name, store := range storesOf(t) {
		for _, key := range []string{"a", "gone", "bad", "html"} {
			t.Run(name+" "+key, func(t *testing.T) {
				o := newOrigin(t, answering)
				e := fetcherIn(t, o, repositoryIn(t, store, settingsOf(byID, batchOf(10))), nil)
				if key != "a" { // what is not saved is asked for by a later caller
					o.gate = make(chan struct{})
				}
				start := make(chan struct{})
				var callers sync.WaitGroup
				for i := range 1000 {
					callers.Go(func() {
						<-start
						var value track
						var err error
						switch i % 3 {
						case 0:
							value, err = e.Fetch(t.Context(), key)
						case 1:
							var results []result
							results, err = e.FetchMany(t.Context(), []string{key, key})
							if err == nil {
								value, err = results[1].Value, results[1].Err
							}
						case 2:
							entry, _, entryErr := e.FetchEntry(t.Context(), key)
							if err = entryErr; err == nil {
								value, err = e.Decode(key, entry)
							}
						}
						if (key == "a") != (err == nil) || key == "a" && value != titled("a") || key == "gone" && !errors.Is(err, fetch.ErrAbsent) {
							t.Error(value, err)
						}
					})
				}
				close(start)
				if o.gate != nil {
					waiting(t, e, 1000)
					close(o.gate)
				}
				callers.Wait()
				if o.total() != 1 {
					t.Errorf("%d requests", o.total())
				}
			})
		}
	}
}

// A caller whose lookup missed before another's answer was saved looks again. It asks
// the origin only if that answer is one that is not saved.
func TestKeyThatIsSavedAfterItWasLookedUp(t *testing.T) {
	for _, key := range []string{"a", "gone", "bad"} {
		o := newOrigin(t, answering)
		store := &wrapped{Store: inMemory(t)}
		e := fetcherIn(t, o, repositoryIn(t, store, settingsOf(byID, nil)), nil)
		landed := make(chan struct{})
		var again atomic.Bool
		store.got = func() {
			if again.Swap(true) {
				return
			}
			if _, err := e.Fetch(t.Context(), key); (err == nil) != (key == "a") {
				t.Error(err)
			}
			close(landed)
		}
		if got, err := e.Fetch(t.Context(), key); (err == nil) != (key == "a") || key == "a" && got != titled("a") {
			t.Error(got, err)
		}
		<-landed
		want := 2
		if key == "a" {
			want = 1
		}
		if o.total() != want {
			t.Errorf("%s: %d requests", key, o.total())
		}
	}
}

// The same, after so many other flights that they are not remembered.
func TestKeyThatIsSavedLongAfterItWasLookedUp(t *testing.T) {
	o := newOrigin(t, answering)
	store := &wrapped{Store: inMemory(t)}
	s := settingsOf(byID, batchOf(100))
	s.ExpireAbsent = time.Hour
	e := fetcherIn(t, o, repositoryIn(t, store, s), nil)
	var again atomic.Bool
	store.got = func() {
		if !again.Swap(true) {
			fetchMany(t, e, append(numbered(1000), "a", "gone"))
		}
	}
	if got := statuses(fetchManyOf(t, e, "gone", "new", "a")); got != "AB FE CA" || o.total() != 12 {
		t.Errorf("%s after %d requests", got, o.total())
	}
}

func TestGatherOfManyCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := nearOrigin(serve)
		e := directly(t, o, inMemory(t), settingsOf(byID, batchOf(100)), &fetch.FetcherOptions{Gather: 300 * time.Millisecond})
		var callers sync.WaitGroup
		for _, key := range numbered(50) {
			callers.Go(func() {
				if got, err := e.Fetch(t.Context(), key); err != nil || got != titled(key) {
					t.Error(got, err)
				}
			})
		}
		callers.Wait()
		if o.total() != 1 {
			t.Errorf("%d requests: %s", o.total(), o.seen())
		}
		if got, err := e.Fetch(t.Context(), "alone"); err != nil || got != titled("alone") || o.seen()[1] != "/tracks/alone" {
			t.Error(got, err, o.seen())
		}
	})
}

func TestFullBatchDoesNotWait(t *testing.T) {
	o := newOrigin(t, nil)
	e := fetcherOf(t, o, settingsOf(byID, batchOf(10)), &fetch.FetcherOptions{Gather: time.Hour})
	var callers sync.WaitGroup
	for _, key := range numbered(30) {
		callers.Go(func() {
			if got, err := e.Fetch(t.Context(), key); err != nil || got != titled(key) {
				t.Error(got, err)
			}
		})
	}
	callers.Wait()
	// What no batch can be for does not wait either.
	if _, err := e.Fetch(t.Context(), "x,y"); err != nil {
		t.Error(err)
	}
	if o.total() != 4 {
		t.Errorf("%d requests: %s", o.total(), o.seen())
	}
	// Of two and a half, the half waits.
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer cancel()
		waitfor.True(t, "the full ones have come", func() bool { return o.total() == 6 })
		waitfor.True(t, "they have landed", func() bool {
			flights, _ := e.Pending()
			return flights == 5
		})
	}()
	var more []string
	for _, key := range numbered(25) {
		more = append(more, "m"+key)
	}
	results, err := e.FetchMany(ctx, more)
	wellFormed(t, more, results)
	if want := strings.Repeat("FE ", 20) + strings.TrimSpace(strings.Repeat("CA ", 5)); statuses(results) != want || !errors.Is(err, context.Canceled) {
		t.Error(statuses(results), err)
	}
	if got := results[24]; got.Status != fetch.Cancelled || !errors.Is(got.Err, context.Canceled) {
		t.Errorf("%+v", got)
	}
}

func TestOnlyKeysOfAGroupAreGathered(t *testing.T) {
	type key struct {
		ID     string `path:"id"`
		Market string `query:"market"`
	}
	synctest.Test(t, func(t *testing.T) {
		o := nearOrigin(serve)
		e, err := fetch.Uncached(clientOf(t, fetch.Options{BaseURL: "http://localhost", Client: o}), settings.RepositorySettings[key, track]{
			Name: "tracks", Endpoint: request.Pattern[key]("/tracks/{id}"), Payload: settingsOf(byID, nil).Payload,
			Batch: request.BatchPattern[key]("/tracks?ids={id}", 10, splitTracks, nil),
		}, &fetch.FetcherOptions{Gather: 100 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		var callers sync.WaitGroup
		for _, k := range []key{{"a", ""}, {"b", "DE"}, {"c", ""}, {"d", "DE"}, {"e", "DE"}, {"f", ""}} {
			callers.Go(func() {
				if got, err := e.Fetch(t.Context(), k); err != nil || got.ID != k.ID {
					t.Error(got, err)
				}
			})
		}
		callers.Wait()
		if o.total() != 2 {
			t.Errorf("%d requests: %s", o.total(), o.seen())
		}
	})
}

// The key of a caller that gives up while keys are gathered is not asked for; the keys of
// the others are.
func TestGivingUpWhileKeysAreGathered(t *testing.T) {
	o := newOrigin(t, nil)
	e := fetcherOf(t, o, settingsOf(byID, batchOf(3)), &fetch.FetcherOptions{Gather: time.Hour})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := e.Fetch(ctx, "given up"); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	results, err := e.FetchMany(ctx, []string{"a", "b"})
	if statuses(results) != "CA CA" || !errors.Is(err, context.DeadlineExceeded) {
		t.Error(results, err)
	}
	if got := statuses(fetchManyOf(t, e, "a", "b", "c")); got != "FE FE FE" {
		t.Error(got)
	}
	if seen := o.seen(); len(seen) != 1 || seen[0] != "/tracks?ids=a,b,c" {
		t.Error(seen)
	}
}

func TestTheFirstCallerMayGiveUp(t *testing.T) {
	o := newOrigin(t, nil)
	o.came, o.gate = make(chan string, 10), make(chan struct{})
	e := fetcherOf(t, o, settingsOf(byID, batchOf(10)), nil)
	type valueOf struct{}
	ctx, cancel := context.WithCancel(context.WithValue(t.Context(), valueOf{}, "first"))
	first, second := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := e.FetchMany(ctx, []string{"a", "b"})
		first <- err
	}()
	<-o.came
	go func() {
		got, err := e.Fetch(t.Context(), "a")
		if err == nil && got != titled("a") {
			t.Error(got)
		}
		second <- err
	}()
	waiting(t, e, 3)
	cancel()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	close(o.gate)
	if err := <-second; err != nil {
		t.Error(err)
	}
	// What the first one wanted has been saved, too.
	if got := statuses(fetchManyOf(t, e, "a", "b")); got != "CA CA" || o.total() != 1 {
		t.Error(got, o.total())
	}
}

func TestRequestThatNobodyWaitsForIsEnded(t *testing.T) {
	o := newOrigin(t, nil)
	o.came, o.gate = make(chan string, 10), make(chan struct{})
	e := fetcherOf(t, o, settingsOf(byID, nil), nil)
	ctx, cancel := context.WithCancel(t.Context())
	var callers sync.WaitGroup
	for range 10 {
		callers.Go(func() {
			if _, err := e.Fetch(ctx, "a"); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
	}
	<-o.came
	waiting(t, e, 10)
	cancel()
	callers.Wait()
	waitfor.True(t, "the request is ended", func() bool {
		o.mu.Lock()
		defer o.mu.Unlock()
		return o.running == 0
	})
	close(o.gate)
	if got, err := e.Fetch(t.Context(), "a"); err != nil || got != titled("a") || o.total() != 2 {
		t.Error(got, err, o.total())
	}
}

// The request for many goes on for one of them.
func TestAFlightHasTheValuesOfItsFirstCaller(t *testing.T) {
	type valueOf struct{}
	var seen any
	o := newOrigin(t, nil)
	endpoint := request.Func(
		func(*http.Request) (string, bool, error) { return "", false, nil },
		func(ctx context.Context, _ *url.URL, key string) (*http.Request, error) {
			seen = ctx.Value(valueOf{})
			return http.NewRequestWithContext(ctx, http.MethodGet, o.URL+"/tracks/"+key, nil)
		})
	e := fetcherOf(t, o, settingsOf(endpoint, nil), nil)
	if _, err := e.Fetch(context.WithValue(t.Context(), valueOf{}, "first"), "a"); err != nil || seen != "first" {
		t.Error(seen, err)
	}
}

func TestCallWhoseContextIsDone(t *testing.T) {
	o := newOrigin(t, nil)
	e := fetcherOf(t, o, settingsOf(byID, nil), nil)
	if err := e.Repository().Save(t.Context(), "a", titled("a")); err != nil {
		t.Fatal(err)
	}
	mistake := errors.New("mistake")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(mistake)
	for _, key := range []string{"a", "b"} {
		if _, err := e.Fetch(ctx, key); !errors.Is(err, context.Canceled) || !errors.Is(err, mistake) {
			t.Error(err)
		}
	}
	results, err := e.FetchMany(ctx, []string{"b", "a", "b"})
	if len(results) != 3 || !errors.Is(err, context.Canceled) {
		t.Error(results, err)
	}
	for _, r := range results {
		if r.Status != fetch.Cancelled || !errors.Is(r.Err, context.Canceled) {
			t.Errorf("%+v", r)
		}
	}
	if o.total() != 0 {
		t.Errorf("%d requests", o.total())
	}
}

func TestCloseEndsFlights(t *testing.T) {
	for name, gather := range map[string]time.Duration{"under way": 0, "gathered": time.Hour} {
		t.Run(name, func(t *testing.T) {
			o := newOrigin(t, nil)
			o.came, o.gate = make(chan string, 100), make(chan struct{})
			e := fetcherOf(t, o, settingsOf(byID, batchOf(3)), &fetch.FetcherOptions{Gather: gather, Concurrency: 1})
			var callers sync.WaitGroup
			for range 5 {
				callers.Go(func() {
					if _, err := e.Fetch(t.Context(), "a"); !errors.Is(err, fetch.ErrClosed) {
						t.Error(err)
					}
				})
			}
			many := []string{"b", "c", "d", "e", "f"}
			callers.Go(func() {
				results, err := e.FetchMany(t.Context(), many)
				if !errors.Is(err, fetch.ErrClosed) || statuses(results) != "CA CA CA CA CA" {
					t.Error(results, err)
				}
			})
			waiting(t, e, 10)
			<-o.came // b, c and d, or those and a
			if err := e.Client().Close(); err != nil {
				t.Error(err)
			}
			callers.Wait()
			if _, err := e.Fetch(t.Context(), "a"); !errors.Is(err, fetch.ErrClosed) {
				t.Error(err)
			}
			if _, _, err := e.FetchEntry(t.Context(), "a"); !errors.Is(err, fetch.ErrClosed) {
				t.Error(err)
			}
			results, err := e.FetchMany(t.Context(), many)
			if !errors.Is(err, fetch.ErrClosed) || len(results) != 5 || !errors.Is(results[0].Err, fetch.ErrClosed) {
				t.Error(results, err)
			}
		})
	}
}
