package sqlite

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
)

// orders are those that have an index of their own, by what follows the table in its name.
var orders = map[driver.Order]string{
	driver.ByName: "by name", driver.ByCached: "by cached", driver.ByUsed: "by used", driver.ByExpiry: "by expiry", driver.BySize: "by size",
}

// analyze gives the planner statistics.
func analyze(t *testing.T, s *Store) {
	t.Helper()
	if err := s.commits.write(t.Context(), 1, func(c *conn) error { return c.exec(t.Context(), "ANALYZE") }); err != nil {
		t.Fatal(err)
	}
}

// Every page is read from the index of its order from where it begins, whatever is
// selected: nothing is sorted.
func TestPagesAreReadFromAnIndex(t *testing.T) {
	s, table := openOwned(t)
	for order := range orders {
		if _, err := table.List(t.Context(), driver.Listing{Order: order, Limit: 1}); err != nil {
			t.Fatal(err)
		}
	}
	orders[driver.ByKey] = "sqlite_autoindex_tracks_1"
	t.Cleanup(func() { delete(orders, driver.ByKey) })
	everything, _ := whereTerms(driver.Where{
		Prefix: "a", CachedFrom: time.Now(), CachedBefore: time.Now(), UsedBefore: time.Now(), Name: "n", NamePrefix: "n", MinStatus: 1, MaxStatus: 2,
	})
	for _, analyzed := range []bool{false, true} {
		if analyzed {
			analyze(t, s)
		}
		for order, index := range orders {
			for _, key := range []stmtKey{{}, {behind: behindKey}, {behind: behindValue}} {
				if order == driver.ByKey && key.behind == behindValue {
					continue // there is none
				}
				for _, f := range []stmtKey{{}, {state: driver.Live}, {state: driver.Expired}, {where: everything}, {leading: 1}, {leading: 1, state: driver.Live, where: everything}} {
					for _, descending := range []bool{false, true} {
						for _, parts := range []driver.Parts{order.Parts(), driver.Payload | driver.Meta | driver.Usage} {
							key.op, key.table, key.order, key.descending, key.sel = opList, table, order, descending, parts
							key.state, key.where, key.leading = f.state, f.where, f.leading
							text := table.text(key)
							have := plan(t, s, text)
							ok := strings.Contains(have, index) && !strings.Contains(have, "TEMP B-TREE") &&
								(key.behind == fromStart || strings.HasPrefix(have, "SEARCH "))
							if !ok {
								t.Errorf("%s\nis done by: %s", text, have)
							}
						}
					}
				}
			}
		}
	}
}

// A listing by use, as far as it is about sizes, reads no row; nor does a table's size.
func TestBoundsReadOneIndex(t *testing.T) {
	s, table := openOwned(t)
	if _, err := table.List(t.Context(), driver.Listing{Order: driver.ByUsed, Limit: 1}); err != nil {
		t.Fatal(err)
	}
	for _, key := range []stmtKey{
		{op: opList, order: driver.ByUsed, sel: driver.Usage},
		{op: opList, order: driver.ByUsed, sel: driver.Usage, behind: behindKey},
		{op: opList, order: driver.ByUsed, sel: driver.Usage, behind: behindValue},
		{op: opSize},
	} {
		key.table = table
		text := table.text(key)
		if have := plan(t, s, text); !strings.Contains(have, "USING COVERING INDEX tracks by used") {
			t.Errorf("%s\nis done by: %s", text, have)
		}
	}
}

// Few entries with the same leading values are found by their key and sorted.
func TestFewEntriesAreSorted(t *testing.T) {
	s, table := openOwned(t)
	for order := range orders {
		if err := table.ensureIndex(t.Context(), order); err != nil {
			t.Fatal(err)
		}
	}
	for order := range orders {
		for _, behind := range []behind{fromStart, behindKey, behindValue} {
			key := stmtKey{table: table, op: opList, order: order, leading: 1, sorts: true, behind: behind, sel: order.Parts()}
			if have := plan(t, s, table.text(key)); !strings.Contains(have, "INDEX sqlite_autoindex_tracks_1 (owner=?") {
				t.Errorf("%s\nis done by: %s", table.text(key), have)
			}
		}
	}
	all := table.text(stmtKey{table: table, op: opList, order: driver.ByUsed, sorts: true, sel: driver.Meta})
	if have := plan(t, s, all); !strings.Contains(have, "USING INTEGER PRIMARY KEY (rowid=?); LIST SUBQUERY") {
		t.Errorf("%s\nsorts more than the numbers of rows: %s", all, have)
	}
	have := plan(t, s, table.text(stmtKey{table: table, op: opFew, leading: 1}))
	if !strings.Contains(have, "COVERING INDEX sqlite_autoindex_tracks_1 (owner=?") {
		t.Errorf("few are told by: %s", have)
	}
}

