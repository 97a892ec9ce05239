package doors

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/hooks"
	"github.com/endpointcache/endpointcache/internal/exchange"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/prefetch"
)

// ends fails a test whose call goes on for ever.
func ends(t *testing.T, what string, call func(ctx context.Context)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), waitfor.Limit)
	defer cancel()
	call(ctx)
	if ctx.Err() != nil {
		t.Errorf("%s does not end", what)
	}
}

// Requests that the origin alone can answer are answered by it, whatever others have stored.
func TestRequestsForTheOriginAloneNeedNoLease(t *testing.T) {
	for name, prepare := range map[string]func(*http.Request){
		"with a precondition": func(r *http.Request) { r.Header.Set("If-Match", `"1"`) },
		"a POST that is kept": func(r *http.Request) { r.Method = http.MethodPost },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, leased(policy.Policy{CacheControl: policy.On}))
			h.api.set("Cache-Control", "max-age=60", "Content-Location", "/tracks/a", "Etag", "any")
			want(t, "stored", doors[0].ask(t.Context(), h, "a"), version(1))
			ends(t, "the request", func(ctx context.Context) {
				req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.api.URL+"/tracks/a", nil)
				check(t, err)
				prepare(req)
				resp, err := h.http.Do(req)
				if err != nil {
					t.Error(err)
					return
				}
				check(t, resp.Body.Close())
			})
			h.wantRequests(2)
		})
	}
}

// An entry that cannot be read is asked for again, though its times can be read.
func TestALeaseForWhatCannotBeRead(t *testing.T) {
	for name, change := range map[string]func(*unreadable){
		"damaged":             func(u *unreadable) { u.payload = func(p []byte) []byte { return bytes.ToUpper(p) } },
		"damaged for good":    func(u *unreadable) { u.payload, u.lasting = func(p []byte) []byte { return bytes.ToUpper(p) }, true },
		"reads fail":          func(u *unreadable) { u.err = errors.New("cannot be read") },
		"reads fail for good": func(u *unreadable) { u.err, u.lasting = errors.New("cannot be read"), true },
	} {
		t.Run(name, func(t *testing.T) {
			for _, d := range doors {
				t.Run(d.name, func(t *testing.T) {
					var u unreadable
					o := leased(policy.Policy{})
					o.store = func(s driver.Store) driver.Store {
						u.Store = s
						return &u
					}
					h := newHouse(t, o)
					want(t, "stored", doors[1].ask(t.Context(), h, "a"), version(1))
					h.settle()
					change(&u)
					ends(t, "the call", func(ctx context.Context) { d.ask(ctx, h, "a") })
				})
			}
		})
	}
}

// unreadable is a store whose payloads cannot be read.
type unreadable struct {
	driver.Store
	payload func([]byte) []byte
	lasting bool // they are not changed, either
	err     error
}

func (u *unreadable) OpenTable(ctx context.Context, spec driver.TableSpec) (driver.Table, error) {
	table, err := u.Store.OpenTable(ctx, spec)
	if spec.Name != "tracks" {
		return table, err
	}
	return &unreadableTable{table, u}, err
}

type unreadableTable struct {
	driver.Table
	of *unreadable
}

func (t *unreadableTable) Get(ctx context.Context, keys []driver.Key, sel driver.Selection, visit func(int, driver.Entry)) error {
	if sel.Parts&driver.Payload != 0 && t.of.err != nil {
		return t.of.err
	}
	return t.Table.Get(ctx, keys, sel, func(i int, e driver.Entry) {
		if t.of.payload != nil {
			e.Payload = t.of.payload(e.Payload)
		}
		visit(i, e)
	})
}

func (t *unreadableTable) PutIf(ctx context.Context, entries []driver.Entry, c driver.Condition) ([]bool, error) {
	if t.of.lasting {
		return make([]bool, len(entries)), nil
	}
	return t.Table.PutIf(ctx, entries, c)
}

func (t *unreadableTable) Renew(ctx context.Context, r []driver.Renewal) ([]bool, error) {
	if t.of.lasting {
		return make([]bool, len(r)), nil
	}
	return t.Table.Renew(ctx, r)
}

// numbered are so many keys.
func numbered(n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprint(i)
	}
	return ids
}

// awaitAll waits until all keys of a run wait for the leases of another process.
func (h *house) awaitAll(keys int) {
	h.t.Helper()
	table := exchange.OfRepository(h.fetcher.Repository().Responses).View()
	waitfor.True(h.t, "all flights are under way", func() bool {
		flights, _ := table.Pending()
		return flights == keys
	})
}

// A run keeps to its concurrency, and counts its requests, also where it has waited for another
// process in vain.
func TestAPrefetchThatHasWaitedKeepsToItsConcurrency(t *testing.T) {
	for _, gather := range []time.Duration{0, time.Millisecond} {
		t.Run(fmt.Sprint("gather ", gather), func(t *testing.T) {
			const keys, most = 40, 2
			o := leased(policy.Policy{})
			o.fetcher = fetch.FetcherOptions{Concurrency: keys, Gather: gather}
			first := newHouse(t, o)
			second := first.another(o)
			first.api.says(http.StatusInternalServerError)
			release := first.api.block()
			ended := make(chan error, 2)
			go func() {
				_, err := first.fetcher.FetchMany(t.Context(), numbered(keys))
				ended <- err
			}()
			first.awaitRequests(keys)
			var result *prefetch.Result[string]
			go func() {
				var err error
				result, err = prefetch.Run(t.Context(), second.fetcher, slices.Values(numbered(keys)), &prefetch.Options{Concurrency: most})
				ended <- err
			}()
			second.awaitAll(keys)
			var inFlight, highest atomic.Int64
			first.api.mu.Lock()
			first.api.answer = func(w http.ResponseWriter, _ *http.Request) {
				n := inFlight.Add(1)
				defer inFlight.Add(-1)
				for h := highest.Load(); n > h && !highest.CompareAndSwap(h, n); h = highest.Load() {
				}
				fmt.Fprint(w, "{}")
			}
			first.api.mu.Unlock()
			release()
			check(t, waitfor.Receive(t, "a call has ended", ended))
			check(t, waitfor.Receive(t, "the other has ended", ended))
			if highest.Load() > most || result.Requests != keys {
				t.Errorf("%d requests, %d at once at most: %s", result.Requests, highest.Load(), result.Report())
			}
		})
	}
}

// Functions of the program that end their goroutine, as a test's FailNow does, hold up nobody.
func TestFunctionsThatEndTheirGoroutine(t *testing.T) {
	for name, change := range map[string]func(*option){
		"a hook": func(o *option) {
			o.cache.Hooks.Lease = func(context.Context, hooks.LeaseEvent) { runtime.Goexit() }
		},
		"a policy": func(o *option) {
			o.settings.Policy.Serve = func(*policy.Exchange) bool {
				runtime.Goexit()
				return false
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, d := range doors {
				t.Run(d.name, func(t *testing.T) {
					o := leased(policy.Policy{})
					first := newHouse(t, o)
					change(&o)
					second := first.another(o)
					release := first.api.block()
					var wait sync.WaitGroup
					wait.Go(func() { d.ask(t.Context(), first, "a") })
					first.awaitRequests(1)
					wait.Go(func() {
						ends(t, "the call", func(ctx context.Context) { d.ask(ctx, second, "a") })
					})
					second.awaitWaiting()
					release()
					wait.Wait()
				})
			}
		})
	}
}
