package drivertest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
)

// begins selects all parts of the entries whose key begins with these values.
func begins(values ...driver.Value) driver.Selection {
	sel := everything
	sel.Leading = values
	return sel
}

// item is the key of the i-th entry of an owner.
func item(owner string, i int) driver.Key { return key(owner, fmt.Sprintf("%06d", i)) }

// items are entries of an owner.
func items(owner string, n int) []driver.Entry {
	entries := make([]driver.Entry, n)
	for i := range entries {
		entries[i] = version(item(owner, i), i)
	}
	return entries
}

// owned opens a table whose first key column tells the owner.
func (h Harness) owned(tb testing.TB) subject {
	tb.Helper()
	return h.table(tb, text("owner"), text("id"))
}

func testLeading(t *testing.T, h Harness) {
	t.Run("of keys that are given", func(t *testing.T) { testLeadingKeys(t, h) })
	t.Run("by one, some and all columns", func(t *testing.T) { testLeadingColumns(t, h) })
	t.Run("by odd values", func(t *testing.T) { testLeadingValues(t, h) })
	t.Run("by long values", func(t *testing.T) { testLeadingLong(t, h) })
	t.Run("by state as well", func(t *testing.T) { testLeadingState(t, h) })
	t.Run("of many", func(t *testing.T) { testLeadingMany(t, h) })

	t.Run("a clear leaves the other tables alone", func(t *testing.T) {
		one := h.owned(t)
		other := openTable(t, one.store, driver.TableSpec{Name: "albums", Key: one.spec.Key})
		all := append(items("a", 3), items("b", 3)...)
		one.put(all...)
		other.put(all...)
		if n := one.clearSelected(begins("a")); n != 3 {
			t.Errorf("clear removed %d, want 3", n)
		}
		one.wantOnly(all[3:]...)
		other.wantOnly(all...)
	})
}

func testLeadingColumns(t *testing.T, h Harness) {
	values := map[driver.Kind][]driver.Value{
		driver.String: {"a", "ab", "", "1"},
		driver.Int:    {int64(1), int64(10), int64(-1)},
		driver.Bool:   {true, false},
	}
	columns := []driver.Column{text("c"), integer("b"), boolean("a")}
	for first := range columns {
		order := append(columns[first:len(columns):len(columns)], columns[:first]...)
		var kinds []string
		for _, c := range order {
			kinds = append(kinds, c.Kind.String())
		}
		t.Run(strings.Join(kinds, ", "), func(t *testing.T) {
			table := h.table(t, order...)
			var all []driver.Entry
			for _, a := range values[order[0].Kind] {
				for _, b := range values[order[1].Kind] {
					for _, c := range values[order[2].Kind] {
						all = append(all, version(key(a, b, c), len(all)))
					}
				}
			}
			table.put(all...)
			table.wantSelected(everything, all)
			table.wantSelected(begins([]driver.Value{}...), all)
			for i := 0; i < len(all); i += 5 {
				for n := range order {
					table.wantSelected(begins(all[i].Key[:n+1]...), all)
				}
			}
			for n := len(order); n > 0; n-- {
				all = table.wantCleared(begins(all[len(all)/2].Key[:n]...), all)
			}
			table.wantCleared(begins(), all)
		})
	}

	t.Run("of sixteen", func(t *testing.T) {
		var columns []driver.Column
		var k driver.Key
		for i := range 16 {
			columns = append(columns, text(string(rune('p'-i))))
			k = append(k, "v")
		}
		table := h.table(t, columns...)
		all := []driver.Entry{version(k, 0)}
		for i := range k {
			other := append(driver.Key(nil), k...)
			other[i] = "vv"
			all = append(all, version(other, i+1))
		}
		table.put(all...)
		for n := range len(k) + 1 {
			table.wantSelected(begins(k[:n]...), all)
		}
		all = table.wantCleared(begins(k...), all)
		table.wantCleared(begins(k[:8]...), all)
	})
}

