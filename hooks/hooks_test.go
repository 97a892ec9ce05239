package hooks_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/hooks"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/prefetch"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/transport"
)

func TestRequestsAreTold(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store driver.Store) {
		f := newFixture(t, store, nil)
		kind := store.Traits().Kind
		ask := map[string]func(string, int){
			"fetch": func(key string, _ int) { _ = f.fetch(key, fetch.Refresh()) },
			"transport": func(key string, want int) {
				req, _ := http.NewRequestWithContext(policy.With(t.Context(), policy.Policy{Use: policy.Revalidate}), http.MethodGet, f.url+"/tracks/"+key, nil)
				resp, err := f.http.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				if n, _ := io.Copy(io.Discard, resp.Body); want == http.StatusOK && n == 0 {
					t.Error("there is no body")
				}
				resp.Body.Close()
			},
		}
		for door, ask := range ask {
			for _, c := range []struct {
				status      int
				conditional bool
				end         hooks.RequestEnd
			}{
				{status: http.StatusOK, end: hooks.RequestEnd{Status: http.StatusOK, Attempts: 1, Bytes: int64(len(fmt.Sprintf("{\"id\":%q}\n", door)))}},
				{status: http.StatusOK, conditional: true, end: hooks.RequestEnd{Status: http.StatusNotModified, Attempts: 1}},
				{status: http.StatusForbidden, conditional: true, end: hooks.RequestEnd{Status: http.StatusForbidden, Attempts: 1, ErrorType: "403"}},
			} {
				f.serve(track200)
				if c.status != http.StatusOK {
					f.serve(status(c.status))
				}
				ask(door, c.status)
				waitfor.True(t, "the request has ended", func() bool { return len(eventsOf[hooks.RequestEnd](f)) > 0 })
				want := hooks.Request{Repository: "tracks", Store: kind, Method: http.MethodGet, Keys: 1, Conditional: c.conditional}
				if d := cmp.Diff([]hooks.Request{want}, eventsOf[hooks.Request](f)); d != "" {
					t.Errorf("%s: the request differs:\n%s", door, d)
				}
				ends := eventsOf[hooks.RequestEnd](f)
				for i := range ends {
					if ends[i].Duration <= 0 {
						t.Errorf("%s: the request has taken %v", door, ends[i].Duration)
					}
					ends[i].Duration = 0
				}
				if d := cmp.Diff([]hooks.RequestEnd{c.end}, ends); d != "" {
					t.Errorf("%s: its end differs:\n%s", door, d)
				}
				f.forget()
			}
		}
		// A fetcher repeats what fails, within one request.
		f.serve(status(http.StatusServiceUnavailable))
		_ = f.fetch("b")
		if ends := eventsOf[hooks.RequestEnd](f); len(ends) != 1 || ends[0].Attempts != 3 || ends[0].ErrorType != "503" {
			t.Errorf("a request that was repeated ends so: %+v", ends)
		}
		f.forget()
		f.serve(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
		_ = f.fetch("b")
		if ends := eventsOf[hooks.RequestEnd](f); len(ends) != 1 || ends[0].Attempts != 3 || ends[0].ErrorType != "connection" || ends[0].Status != 0 {
			t.Errorf("a request without an answer ends so: %+v", ends)
		}
	})
}

func TestABodyThatIsClosedEarlyEndsItsRequest(t *testing.T) {
	f := newFixture(t, open["memory"](t), func(o *cache.Options, _ *settings.RepositorySettings[string, track]) { o.MaxBody = 1000 })
	f.serve(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100000")
		_, _ = w.Write(make([]byte, 5000))
	})
	resp, err := f.http.Get(f.url + "/tracks/a")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(resp.Body, make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	if ends := eventsOf[hooks.RequestEnd](f); len(ends) != 0 {
		t.Errorf("the request has ended: %+v", ends)
	}
	resp.Body.Close()
	waitfor.True(t, "the request has ended", func() bool { return len(eventsOf[hooks.RequestEnd](f)) == 1 })
	if e := eventsOf[hooks.RequestEnd](f)[0]; e.Bytes < 10 || e.Status != http.StatusOK {
		t.Errorf("the end is %+v", e)
	}
}