// However many entries have the leading values, a listing of them is the same.
func TestAListingOfFewIsThatOfMany(t *testing.T) {
	_, table := openOwned(t)
	listed := func(order driver.Order, index string, descending bool) {
		l := driver.Listing{Order: order, Descending: descending, Limit: 700}
		l.Leading = driver.Key{"many"}
		if err := table.ensureIndex(t.Context(), order); err != nil {
			t.Fatal(err)
		}
		for {
			var pages [2][]driver.Entry
			for i, sorts := range []bool{false, true} {
				page, err := table.readPage(t.Context(), l, sorts)
				if err != nil {
					t.Fatal(err)
				}
				pages[i] = page
			}
			if !slices.EqualFunc(pages[0], pages[1], func(a, b driver.Entry) bool { return slices.Equal(a.Key, b.Key) }) {
				t.Errorf("%s: a page differs", index)
			}
			if len(pages[0]) == 0 {
				break
			}
			l.After = &pages[0][len(pages[0])-1]
		}
	}
	for order, index := range orders {
		listed(order, index, false)
		listed(order, index, true)
	}
}

// Filters that an index serves are searched for in it.
func TestFiltersAreSearchedFor(t *testing.T) {
	s, table := openOwned(t)
	for order := range orders {
		if _, err := table.List(t.Context(), driver.Listing{Order: order, Limit: 1}); err != nil {
			t.Fatal(err)
		}
	}
	for _, analyzed := range []bool{false, true} {
		if analyzed {
			analyze(t, s)
		}
		for _, tt := range []struct {
			filter driver.Filter
			index  string
		}{
			{driver.Filter{State: driver.Expired}, "expir"},
			{driver.Filter{State: driver.Expired, Where: driver.Where{MaxStatus: 200}}, "expir"},
			{driver.Filter{Where: driver.Where{Prefix: "a"}}, "autoindex"},
			{driver.Filter{Leading: driver.Key{"many"}, Where: driver.Where{Prefix: "a", CachedBefore: time.Now()}}, "autoindex"},
			{driver.Filter{Where: driver.Where{UsedBefore: time.Now()}}, "by used"},
			{driver.Filter{Where: driver.Where{CachedBefore: time.Now()}}, "by cached"},
			{driver.Filter{Where: driver.Where{NamePrefix: "a"}}, "by name"},
		} {
			for _, op := range []op{opCount, opClear} {
				where, _ := whereTerms(tt.filter.Where)
				text := table.text(stmtKey{table: table, op: op, state: tt.filter.State, leading: len(tt.filter.Leading), where: where})
				if have := plan(t, s, text); !strings.HasPrefix(have, "SEARCH ") || !strings.Contains(have, tt.index) {
					t.Errorf("%s\nis done by: %s", text, have)
				}
			}
		}
	}
}

func TestTheEndOfAPrefix(t *testing.T) {
	for prefix, want := range map[string]string{"": "", "a": "b", "az": "a{", "a\xff": "b", "\xff\xff": "", "é": "\xc3\xaa", "a\x00": "a\x01"} {
		if have := prefixEnd(prefix); have != want {
			t.Errorf("%q ends before %q, want %q", prefix, have, want)
		}
	}
}

// Two stores on a file that list for the first time at once make one index.
func TestAListingIsMadeOnceForAll(t *testing.T) {
	path := t.TempDir() + "/cache.db"
	const stores = 4
	results := make(chan error, stores)
	for range stores {
		s, err := Open(t.Context(), path, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		table, err := s.OpenTable(t.Context(), owned)
		if err != nil {
			t.Fatal(err)
		}
		if err := table.Put(t.Context(), []driver.Entry{{Key: driver.Key{"a", "b", int64(1)}, CachedAt: time.UnixMicro(1).UTC()}}); err != nil {
			t.Fatal(err)
		}
		go func() {
			page, err := table.List(t.Context(), driver.Listing{Order: driver.BySize, Limit: 2})
			if err == nil && len(page) != 1 {
				err = fmt.Errorf("%d entries", len(page))
			}
			results <- err
		}()
	}
	for range stores {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
}

// Whatever the order, the error of a listing is that its table is gone.
func TestAListingOfADroppedTable(t *testing.T) {
	s, table := openOwned(t)
	if err := s.DropTable(t.Context(), table.spec.Name); err != nil {
		t.Fatal(err)
	}
	for order := driver.ByKey; order <= driver.BySize; order++ {
		if _, err := table.List(t.Context(), driver.Listing{Order: order, Limit: 10}); err == nil || !strings.Contains(err.Error(), "no such table") {
			t.Errorf("order %d: %v", order, err)
		}
	}
}
