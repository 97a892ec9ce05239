package doors

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/internal/exchange"
	"github.com/endpointcache/endpointcache/internal/tracktest"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/policy"
)

// leased are settings with a lease that no test outlives.
func leased(p policy.Policy) option {
	if p.Lease == 0 {
		p.Lease = time.Minute
	}
	return option{settings: tracks{Policy: p}}
}

// throughTwo runs a test by every door of two processes on one store.
func throughTwo(t *testing.T, o option, test func(t *testing.T, first, second *house, ask func(h *house) answered)) {
	t.Helper()
	for _, d := range doors {
		t.Run(d.name, func(t *testing.T) {
			first := newHouse(t, o)
			test(t, first, first.another(o), func(h *house) answered { return d.ask(t.Context(), h, "a") })
		})
	}
}

// leases are those that are in the store.
func (h *house) leases() (leases []driver.Entry) {
	h.t.Helper()
	table, err := h.store.OpenTable(h.t.Context(), driver.TableSpec{Name: exchange.LeasesTable, Key: []driver.Column{
		{Name: "repository", Kind: driver.String}, {Name: "item", Kind: driver.String},
	}})
	check(h.t, err)
	for e, err := range table.Entries(h.t.Context(), driver.Selection{Parts: driver.Meta}) {
		check(h.t, err)
		leases = append(leases, e)
	}
	return leases
}

// live is how many leases are held.
func (h *house) live() (n int) {
	for _, e := range h.leases() {
		if e.Live(time.Now()) && e.Header == "" {
			n++
		}
	}
	return n
}

func (h *house) awaitRequests(n int64) {
	h.t.Helper()
	waitfor.True(h.t, fmt.Sprintf("request %d has reached the origin", n), func() bool { return h.api.requests.Load() >= n })
}

// together runs both, and returns when the second is sure to wait for what the first has
// asked for.
func together(t *testing.T, first, second *house, ask func(*house) answered) (answers func() [2]answered) {
	t.Helper()
	var wait sync.WaitGroup
	var got [2]answered
	wait.Go(func() { got[0] = ask(first) })
	first.awaitRequests(1)
	wait.Go(func() { got[1] = ask(second) })
	second.awaitWaiting()
	return func() [2]answered {
		wait.Wait()
		return got
	}
}

// awaitWaiting waits until a call of the house has a flight under way.
func (h *house) awaitWaiting() {
	h.t.Helper()
	waitfor.True(h.t, "a flight is under way", func() bool {
		flights, _ := h.pending()
		return flights > 0
	})
}

// awaitCallers waits until so many calls of the house wait for flights.
func (h *house) awaitCallers(n int) {
	h.t.Helper()
	waitfor.True(h.t, fmt.Sprintf("%d callers wait", n), func() bool {
		_, callers := h.pending()
		return callers >= n
	})
}

func (h *house) pending() (flights, callers int) {
	return exchange.OfRepository(h.fetcher.Repository().Responses).View().Pending()
}

func TestASecondProcessWaitsForTheFirst(t *testing.T) {
	throughTwo(t, leased(policy.Policy{}), func(t *testing.T, first, second *house, ask func(*house) answered) {
		release := first.api.block()
		answers := together(t, first, second, ask)
		release()
		if got := answers(); got != [2]answered{version(1), version(1)} {
			t.Errorf("the answers are %v", got)
		}
		first.wantRequests(1)
		if n := second.cache.Stats().Awaited; n != 1 {
			t.Errorf("%d answers were awaited, want 1", n)
		}
		waitfor.True(t, "no lease is left", func() bool { return len(first.leases()) == 0 })
	})
}

