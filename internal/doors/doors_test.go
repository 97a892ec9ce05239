package doors

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/origin"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
)

func expiring(d time.Duration) tracks { return tracks{Expire: d} }

func TestALiveEntryIsAHit(t *testing.T) {
	through(t, option{settings: expiring(time.Minute)}, func(t *testing.T, h *house, ask func(string) answered) {
		want(t, "first", ask("a"), version(1))
		h.api.version.Store(2)
		want(t, "again", ask("a"), version(1))
		h.clock.advance(time.Minute)
		want(t, "expired", ask("a"), version(2))
		h.wantRequests(2)
	})
}

// All doors at once make one request.
func TestOneFlightForEachKeyWhateverTheDoor(t *testing.T) {
	h := newHouse(t, option{})
	release := h.api.block()
	defer release()
	var group sync.WaitGroup
	for _, d := range doors {
		for range 4 {
			group.Go(func() { want(t, d.name, d.ask(t.Context(), h, "a"), version(1)) })
		}
	}
	h.awaitCallers(4 * len(doors))
	release()
	group.Wait()
	h.wantRequests(1)
}

func TestAnExpiredEntryIsRevalidated(t *testing.T) {
	through(t, option{settings: expiring(time.Minute)}, func(t *testing.T, h *house, ask func(string) answered) {
		h.api.set("Etag", "any", "X-Round", "1")
		want(t, "first", ask("a"), version(1))
		h.clock.advance(2 * time.Minute)
		h.api.set("Etag", "any", "X-Round", "2")
		want(t, "confirmed", ask("a"), version(1))
		want(t, "renewed", ask("a"), version(1))
		if h.api.conditional.Load() != 1 || h.api.bodies.Load() != 1 {
			t.Errorf("%d conditional requests and %d bodies, want 1 and 1", h.api.conditional.Load(), h.api.bodies.Load())
		}
		h.clock.advance(2 * time.Minute)
		h.api.version.Store(2)
		want(t, "changed", ask("a"), version(2))
		h.wantRequests(3)
	})
}

func TestAStaleResponseIsUsedWhileItIsRenewed(t *testing.T) {
	stale := tracks{Expire: time.Minute, Policy: policy.Policy{StaleWhileRevalidate: time.Hour}}
	through(t, option{settings: stale}, func(t *testing.T, h *house, ask func(string) answered) {
		want(t, "first", ask("a"), version(1))
		h.clock.advance(2 * time.Minute)
		h.api.version.Store(2)
		release := h.api.block()
		defer release()
		want(t, "stale", ask("a"), version(1))
		release()
		h.renewed("a", 2)
		want(t, "renewed", ask("a"), version(2))
		h.clock.advance(2 * time.Hour)
		h.api.version.Store(3)
		want(t, "too stale", ask("a"), version(3))
		h.wantRequests(3)
	})
}

// renewed waits until the repository has a version.
func (h *house) renewed(id string, version int) {
	h.t.Helper()
	waitfor.True(h.t, "the entry is renewed", func() bool {
		v, ok, err := h.fetcher.Repository().Get(h.t.Context(), id)
		check(h.t, err)
		return ok && v.Version == version
	})
	h.settle() // else the next caller may share the renewal
}

func TestStaleWhileRevalidateByTheResponse(t *testing.T) {
	o := option{cache: cache.Options{Policy: policy.Policy{CacheControl: policy.On}}}
	through(t, o, func(t *testing.T, h *house, ask func(string) answered) {
		h.api.set("Cache-Control", "max-age=60, stale-while-revalidate=600")
		want(t, "first", ask("a"), version(1))
		h.clock.advance(2 * time.Minute)
		h.api.version.Store(2)
		release := h.api.block()
		want(t, "stale", ask("a"), version(1))
		release()
		h.renewed("a", 2)
	})
}

func TestStaleIfErrorIsBounded(t *testing.T) {
	stale := tracks{Expire: time.Minute, Policy: policy.Policy{StaleIfError: time.Hour}}
	through(t, option{settings: stale}, func(t *testing.T, h *house, ask func(string) answered) {
		want(t, "first", ask("a"), version(1))
		h.clock.advance(2 * time.Minute)
		h.api.says(http.StatusInternalServerError)
		want(t, "within the bound", ask("a"), version(1))
		h.api.says(http.StatusTooManyRequests)
		want(t, "a status that is not chosen", ask("a"), failed)
		h.api.says(http.StatusInternalServerError)
		h.clock.advance(2 * time.Hour)
		want(t, "beyond the bound", ask("a"), failed)
	})
}

