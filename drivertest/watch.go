package drivertest

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/waitfor"
)

func testWatch(t *testing.T, h Harness) {
	if _, ok := driver.As[driver.Watcher](h.open(t)); !ok {
		t.Skip("this store does not tell of changes")
	}
	t.Run("whatever another store changes", func(t *testing.T) { testToldOperations(t, h) })
	t.Run("names and keys", func(t *testing.T) { testToldNames(t, h) })
	t.Run("nothing is missed", func(t *testing.T) { testToldAll(t, h) })
	t.Run("never before it can be read", func(t *testing.T) { testToldInTime(t, h) })
	t.Run("begin and end", func(t *testing.T) { testWatchEnds(t, h) })
}

func testToldOperations(t *testing.T, h Harness) {
	table := h.table(t, text("id"), integer("page"), boolean("explicit"))
	other := openTable(t, h.reopen(t, table.store), table.spec)
	k := func(i int) driver.Key { return append(id(i), int64(-i), i%2 == 0) }
	e := func(i, v int) driver.Entry { return version(k(i), v) }
	for i := range 12 {
		other.put(e(i, 1))
	}
	leading := driver.Filter{Leading: k(9)[:1]}
	expired := driver.Filter{State: driver.Expired, Now: now.Add(2 * time.Hour)}
	w := watch(t, table.store)
	for _, change := range []struct {
		name string
		keys []driver.Key
		do   func()
	}{
		{"a put of a new entry", []driver.Key{k(100)}, func() { other.put(e(100, 1)) }},
		{"a put in the place of another", []driver.Key{k(0)}, func() { other.put(e(0, 2)) }},
		{"a put of several", []driver.Key{k(101), k(1)}, func() { other.put(e(101, 1), e(1, 2)) }},
		{"a put if absent", []driver.Key{k(102)}, func() {
			other.putIf(driver.Condition{If: driver.IfAbsent}, []bool{true}, e(102, 1))
		}},
		{"a put of two if newer", []driver.Key{k(2), k(103)}, func() {
			other.putIf(driver.Condition{If: driver.IfNewer}, []bool{true, true}, e(2, 2), e(103, 1))
		}},
		{"a put if not live", []driver.Key{k(3)}, func() {
			other.putIf(driver.Condition{If: driver.IfNotLive, Now: expired.Now}, []bool{true}, e(3, 2))
		}},
		{"a put if unchanged", []driver.Key{k(11)}, func() {
			other.putIf(driver.Condition{If: driver.IfUnchanged}, []bool{true}, e(11, 1))
		}},
		{"a renewal", []driver.Key{k(4)}, func() { other.renew([]bool{true}, renewal(e(4, 1), 2)) }},
		{"a renewal of two", []driver.Key{k(5), k(6)}, func() {
			other.renew([]bool{true, true}, renewal(e(5, 1), 2), renewal(e(6, 1), 2))
		}},
		{"a delete", []driver.Key{k(0)}, func() { other.delete(k(0)) }},
		{"a delete of two", []driver.Key{k(1), k(2)}, func() { other.delete(k(1), k(2)) }},
		{"a pop", []driver.Key{k(7)}, func() {
			if _, ok, err := other.Pop(t.Context(), k(7), driver.Filter{}); !ok || err != nil {
				t.Errorf("pop: %v, %v", ok, err)
			}
		}},
		{"a clear by the first value of keys", []driver.Key{k(9)}, func() { other.clearSelected(driver.Selection{Filter: leading}) }},
		{"a clear of expired entries", []driver.Key{k(10), k(102)}, func() { other.clearSelected(driver.Selection{Filter: expired}) }},
		{"a put after a clear", []driver.Key{k(10)}, func() { other.put(e(10, 3), e(11, 3)) }},
		{"a clear of all", []driver.Key{k(10), k(11)}, func() { other.clear(driver.All, now) }},
		{"a put before a drop", []driver.Key{k(8), k(9)}, func() { other.put(e(8, 4), e(9, 4)) }},
		{"a drop", []driver.Key{k(8), k(9)}, func() { drop(t, other.store, table.spec.Name) }},
	} {
		from := w.told()
		change.do()
		w.wait(change.name, from, table.spec.Name, change.keys...)
	}

	t.Run("tables that are made meanwhile", func(t *testing.T) {
		for _, spec := range []driver.TableSpec{
			{Name: table.spec.Name, Key: []driver.Column{boolean("b"), text("id")}},
			{Name: "albums", Key: []driver.Column{integer("n")}},
		} {
			made, from := openTable(t, other.store, spec), w.told()
			key := driver.Key{true, "a"}
			if len(spec.Key) == 1 {
				key = driver.Key{int64(-1)}
			}
			made.put(version(key, 1))
			w.wait("a put to a table that was made meanwhile", from, spec.Name, key)
		}
	})
}

