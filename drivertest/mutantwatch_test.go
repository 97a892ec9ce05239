package drivertest_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/drivertest"
	"github.com/endpointcache/endpointcache/internal/gate"
	"github.com/endpointcache/endpointcache/memory"
)

// watching are mutants that do not tell what others change, or tell it wrongly.
var watching = []mutant{
	{"tells of no puts", "Watch", "whatever", deaf("put")},
	{"tells of no conditional puts", "Watch", "whatever", deaf("putIf")},
	{"tells of no renewals", "Watch", "whatever", deaf("renew")},
	{"tells of no deletes", "Watch", "whatever", deaf("delete")},
	{"tells of no pops", "Watch", "whatever", deaf("pop")},
	{"tells of no clears", "Watch", "whatever", deaf("clear")},
	{"tells of no drops", "Watch", "whatever", deaf("drop")},
	{"tells of tables that it has opened", "Watch", "meanwhile", told(func(_ string, c driver.Change) []driver.Change {
		if c.Table != "tracks" {
			return nil
		}
		return []driver.Change{c}
	})},
	{"tells the name of a table in lower case", "Watch", "names_of_tables", told(func(_ string, c driver.Change) []driver.Change {
		c.Table = strings.ToLower(strings.ReplaceAll(c.Table, "B", "b"))
		return []driver.Change{c}
	})},
	{"cuts the names of tables that it tells", "Watch", "names_of_tables", told(func(_ string, c driver.Change) []driver.Change {
		c.Table = c.Table[:min(63, len(c.Table))]
		return []driver.Change{c}
	})},
	{"tells an empty list for all keys", "Watch", "whatever", told(func(_ string, c driver.Change) []driver.Change {
		if c.Keys == nil {
			c.Keys = []driver.Key{}
		}
		return []driver.Change{c}
	})},
	{"swaps the columns of the keys that it tells", "Watch", "", toldKeys(func(k driver.Key) driver.Key {
		slices.Reverse(k)
		return k
	})},
	{"cuts the keys that it tells", "Watch", "keys", toldKeys(mapStrings(func(s string) string { return s[:min(len(s), 1_000)] }))},
	{"repairs the UTF-8 of the keys that it tells", "Watch", "keys", toldKeys(mapStrings(func(s string) string { return strings.ToValidUTF8(s, "\ufffd") }))},
	{"tells integers as floating point", "Watch", "keys", toldKeys(func(k driver.Key) driver.Key {
		for i, v := range k {
			if n, ok := v.(int64); ok {
				k[i] = int64(float64(n))
			}
		}
		return k
	})},
	{"tells 1,000 keys of a change", "Watch", "many_entries", told(func(_ string, c driver.Change) []driver.Change {
		c.Keys = c.Keys[:min(len(c.Keys), 1_000)]
		return []driver.Change{c}
	})},
	{"begins too early", "Watch", "", faults{watch: &watchFaults{begin: func(begun, listen func()) {
		begun()
		time.Sleep(20 * time.Millisecond)
		listen()
	}}}},
	{"begins twice", "Watch", "", faults{watch: &watchFaults{begin: func(begun, listen func()) {
		listen()
		begun()
		begun()
	}}}},
	{"does not say that it begins", "Watch", "", faults{watch: &watchFaults{begin: func(_, listen func()) { listen() }}}},
	{"tells of a change before it is made", "Watch", "never_before", faults{watch: &watchFaults{early: true}}},
	{"tells at the same time", "Watch", "", faults{watch: &watchFaults{deliver: func(changed func(driver.Change), c driver.Change) {
		var wait sync.WaitGroup
		wait.Go(func() { changed(c) })
		wait.Go(func() { changed(driver.Change{Table: c.Table, Keys: slices.Clone(c.Keys)}) })
		wait.Wait()
	}}}},
	{"goes on telling", "Watch", "", faults{watch: &watchFaults{after: func(changed func(driver.Change)) {
		for range 1_000 {
			time.Sleep(100 * time.Microsecond)
			changed(driver.Change{})
		}
	}}}},
	{"tells several the same Change", "Watch", "others_go_on", faults{watch: &watchFaults{shares: true}}},
	{"has one Watch at a time", "Watch", "others_go_on", faults{watch: &watchFaults{single: true}}},
	{"ends without an error", "Watch", "", faults{watch: &watchFaults{end: func(error) error { return nil }}}},
	{"does not say that it is closed", "Watch", "a_close_ends_it", faults{watch: &watchFaults{end: func(err error) error {
		return &driver.OpError{Store: "memory", Op: "watch", Err: context.Canceled}
	}}}},
	{"watches whatever the context", "Watch", "", faults{watch: &watchFaults{endless: true}}},
	{"outlives its store", "Watch", "a_close_ends_it", faults{watch: &watchFaults{outlives: true}}},
}