// What cannot be shared by way of the store is asked for by each process, at the same time.
func TestProcessesDoNotQueueForWhatIsNotKept(t *testing.T) {
	for name, says := range map[string]func(*api){
		"an error":    func(a *api) { a.says(http.StatusInternalServerError) },
		"an absence":  func(a *api) { a.says(http.StatusNotFound) },
		"not cached":  func(a *api) { a.set("Cache-Control", "no-store") },
		"old at once": func(a *api) { a.set("Cache-Control", "max-age=0") },
	} {
		t.Run(name, func(t *testing.T) {
			throughTwo(t, leased(policy.Policy{CacheControl: policy.On}), func(t *testing.T, first, second *house, ask func(*house) answered) {
				third := first.another(leased(policy.Policy{CacheControl: policy.On}))
				says(first.api)
				release := first.api.block()
				answers := together(t, first, second, ask)
				var last answered
				var wait sync.WaitGroup
				wait.Go(func() { last = ask(third) })
				third.awaitWaiting()
				release()
				again := first.api.block() // the other two ask while neither is answered
				second.awaitRequests(3)
				again()
				wait.Wait()
				if got := answers(); got[0] != got[1] || got[0] != last {
					t.Errorf("the answers are %v and %v", got, last)
				}
				first.wantRequests(3)
			})
		})
	}
}

// A lease is extended for as long as the request takes.
func TestALeaseOutlivesItsPeriodWhileItsProcessAsks(t *testing.T) {
	throughTwo(t, leased(policy.Policy{Lease: 3 * time.Second}), func(t *testing.T, first, second *house, ask func(*house) answered) {
		release := first.api.block()
		answers := together(t, first, second, ask)
		taken := first.leases()
		if len(taken) != 1 {
			t.Fatalf("the leases are %v", taken)
		}
		waitfor.True(t, "the lease was extended", func() bool {
			leases := first.leases()
			return len(leases) == 1 && leases[0].ExpiresAt.After(taken[0].ExpiresAt)
		})
		release()
		answers()
		first.wantRequests(1)
	})
}

// A call that ends while it waits leaves no lease behind, and one that has the lease gives it
// back.
func TestCallsThatEndGiveLeasesBack(t *testing.T) {
	for _, d := range doors {
		t.Run(d.name, func(t *testing.T) {
			first := newHouse(t, leased(policy.Policy{}))
			second := first.another(leased(policy.Policy{}))
			release := first.api.block()
			defer release()
			ctx, cancel := context.WithCancel(t.Context())
			var wait sync.WaitGroup
			for _, h := range []*house{first, second} {
				wait.Go(func() { d.ask(ctx, h, "a") })
				h.awaitWaiting()
			}
			first.awaitRequests(1)
			cancel()
			wait.Wait()
			waitfor.True(t, "no lease is held", func() bool { return first.live() == 0 })
			release()
			want(t, "afterwards", d.ask(t.Context(), second, "a"), version(1))
		})
	}
}

func TestACacheThatIsClosedWaitsForNoLease(t *testing.T) {
	first := newHouse(t, leased(policy.Policy{}))
	second := first.another(leased(policy.Policy{}))
	release := first.api.block()
	var wait sync.WaitGroup
	wait.Go(func() { _, _ = first.fetcher.Fetch(t.Context(), "a") })
	first.awaitRequests(1)
	var errs [2]error
	wait.Go(func() { _, errs[0] = second.fetcher.Fetch(t.Context(), "a") })
	wait.Go(func() { _, errs[1] = second.fetcher.FetchMany(t.Context(), []string{"a", "b"}) })
	second.awaitWaiting()
	check(t, second.cache.Close())
	release()
	wait.Wait()
	for _, err := range errs {
		if !errors.Is(err, driver.ErrClosed) {
			t.Errorf("the error is %v", err)
		}
	}
}

// Who wants news, or has a policy without a lease, waits for nobody.
func TestCallsWithoutALease(t *testing.T) {
	first := newHouse(t, leased(policy.Policy{}))
	second := first.another(leased(policy.Policy{}))
	release := first.api.block()
	var wait sync.WaitGroup
	wait.Go(func() { _, _ = first.fetcher.Fetch(t.Context(), "a") })
	first.awaitRequests(1)
	wait.Go(func() { _, _ = second.fetcher.Fetch(t.Context(), "a", fetch.Refresh()) })
	first.awaitRequests(2)
	third := first.another(leased(policy.Policy{}))
	wait.Go(func() { _, _ = third.fetcher.Fetch(t.Context(), "a", fetch.With(policy.Policy{Lease: -1})) })
	first.awaitRequests(3)
	release()
	wait.Wait()
}

