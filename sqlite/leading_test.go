package sqlite

import (
	sqldriver "database/sql/driver"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
)

var owned = driver.TableSpec{Name: "tracks", Key: []driver.Column{
	{Name: "owner", Kind: driver.String}, {Name: "id", Kind: driver.String}, {Name: "page", Kind: driver.Int},
}}

// openOwned opens a table with many entries of one owner, and few of others.
func openOwned(t *testing.T) (*Store, *table) {
	t.Helper()
	s, err := OpenMemory(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	opened, err := s.OpenTable(t.Context(), owned)
	if err != nil {
		t.Fatal(err)
	}
	var entries []driver.Entry
	for i := range 2_000 {
		e := driver.Entry{Key: driver.Key{"many", fmt.Sprint(i), int64(i)}, CachedAt: time.Now()}
		if i%20 == 0 {
			e.Key[0] = fmt.Sprint("owner ", i)
		}
		if i%2 == 0 {
			e.ExpiresAt = time.Now().Add(time.Hour)
		}
		entries = append(entries, e)
	}
	if err := opened.Put(t.Context(), entries); err != nil {
		t.Fatal(err)
	}
	return s, opened.(*table)
}

// plan is what SQLite says it does for a statement.
func plan(t *testing.T, s *Store, text string) string {
	t.Helper()
	var steps []string
	err := s.readers.with(t.Context(), func(c *conn) error {
		explain, err := c.prepare(t.Context(), stmtKey{text: "EXPLAIN QUERY PLAN " + text})
		if err != nil {
			return err
		}
		for range strings.Count(text, "?") {
			explain.bind(nil)
		}
		return c.query(t.Context(), explain, 4, func(row []sqldriver.Value) bool {
			steps = append(steps, fmt.Sprint(row[3]))
			return true
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(steps, "; ")
}

// With statistics or without, entries are found by the index of the primary key, whose
// order spares a page the sorting.
func TestLeadingValuesAreSearchedFor(t *testing.T) {
	s, table := openOwned(t)
	for _, analyzed := range []bool{false, true} {
		if analyzed {
			err := s.commits.write(t.Context(), 1, func(c *conn) error { return c.exec(t.Context(), "ANALYZE") })
			if err != nil {
				t.Fatal(err)
			}
		}
		for leading := 1; leading <= len(owned.Key); leading++ {
			for _, state := range []driver.State{driver.All, driver.Live, driver.Expired} {
				for _, key := range []stmtKey{
					{op: opCount}, {op: opClear}, {op: opKeyPage}, {op: opKeyPage, behind: behindKey},
					{op: opList}, {op: opList, behind: behindKey}, {op: opList, descending: true, behind: behindKey},
				} {
					if key.behind == behindKey && leading == len(owned.Key) {
						continue // there is one entry
					}
					key.table, key.state, key.leading, key.sel = table, state, leading, driver.Payload|driver.Meta
					have := plan(t, s, table.text(key))
					if !strings.HasPrefix(have, "SEARCH ") || !strings.Contains(have, "INDEX sqlite_autoindex_tracks_1 (owner=?") || strings.Contains(have, ";") {
						t.Errorf("%s\nis done by: %s", table.text(key), have)
					}
				}
			}
		}
	}
}

// A statement is prepared for a number of values, and not for each of them.
func TestLeadingValuesShareStatements(t *testing.T) {
	s, table := openOwned(t)
	prepared := func() (n int) {
		err := s.readers.with(t.Context(), func(c *conn) error {
			n = len(c.stmts)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	use := func(owner string) {
		f := driver.Filter{Leading: driver.Key{owner}}
		if _, err := table.Count(t.Context(), f); err != nil {
			t.Fatal(err)
		}
		for _, err := range table.Entries(t.Context(), driver.Selection{Filter: f}) {
			if err != nil {
				t.Fatal(err)
			}
		}
		if _, err := table.Clear(t.Context(), f); err != nil {
			t.Fatal(err)
		}
	}
	use("many")
	before := prepared()
	for i := range 100 {
		use(fmt.Sprint("owner ", 20*i))
	}
	if after := prepared(); after != before {
		t.Errorf("%d statements for one owner, %d for 100 more", before, after)
	}
	if n, err := table.Count(t.Context(), driver.Filter{}); n != 0 || err != nil {
		t.Errorf("%d entries are left, %v", n, err)
	}
}
