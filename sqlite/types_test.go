package sqlite_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/sqlite"
)

// SQLite keeps values of any type in a column. What another program has written of another type makes an entry
// a damaged one, which every operation passes by, and the next put replaces.
func TestValuesOfOtherTypes(t *testing.T) {
	everything := driver.Selection{Parts: driver.Payload | driver.Meta | driver.Usage}
	for _, change := range []struct {
		assignment    string
		meta, payload bool // the part whose sum is wrong then
	}{
		{"status = 'abc'", true, true},
		{"status = 200.5", true, true},
		{"cached_us = 'abc'", true, false},
		{"cached_us = x'00'", true, false},
		{"expires_us = 'never'", true, false},
		{"expires_us = 1.5", true, false},
		{"name = x'41'", true, false},
		{"headers = x'7b7d'", true, false},
		{"_encoding = x'41'", false, true},
		{"payload = 'text'", false, true},
		{"payload = 1.5", false, true},
		{"_used_us = 'abc'", false, false},
	} {
		t.Run(change.assignment, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "cache.db")
			store := must(t)(sqlite.Open(t.Context(), path, nil))
			t.Cleanup(func() { store.Close() })
			table, err := store.OpenTable(t.Context(), tracks)
			check(t, err)
			var entries []driver.Entry
			for i := range 5 {
				entries = append(entries, track("t", i))
			}
			check(t, table.Put(t.Context(), entries))
			db := openDB(t, path)
			if _, err := db.ExecContext(t.Context(), "UPDATE tracks SET "+change.assignment+" WHERE n = 2"); err != nil {
				t.Fatal(err)
			}

			sums := func(e driver.Entry) (meta, payload bool) {
				return e.MetaSum == driver.WrongSum, e.PayloadSum == driver.WrongSum
			}
			found := 0
			check(t, table.Get(t.Context(), []driver.Key{entries[1].Key, entries[2].Key, entries[3].Key}, everything, func(i int, e driver.Entry) {
				found++
				if meta, payload := sums(e); meta != (change.meta && i == 1) || payload != (change.payload && i == 1) {
					t.Errorf("get: entry %d has the sums %v, %v", i, meta, payload)
				}
			}))
			iterated := 0
			for e, err := range table.Entries(t.Context(), everything) {
				check(t, err)
				iterated++
				if meta, payload := sums(e); e.Key[1] == int64(2) && (meta != change.meta || payload != change.payload) {
					t.Errorf("iterate: the entry has the sums %v, %v", meta, payload)
				}
			}
			if found != 3 || iterated != 5 {
				t.Errorf("%d are got, %d iterated over", found, iterated)
			}
			for order := driver.ByKey; order <= driver.BySize; order++ {
				var listed []int64
				for l := (driver.Listing{Selection: everything, Order: order, Limit: 1}); len(listed) < 10; {
					page, err := table.List(t.Context(), l)
					check(t, err)
					if len(page) == 0 {
						break
					}
					listed = append(listed, page[0].Key[1].(int64))
					l.After = &page[0]
				}
				slices.Sort(listed)
				if want := []int64{0, 1, 2, 3, 4}; !slices.Equal(listed, want) && !slices.Equal(listed, []int64{0, 1, 3, 4}) {
					t.Errorf("in order %d, %v are listed, want %v", order, listed, want)
				}
			}
			if sum, err := store.Summarize(t.Context(), tracks, entries[0].CachedAt); err != nil || sum.Entries != 5 || !sum.Newest.Equal(entries[4].CachedAt) {
				t.Errorf("the summary is %+v, %v", sum, err)
			}

			newer := slices.Clone(entries[1:4])
			for i := range newer {
				newer[i].CachedAt = newer[i].CachedAt.Add(1000)
			}
			for _, put := range [][]driver.Entry{newer[1:2], newer} { // one by one statement, and more in steps
				if _, err := db.ExecContext(t.Context(), "UPDATE tracks SET "+change.assignment+" WHERE n = 2"); err != nil {
					t.Fatal(err)
				}
				stored, err := table.PutIf(t.Context(), put, driver.Condition{If: driver.IfNewer})
				if err != nil || slices.Contains(stored, false) {
					t.Errorf("it is not replaced: %v, %v", stored, err)
				}
			}
			e, ok, err := table.Pop(t.Context(), entries[2].Key, driver.Filter{})
			if meta, payload := sums(e); !ok || err != nil || meta || payload {
				t.Errorf("what has replaced it is %+v, %v, %v", e, ok, err)
			}
		})
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A row whose key is of another type is nobody's entry. Only an examination tells of it.
func TestKeysOfOtherTypes(t *testing.T) {
	for _, assignment := range []string{"id = x'41'", "n = 'abc'", "n = 1.5"} {
		path := filepath.Join(t.TempDir(), "cache.db")
		store := must(t)(sqlite.Open(t.Context(), path, nil))
		t.Cleanup(func() { store.Close() })
		table, err := store.OpenTable(t.Context(), tracks)
		check(t, err)
		const n = 1200 // more than a page of an iteration
		var entries []driver.Entry
		for i := range n {
			entries = append(entries, track(fmt.Sprint("t", i), i))
		}
		check(t, table.Put(t.Context(), entries))
		if _, err := openDB(t, path).ExecContext(t.Context(), "UPDATE tracks SET "+assignment+" WHERE n % 100 = 0"); err != nil {
			t.Fatal(err)
		}
		iterated, listed, faults := 0, 0, 0
		for e, err := range table.Entries(t.Context(), driver.Selection{}) {
			check(t, err)
			if iterated++; e.Key == nil {
				t.Fatal("an entry has no key")
			}
		}
		l := driver.Listing{Limit: 100}
		for page := []driver.Entry{{}}; len(page) > 0; {
			page, err = table.List(t.Context(), l)
			check(t, err)
			if listed += len(page); len(page) > 0 {
				l.After = &page[len(page)-1]
			}
		}
		for found, err := range driver.Examine(t.Context(), store, table, tracks, driver.Selection{}) {
			check(t, err)
			if (found.Key == nil) != (found.Fault != nil) {
				t.Errorf("%v: %v", found.Key, found.Fault)
			}
			if found.Fault != nil {
				faults++
			}
		}
		if iterated != n-12 || listed != n-12 || faults != 12 {
			t.Errorf("%s: %d are iterated over, %d listed, %d told of", assignment, iterated, listed, faults)
		}
		if cleared, err := table.Clear(t.Context(), driver.Filter{}); err != nil || cleared != n {
			t.Errorf("%s: %d are cleared, %v", assignment, cleared, err)
		}
	}
}