func TestTheStatusesThatAStoredResponseStandsInForAreChosen(t *testing.T) {
	stale := tracks{Expire: time.Minute, Policy: policy.Policy{StaleIfError: time.Hour, StaleStatuses: []int{429}}}
	through(t, option{settings: stale}, func(t *testing.T, h *house, ask func(string) answered) {
		want(t, "first", ask("a"), version(1))
		h.clock.advance(2 * time.Minute)
		h.api.says(http.StatusTooManyRequests)
		want(t, "429", ask("a"), version(1))
		h.api.says(http.StatusInternalServerError)
		want(t, "500", ask("a"), failed)
	})
}

func TestMustRevalidateIsObeyed(t *testing.T) {
	o := option{cache: cache.Options{Policy: policy.Policy{CacheControl: policy.On, StaleIfError: 1000 * time.Hour}}}
	through(t, o, func(t *testing.T, h *house, ask func(string) answered) {
		h.api.set("Cache-Control", "max-age=60, must-revalidate")
		want(t, "first", ask("a"), version(1))
		h.clock.advance(2 * time.Minute)
		h.api.says(http.StatusInternalServerError)
		want(t, "expired", ask("a"), failed)
	})
}

func TestCacheControlDecidesWhereItIsOn(t *testing.T) {
	o := option{cache: cache.Options{Policy: policy.Policy{CacheControl: policy.On}}}
	through(t, o, func(t *testing.T, h *house, ask func(string) answered) {
		h.api.set("Cache-Control", "max-age=5")
		want(t, "first", ask("a"), version(1))
		h.clock.advance(4 * time.Second)
		want(t, "fresh", ask("a"), version(1))
		h.wantRequests(1)
		h.clock.advance(26 * time.Second)
		h.api.version.Store(2)
		want(t, "after 30 seconds", ask("a"), version(2))
		h.wantRequests(2)
	})
	without := doors[:3:3] // a prefetch has nothing to show of what is not stored
	throughSome(t, without, o, func(t *testing.T, h *house, ask func(string) answered) {
		h.api.set("Cache-Control", "no-store")
		want(t, "first", ask("a"), version(1))
		want(t, "again", ask("a"), version(1))
		h.wantRequests(2)
		if row := h.row("a"); row != "none" {
			t.Errorf("no-store is stored: %s", row)
		}
	})
}

func TestTheReceivedAgeCounts(t *testing.T) {
	o := option{cache: cache.Options{Policy: policy.Policy{CacheControl: policy.On}}}
	through(t, o, func(t *testing.T, h *house, ask func(string) answered) {
		h.api.set("Cache-Control", "max-age=60", "Age", "40")
		want(t, "first", ask("a"), version(1))
		h.clock.advance(10 * time.Second)
		resp, err := h.http.Get(h.api.URL + "/tracks/a")
		check(t, err)
		resp.Body.Close()
		if age := resp.Header.Get("Age"); age != "50" {
			t.Errorf("ten seconds later its age is %s, want 50", age)
		}
		h.clock.advance(15 * time.Second)
		h.api.version.Store(2)
		want(t, "after the rest of its life", ask("a"), version(2))
		h.wantRequests(2)
	})
}

func TestVariantsAreTheSameForAllDoors(t *testing.T) {
	o := option{cache: cache.Options{Policy: policy.Policy{CacheControl: policy.On}}}
	through(t, o, func(t *testing.T, h *house, ask func(string) answered) {
		h.api.set("Cache-Control", "max-age=600", "Vary", "X-Flavour")
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.api.URL+"/tracks/a", nil)
		check(t, err)
		req.Header.Set("X-Flavour", "sour")
		resp, err := h.http.Do(req)
		check(t, err)
		resp.Body.Close()
		h.api.version.Store(2)
		want(t, "another variant", ask("a"), version(2))
		want(t, "again", ask("a"), version(2))
		h.wantRequests(2)
		for name, d := range map[string]door{"RoundTrip": doors[0], "Fetch": doors[1]} {
			want(t, "by "+name, d.ask(t.Context(), h, "a"), version(2))
		}
		h.wantRequests(2)
	})
}