// watchFaults are what a store which tells of changes does otherwise than it should.
type watchFaults struct {
	told     func(op string, c driver.Change) []driver.Change
	begin    func(begun, listen func())
	deliver  func(changed func(driver.Change), c driver.Change)
	end      func(error) error
	after    func(changed func(driver.Change)) // when Watch has returned
	early    bool                              // tells before it changes
	shares   bool                              // gives the same Change to several
	single   bool                              // forgets an earlier Watch
	endless  bool                              // asks no context
	outlives bool                              // is not ended by a close
}

func told(change func(op string, c driver.Change) []driver.Change) faults {
	return faults{watch: &watchFaults{told: change}}
}

func toldKeys(change func(driver.Key) driver.Key) faults {
	return told(func(_ string, c driver.Change) []driver.Change {
		for i, k := range c.Keys {
			c.Keys[i] = change(k)
		}
		return []driver.Change{c}
	})
}

func deaf(to string) faults {
	return told(func(op string, c driver.Change) []driver.Change {
		if op == to {
			return nil
		}
		return []driver.Change{c}
	})
}

// TestSuitePassesAWatcher proves that the mutants above fail for their faults.
func TestSuitePassesAWatcher(t *testing.T) {
	drivertest.RunTopics(t, watchHarness(watchFaults{}), "Watch")
}

// watchHarness opens stores that share one in memory and tell each other what they change.
func watchHarness(f watchFaults) drivertest.Harness {
	return drivertest.At(
		func(tb testing.TB) *shared {
			s, err := memory.New(nil)
			if err != nil {
				tb.Fatal(err)
			}
			return &shared{store: s}
		},
		func(_ testing.TB, place *shared) driver.Store {
			return &watcher{Store: place.store, shared: place, faults: f, closed: make(chan struct{})}
		})
}

// shared is a store in memory and who watches it.
type shared struct {
	store driver.Store

	mu        sync.Mutex
	listeners []*listener
}

// listener is a Watch and what it has yet to tell.
type listener struct {
	of   *watcher
	wake chan struct{}

	mu      sync.Mutex
	changes []driver.Change
}

// watcher is one of the stores that share another.
type watcher struct {
	driver.Store
	shared *shared
	faults watchFaults

	once   sync.Once
	closed chan struct{}
}

var _ driver.Watcher = (*watcher)(nil)

func (s *watcher) Close() error {
	s.once.Do(func() { close(s.closed) })
	return nil
}

func (s *watcher) isClosed() bool {
	select {
	case <-s.closed:
		return !s.faults.outlives
	default:
		return false
	}
}

func (s *watcher) Watch(ctx context.Context, begun func(), changed func(driver.Change)) error {
	err := s.watch(ctx, begun, changed)
	if s.faults.after != nil {
		go s.faults.after(changed)
	}
	if s.faults.end != nil {
		return s.faults.end(err)
	}
	return &driver.OpError{Store: s.Traits().Kind, Op: "watch", Err: err}
}

func (s *watcher) watch(ctx context.Context, begun func(), changed func(driver.Change)) error {
	if s.isClosed() {
		return driver.ErrClosed
	}
	if err := gate.Usable(ctx); err != nil {
		return err
	}
	done, closed := ctx.Done(), s.closed
	if s.faults.endless {
		done = nil
	}
	if s.faults.outlives {
		closed = nil
	}
	l := &listener{of: s, wake: make(chan struct{}, 1)}
	listen := func() { s.shared.add(l, s.faults.single) }
	defer s.shared.remove(l)
	if begin := s.faults.begin; begin != nil {
		begin(begun, listen)
	} else {
		listen()
		begun()
	}
	for {
		select {
		case <-done:
			return ctx.Err()
		case <-closed:
			return driver.ErrClosed
		case <-l.wake:
			for _, c := range l.take() {
				if deliver := s.faults.deliver; deliver != nil {
					deliver(changed, c)
				} else {
					changed(c)
				}
			}
		}
	}
}

