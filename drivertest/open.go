package drivertest

import (
	"sync"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
)

func testOpen(t *testing.T, h Harness) {
	t.Run("a new table is empty", func(t *testing.T) {
		h.ids(t).wantOnly()
	})

	t.Run("a table that is opened twice is one table", func(t *testing.T) {
		first := h.ids(t)
		first.put(version(id(1), 1))
		second := openTable(t, first.store, first.spec)
		second.want(version(id(1), 1))
		second.put(version(id(2), 2))
		first.wantOnly(version(id(1), 1), version(id(2), 2))
	})

	t.Run("many goroutines open one table at once", func(t *testing.T) {
		s := h.open(t)
		spec := driver.TableSpec{Name: "tracks", Key: []driver.Column{text("id")}}
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Add(1)
			go func() {
				defer wg.Done()
				table, err := s.OpenTable(t.Context(), spec)
				if err == nil {
					err = table.Put(t.Context(), []driver.Entry{version(id(i), i)})
				}
				if err != nil {
					t.Error(err)
				}
			}()
		}
		wg.Wait()
		openTable(t, s, spec).wantCount(8, driver.All, now)
	})

	t.Run("a caller may change the columns after opening", func(t *testing.T) {
		columns := []driver.Column{text("id"), integer("page")}
		table := h.table(t, columns...)
		columns[0], columns[1] = integer("x"), boolean("y")
		e := version(key("a", int64(1)), 1)
		table.put(e)
		table.want(e)
		openTable(t, table.store, driver.TableSpec{Name: "tracks", Key: []driver.Column{text("id"), integer("page")}}).want(e)
	})

	t.Run("entries survive a reopening with all their parts", func(t *testing.T) {
		first := h.table(t, text("id"), integer("page"), boolean("explicit"))
		never := version(key("never", int64(-1), false), 2)
		never.ExpiresAt = time.Time{}
		binary := version(key("\x00\xff", int64(0), true), 3)
		binary.Payload = []byte("\x00\xff\x00")
		entries := []driver.Entry{version(key("a", int64(1), true), 1), never, binary}
		first.put(entries...)
		if h.Reopen == nil {
			t.Skip("nothing outlives this store")
		}
		if err := first.store.Close(); err != nil {
			t.Fatal(err)
		}
		openTable(t, h.reopen(t, first.store), first.spec).wantOnly(entries...)
	})

	t.Run("an open store sees at once what another has committed", func(t *testing.T) {
		first := h.ids(t)
		second := openTable(t, h.reopen(t, first.store), first.spec)
		first.put(version(id(1), 1), version(id(2), 1))
		second.wantOnly(version(id(1), 1), version(id(2), 1))
		second.put(version(id(1), 2))
		first.wantSoon(version(id(1), 2))
		first.delete(id(1))
		second.wantOnly(version(id(2), 1))
		second.clear(driver.All, now)
		first.wantOnly()
	})

	t.Run("an open store sees what another changes of entries that it has read", func(t *testing.T) {
		first := h.ids(t)
		second := openTable(t, h.reopen(t, first.store), first.spec)
		keys := ids(0, 4)
		old, changed := versions(keys, 1), versions(keys, 2)
		is := func(e driver.Entry) func() { return func() { t.Helper(); first.wantSoon(e) } }
		gone := func(keys ...driver.Key) func() { return func() { t.Helper(); first.wantGoneSoon(keys...) } }
		for _, change := range []struct {
			name string
			do   func()
			seen func()
		}{
			{"a put", func() { second.put(changed[0]) }, is(changed[0])},
			{"a put of what was absent", func() { second.put(version(id(10), 1)) }, is(version(id(10), 1))},
			{"a put on a condition", func() {
				second.putIf(driver.Condition{If: driver.IfNewer}, []bool{true, true}, changed[1], version(id(11), 1))
			}, func() { is(changed[1])(); is(version(id(11), 1))() }},
			{"a renewal", func() { second.renew([]bool{true}, renewal(old[2], 2)) }, is(renewed(old[2], renewal(old[2], 2)))},
			{"a delete", func() { second.delete(keys[0], keys[1]) }, gone(keys[0], keys[1])},
			{"a pop", func() {
				if _, ok, err := second.Pop(t.Context(), keys[2], driver.Filter{}); !ok || err != nil {
					t.Errorf("pop: %v, %v", ok, err)
				}
			}, gone(keys[2])},
			{"a clear", func() { second.clear(driver.Live, now) }, gone(keys...)},
			{"a drop", func() { drop(t, second.store, first.spec.Name) }, func() {
				first = openTable(t, first.store, first.spec)
				gone(keys...)()
				second = openTable(t, second.store, first.spec)
			}},
		} {
			first.put(old...)
			first.get(everything, append(ids(10, 2), keys...)...)
			first.get(everything, append(ids(10, 2), keys...)...)
			change.do()
			change.seen()
			if t.Failed() {
				t.Fatalf("%s is not seen", change.name)
			}
		}
	})

	t.Run("closing a store leaves others on its data alone", func(t *testing.T) {
		first := h.ids(t)
		second := openTable(t, h.reopen(t, first.store), first.spec)
		first.put(version(id(1), 1))
		if err := first.store.Close(); err != nil {
			t.Fatal(err)
		}
		second.put(version(id(2), 1))
		second.wantOnly(version(id(1), 1), version(id(2), 1))
	})
}