func testLeadingValues(t *testing.T, h Harness) {
	texts := []driver.Value{
		"", "a", "ab", "A", "a ", " a", "a%", "a_", "%", "_", "%%", "*", "a*", "?", "[a]", ".", "..", "/", "a/", "a/b", `\`, `\\`, `\x`, `\x61`, `a\`, `\%`,
		"|", "a|", "|a", "a|b", ":", "a:", "a:b", ",", "a,", ";", "'", `"`, "`", "''", "$", "$1", "#", "{a}", "~", "}", "null", "true", "1", "-1", "con", "con.a", "-", "%7C",
		"\x00", "a\x00", "\x00a", "\n", "a\n", "\r\n", "\x7f", "\xff", "a\xff", "\xff\xff", "\xc3", "\xed\xa0\x80", "\ufffd", "é", "e\u0301", "\ud7ff", "\U0010ffff", "a\U0010ffff", "🎵", "日本",
	}
	ints := []driver.Value{
		int64(0), int64(1), int64(10), int64(100), int64(-1), int64(-10), int64(1 << 53), int64(1<<53 + 1), int64(math.MaxInt64), int64(math.MaxInt64 - 1), int64(math.MinInt64),
	}
	for _, tt := range []struct {
		column driver.Column
		values []driver.Value
	}{{text("owner"), texts}, {integer("owner"), ints}, {boolean("owner"), []driver.Value{true, false}}} {
		t.Run(tt.column.Kind.String(), func(t *testing.T) {
			table := h.table(t, tt.column, text("id"))
			var all []driver.Entry
			for _, v := range tt.values {
				all = append(all, version(key(v, ""), len(all)), version(key(v, "a"), len(all)+1))
			}
			table.put(all...)
			table.wantAllSelected(tt.values, all)
			for i, v := range tt.values {
				if n := table.clearSelected(begins(v)); n != 2 {
					t.Errorf("clear of %q removed %d, want 2", v, n)
				}
				if left := all[2*i+2:]; i%16 == 0 || len(left) < 10 {
					table.wantOnly(left...)
				}
			}
		})
	}
}

// wantAllSelected fails the test unless the entries that begin with each of the values are
// found. All of them are iterated over; in the short form some are counted, as the
// caller's clear counts them anyway.
func (s subject) wantAllSelected(values []driver.Value, all []driver.Entry) {
	s.tb.Helper()
	for i, v := range values {
		n := s.wantIterated(begins(v), all)
		if !testing.Short() || i%8 == 0 {
			s.wantCountSelected(n, begins(v))
		}
	}
}

// testLeadingLong is about values that a store cuts or keeps as a digest, alone or with
// the others of their key.
func testLeadingLong(t *testing.T, h Harness) {
	lengths := []int{
		1, 100, 160, 240, 250, 319, 320, 332, 333, 334, 480, 500, 951, 953, 954, 955, 956, 957, 958, 959, 960, 961, 970, 990, 997, 998, 999, 1_000, 1_001,
		1_015, 1_020, 1_021, 1_022, 1_023, 1_024, 1_025, 1_240, 1_250, 1_251, 1_260, 2_500, 2_501, 20_000, 60_000,
	}
	for name, unit := range map[string]string{"letters": "a", "characters": "日", "control characters": "\x01", "separators": "|"} {
		t.Run(name, func(t *testing.T) {
			table := h.owned(t)
			var owners []driver.Value
			for _, n := range lengths {
				if size := n * len(unit); (size <= 3_000 || unit == "a") && (h.MaxKey == 0 || 4*size < h.MaxKey) {
					owners = append(owners, strings.Repeat(unit, n))
				}
			}
			var all []driver.Entry
			for _, owner := range owners {
				all = append(all, version(key(owner, "a"), len(all)), version(key(owner, strings.Repeat(unit, 300)), len(all)+1))
			}
			table.put(all...)
			table.wantAllSelected(owners, all)
			table.wantSelected(begins(owners[len(owners)-1]), all)
			table.wantSelected(begins(all[1].Key...), all)
			table.wantSelected(begins(all[len(all)-1].Key...), all)
			for i, owner := range owners {
				if n := table.clearSelected(begins(owner)); n != 2 {
					t.Errorf("clear of %d bytes removed %d, want 2", len(owner.(string)), n)
				}
				if i%16 == 0 {
					table.want(all[2*i+2:]...)
				}
			}
			table.wantOnly()
		})
	}
}

func testLeadingState(t *testing.T, h Harness) {
	then := now.Add(90 * time.Minute)
	mixed := func() (all []driver.Entry) {
		for _, owner := range []string{"a", "ab", "b"} {
			for i, hours := range []time.Duration{1, 2, 1, 0, 2} {
				e := expiring(item(owner, i), now.Add(hours*time.Hour))
				if hours == 0 {
					e.ExpiresAt = time.Time{}
				}
				all = append(all, e)
			}
		}
		return all
	}
	for _, state := range []driver.State{driver.All, driver.Live, driver.Expired} {
		t.Run(stateName(state), func(t *testing.T) {
			table := h.owned(t)
			all := mixed()
			table.put(all...)
			sel := at(then, state)
			sel.Leading = key("a")
			table.wantSelected(sel, all)
			want := make(map[string]driver.Entry)
			for _, e := range all {
				want[encode(e.Key)] = e
			}
			for parts := range driver.Payload | driver.Meta {
				sel.Parts = parts
				for k, got := range table.entries(sel) {
					checkParts(t, "iterate", parts, want[k], got)
				}
			}
			sel.Parts = everything.Parts
			left := table.wantCleared(sel, all)
			sel.Leading = key("b")
			left = table.wantCleared(sel, left)
			sel.Leading = key("ab", "000001") // it is live
			table.wantCleared(sel, left)
		})
	}
}

// testLeadingKeys is about the operations that are told the key itself.
func testLeadingKeys(t *testing.T, h Harness) {
	live := at(now, driver.Live)
	live.Leading = key("a")

	t.Run("a get visits the others, in their places", func(t *testing.T) {
		table := h.owned(t)
		expired := expiring(key("a", "expired"), now)
		all := append(items("a", 3), append(items("ab", 3), expired)...)
		table.put(all...)
		keys := []driver.Key{item("ab", 0), item("a", 2), item("a", 9), item("ab", 1), expired.Key, item("a", 0), item("a", 2)}
		found := table.get(live, keys...)
		for i, v := range map[int]int{1: 2, 5: 0, 6: 2} {
			if d := diff(version(nil, v), found[i]); d != "" {
				t.Errorf("index %d: %s", i, d)
			}
		}
		if len(found) != 3 {
			t.Errorf("get visited %d indices, want 3", len(found))
		}
		for _, k := range []driver.Key{item("ab", 0), expired.Key} {
			if len(table.get(live, k)) != 0 {
				t.Errorf("get visits %s", describe(k))
			}
		}
		if len(table.get(live, item("a", 0))) != 1 {
			t.Errorf("get does not visit %s", describe(item("a", 0)))
		}
	})

	t.Run("a get of many visits the others", func(t *testing.T) {
		table := h.owned(t)
		n := min(2_500, h.many())
		table.put(append(items("a", n), items("b", n)...)...)
		keys := make([]driver.Key, 2*n)
		for i := range keys {
			keys[i] = item([]string{"a", "b"}[i%2], i/2)
		}
		found := table.get(begins("b"), keys...)
		for i := 1; i < len(keys); i += 2 {
			if d := diff(version(nil, i/2), found[i]); d != "" {
				t.Fatalf("index %d: %s", i, d)
			}
		}
		if len(found) != n {
			t.Errorf("get visited %d indices, want %d", len(found), n)
		}
	})

	t.Run("a pop leaves them", func(t *testing.T) {
		table := h.owned(t)
		all := append(items("a", 1), items("ab", 1)...)
		table.put(all...)
		if _, ok, err := table.Pop(t.Context(), item("ab", 0), live.Filter); ok || err != nil {
			t.Errorf("pop: %v, %v", ok, err)
		}
		table.wantOnly(all...)
		e, ok, err := table.Pop(t.Context(), item("a", 0), live.Filter)
		if d := diff(all[0], e); !ok || err != nil || d != "" {
			t.Errorf("pop: %v, %v: %s", ok, err, d)
		}
		table.wantOnly(all[1])
	})

	t.Run("a context that is done and a closed store are errors", func(t *testing.T) {
		table := openTable(t, h.Open(t), driver.TableSpec{Name: "tracks", Key: []driver.Column{text("owner"), text("id")}})
		done, cancel := context.WithCancel(t.Context())
		cancel()
		uses := func(ctx context.Context) map[string]error {
			_, _, pop := table.Pop(ctx, item("b", 0), live.Filter)
			return map[string]error{
				"get": table.Get(ctx, []driver.Key{item("b", 0)}, live, func(int, driver.Entry) { t.Error("get visits an entry") }),
				"pop": pop,
			}
		}
		for name, err := range uses(done) {
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%s: %v, want %v", name, err, context.Canceled)
			}
		}
		if err := table.store.Close(); err != nil {
			t.Fatal(err)
		}
		for name, err := range uses(t.Context()) {
			if !errors.Is(err, driver.ErrClosed) {
				t.Errorf("%s: %v, want %v", name, err, driver.ErrClosed)
			}
		}
	})
}
