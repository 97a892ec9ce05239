package fetch_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/internal/exchange"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/settings"
)

// expired saves values that have expired an hour ago.
func expired(t *testing.T, e *fetcher, keys ...string) {
	t.Helper()
	values := make(map[string]track, len(keys))
	for _, key := range keys {
		values[key] = track{key, "old"}
	}
	if err := e.Repository().SaveMany(t.Context(), values, repository.ExpireAt(time.Now().Add(-time.Hour))); err != nil {
		t.Fatal(err)
	}
}

// An expired entry with an ETag is confirmed, and its payload is not moved.
func TestExpiredEntryIsConfirmed(t *testing.T) {
	var conditions atomic.Int32
	o := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"1"`)
		if r.Header.Get("If-None-Match") == `"1"` {
			conditions.Add(1)
			w.WriteHeader(http.StatusNotModified)
			return
		}
		serve(w, r)
	})
	for name, fetchIt := range map[string]func(*fetcher, ...fetch.Option) (track, bool, error){
		"Fetch": func(e *fetcher, opts ...fetch.Option) (track, bool, error) {
			value, err := e.Fetch(t.Context(), "a", opts...)
			return value, true, err
		},
		"FetchMany": func(e *fetcher, opts ...fetch.Option) (track, bool, error) {
			results, err := e.FetchMany(t.Context(), []string{"a"}, opts...)
			return results[0].Value, results[0].Status == fetch.Confirmed || results[0].Status == fetch.Fetched, err
		},
		"FetchEntry": func(e *fetcher, opts ...fetch.Option) (track, bool, error) {
			entry, cached, err := e.FetchEntry(t.Context(), "a", opts...)
			if err != nil {
				return track{}, cached, err
			}
			value, err := e.Decode("a", entry)
			return value, cached == (conditions.Load() > 0), err
		},
	} {
		t.Run(name, func(t *testing.T) {
			conditions.Store(0)
			store := &wrapped{Store: inMemory(t)}
			var now atomic.Pointer[time.Time]
			at := time.Now()
			now.Store(&at)
			e := cachedIn(t, o, store, settingsOf(byID, batchOf(10)), cache.Options{Now: func() time.Time { return *now.Load() }}, nil)
			if got, ok, err := fetchIt(e); err != nil || !ok || got != titled("a") {
				t.Fatal(got, ok, err)
			}
			before, _, err := e.Repository().GetEntry(t.Context(), "a")
			if err != nil {
				t.Fatal(err)
			}
			later := at.Add(settings.DefaultExpire + time.Hour)
			now.Store(&later)
			store.puts.Store(0)
			if got, ok, err := fetchIt(e); err != nil || !ok || got != titled("a") {
				t.Error(got, ok, err)
			}
			if conditions.Load() != 1 || store.puts.Load() != 0 || store.renews.Load() != 1 {
				t.Errorf("%d conditional requests, %d puts, %d renewals", conditions.Load(), store.puts.Load(), store.renews.Load())
			}
			after, ok, err := e.Repository().GetEntry(t.Context(), "a")
			if err != nil || !ok || !after.ExpiresAt.After(later) || !after.CachedAt.After(before.CachedAt) || string(after.Payload) != trackBody("a") {
				t.Errorf("%+v, %t, %v", after, ok, err)
			}
			if got, ok, err := fetchIt(e, fetch.Refresh()); err != nil || !ok || got != titled("a") || conditions.Load() != 2 {
				t.Errorf("%+v, %t, %v, after %d conditional requests", got, ok, err, conditions.Load())
			}
		})
	}
}

// Callers are answered with what has expired when the origin takes its time, and its
// answers are saved when they come.
func TestASlowOriginIsAnsweredFromTheStore(t *testing.T) {
	o := newOrigin(t, nil)
	o.gate = make(chan struct{})
	e := fetcherOf(t, o, settingsOf(byID, batchOf(10)), nil)
	soon := fetch.With(policy.Policy{SoftTimeout: 20 * time.Millisecond})
	expired(t, e, "a", "b")
	results := fetchMany(t, e, []string{"a", "b"}, soon)
	if statuses(results) != "ST ST" || results[0].Value.Title != "old" || results[0].Err == nil {
		t.Error(results)
	}
	if got, err := e.Fetch(t.Context(), "b", soon); err != nil || got.Title != "old" {
		t.Error(got, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := e.Fetch(ctx, "new", soon); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	close(o.gate)
	waitfor.True(t, "the late answers are saved", func() bool {
		got, err := e.Repository().GetMany(t.Context(), []string{"a", "b"})
		return err == nil && len(got) == 2 && got["a"] == titled("a")
	})
	if got := statuses(fetchMany(t, e, []string{"a", "b"}, soon)); got != "CA CA" {
		t.Error(got)
	}
}

func TestAnOriginThatTakesTooLongIsGivenUp(t *testing.T) {
	o := newOrigin(t, nil)
	o.gate = make(chan struct{})
	defer close(o.gate)
	e := fetcherOf(t, o, settingsOf(byID, batchOf(10)), nil)
	limited := policy.Policy{HardTimeout: 20 * time.Millisecond}
	if _, err := e.Fetch(t.Context(), "a", fetch.With(limited)); !errors.Is(err, policy.ErrTimeout) {
		t.Error(err)
	}
	for _, r := range fetchMany(t, e, []string{"a", "b"}, fetch.With(limited)) {
		if r.Status != fetch.Failed || !errors.Is(r.Err, policy.ErrTimeout) {
			t.Errorf("%+v", r)
		}
	}
	expired(t, e, "a", "b")
	limited.StaleIfError = 2 * time.Hour
	if got := statuses(fetchMany(t, e, []string{"a", "b", "c"}, fetch.With(limited))); got != "ST ST FA" {
		t.Error(got)
	}
	if got, err := e.Fetch(t.Context(), "a", fetch.With(limited)); err != nil || got.Title != "old" {
		t.Error(got, err)
	}
}

// Of callers that wait for one failure, none asks again.
func TestAFailureIsShared(t *testing.T) {
	o := newOrigin(t, status(http.StatusServiceUnavailable))
	o.gate = make(chan struct{})
	client := clientOf(t, fetch.Options{BaseURL: o.URL, Retry: retries(-1)})
	e, err := fetch.New(client, repositoryOf(t, settingsOf(byID, nil)), nil)
	if err != nil {
		t.Fatal(err)
	}
	var callers sync.WaitGroup
	for range 40 {
		callers.Go(func() {
			var failed *fetch.StatusError
			if _, err := e.Fetch(t.Context(), "a"); !errors.As(err, &failed) || failed.Code != 503 {
				t.Error(err)
			}
		})
	}
	waiting(t, e, 40)
	close(o.gate)
	callers.Wait()
	if o.total() != 1 {
		t.Errorf("%d requests", o.total())
	}
}

// Reads of what expires soon begin its renewal, in batches, and do not wait for it.
func TestReadsBeginRenewalsAheadOfTheExpiry(t *testing.T) {
	for name, due := range map[string]policy.Policy{
		"ahead": {RefreshAhead: 0.9},
		"beta":  {RefreshBeta: 1e13}, // so that each read is due
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := nearOrigin(func(w http.ResponseWriter, r *http.Request) {
					time.Sleep(2 * time.Millisecond)
					serve(w, r)
				})
				s := settingsOf(byID, batchOf(50))
				s.Policy = due
				keys := numbered(1000)
				e := directly(t, o, inMemory(t), s, nil)
				fetchMany(t, e, keys, fetch.With(policy.Policy{Expire: policy.After(time.Hour)}))
				before := o.total()
				o.gate = make(chan struct{})
				time.Sleep(30 * time.Minute)
				for _, key := range keys {
					if got, err := e.Fetch(t.Context(), key); err != nil || got != titled(key) {
						t.Fatal(got, err)
					}
				}
				close(o.gate) // no read has waited for the origin
				waitfor.True(t, "all are renewed", func() bool {
					flights, _ := e.Pending()
					return flights == 0
				})
				if n := o.total() - before; n != 20 {
					t.Errorf("%d requests for 1000 renewals", n)
				}
				if n := e.Stats().Renewed; n != 1000 {
					t.Errorf("%d renewals", n)
				}
			})
		})
	}
}

// With validators and no batch, renewals are conditional.
func TestRenewalsAreConditional(t *testing.T) {
	client := &direct{answer: tagged}
	s := settingsOf(byID, nil)
	s.Policy = policy.Policy{StaleWhileRevalidate: 2 * time.Hour}
	e := directly(t, client, inMemory(t), s, nil)
	keys := numbered(10)
	past := fetch.With(policy.Policy{Expire: policy.At(time.Now().Add(-time.Hour))})
	fetchMany(t, e, keys, past)
	client.bodies.Store(0)
	if got := statuses(fetchMany(t, e, keys[:5])); got != "CA CA CA CA CA" {
		t.Error(got)
	}
	for _, key := range keys[5:] {
		if got, err := e.Fetch(t.Context(), key); err != nil || got != titled(key) {
			t.Error(got, err)
		}
	}
	waitfor.True(t, "all are confirmed", func() bool { return e.Stats().Revalidated == 10 })
	if n := client.bodies.Load(); n != 0 {
		t.Errorf("%d bodies", n)
	}
}

// How stored responses are used is said by the call, or by its context.
func TestTheCallSaysHowStoredResponsesAreUsed(t *testing.T) {
	for name, call := range map[string]func(*fetcher, string, policy.Policy) (track, error){
		"With": func(e *fetcher, key string, p policy.Policy) (track, error) {
			return e.Fetch(t.Context(), key, fetch.With(p))
		},
		"context": func(e *fetcher, key string, p policy.Policy) (track, error) {
			return e.Fetch(policy.With(t.Context(), p), key)
		},
		"FetchMany": func(e *fetcher, key string, p policy.Policy) (track, error) {
			results, err := e.FetchMany(policy.With(t.Context(), p), []string{key})
			if err != nil {
				return track{}, err
			}
			return results[0].Value, results[0].Err
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOrigin(t, answering)
			store := &wrapped{Store: inMemory(t)}
			e := fetcherIn(t, o, repositoryIn(t, store, settingsOf(byID, nil)), nil)
			expired(t, e, "expired")
			if err := e.Repository().SaveMany(t.Context(), map[string]track{"live": {"live", "old"}, "gone": {"gone", "old"}}); err != nil {
				t.Fatal(err)
			}
			gets := store.gets.Load()
			for _, test := range []struct {
				use      policy.Use
				key      string
				title    string // "": an error
				err      error
				requests int
			}{
				{policy.OnlyIfCached, "live", "old", nil, 0},
				{policy.OnlyIfCached, "expired", "", fetch.ErrNotCached, 0},
				{policy.OnlyIfCached, "never", "", fetch.ErrNotCached, 0},
				{policy.Offline, "live", "old", nil, 0},
				{policy.Offline, "expired", "old", nil, 0},
				{policy.Offline, "never", "", fetch.ErrNotCached, 0},
				{policy.Disabled, "live", "Title of live", nil, 1},
				{policy.Disabled, "gone", "", fetch.ErrAbsent, 1},
				{policy.UseCache, "live", "old", nil, 0}, // neither was saved nor removed
				{policy.UseCache, "gone", "old", nil, 0},
				{policy.Reload, "live", "Title of live", nil, 1},
				{policy.UseCache, "live", "Title of live", nil, 0},
				{policy.Revalidate, "live", "Title of live", nil, 1},
			} {
				before, looked := o.total(), store.gets.Load()
				got, err := call(e, test.key, policy.Policy{Use: test.use})
				if got.Title != test.title || !errors.Is(err, test.err) || (err == nil) != (test.err == nil) {
					t.Errorf("use %d of %s: %+v, %v", test.use, test.key, got, err)
				}
				if n := o.total() - before; n != test.requests {
					t.Errorf("use %d of %s: %d requests", test.use, test.key, n)
				}
				if test.use == policy.Disabled && store.gets.Load() != looked {
					t.Error("the store is read, though the cache is disabled")
				}
			}
			if gets == store.gets.Load() {
				t.Error("nothing was looked up")
			}
		})
	}
}

// A 203 is a value, though it is not saved where no policy says so.
func TestA203IsAValueThatIsNotSaved(t *testing.T) {
	var code atomic.Int32
	o := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(int(code.Load()))
		serve(w, r)
	})
	saves := fetch.With(policy.Policy{Statuses: []int{200, 203}})
	for _, test := range []struct {
		code          int
		opts          []fetch.Option
		single, batch bool // are saved
	}{
		{203, nil, false, false}, {207, nil, false, true}, {203, []fetch.Option{saves}, true, true},
	} {
		t.Run(fmt.Sprint(test.code, len(test.opts)), func(t *testing.T) {
			code.Store(int32(test.code))
			e := fetcherOf(t, o, settingsOf(byID, batchOf(10)), nil)
			if got, err := e.Fetch(t.Context(), "a", test.opts...); err != nil || got != titled("a") {
				t.Error(got, err)
			}
			if got := statuses(fetchMany(t, e, []string{"b", "c"}, test.opts...)); got != "FE FE" {
				t.Error(got)
			}
			for key, want := range map[string]bool{"a": test.single, "b": test.batch} {
				if ok, err := e.Repository().Contains(t.Context(), key); ok != want || err != nil {
					t.Errorf("%s is saved: %t, %v", key, ok, err)
				}
			}
		})
	}
}

func TestExpiryOfAbsences(t *testing.T) {
	o := newOrigin(t, answering)
	s := settingsOf(byID, nil)
	s.ExpireAbsent = time.Minute
	at := time.Now()
	var now atomic.Pointer[time.Time]
	now.Store(&at)
	e := cachedIn(t, o, inMemory(t), s, cache.Options{Now: func() time.Time { return *now.Load() }}, nil)
	for i, after := range []time.Duration{0, 59 * time.Second, 61 * time.Second} {
		later := at.Add(after)
		now.Store(&later)
		if _, err := e.Fetch(t.Context(), "gone"); !errors.Is(err, fetch.ErrAbsent) {
			t.Error(err)
		}
		if want := []int{1, 1, 2}[i]; o.total() != want {
			t.Errorf("%d requests after %v", o.total(), after)
		}
	}
}

// Closing the cache ends calls, and waits for them.
func TestClosingTheCacheEndsCallsAndWaitsForThem(t *testing.T) {
	o := newOrigin(t, nil)
	o.came, o.gate = make(chan string, 100), make(chan struct{})
	defer close(o.gate)
	c := cacheOf(t, inMemory(t), cache.Options{})
	e, err := fetch.Create(t.Context(), c, clientOf(t, fetch.Options{BaseURL: o.URL}), settingsOf(byID, batchOf(3)), nil)
	if err != nil {
		t.Fatal(err)
	}
	var ended atomic.Int32
	var callers sync.WaitGroup
	calls := []func() error{
		func() error { _, err := e.Fetch(t.Context(), "a"); return err },
		func() error { _, err := e.FetchMany(t.Context(), []string{"b", "c"}); return err },
		func() error { _, err := fill(t.Context(), t, e, []string{"d", "e", "f"}, nil); return err },
	}
	for _, call := range calls {
		callers.Go(func() {
			if err := call(); !errors.Is(err, exchange.ErrClosed) {
				t.Error(err)
			}
			ended.Add(1)
		})
	}
	for range calls {
		<-o.came
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	callers.Wait()
	if ended.Load() != 3 {
		t.Errorf("%d calls have ended", ended.Load())
	}
	waitfor.True(t, "no request is left", func() bool {
		flights, _ := e.Pending()
		return flights == 0
	})
	for _, call := range calls {
		if err := call(); !errors.Is(err, exchange.ErrClosed) {
			t.Error(err)
		}
	}
}