func TestRenewalsAreTold(t *testing.T) {
	for want, serve := range map[hooks.Outcome]handler{
		hooks.RenewalConfirmed: track200,
		hooks.RenewalFailed:    status(http.StatusInternalServerError),
		hooks.RenewalFetched:   func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"id":"new"}`) },
	} {
		t.Run(want.String(), func(t *testing.T) {
			f := newFixture(t, open["sqlite"](t), func(_ *cache.Options, s *settings.RepositorySettings[string, track]) {
				s.Policy.StaleWhileRevalidate = 24 * time.Hour
			})
			if err := f.fetch("a"); err != nil {
				t.Fatal(err)
			}
			f.forget()
			f.later.Store(int64(2 * time.Hour))
			f.serve(serve)
			if err := f.fetch("a"); err != nil {
				t.Fatal(err)
			}
			waitfor.True(t, "the renewal has ended", func() bool { return len(eventsOf[hooks.Renewal](f)) == 2 })
			var outcomes []hooks.Outcome
			for _, r := range eventsOf[hooks.Renewal](f) {
				outcomes = append(outcomes, r.Outcome)
			}
			if d := cmp.Diff([]hooks.Outcome{hooks.RenewalBegun, want}, outcomes); d != "" {
				t.Errorf("the outcomes differ:\n%s", d)
			}
			for _, r := range eventsOf[hooks.Request](f) {
				if !r.Background {
					t.Errorf("the request is %+v", r)
				}
			}
			f.wantAnswers(map[string]int{"tracks stale": 1})
		})
	}
}

func TestEvictionsAreTold(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store driver.Store) {
		f := newFixture(t, store, func(o *cache.Options, s *settings.RepositorySettings[string, track]) {
			o.KeepExpired, o.ClearEvery = time.Minute, time.Millisecond
			s.Limit = settings.Limit{Entries: 100}
		})
		values := make(map[string]track)
		for i := range 500 {
			values[fmt.Sprint(i)] = track{ID: "a"}
		}
		if err := f.tracks.Repository().SaveMany(t.Context(), values); err != nil {
			t.Fatal(err)
		}
		repo := f.tracks.Repository()
		sum := func(reason hooks.Reason) (n int, bytes int64) {
			for _, e := range eventsOf[hooks.Eviction](f) {
				if e.Repository == "tracks" && e.Reason == reason {
					n, bytes = n+e.Entries, bytes+e.Bytes
				}
			}
			return n, bytes
		}
		waitfor.True(t, "those over the limit are told", func() bool {
			n, bytes := sum(hooks.OverLimit)
			left, err := repo.Count(t.Context(), repository.All)
			return err == nil && n > 0 && n+left == 500 && bytes > 0
		})
		f.later.Store(int64(100 * time.Hour))
		waitfor.True(t, "those that have expired are told", func() bool {
			n, _ := sum(hooks.OverLimit)
			expired, _ := sum(hooks.Expired)
			return n+expired == 500
		})
	})
}

// failing is a store whose reads fail while it is told so.
type failing struct {
	driver.Store
	fails atomic.Bool
}

type failingTable struct {
	driver.Table
	of *failing
}

func (s *failing) OpenTable(ctx context.Context, spec driver.TableSpec) (driver.Table, error) {
	t, err := s.Store.OpenTable(ctx, spec)
	return failingTable{t, s}, err
}

func (t failingTable) Get(ctx context.Context, keys []driver.Key, sel driver.Selection, visit func(int, driver.Entry)) error {
	if t.of.fails.Load() {
		return errors.New("the store has failed")
	}
	return t.Table.Get(ctx, keys, sel, visit)
}

func TestAStoreThatFailsIsTold(t *testing.T) {
	store := &failing{Store: open["memory"](t)}
	f := newFixture(t, store, nil)
	store.fails.Store(true)
	for range 5 {
		if err := f.fetch("a", fetch.With(policy.Policy{Use: policy.Reload})); err != nil {
			t.Fatal(err)
		}
	}
	failed := eventsOf[hooks.StoreFailure](f)
	if len(failed) < 5 || failed[0] != (hooks.StoreFailure{Repository: "tracks", Store: "memory", Operation: "get", ErrorType: "other"}) {
		t.Errorf("the failures are %+v", failed)
	}
	if int64(len(failed)) != f.cache.Stats().StoreErrors {
		t.Errorf("%d failures were told, %d counted", len(failed), f.cache.Stats().StoreErrors)
	}
	if last := failed[len(failed)-1]; !last.Skipped {
		t.Errorf("the last failure is %+v", last)
	}
	store.fails.Store(false)
	waitfor.True(t, "the store is used again", func() bool {
		_ = f.fetch("a")
		return len(eventsOf[hooks.StoreState](f)) == 2
	})
	states := eventsOf[hooks.StoreState](f)
	if !states[0].LeftOut || states[1].LeftOut || states[1].Failures < 3 || states[1].Skipped == 0 || states[1].Store != "memory" {
		t.Errorf("the states are %+v", states)
	}
}

func TestPrefetchesAreTold(t *testing.T) {
	f := newFixture(t, open["memory"](t), nil)
	result, err := prefetch.Run(t.Context(), f.tracks, slices.Values([]string{"a", "b", "c"}), nil)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]hooks.Prefetch{{Repository: "tracks", Store: "memory"}}, eventsOf[hooks.Prefetch](f)); d != "" {
		t.Errorf("the prefetches differ:\n%s", d)
	}
	told := eventsOf[hooks.Progress](f)
	last := told[len(told)-1]
	if !last.Ended || last.Fetched != 3 || last.Bytes != result.Bytes || last.Requests != 3 {
		t.Errorf("the last progress is %+v", last)
	}
}

func TestTheEndOfAPrefetchThatPanicsIsTold(t *testing.T) {
	f := newFixture(t, open["memory"](t), nil)
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic is lost")
			}
		}()
		keys := func(yield func(string) bool) {
			yield("a")
			panic("the keys")
		}
		_, _ = prefetch.Run(t.Context(), f.tracks, keys, nil)
	}()
	if told := eventsOf[hooks.Progress](f); len(told) == 0 || !told[len(told)-1].Ended {
		t.Errorf("the progress is %+v", told)
	}
}

// TestHooksThatPanicDoNoHarm has every hook panic, and what hooks return.
func TestHooksThatPanicDoNoHarm(t *testing.T) {
	for _, atTheEnd := range []bool{false, true} {
		t.Run(fmt.Sprintf("at the end: %v", atTheEnd), func(t *testing.T) {
			store, err := hooks.Store(open["memory"](t), hooks.StoreHooks{
				Operation: func(context.Context, hooks.StoreOperation) (context.Context, func(hooks.StoreEnd)) {
					if !atTheEnd {
						panic("a hook")
					}
					return nil, func(hooks.StoreEnd) { panic("a hook") }
				},
				Logger: slog.New(slog.DiscardHandler),
			})
			if err != nil {
				t.Fatal(err)
			}
			var called sync.Map
			c, err := cache.New(store, &cache.Options{
				Logger: slog.New(slog.DiscardHandler),
				Hooks: hooks.Hooks{
					Answered: func(context.Context, hooks.Answer) { called.Store("answered", 1); panic("a hook") },
					Renewing: func(context.Context, hooks.Renewal) { called.Store("renewing", 1); panic("a hook") },
					Requesting: func(context.Context, hooks.Request) (context.Context, func(hooks.RequestEnd)) {
						called.Store("requesting", 1)
						if !atTheEnd {
							panic("a hook")
						}
						return nil, func(hooks.RequestEnd) { panic("a hook") }
					},
					Prefetching: func(context.Context, hooks.Prefetch) func(hooks.Progress) {
						called.Store("prefetching", 1)
						if !atTheEnd {
							panic("a hook")
						}
						return func(hooks.Progress) { panic("a hook") }
					},
				},
				Policy: policy.Policy{StaleWhileRevalidate: time.Hour},
			})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			server := httptest.NewServer(http.HandlerFunc(track200))
			defer server.Close()
			client, err := fetch.NewClient(&fetch.Options{BaseURL: server.URL})
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			tracks, err := fetch.Create(t.Context(), c, client, settings.RepositorySettings[string, track]{
				Name: "tracks", Endpoint: request.Pattern[string]("/tracks/{id}"), Scope: settings.Shared, Expire: time.Nanosecond,
				Payload: payload.JSON[track](),
			}, nil)
			if err != nil {
				t.Fatal(err)
			}
			for range 3 {
				if got, err := tracks.Fetch(t.Context(), "a"); err != nil || got.ID != "a" {
					t.Fatal(got, err)
				}
			}
			if _, err := prefetch.Run(t.Context(), tracks, slices.Values([]string{"b", "c"}), nil); err != nil {
				t.Fatal(err)
			}
			rt := &http.Client{Transport: transport.New(c, nil)}
			resp, err := rt.Get(server.URL + "/tracks/d")
			if err != nil {
				t.Fatal(err)
			}
			if body, err := io.ReadAll(resp.Body); err != nil || len(body) == 0 {
				t.Error(string(body), err)
			}
			resp.Body.Close()
			http.DefaultTransport.(*http.Transport).CloseIdleConnections()
			names := slices.Sorted(maps.Keys(toMap(&called)))
			if d := cmp.Diff([]string{"answered", "prefetching", "renewing", "requesting"}, names); d != "" {
				t.Errorf("the hooks that were called differ:\n%s", d)
			}
			if c.Stats().Panics == 0 {
				t.Error("no panic is counted")
			}
		})
	}
}

func toMap(m *sync.Map) map[string]bool {
	all := make(map[string]bool)
	for k := range m.Range {
		all[k.(string)] = true
	}
	return all
}