func TestHowStoredResponsesAreUsed(t *testing.T) {
	for _, test := range []struct {
		name            string
		use             policy.Use
		live, expired   answered
		none            answered
		requests        int64 // for the live, the expired and the one that is not stored
		leavesLiveAlone bool
	}{
		{"Offline", policy.Offline, version(1), version(1), failed, 0, true},
		{"OnlyIfCached", policy.OnlyIfCached, version(1), failed, failed, 0, true},
		{"Reload", policy.Reload, version(2), version(2), version(2), 3, false},
		{"Revalidate", policy.Revalidate, version(2), version(2), version(2), 3, false},
		{"UseCache", policy.UseCache, version(1), version(2), version(2), 2, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, d := range doors {
				t.Run(d.name, func(t *testing.T) {
					h := newHouse(t, option{settings: expiring(time.Hour)})
					ctx := call(t, policy.Policy{Use: test.use})
					short := call(t, policy.Policy{Expire: policy.After(time.Minute)})
					want(t, "the one that expires", d.ask(short, h, "b"), version(1))
					h.clock.advance(2 * time.Minute)
					want(t, "the one that lives", d.ask(t.Context(), h, "a"), version(1))
					h.api.version.Store(2)
					before := h.api.requests.Load()
					want(t, "live", d.ask(ctx, h, "a"), test.live)
					want(t, "expired", d.ask(ctx, h, "b"), test.expired)
					want(t, "not stored", d.ask(ctx, h, "c"), test.none)
					if n := h.api.requests.Load() - before; n != test.requests {
						t.Errorf("%d requests, want %d", n, test.requests)
					}
				})
			}
		})
	}
}

func TestACallThatTurnsTheCacheOffLeavesItAsItIs(t *testing.T) {
	for _, d := range doors[:3] {
		t.Run(d.name, func(t *testing.T) {
			h := newHouse(t, option{settings: expiring(time.Hour)})
			want(t, "first", d.ask(t.Context(), h, "a"), version(1))
			h.api.version.Store(2)
			row := h.row("a")
			ctx := call(t, policy.Policy{Use: policy.Disabled})
			want(t, "disabled", d.ask(ctx, h, "a"), version(2))
			if now := h.row("a"); now != row {
				t.Errorf("the row is\n\t%s, it was\n\t%s", now, row)
			}
			want(t, "afterwards", d.ask(t.Context(), h, "a"), version(1))
			h.wantRequests(2)
		})
	}
}

func TestAbsencesAreRememberedWithTheirBodies(t *testing.T) {
	for _, status := range []int{http.StatusNotFound, http.StatusGone} {
		o := option{settings: tracks{Expire: time.Hour, ExpireAbsent: time.Minute}}
		through(t, o, func(t *testing.T, h *house, ask func(string) answered) {
			h.api.says(status, "X-Why", "unknown")
			want(t, "first", ask("a"), absent)
			want(t, "again", ask("a"), absent)
			h.wantRequests(1)
			resp, err := h.http.Get(h.api.URL + "/tracks/a")
			check(t, err)
			resp.Body.Close()
			if resp.StatusCode != status || resp.Header.Get("X-Why") != "unknown" || resp.ContentLength == 0 {
				t.Errorf("it is replayed as %s with %v", resp.Status, resp.Header)
			}
			h.wantRequests(1)
			h.clock.advance(2 * time.Minute)
			h.api.works()
			want(t, "expired", ask("a"), version(1))
		})
	}
}

func TestWhatIsGoneIsRemoved(t *testing.T) {
	through(t, option{settings: expiring(time.Minute)}, func(t *testing.T, h *house, ask func(string) answered) {
		want(t, "first", ask("a"), version(1))
		h.clock.advance(2 * time.Minute)
		h.api.says(http.StatusNotFound)
		want(t, "gone", ask("a"), absent)
		if row := h.row("a"); row != "none" {
			t.Errorf("what is gone is still there: %s", row)
		}
	})
}

func TestTheStatusesThatAreKeptAreThoseOfThePolicy(t *testing.T) {
	kept := tracks{Expire: time.Hour, Policy: policy.Policy{Statuses: []int{203}}}
	through(t, option{settings: kept}, func(t *testing.T, h *house, ask func(string) answered) {
		h.api.mu.Lock()
		h.api.answer = func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNonAuthoritativeInfo)
			_, _ = w.Write([]byte(`{"id":"a","version":7}`))
		}
		h.api.mu.Unlock()
		want(t, "first", ask("a"), version(7))
		want(t, "again", ask("a"), version(7))
		h.wantRequests(1)
	})
	throughSome(t, doors[:3], option{settings: expiring(time.Hour)}, func(t *testing.T, h *house, ask func(string) answered) {
		h.api.mu.Lock()
		h.api.answer = func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNonAuthoritativeInfo)
			_, _ = w.Write([]byte(`{"id":"a","version":7}`))
		}
		h.api.mu.Unlock()
		want(t, "not kept by default", ask("a"), version(7))
		want(t, "again", ask("a"), version(7))
		h.wantRequests(2)
	})
}