func (h *shared) add(l *listener, alone bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if alone {
		h.listeners = nil
	}
	h.listeners = append(h.listeners, l)
}

func (h *shared) remove(l *listener) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.listeners = slices.DeleteFunc(h.listeners, func(other *listener) bool { return other == l })
}

func (l *listener) take() []driver.Change {
	l.mu.Lock()
	defer l.mu.Unlock()
	changes := l.changes
	l.changes = nil
	return changes
}

// change makes a change and tells the others of it.
func (s *watcher) change(op, table string, keys []driver.Key, do func() error) error {
	if s.faults.early {
		s.tell(op, table, keys)
		time.Sleep(2 * time.Millisecond)
		return do()
	}
	err := do()
	s.tell(op, table, keys)
	return err
}

func (s *watcher) tell(op, table string, keys []driver.Key) {
	s.shared.mu.Lock()
	defer s.shared.mu.Unlock()
	copied := copyOf(keys)
	for _, l := range s.shared.listeners {
		if l.of == s {
			continue
		}
		if !s.faults.shares {
			copied = copyOf(keys)
		}
		told := []driver.Change{{Table: table, Keys: copied}}
		if s.faults.told != nil {
			told = s.faults.told(op, told[0])
		}
		l.mu.Lock()
		l.changes = append(l.changes, told...)
		l.mu.Unlock()
		select {
		case l.wake <- struct{}{}:
		default:
		}
	}
}

func copyOf(keys []driver.Key) (all []driver.Key) {
	for _, k := range keys {
		all = append(all, slices.Clone(k))
	}
	return all
}

func (s *watcher) OpenTable(ctx context.Context, spec driver.TableSpec) (driver.Table, error) {
	t, err := s.Store.OpenTable(ctx, spec)
	if err != nil {
		return nil, err
	}
	return &toldTable{Table: t, store: s, name: spec.Name}, nil
}

func (s *watcher) DropTable(ctx context.Context, name string) error {
	return s.change("drop", name, nil, func() error { return s.Store.DropTable(ctx, name) })
}

// toldTable is a table of a store that tells of changes.
type toldTable struct {
	driver.Table
	store *watcher
	name  string
}

func keysOf[T any](all []T, key func(T) driver.Key) (keys []driver.Key) {
	for _, v := range all {
		keys = append(keys, key(v))
	}
	return keys
}

func entryKey(e driver.Entry) driver.Key { return e.Key }

func (t *toldTable) Put(ctx context.Context, entries []driver.Entry) error {
	return t.store.change("put", t.name, keysOf(entries, entryKey), func() error { return t.Table.Put(ctx, entries) })
}

func (t *toldTable) PutIf(ctx context.Context, entries []driver.Entry, c driver.Condition) (stored []bool, err error) {
	err = t.store.change("putIf", t.name, keysOf(entries, entryKey), func() error {
		stored, err = t.Table.PutIf(ctx, entries, c)
		return err
	})
	return stored, err
}

func (t *toldTable) Renew(ctx context.Context, renewals []driver.Renewal) (renewed []bool, err error) {
	keys := keysOf(renewals, func(r driver.Renewal) driver.Key { return r.Key })
	err = t.store.change("renew", t.name, keys, func() error {
		renewed, err = t.Table.Renew(ctx, renewals)
		return err
	})
	return renewed, err
}

func (t *toldTable) Delete(ctx context.Context, keys []driver.Key) (n int, err error) {
	err = t.store.change("delete", t.name, keys, func() error {
		n, err = t.Table.Delete(ctx, keys)
		return err
	})
	return n, err
}

func (t *toldTable) Pop(ctx context.Context, key driver.Key, f driver.Filter) (e driver.Entry, ok bool, err error) {
	err = t.store.change("pop", t.name, []driver.Key{key}, func() error {
		e, ok, err = t.Table.Pop(ctx, key, f)
		return err
	})
	return e, ok, err
}

func (t *toldTable) Clear(ctx context.Context, f driver.Filter) (n int, err error) {
	err = t.store.change("clear", t.name, nil, func() error {
		n, err = t.Table.Clear(ctx, f)
		return err
	})
	return n, err
}