func testToldNames(t *testing.T, h Harness) {
	t.Run("keys come back exactly", func(t *testing.T) {
		table := h.table(t, integer("n"), text("a"), boolean("b"), text("c"))
		other := openTable(t, h.reopen(t, table.store), table.spec)
		n := 64 << 10
		if h.MaxKey > 0 {
			n = min(n, h.MaxKey)
		}
		long := strings.Repeat("0123456789abcdef", n/16+1)[:n-8]
		var keys []driver.Key
		for i, s := range []string{
			"", "a", "A", "a ", "é", "e\u0301", "\x00", "a\x00b", "\xff\xfe", "\xed\xa0\x80", `\`, `\x00`, `\\`, "'", `"`, ":", "%", "%3A", "{", "}",
			"a:b", "a|b", "a,b", "a/b", "\n", "\r\n", "日本", "🎵", "true", "1", "null", strings.Repeat("x", 300), strings.Repeat("\xff", 3_000), long,
		} {
			keys = append(keys, key(int64(i), s, i%2 == 0, ""), key(int64(-i-1), "", i%2 == 1, s))
		}
		keys = append(keys, key(int64(math.MaxInt64), "a", true, "b"), key(int64(math.MinInt64), "a", true, "b"), key(int64(1)<<53+1, "a", true, "b"))
		w := watch(t, table.store)
		for _, k := range keys {
			from := w.told()
			other.put(version(k, 1))
			w.wait("a put of "+describe(k), from, table.spec.Name, k)
		}
		from := w.told()
		other.delete(keys...)
		w.wait("a delete of all", from, table.spec.Name, keys...)
	})

	t.Run("names of tables come back exactly", func(t *testing.T) {
		s := h.open(t)
		other := h.reopen(t, s)
		w := watch(t, s)
		for _, name := range []string{
			"a", "a b", "tracks@https://api.test:8443", `q"'%_*`, "日本", "..", "a/b", "a:b", "{a}", "%7B", `\`, strings.Repeat("x", 255), strings.Repeat("日", 85),
		} {
			table, from := openTable(t, other, driver.TableSpec{Name: name, Key: []driver.Column{text("id")}}), w.told()
			table.put(version(id(1), 1))
			w.wait("a put to "+name, from, name, id(1))
			from = w.told()
			drop(t, other, name)
			w.wait("a drop of "+name, from, name, id(1))
		}
	})
}

func testToldAll(t *testing.T, h Harness) {
	t.Run("of changes of many entries", func(t *testing.T) {
		table := h.ids(t)
		other := openTable(t, h.reopen(t, table.store), table.spec)
		keys := ids(0, h.many())
		w := watch(t, table.store)
		from := w.told()
		other.put(versions(keys, 1)...)
		w.wait("a put of many", from, table.spec.Name, keys...)

		from = w.told()
		stored := slices.Repeat([]bool{true}, len(keys))
		other.putIf(driver.Condition{If: driver.IfNewer}, stored, versions(keys, 2)...)
		w.wait("a put of many if newer", from, table.spec.Name, keys...)

		from = w.told()
		renewals := make([]driver.Renewal, len(keys))
		for i, k := range keys {
			renewals[i] = renewal(version(k, 2), 3)
		}
		other.renew(stored, renewals...)
		w.wait("a renewal of many", from, table.spec.Name, keys...)

		from = w.told()
		half := keys[:len(keys)/2]
		other.delete(half...)
		w.wait("a delete of many", from, table.spec.Name, half...)

		from = w.told()
		other.clear(driver.All, now)
		w.wait("a clear of many", from, table.spec.Name, keys[len(half):]...)
	})

	t.Run("of what many writers change once it has begun", func(t *testing.T) {
		table := h.ids(t)
		others := []subject{
			openTable(t, h.reopen(t, table.store), table.spec),
			openTable(t, h.reopen(t, table.store), table.spec),
		}
		for round := range rounds(10) {
			w := startWatch(t, table.store)
			var mu sync.Mutex
			var changed []driver.Key
			together(t, func(ctx context.Context, g int) error {
				for i, after := 0, 0; after < 10 && !w.hasEnded(); i++ {
					begun := w.hasBegun()
					k := id(round*1_000_000 + g*100_000 + i)
					if err := others[g%2].Put(ctx, []driver.Entry{version(k, 1)}); err != nil {
						return err
					}
					if begun {
						after++
						mu.Lock()
						changed = append(changed, k)
						mu.Unlock()
					}
				}
				return nil
			})
			w.waitBegun()
			w.wait("the puts of many writers", 0, table.spec.Name, changed...)
			w.stop()
		}
	})
}

func testToldInTime(t *testing.T, h Harness) {
	table := h.ids(t)
	watcher, ok := driver.As[driver.Watcher](table.store)
	if !ok {
		t.Skip("another store of this harness does tell of changes")
	}
	watching := table
	if table.store.Traits().Lags > 0 { // what is told can be read where it is watched
		watching = openTable(t, watcher, table.spec)
	}
	others := []subject{
		openTable(t, h.reopen(t, table.store), table.spec),
		openTable(t, h.reopen(t, table.store), table.spec),
	}
	keys := ids(0, 24)
	c := newDropping(watching, keys)
	w := startWatch(t, table.store, c.drop)
	w.waitBegun()
	done := make(chan struct{})
	var reading sync.WaitGroup
	reading.Go(func() { c.read(t.Context(), done) })
	for round := range rounds(20) {
		together(t, func(ctx context.Context, g int) error {
			other, own := others[g%2], keys[g*3:g*3+3]
			err := other.Put(ctx, versions(own, 3*round+1))
			if err == nil && round%2 == 0 {
				_, err = other.Renew(ctx, []driver.Renewal{renewal(version(own[0], 3*round+1), 3*round+2)})
			}
			if err == nil && round%3 == 0 {
				_, err = other.Delete(ctx, own[1:2])
			}
			if err == nil && round%3 == 1 {
				_, _, err = other.Pop(ctx, own[1], driver.Filter{})
			}
			if err == nil {
				_, err = other.PutIf(ctx, versions(own[2:], 3*round+2), driver.Condition{If: driver.IfNewer})
			}
			return err
		})
		want := watching.get(everything, keys...)
		within(t, "what drops what is told, and reads it, has what the store has", func() bool { return c.holds(want) })
	}
	close(done)
	reading.Wait()
	if c.err != nil {
		t.Error(c.err)
	}
}

// dropping is a cache that drops what it is told of, and reads that at once.
type dropping struct {
	table subject
	keys  []driver.Key
	wake  chan struct{}
	err   error // of the reader

	mu      sync.Mutex
	entries map[int]driver.Entry // by index in keys
	unread  map[int]int          // how often it was dropped since it was read, by index in keys
}

func newDropping(table subject, keys []driver.Key) *dropping {
	c := &dropping{table: table, keys: keys, wake: make(chan struct{}, 1), entries: map[int]driver.Entry{}, unread: map[int]int{}}
	c.drop(driver.Change{}) // for the first read
	return c
}

func (c *dropping) drop(change driver.Change) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, k := range c.keys {
		if change.Keys == nil || slices.ContainsFunc(change.Keys, func(told driver.Key) bool { return slices.Equal(told, k) }) {
			delete(c.entries, i)
			c.unread[i]++
		}
	}
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// read reads what is dropped until done is closed.
func (c *dropping) read(ctx context.Context, done <-chan struct{}) {
	for {
		select {
		case <-done:
			return
		case <-c.wake:
		}
		c.mu.Lock()
		seen := make(map[int]int, len(c.unread))
		var keys []driver.Key
		var indices []int
		for i, n := range c.unread {
			seen[i] = n
			keys, indices = append(keys, c.keys[i]), append(indices, i)
		}
		c.mu.Unlock()
		var mu sync.Mutex
		found := make(map[int]driver.Entry)
		err := c.table.Get(ctx, keys, everything, func(i int, e driver.Entry) {
			mu.Lock()
			defer mu.Unlock()
			found[indices[i]] = e
		})
		c.mu.Lock()
		c.err = errors.Join(c.err, err)
		for i, n := range seen {
			if c.unread[i] != n {
				continue // it was dropped meanwhile
			}
			delete(c.unread, i)
			if e, ok := found[i]; ok {
				c.entries[i] = e
			}
		}
		c.mu.Unlock()
	}
}

// holds reports whether it has read everything, and has just these entries.
func (c *dropping) holds(want map[int]driver.Entry) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.unread) > 0 || len(c.entries) != len(want) {
		return false
	}
	for i, e := range want {
		if got, ok := c.entries[i]; !ok || diff(e, got) != "" {
			return false
		}
	}
	return true
}

func testWatchEnds(t *testing.T, h Harness) {
	t.Run("a Watch ends with its context, and others go on", func(t *testing.T) {
		table := h.ids(t)
		other := openTable(t, h.reopen(t, table.store), table.spec)
		one, two, three := watch(t, table.store), watch(t, table.store), watch(t, table.store)
		back := watch(t, other.store)
		other.put(version(id(1), 1))
		for _, w := range []*watched{one, two, three} {
			w.wait("a put, to each of several", 0, table.spec.Name, id(1))
		}
		if err := two.stop(); !errors.Is(err, context.Canceled) {
			t.Errorf("Watch = %v, want %v", err, context.Canceled)
		}
		n, from, threeFrom, backFrom := two.told(), one.told(), three.told(), back.told()
		other.put(version(id(2), 1))
		one.wait("a put, to one that is left", from, table.spec.Name, id(2))
		three.wait("a put, to another that is left", threeFrom, table.spec.Name, id(2))
		if two.told() != n {
			t.Error("a Watch that has returned goes on telling")
		}
		table.put(version(id(3), 1))
		back.wait("a put to the store that watches itself", backFrom, table.spec.Name, id(3))
		if one.hasEnded() {
			t.Error("a Watch has ended with another")
		}
	})

	t.Run("with a context that is done, or none, it does not begin", func(t *testing.T) {
		watcher, _ := driver.As[driver.Watcher](h.open(t))
		for _, tt := range []struct {
			name string
			ctx  func() context.Context
			want error
		}{
			{"cancelled", func() context.Context {
				ctx, cancel := context.WithCancel(t.Context())
				cancel()
				return ctx
			}, context.Canceled},
			{"none", func() context.Context { return nil }, nil},
		} {
			waitfor.End(t, "Watch returns", func() {
				err := watcher.Watch(tt.ctx(), func() { t.Errorf("%s: it begins", tt.name) }, func(driver.Change) {})
				if err == nil || tt.want != nil && !errors.Is(err, tt.want) {
					t.Errorf("%s: Watch = %v, want %v", tt.name, err, tt.want)
				}
			})
		}
	})

	t.Run("a close ends it", func(t *testing.T) {
		table := h.ids(t)
		other := h.reopen(t, table.store)
		one, two, stays := watch(t, table.store), watch(t, table.store), watch(t, other)
		waitfor.End(t, "the close of a store that is watched", func() {
			if err := table.store.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		})
		for _, w := range []*watched{one, two} {
			within(t, "Watch ends with the store", w.hasEnded)
			if !errors.Is(w.err, driver.ErrClosed) {
				t.Errorf("Watch = %v, want %v", w.err, driver.ErrClosed)
			}
		}
		if stays.hasEnded() {
			t.Errorf("the Watch of another store has ended: %v", stays.err)
		}
		waitfor.End(t, "a Watch of a closed store", func() {
			err := one.store.Watch(t.Context(), func() { t.Error("it begins") }, func(driver.Change) {})
			if !errors.Is(err, driver.ErrClosed) {
				t.Errorf("Watch = %v, want %v", err, driver.ErrClosed)
			}
		})
	})
}
