package drivertest

import (
	"errors"
	"strings"
	"testing"

	"github.com/endpointcache/endpointcache/driver"
)

// hostile are names that go wrong where they reach SQL, a file system or a
// pattern unquoted, or are shortened.
var hostile = []string{
	"k", "t", "i", "excluded", "audio-features", "select", "order", "key", "two words", " leading", "trailing ", "0", "1st",
	`a"b`, `a""b`, "it's", "a`b", "[a]", "a]b", "a;b", "a--b", "a/*b", `a\b`, `a"; DROP TABLE tracks; --`,
	"a.b", "a..b", ".hidden", "a.", "a/b", "a:b", "a|b", "a,b", "a=b", "a&b", "a#b", "a+b", "a(b)", "{a}", "~a",
	"%", "%s", "a%", "a_c", "abc", "a*", "*", "a?c", "?", "?1", "$1", ":x", "@x", "<a>", "日本", "ключ", "🎵",
	"caf\u00e9", "cafe\u0301",
	strings.Repeat("x", 63), strings.Repeat("x", 64), strings.Repeat("x", 65),
	strings.Repeat("x", 254) + "1", strings.Repeat("x", 254) + "2",
}

func testNames(t *testing.T, h Harness) {
	t.Run("any valid name is a table of its own", func(t *testing.T) {
		wantSeparate(t, h, append([]string{"/", ".", "..", "../a", "con", "nul"}, hostile...)...)
	})

	t.Run("names that differ only at one end are tables of their own", func(t *testing.T) {
		wantSeparate(t, h,
			"tracks", "tracks_expires", "tracks_expires_idx", "tracks_expires_at", "tracks_idx", "tracks_pkey",
			"tracks_meta", "tracks_payload", "tracks_key", "tracks_id_seq", "tracks_2", "tracks1", "tracks ", "tracks.",
			"tracks-wal", "tracks.db", "tracks.tmp", "tracks.json", "tracks:", "tracks:a", "tracks/", "tracks/a",
			"idx_tracks", "ix_tracks", "_tracks", "__tracks", " tracks", "track", "racks")
	})

	t.Run("a table named like another's index opens before it too", func(t *testing.T) {
		wantSeparate(t, h, "tracks_expires_idx", "tracks_expires_at", "tracks_expires", "idx_tracks", "tracks")
	})

	t.Run("names that differ only in case are two tables or refused", func(t *testing.T) {
		for _, other := range []string{"Tracks", "TRACKS"} {
			first := h.ids(t)
			first.put(version(id(1), 1))
			spec := first.spec
			spec.Name = other
			if _, err := first.store.OpenTable(t.Context(), spec); err != nil {
				if !errors.Is(err, driver.ErrSchema) {
					t.Errorf("open %q after %q: %v, want a table or a SchemaError", other, first.spec.Name, err)
				}
				first.wantOnly(version(id(1), 1))
				continue
			}
			second := openTable(t, first.store, spec)
			second.wantOnly()
			second.put(version(id(1), 2))
			second.clear(driver.All, now)
			first.wantOnly(version(id(1), 1))
		}
	})

	t.Run("any valid column name is a key column", func(t *testing.T) {
		var (
			columns []driver.Column
			a, b    driver.Key
		)
		for i, name := range append([]string{"id", "value", "index", "group", "table", "offset", "user"}, hostile...) {
			if len(columns) == 16 {
				wantColumns(t, h, columns, a, b)
				columns, a, b = nil, nil, nil
			}
			if i%2 == 0 {
				columns, a, b = append(columns, text(name)), append(a, "a"), append(b, "b")
			} else {
				columns, a, b = append(columns, integer(name)), append(a, int64(i)), append(b, int64(-i))
			}
		}
		wantColumns(t, h, columns, a, b)
	})
}

// wantColumns fails the test unless a table with these columns tells two keys
// apart, which differ in each of them.
func wantColumns(t *testing.T, h Harness, columns []driver.Column, a, b driver.Key) {
	t.Helper()
	table := h.table(t, columns...)
	table = openTable(t, table.store, table.spec)
	table.put(version(a, 1), version(b, 2))
	table.put(version(a, 3))
	table.wantOnly(version(a, 3), version(b, 2))
	if h.Reopen != nil {
		openTable(t, h.reopen(t, table.store), table.spec).want(version(b, 2))
	}
	if n := table.delete(a); n != 1 {
		t.Errorf("delete removed %d, want 1", n)
	}
	table.wantOnly(version(b, 2))
}

// wantSeparate fails the test unless tables of these names in one store keep
// their entries apart.
func wantSeparate(t *testing.T, h Harness, names ...string) {
	t.Helper()
	s := h.open(t)
	tables := make([]subject, len(names))
	wants := make([][]driver.Entry, len(names))
	for i, name := range names {
		tables[i] = openTable(t, s, driver.TableSpec{Name: name, Key: []driver.Column{text("id")}})
		wants[i] = []driver.Entry{version(id(0), i), version(id(i+1), i), version(id(1_000_000), i)}
		tables[i].put(wants[i]...)
	}
	for i, table := range tables {
		if testing.Short() && i%2 == 1 { // one of two that share a place is enough
			table.want(wants[i]...)
			continue
		}
		table.wantOnly(wants[i]...)
	}
	check := func() {
		t.Helper()
		for i, table := range tables {
			if !testing.Short() {
				table.wantOnly(wants[i]...)
				continue
			}
			table.want(wants[i]...)
			if n := len(table.get(everything, id(0), id(i+1), id(1_000_000))); n != len(wants[i]) {
				t.Errorf("table %.80q has %d of the keys, want %d", names[i], n, len(wants[i]))
			}
		}
	}
	for i, table := range tables {
		if i%3 == 0 {
			if n := table.delete(id(0), id(i+1), id(1_000_000)); n != 3 {
				t.Errorf("delete from %.80q removed %d entries, want 3", names[i], n)
			}
			wants[i] = nil
		}
		if i%3 == 1 {
			if n := table.clear(driver.All, now); n != 3 {
				t.Errorf("clear of %.80q removed %d entries, want 3", names[i], n)
			}
			wants[i] = nil
		}
	}
	check()
	if h.Reopen == nil {
		return
	}
	again := h.reopen(t, s)
	for i, name := range names {
		tables[i] = openTable(t, again, driver.TableSpec{Name: name, Key: []driver.Column{text("id")}})
	}
	check()
}