func TestWhatWasAskedBeforeAChangeIsNotKept(t *testing.T) {
	ctx := context.Background()
	for name, change := range map[string]func(h *house) error{
		"a save":              func(h *house) error { return h.fetcher.Repository().Save(ctx, "a", track{"a", 9}) },
		"a delete":            func(h *house) error { _, err := h.fetcher.Repository().Delete(ctx, "a"); return err },
		"a clear":             func(h *house) error { _, err := h.fetcher.Repository().Clear(ctx, driver.All); return err },
		"a clear of all":      func(h *house) error { _, err := h.cache.Clear(ctx, driver.All); return err },
		"a delete by request": func(h *house) error { _, err := h.cache.DeleteResponse(ctx, h.request()); return err },
		"an unsafe request": func(h *house) error {
			req := h.request()
			req.Method = http.MethodPut
			resp, err := h.http.Do(req)
			if err == nil {
				resp.Body.Close()
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, d := range doors {
				t.Run(d.name, func(t *testing.T) {
					h := newHouse(t, option{settings: expiring(time.Hour)})
					release := h.api.block()
					defer release()
					done := make(chan struct{})
					go func() {
						defer close(done)
						d.ask(t.Context(), h, "a")
					}()
					waitfor.True(t, "the request has reached the origin", func() bool { return h.api.requests.Load() == 1 })
					if name == "an unsafe request" {
						h.api.mu.Lock()
						h.api.gate = nil // the PUT does not wait
						h.api.mu.Unlock()
					}
					check(t, change(h))
					release()
					<-done
					h.settle()
					got, ok, err := h.fetcher.Repository().Get(t.Context(), "a")
					check(t, err)
					if name == "a save" && got.Version != 9 || name != "a save" && ok {
						t.Errorf("after %s, what was asked before is kept: %+v", name, got)
					}
				})
			}
		})
	}
}

func (h *house) request() *http.Request {
	req, err := http.NewRequest(http.MethodGet, h.api.URL+"/tracks/a", nil)
	check(h.t, err)
	return req
}

func TestFreshKnowledgeIsNotThatOfAnOlderRequest(t *testing.T) {
	for _, d := range doors {
		t.Run(d.name, func(t *testing.T) {
			h := newHouse(t, option{settings: expiring(time.Hour)})
			release := h.api.block()
			defer release()
			older := make(chan answered, 1)
			go func() { older <- d.ask(t.Context(), h, "a") }()
			waitfor.True(t, "the request has reached the origin", func() bool { return h.api.requests.Load() == 1 })
			h.api.version.Store(2)
			h.api.mu.Lock()
			h.api.gate = nil // for requests from now on
			h.api.mu.Unlock()
			want(t, "fresh", d.ask(call(t, policy.Policy{Use: policy.Revalidate}), h, "a"), version(2))
			release()
			<-older
			h.settle()
			want(t, "what is kept", doors[1].ask(t.Context(), h, "a"), version(2))
			h.wantRequests(2)
		})
	}
}

func TestRetriesAreBelowEveryDoor(t *testing.T) {
	retry := &origin.RetryOptions{Retries: 2, Wait: time.Millisecond}
	o := option{client: fetch.Options{Retry: retry}, base: func(base http.RoundTripper) http.RoundTripper {
		r, err := origin.NewRetrier(base, retry)
		check(t, err)
		return r
	}}
	through(t, o, func(t *testing.T, h *house, ask func(string) answered) {
		failures := 2
		h.api.mu.Lock()
		h.api.answer = func(w http.ResponseWriter, _ *http.Request) {
			h.api.mu.Lock()
			defer h.api.mu.Unlock()
			if failures--; failures >= 0 {
				w.WriteHeader(http.StatusBadGateway)
				return
			}
			_, _ = w.Write([]byte(`{"id":"a","version":3}`))
		}
		h.api.mu.Unlock()
		want(t, "after two failures", ask("a"), version(3))
		h.wantRequests(3)
	})
}

var errBroken = errors.New("broken")

// broken is a store whose operations fail.
type broken struct{ driver.Store }

