package drivertest

import (
	"strings"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
)

// where selects all parts of the entries with these properties.
func where(w driver.Where) driver.Selection {
	sel := everything
	sel.Parts |= driver.Usage
	sel.Where = w
	return sel
}

// used is e as a table returns it that knows of no later use.
func used(entries []driver.Entry) []driver.Entry {
	for i := range entries {
		entries[i].UsedAt = entries[i].CachedAt
	}
	return entries
}

func testWhere(t *testing.T, h Harness) {
	// Entries of all combinations of what a filter can ask for.
	varied := func() (all []driver.Entry) {
		for _, name := range []string{"", "one", "on", "two", "ONE"} {
			for _, status := range []int{0, 200, 404} {
				for _, minutes := range []int{-2, 0, 2} {
					n := len(all)
					e := version(key("owner", []string{"a", "ab", "b", ""}[n%4], int64(n)), n)
					e.Name, e.Status = name, status
					e.CachedAt = now.Add(time.Duration(minutes) * time.Minute)
					if n%3 == 0 {
						e.ExpiresAt = now
					}
					all = append(all, e)
				}
			}
		}
		return used(all)
	}
	open := func(t *testing.T) (subject, []driver.Entry) {
		t.Helper()
		table := h.table(t, text("owner"), text("title"), integer("page"))
		all := varied()
		table.put(all...)
		return table, all
	}

	for _, tt := range []struct {
		name  string
		where []driver.Where
	}{
		{"by when it was cached", []driver.Where{
			{CachedFrom: now}, {CachedBefore: now}, {CachedFrom: now.Add(us)}, {CachedBefore: now.Add(us)},
			{CachedFrom: now, CachedBefore: now.Add(us)}, {CachedFrom: now.Add(time.Hour)}, {CachedFrom: now, CachedBefore: now},
		}},
		{"by when it was used", []driver.Where{{UsedBefore: now}, {UsedBefore: now.Add(us)}, {UsedBefore: now.Add(-time.Hour)}}},
		{"by name", []driver.Where{{Name: "one"}, {Name: "on"}, {Name: "o"}, {NamePrefix: "on"}, {NamePrefix: "one"}, {NamePrefix: "o", Name: "on"}, {NamePrefix: "%"}}},
		{"by status", []driver.Where{{MinStatus: 200}, {MaxStatus: 200}, {MinStatus: 200, MaxStatus: 200}, {MinStatus: 201, MaxStatus: 403}, {MinStatus: 405}}},
		{"by all at once", []driver.Where{
			{CachedFrom: now, UsedBefore: now.Add(us), NamePrefix: "o", MinStatus: 100, MaxStatus: 299},
			{CachedBefore: now, Name: "two", MaxStatus: 100},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			table, all := open(t)
			for i, w := range tt.where {
				table.wantYielded(where(w), all)
				sel := where(w)
				sel.State, sel.Now = []driver.State{driver.Live, driver.Expired}[i%2], now
				table.wantYielded(sel, all)
				sel = where(w)
				sel.Leading = driver.Key{"owner", "a"}
				table.wantYielded(sel, all)
			}
			all = table.wantCleared(where(tt.where[0]), all)
			sel := where(tt.where[1])
			sel.State, sel.Now, sel.Leading = driver.Live, now, driver.Key{"owner"}
			table.wantCleared(sel, all)
		})
	}

	t.Run("by what a key begins with", func(t *testing.T) {
		table := h.table(t, text("owner"), text("title"), integer("page"))
		var all []driver.Entry
		for i, s := range []string{
			"", "a", "ab", "abc", "b", "A", "a%", "a_", "a*", `a\`, "a\x00", "a\xff", "\xff", "\xff\xff", "\x00", "é", "e\u0301", "\U0010ffff", "日本", "'", "[a]",
		} {
			all = append(all, version(key(s, "x"+s, int64(i)), i))
		}
		all = used(all)
		table.put(all...)
		for _, prefix := range []string{"a", "ab", "a%", "a_", "a*", `a\`, "a\x00", "\xff", "\xff\xff", "\x00", "\xc3", "é", "\xf4\x8f", "日", "'", "[", strings.Repeat("a", 2_000)} {
			table.wantYielded(where(driver.Where{Prefix: prefix}), all)
			sel := where(driver.Where{Prefix: "x" + prefix})
			sel.Leading = driver.Key{"a"}
			table.wantYielded(sel, all)
		}
		all = table.wantCleared(where(driver.Where{Prefix: "a"}), all)
		table.wantCleared(where(driver.Where{Prefix: "\xff", MaxStatus: 12}), all)
	})

	t.Run("of names that are odd", func(t *testing.T) {
		table := h.ids(t)
		var all []driver.Entry
		for i, s := range []string{"", "a", "A", "a%", "a_", "%", "_", "a\x00", "a\x00b", "a\xff", "\xff", "é", "e\u0301", "日本", "'", `\`, strings.Repeat("long ", 600)} {
			e := version(id(i), i)
			e.Name = s
			all = append(all, e)
		}
		all = used(all)
		table.put(all...)
		for _, e := range all {
			if e.Name != "" {
				table.wantYielded(where(driver.Where{Name: e.Name}), all)
				table.wantYielded(where(driver.Where{NamePrefix: e.Name}), all)
			}
		}
		table.wantYielded(where(driver.Where{NamePrefix: "\xc3"}), all)
	})

	t.Run("of many", func(t *testing.T) {
		table := h.ids(t)
		all := versions(ids(0, h.pages()), 1)
		for i := range all {
			all[i].Status = 200 + i%10
		}
		all = used(all)
		table.put(all...)
		all = table.wantCleared(where(driver.Where{MinStatus: 203, MaxStatus: 205}), all)
		table.wantYielded(where(driver.Where{MaxStatus: 204}), all)
	})
}
