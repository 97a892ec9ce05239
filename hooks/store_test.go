package hooks_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/drivertest"
	"github.com/endpointcache/endpointcache/hooks"
	"github.com/endpointcache/endpointcache/sqlite"
)

// operations takes operations down as "name table given -> found error".
type operations struct {
	mu   sync.Mutex
	all  []hooks.StoreOperation
	ends []hooks.StoreEnd
}

func (o *operations) hooks() hooks.StoreHooks {
	return hooks.StoreHooks{Operation: func(ctx context.Context, op hooks.StoreOperation) (context.Context, func(hooks.StoreEnd)) {
		o.mu.Lock()
		defer o.mu.Unlock()
		i := len(o.all)
		o.all, o.ends = append(o.all, op), append(o.ends, hooks.StoreEnd{Duration: -1})
		return context.WithValue(ctx, spanKey{}, "span"), func(end hooks.StoreEnd) {
			o.mu.Lock()
			defer o.mu.Unlock()
			o.ends[i] = end
		}
	}}
}

func told(t testing.TB, below driver.Store, h hooks.StoreHooks) driver.Store {
	t.Helper()
	store, err := hooks.Store(below, h)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func TestConformance(t *testing.T) {
	var o operations
	t.Run("memory", func(t *testing.T) {
		drivertest.Run(t, drivertest.Harness{Open: func(tb testing.TB) driver.Store {
			return told(tb, open["memory"](tb), o.hooks())
		}})
	})
	t.Run("sqlite", func(t *testing.T) {
		drivertest.Run(t, drivertest.At(
			func(tb testing.TB) string { return tb.TempDir() + "/cache.db" },
			func(tb testing.TB, path string) driver.Store {
				s, err := sqlite.Open(context.Background(), path, nil)
				if err != nil {
					tb.Fatal(err)
				}
				return told(tb, s, o.hooks())
			}))
	})
	t.Run("without hooks", func(t *testing.T) {
		drivertest.RunTopics(t, drivertest.Harness{Open: func(tb testing.TB) driver.Store {
			return told(tb, open["memory"](tb), hooks.StoreHooks{})
		}}, "Put", "PutIfKept")
	})
	for i, end := range o.ends {
		if end.Duration < 0 {
			t.Fatalf("operation %+v has no end", o.all[i])
		}
	}
	names := make(map[string]bool)
	for _, op := range o.all {
		names[op.Operation] = true
	}
	for _, name := range []string{"get", "put", "put_if", "renew", "delete", "pop", "count", "clear", "entries", "list", "use", "size", "open_table", "tables", "drop_table"} {
		if !names[name] {
			t.Errorf("no %q was told", name)
		}
		delete(names, name)
	}
	if len(names) > 0 {
		t.Errorf("there are other operations: %v", names)
	}
}

// marked is a store that wants the context which a hook has returned.
type marked struct {
	driver.Store
	t *testing.T
}

func (s marked) OpenTable(ctx context.Context, spec driver.TableSpec) (driver.Table, error) {
	t, err := s.Store.OpenTable(ctx, spec)
	return markedTable{t, s.t}, err
}

type markedTable struct {
	driver.Table
	t *testing.T
}

func (t markedTable) Get(ctx context.Context, keys []driver.Key, sel driver.Selection, visit func(int, driver.Entry)) error {
	if ctx.Value(spanKey{}) != "span" {
		t.t.Error("a get is not done with the hook's context")
	}
	return t.Table.Get(ctx, keys, sel, visit)
}

func TestOperationsAreToldWithWhatTheyWereAbout(t *testing.T) {
	var o operations
	store := told(t, marked{open["sqlite"](t), t}, o.hooks())
	defer store.Close()
	ctx := t.Context()
	table, err := store.OpenTable(ctx, driver.TableSpec{Name: "tracks", Key: []driver.Column{{Name: "id", Kind: driver.String}}})
	if err != nil {
		t.Fatal(err)
	}
	o.all, o.ends = nil, nil
	now := time.Now().UTC().Truncate(time.Microsecond)
	entries := []driver.Entry{{Key: driver.Key{"a"}, CachedAt: now}, {Key: driver.Key{"b"}, CachedAt: now}}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(table.Put(ctx, entries))
	_, err = table.PutIf(ctx, append(entries, driver.Entry{Key: driver.Key{"c"}, CachedAt: now}), driver.Condition{If: driver.IfAbsent})
	must(err)
	must(table.Get(ctx, []driver.Key{{"a"}, {"x"}, {"c"}}, driver.Selection{}, func(int, driver.Entry) {}))
	for range table.Entries(ctx, driver.Selection{}) {
		break
	}
	_, err = table.List(ctx, driver.Listing{Limit: 2})
	must(err)
	_, err = table.Count(ctx, driver.Filter{})
	must(err)
	_, _, err = table.Pop(ctx, driver.Key{"a"}, driver.Filter{})
	must(err)
	_, err = table.Delete(ctx, []driver.Key{{"b"}, {"x"}})
	must(err)
	_, err = table.Clear(ctx, driver.Filter{})
	must(err)
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := table.Count(ended, driver.Filter{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	type told struct {
		Operation    string
		Given, Found int
		Error        string
	}
	var got []told
	for i, op := range o.all {
		if op.Store != "sqlite" || op.Table != "tracks" {
			t.Errorf("%s is of %q, %q", op.Operation, op.Store, op.Table)
		}
		got = append(got, told{op.Operation, op.Entries, o.ends[i].Entries, o.ends[i].ErrorType})
	}
	if d := cmp.Diff([]told{
		{"put", 2, 2, ""}, {"put_if", 3, 1, ""}, {"get", 3, 2, ""}, {"entries", 0, 1, ""}, {"list", 0, 2, ""},
		{"count", 0, 3, ""}, {"pop", 1, 1, ""}, {"delete", 2, 1, ""}, {"clear", 0, 1, ""}, {"count", 0, 0, "cancelled"},
	}, got); d != "" {
		t.Errorf("the operations differ:\n%s", d)
	}
}

func TestWhatIsBelowIsReachable(t *testing.T) {
	below := open["sqlite"](t)
	store := told(t, told(t, below, hooks.StoreHooks{}), hooks.StoreHooks{})
	defer store.Close()
	if found, ok := driver.As[*sqlite.Store](store); !ok || found != below {
		t.Error("the store below is not found")
	}
	if store.Traits() != below.Traits() {
		t.Error("the traits differ")
	}
	if _, err := hooks.Store(nil, hooks.StoreHooks{}); err == nil {
		t.Error("a nil store is no error")
	}
}

func TestAHookThatPanicsIsLogged(t *testing.T) {
	var lines strings.Builder
	store := told(t, open["memory"](t), hooks.StoreHooks{
		Operation: func(context.Context, hooks.StoreOperation) (context.Context, func(hooks.StoreEnd)) { panic("no room") },
		Logger:    slog.New(slog.NewTextHandler(&lines, nil)),
	})
	defer store.Close()
	if _, err := store.Tables(t.Context()); err != nil {
		t.Error(err)
	}
	if !strings.Contains(lines.String(), "no room") {
		t.Errorf("the log is %q", lines.String())
	}
}

// TestAGetAllocatesNothingMore is about hooks that allocate nothing themselves.
func TestAGetAllocatesNothingMore(t *testing.T) {
	ctx, keys := t.Context(), []driver.Key{{"a"}}
	visit := func(int, driver.Entry) {}
	end := func(hooks.StoreEnd) {}
	allocs := func(store driver.Store) float64 {
		defer store.Close()
		table, err := store.OpenTable(ctx, driver.TableSpec{Name: "tracks", Key: []driver.Column{{Name: "id", Kind: driver.String}}})
		if err != nil {
			t.Fatal(err)
		}
		if err := table.Put(ctx, []driver.Entry{{Key: keys[0], CachedAt: time.Now().UTC().Truncate(time.Microsecond)}}); err != nil {
			t.Fatal(err)
		}
		return testing.AllocsPerRun(1000, func() {
			if err := table.Get(ctx, keys, driver.Selection{}, visit); err != nil {
				t.Fatal(err)
			}
		})
	}
	plain := allocs(open["memory"](t))
	with := allocs(told(t, open["memory"](t), hooks.StoreHooks{
		Operation: func(ctx context.Context, _ hooks.StoreOperation) (context.Context, func(hooks.StoreEnd)) {
			return ctx, end
		},
	}))
	if with > plain {
		t.Errorf("a get makes %v allocations, with hooks %v", plain, with)
	}
}

func TestJoinedHooksAreCalledInTheirOrder(t *testing.T) {
	var calls []string
	one := func(name string) hooks.Hooks {
		return hooks.Hooks{
			Answered: func(context.Context, hooks.Answer) { calls = append(calls, name+" answered") },
			Requesting: func(ctx context.Context, _ hooks.Request) (context.Context, func(hooks.RequestEnd)) {
				outer, _ := ctx.Value(spanKey{}).(string)
				calls = append(calls, name+" requesting in "+outer)
				return context.WithValue(ctx, spanKey{}, outer+name), func(hooks.RequestEnd) { calls = append(calls, name+" requested") }
			},
			Prefetching: func(context.Context, hooks.Prefetch) func(hooks.Progress) {
				if name == "b" {
					return nil
				}
				return func(hooks.Progress) { calls = append(calls, name+" prefetched") }
			},
		}
	}
	none := hooks.Hooks{Requesting: func(context.Context, hooks.Request) (context.Context, func(hooks.RequestEnd)) { return nil, nil }}
	all := hooks.Join(one("a"), hooks.Hooks{}, none, one("b"))
	all.Answered(t.Context(), hooks.Answer{})
	ctx, end := all.Requesting(t.Context(), hooks.Request{})
	end(hooks.RequestEnd{})
	all.Prefetching(t.Context(), hooks.Prefetch{})(hooks.Progress{})
	if ctx.Value(spanKey{}) != "ab" {
		t.Errorf("the context is that of %v", ctx.Value(spanKey{}))
	}
	if want := []string{"a answered", "b answered", "a requesting in ", "b requesting in a", "b requested", "a requested", "a prefetched"}; !slices.Equal(calls, want) {
		t.Errorf("the calls are %q", calls)
	}
	if all.Evicted != nil || all.Lease != nil {
		t.Error("there are hooks that none of them has")
	}
}

// Hooks that panic do not keep others, before and behind them, from being called.
func TestJoinedHooksThatPanic(t *testing.T) {
	for _, ends := range []bool{false, true} {
		var called []string
		one := func(name string) hooks.Hooks {
			return hooks.Hooks{
				Answered: func(context.Context, hooks.Answer) { called = append(called, name+" answered") },
				Requesting: func(context.Context, hooks.Request) (context.Context, func(hooks.RequestEnd)) {
					called = append(called, name+" begun")
					return nil, func(hooks.RequestEnd) { called = append(called, name+" ended") }
				},
				Prefetching: func(context.Context, hooks.Prefetch) func(hooks.Progress) {
					return func(hooks.Progress) { called = append(called, name+" told") }
				},
			}
		}
		bad := hooks.Hooks{
			Answered: func(context.Context, hooks.Answer) { panic("answered") },
			Requesting: func(context.Context, hooks.Request) (context.Context, func(hooks.RequestEnd)) {
				if !ends {
					panic("begun")
				}
				return nil, func(hooks.RequestEnd) { panic("ended") }
			},
			Prefetching: func(context.Context, hooks.Prefetch) func(hooks.Progress) {
				if !ends {
					panic("begun")
				}
				return func(hooks.Progress) { panic("told") }
			},
		}
		panics := 0
		try := func(call func()) {
			defer func() {
				if recover() != nil {
					panics++
				}
			}()
			call()
		}
		all := hooks.Join(one("a"), bad, one("b"))
		try(func() { all.Answered(t.Context(), hooks.Answer{}) })
		_, end := all.Requesting(t.Context(), hooks.Request{})
		try(func() { end(hooks.RequestEnd{}) })
		tell := all.Prefetching(t.Context(), hooks.Prefetch{})
		try(func() { tell(hooks.Progress{}) })
		want := []string{"a answered", "b answered", "a begun", "b begun", "b ended", "a ended", "a told", "b told"}
		if !slices.Equal(called, want) || panics != 3 {
			t.Errorf("%d panics, and called are %q, want %q", panics, called, want)
		}
	}
}