func (b broken) OpenTable(ctx context.Context, spec driver.TableSpec) (driver.Table, error) {
	t, err := b.Store.OpenTable(ctx, spec)
	if spec.Name == "endpointcache_records" { // the cache's own
		return t, err
	}
	return brokenTable{t}, err
}

type brokenTable struct{ driver.Table }

func (brokenTable) Get(context.Context, []driver.Key, driver.Selection, func(int, driver.Entry)) error {
	return errBroken
}
func (brokenTable) Put(context.Context, []driver.Entry) error { return errBroken }
func (brokenTable) PutIf(context.Context, []driver.Entry, driver.Condition) ([]bool, error) {
	return nil, errBroken
}

func TestAStoreThatFailsFailsNoAnswer(t *testing.T) {
	o := option{store: func(s driver.Store) driver.Store { return broken{s} }}
	for _, d := range doors[:3] {
		t.Run(d.name, func(t *testing.T) {
			h := newHouse(t, o)
			for range 5 {
				want(t, "without a store", d.ask(t.Context(), h, "a"), version(1))
			}
			h.wantRequests(5)
		})
	}
	t.Run("prefetch", func(t *testing.T) {
		want(t, "what cannot be saved", doors[3].ask(t.Context(), newHouse(t, o), "a"), failed)
	})
}

func TestASoftLimitAnswersWithWhatIsStored(t *testing.T) {
	soft := tracks{Expire: time.Minute, Policy: policy.Policy{SoftTimeout: 20 * time.Millisecond}}
	through(t, option{settings: soft}, func(t *testing.T, h *house, ask func(string) answered) {
		want(t, "first", ask("a"), version(1))
		h.clock.advance(2 * time.Minute)
		h.api.version.Store(2)
		release := h.api.block()
		defer release()
		want(t, "while the origin takes its time", ask("a"), version(1))
		release()
		h.renewed("a", 2)
		h.wantRequests(2)
	})
}

func TestAHardLimitEndsTheRequest(t *testing.T) {
	hard := tracks{Expire: time.Minute, Policy: policy.Policy{HardTimeout: 20 * time.Millisecond}}
	through(t, option{settings: hard}, func(t *testing.T, h *house, ask func(string) answered) {
		release := h.api.block()
		defer release()
		want(t, "an origin that hangs", ask("a"), failed)
	})
}

func TestAnOverloadedOriginIsAskedOnce(t *testing.T) {
	for _, status := range []int{http.StatusServiceUnavailable, http.StatusTooManyRequests} {
		for _, d := range doors {
			t.Run(d.name, func(t *testing.T) {
				h := newHouse(t, option{})
				h.api.says(status)
				release := h.api.block()
				defer release()
				var group sync.WaitGroup
				for range 40 {
					group.Go(func() { want(t, d.name, d.ask(t.Context(), h, "a"), failed) })
				}
				h.awaitCallers(40)
				release()
				group.Wait()
				h.wantRequests(1)
			})
		}
	}
}

func TestReadsRenewAhead(t *testing.T) {
	ahead := tracks{Expire: 100 * time.Minute, Policy: policy.Policy{RefreshAhead: 0.1}}
	through(t, option{settings: ahead}, func(t *testing.T, h *house, ask func(string) answered) {
		want(t, "first", ask("a"), version(1))
		h.api.version.Store(2)
		h.clock.advance(80 * time.Minute)
		want(t, "early in its life", ask("a"), version(1))
		h.wantRequests(1)
		h.clock.advance(15 * time.Minute)
		release := h.api.block()
		defer release()
		want(t, "late in its life", ask("a"), version(1))
		release()
		h.renewed("a", 2)
		h.wantRequests(2)
	})
}

func TestRenewalsAheadShareBatches(t *testing.T) {
	s := tracks{
		Expire: 100 * time.Minute,
		Policy: policy.Policy{RefreshAhead: 0.1},
		Batch:  request.BatchPattern[string]("GET /tracks?ids={id}", 50, payload.SplitArrayBy("", "id"), nil),
	}
	h := newHouse(t, option{settings: s})
	keys := make([]string, 1000)
	values := make(map[string]track, len(keys))
	for i := range keys {
		keys[i] = "k" + time.Duration(i).String()
		values[keys[i]] = track{keys[i], 1}
	}
	check(t, h.fetcher.Repository().SaveMany(t.Context(), values))
	h.clock.advance(95 * time.Minute)
	h.api.version.Store(2)
	release := h.api.block()
	defer release()
	for _, key := range keys {
		want(t, key, doors[1].ask(t.Context(), h, key), version(1)) // though the origin does not answer
	}
	release()
	waitfor.True(t, "all are renewed", func() bool {
		values, err := h.fetcher.Repository().GetMany(t.Context(), keys)
		check(t, err)
		for _, v := range values {
			if v.Version != 2 {
				return false
			}
		}
		return len(values) == len(keys)
	})
	if n := h.api.requests.Load(); n > 200 { // 20 where the machine has time for the reads
		t.Errorf("%d requests for 1,000 renewals of which 50 can share one", n)
	}
}

