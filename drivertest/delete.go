package drivertest

import (
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
)

func testDelete(t *testing.T, h Harness) {
	t.Run("a delete removes what it names and nothing else", func(t *testing.T) {
		table := h.ids(t)
		table.put(versions(ids(0, 5), 1)...)
		if n := table.delete(id(1), id(3)); n != 2 {
			t.Errorf("delete removed %d, want 2", n)
		}
		table.wantOnly(versions([]driver.Key{id(0), id(2), id(4)}, 1)...)
	})

	t.Run("a delete counts only what was there", func(t *testing.T) {
		table := h.ids(t)
		table.put(versions(ids(0, 3), 1)...)
		if n := table.delete(id(7), id(0), id(8), id(2), id(9)); n != 2 {
			t.Errorf("delete removed %d, want 2", n)
		}
		if n := table.delete(id(0), id(2)); n != 0 {
			t.Errorf("a second delete removed %d, want 0", n)
		}
		table.wantOnly(version(id(1), 1))
	})

	t.Run("a delete counts an entry once that it is given twice", func(t *testing.T) {
		table := h.ids(t)
		table.put(versions(ids(0, 2), 1)...)
		if n := table.delete(id(0), id(0), id(0), id(9), id(9)); n != 1 {
			t.Errorf("delete removed %d, want 1", n)
		}
		table.wantOnly(version(id(1), 1))
	})

	t.Run("a delete removes and counts expired entries too", func(t *testing.T) {
		table := h.ids(t)
		table.put(expiring(id(0), now.Add(time.Minute)), expiring(id(1), time.Time{}))
		if n := table.delete(id(0), id(1)); n != 2 {
			t.Errorf("delete removed %d, want 2", n)
		}
		table.wantOnly()
	})

	t.Run("a delete touches its own table alone", func(t *testing.T) {
		one, other := h.neighbours(t)
		one.put(versions(ids(0, 3), 1)...)
		other.put(versions(ids(0, 3), 2)...)
		if n := one.delete(ids(0, 2)...); n != 2 {
			t.Errorf("delete removed %d, want 2", n)
		}
		one.wantOnly(version(id(2), 1))
		other.wantOnly(versions(ids(0, 3), 2)...)
	})
}

// neighbours are two tables of one store with the same columns.
func (h Harness) neighbours(t *testing.T) (one, other subject) {
	t.Helper()
	one = h.ids(t)
	return one, openTable(t, one.store, driver.TableSpec{Name: "albums", Key: one.spec.Key})
}