// A caller who deletes what is being asked for does not wait for the answer to that.
func TestACallAfterADeleteDoesNotWaitForItsOwnProcess(t *testing.T) {
	throughSome(t, doors, leased(policy.Policy{}), func(t *testing.T, h *house, ask func(string) answered) {
		release := h.api.block()
		var wait sync.WaitGroup
		wait.Go(func() { ask("a") })
		h.awaitRequests(1)
		_, err := h.fetcher.Repository().Delete(t.Context(), "a")
		check(t, err)
		wait.Go(func() { ask("a") })
		h.awaitRequests(2)
		release()
		wait.Wait()
	})
}

// Stale answers are served meanwhile, and one process renews.
func TestStaleAnswersWhileAnotherProcessRenews(t *testing.T) {
	throughTwo(t, leased(policy.Policy{StaleWhileRevalidate: time.Hour, Expire: policy.After(time.Minute)}), func(t *testing.T, first, second *house, ask func(*house) answered) {
		want(t, "cold", ask(first), version(1))
		first.clock.advance(2 * time.Minute)
		first.api.version.Store(2)
		release := first.api.block()
		want(t, "first", ask(first), version(1))
		first.awaitRequests(2)
		for range 5 {
			want(t, "second", ask(second), version(1))
		}
		if n := second.cache.Stats().Renewed; n != 1 {
			t.Errorf("the second has begun %d renewals, want 1, which it has left to the first", n)
		}
		release()
		waitfor.True(t, "the second has the news", func() bool { return ask(second) == version(2) })
		first.wantRequests(2)
	})
}

func TestTheSoftLimitHoldsWhileAnotherProcessAsks(t *testing.T) {
	throughTwo(t, leased(policy.Policy{SoftTimeout: time.Millisecond, Expire: policy.After(time.Minute)}), func(t *testing.T, first, second *house, ask func(*house) answered) {
		want(t, "cold", ask(first), version(1))
		first.clock.advance(2 * time.Minute)
		release := first.api.block()
		defer release()
		want(t, "first", ask(first), version(1))
		first.awaitRequests(2)
		want(t, "second", ask(second), version(1))
		first.wantRequests(2)
	})
}

// A lease costs a miss that nobody else wants two operations of the store, one after the other.
func TestWhatALeaseCosts(t *testing.T) {
	var counted *tracktest.Counted
	ops := func(p policy.Policy) map[string]int {
		o := option{settings: tracks{Policy: p}}
		o.store = func(s driver.Store) driver.Store {
			counted = &tracktest.Counted{Store: s}
			return counted
		}
		h := newHouse(t, o)
		want(t, "warm up", doors[1].ask(t.Context(), h, "before"), version(1)) // opens the table of leases
		h.settle()
		var before map[string]int
		var asked atomic.Bool
		h.api.mu.Lock()
		h.api.answer = func(w http.ResponseWriter, _ *http.Request) {
			if !asked.Swap(true) {
				before = counted.Take()
			}
			fmt.Fprint(w, `{"id":"a","version":1}`)
		}
		h.api.mu.Unlock()
		counted.Take()
		want(t, "miss", doors[1].ask(t.Context(), h, "a"), version(1))
		return before
	}
	plain, leased := ops(policy.Policy{}), ops(policy.Policy{Lease: time.Minute})
	if leased["put"] != 1 || leased["get"] != plain["get"]+1 || len(leased) != len(plain)+1 {
		t.Errorf("before the request there are %v, without a lease %v", leased, plain)
	}
}

// A body that is not kept, as it is too large or does not end, is waited for by nobody else.
func TestNobodyWaitsForABodyThatIsNotKept(t *testing.T) {
	for name, size := range map[string]int{"it is too large": 2000, "it does not end": 1} {
		t.Run(name, func(t *testing.T) {
			o := leased(policy.Policy{})
			o.cache.MaxBody, o.cache.StreamAfter = 1000, time.Millisecond
			first := newHouse(t, o)
			second := first.another(o)
			first.api.mu.Lock()
			first.api.answer = func(w http.ResponseWriter, r *http.Request) {
				_, _ = w.Write(make([]byte, size))
				w.(http.Flusher).Flush()
				<-r.Context().Done()
			}
			first.api.mu.Unlock()
			for _, h := range []*house{first, second} {
				resp, err := h.http.Get(h.api.URL + "/tracks/a") //nolint:noctx // the test waits for it
				check(t, err)
				defer resp.Body.Close()
			}
			first.wantRequests(2)
		})
	}
}