func TestFiltersAreAskedByAllDoors(t *testing.T) {
	refusing := tracks{Expire: time.Hour, Policy: policy.Policy{Keep: func(*policy.Exchange) bool { return false }}}
	throughSome(t, doors[:3], option{settings: refusing}, func(t *testing.T, h *house, ask func(string) answered) {
		want(t, "first", ask("a"), version(1))
		want(t, "again", ask("a"), version(1))
		h.wantRequests(2)
	})
	unserved := tracks{Expire: time.Hour, Policy: policy.Policy{Serve: func(*policy.Exchange) bool { return false }}}
	through(t, option{settings: unserved}, func(t *testing.T, h *house, ask func(string) answered) {
		want(t, "first", ask("a"), version(1))
		h.api.version.Store(2)
		want(t, "again", ask("a"), version(2))
		h.wantRequests(2)
	})
}

// The most specific policy that sets a field holds: the call's, the repository's, the
// cache's.
func TestThePrecedenceOfPolicies(t *testing.T) {
	after := func(d time.Duration) policy.Policy { return policy.Policy{Expire: policy.After(d)} }
	var none policy.Policy
	for _, test := range []struct {
		name                    string
		call, repository, cache policy.Policy
		expire, cacheExpire     time.Duration
		control                 string // a Cache-Control header; empty: not in that mode
		lives                   time.Duration
	}{
		{"nothing is said", none, none, none, 0, 0, "", settings.DefaultExpire},
		{"the cache's expiry", none, none, none, 0, 3 * time.Hour, "", 3 * time.Hour},
		{"the repository's expiry", none, none, none, 2 * time.Hour, 3 * time.Hour, "", 2 * time.Hour},
		{"the cache's policy", none, none, after(time.Hour), 2 * time.Hour, 3 * time.Hour, "", time.Hour},
		{"the repository's policy", none, after(30 * time.Minute), after(time.Hour), 2 * time.Hour, 0, "", 30 * time.Minute},
		{"the call's policy", after(time.Minute), after(30 * time.Minute), after(time.Hour), 0, 0, "", time.Minute},
		{"the response", none, after(30 * time.Minute), after(time.Hour), 0, 0, "max-age=120", 2 * time.Minute},
		{"the call's before the response", after(time.Minute), none, none, 0, 0, "max-age=120", time.Minute},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := option{
				settings: tracks{Expire: test.expire, Policy: test.repository},
				cache:    cache.Options{Expire: test.cacheExpire, Policy: test.cache},
			}
			if test.control != "" {
				o.cache.Policy.CacheControl = policy.On
			}
			for _, d := range doors {
				t.Run(d.name, func(t *testing.T) {
					h := newHouse(t, o)
					if test.control != "" {
						h.api.set("Cache-Control", test.control)
					}
					want(t, "first", d.ask(call(t, test.call), h, "a"), version(1))
					h.clock.advance(test.lives - time.Second)
					h.api.version.Store(2)
					want(t, "a second before", d.ask(t.Context(), h, "a"), version(1))
					h.clock.advance(time.Second)
					want(t, "then", d.ask(t.Context(), h, "a"), version(2))
				})
			}
		})
	}
}

// A program whose clock was ahead leaves entries of the future: they are replaced all the
// same.
func TestAClockThatIsSetBackKeepsNothingFromBeingReplaced(t *testing.T) {
	through(t, option{settings: expiring(time.Hour)}, func(t *testing.T, h *house, ask func(string) answered) {
		h.clock.advance(1000 * time.Hour)
		h.api.set("Etag", "any")
		want(t, "by the wrong clock", ask("a"), version(1))
		h.clock.advance(-1000 * time.Hour)
		h.api.version.Store(2)
		ctx := call(t, policy.Policy{Use: policy.Revalidate})
		want(t, "by the right one", doors[1].ask(ctx, h, "a"), version(2))
		want(t, "what is kept", ask("a"), version(2))
	})
}
