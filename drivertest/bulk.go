package drivertest

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/endpointcache/endpointcache/driver"
)

func testBulk(t *testing.T, h Harness) {
	many := h.many()
	four := []driver.Column{text("id"), text("market"), integer("page"), boolean("explicit")}
	wide := func(i int) driver.Key {
		return key(fmt.Sprintf("id-%d", i/4), [...]string{"DE", "US"}[i/2%2], int64(i/4), i%2 == 0)
	}

	t.Run("operations on nothing do nothing", func(t *testing.T) {
		table := h.ids(t)
		table.put(version(id(1), 1))
		table.put()
		if n := table.delete(); n != 0 {
			t.Errorf("delete of no keys removed %d", n)
		}
		if n := len(table.get(everything)); n != 0 {
			t.Errorf("get of no keys visited %d", n)
		}
		table.wantOnly(version(id(1), 1))
	})

	for _, n := range []int{1, 2, 3, 999, 1_000, 1_001, many} {
		if n > many || testing.Short() && (n == 999 || n == 1_001) {
			continue
		}
		t.Run(fmt.Sprintf("%d entries are put, read and deleted in one call each", n), func(t *testing.T) {
			table := h.table(t, four...)
			// The keys in the table are the even ones: half of those asked for
			// are missing, in no order.
			asked := rand.New(rand.NewPCG(1, uint64(n))).Perm(2 * n)
			keys := make([]driver.Key, len(asked))
			var entries []driver.Entry
			for i, number := range asked {
				keys[i] = wide(number)
				if number%2 == 0 {
					entries = append(entries, version(keys[i], number))
				}
			}
			table.put(entries...)
			table.wantCount(n, driver.All, now)

			wantFound := func(change int) {
				t.Helper()
				found := table.get(everything, keys...)
				for i, number := range asked {
					got, ok := found[i]
					if ok != (number%2 == 0) {
						t.Fatalf("get of %s: found is %v", describe(keys[i]), ok)
					}
					if d := diff(version(nil, number+change), got); ok && d != "" {
						t.Fatalf("get of %s: %s", describe(keys[i]), d)
					}
				}
			}
			wantFound(0)
			for i, e := range entries {
				entries[i] = version(e.Key, e.Status+1)
			}
			table.put(entries...)
			table.wantCount(n, driver.All, now)
			wantFound(1)
			if got := len(table.entries(everything)); got != n {
				t.Errorf("an iteration yields %d entries, want %d", got, n)
			}
			if got := table.delete(keys...); got != n {
				t.Errorf("delete removed %d, want %d", got, n)
			}
			table.wantOnly()
		})
	}

	t.Run("a get visits every index of a key that is given twice", func(t *testing.T) {
		table := h.ids(t)
		table.put(version(id(1), 1), version(id(2), 2))
		found := table.get(everything, id(1), id(2), id(1), id(9), id(1), id(9))
		for i, v := range map[int]int{0: 1, 1: 2, 2: 1, 4: 1} {
			if d := diff(version(nil, v), found[i]); d != "" {
				t.Errorf("index %d: %s", i, d)
			}
		}
		if len(found) != 4 {
			t.Errorf("get visited %d indexes, want 4", len(found))
		}
	})

	t.Run("of two entries with one key the later wins", func(t *testing.T) {
		table := h.ids(t)
		table.put(version(id(1), 1), version(id(2), 2), version(id(1), 3), version(id(1), 4))
		table.wantOnly(version(id(1), 4), version(id(2), 2))
		table.put(version(id(1), 6), version(id(1), 5))
		table.wantOnly(version(id(1), 5), version(id(2), 2))
	})

	t.Run("duplicates far apart in one call are still duplicates", func(t *testing.T) {
		table := h.ids(t)
		keys := append(ids(0, many/2), ids(0, many/2)...)
		entries := make([]driver.Entry, len(keys))
		for i, k := range keys {
			entries[i] = version(k, i)
		}
		table.put(entries...)
		table.wantCount(many/2, driver.All, now)
		found := table.get(everything, keys...)
		for i := range keys {
			if d := diff(version(nil, many/2+i%(many/2)), found[i]); d != "" {
				t.Fatalf("index %d: %s", i, d)
			}
		}
		if n := table.delete(keys...); n != many/2 {
			t.Errorf("delete removed %d, want %d", n, many/2)
		}
	})
}
