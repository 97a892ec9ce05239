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
		first.want(version(id(1), 2))
		first.delete(id(1))
		second.wantOnly(version(id(2), 1))
		second.clear(driver.All, now)
		first.wantOnly()
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
