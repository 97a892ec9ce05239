package drivertest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
)

// list returns the entries of a page.
func (s subject) list(l driver.Listing) []driver.Entry {
	s.tb.Helper()
	page, err := s.List(s.tb.Context(), l)
	if err != nil {
		s.tb.Fatalf("list: %v", err)
	}
	return page
}

// wantListed fails the test unless pages of a listing have those of all entries that it
// selects, in its order.
func (s subject) wantListed(l driver.Listing, all []driver.Entry) {
	s.tb.Helper()
	var want []driver.Entry
	for _, e := range all {
		if l.Match(e) {
			want = append(want, e)
		}
	}
	slices.SortFunc(want, l.Compare)
	about := fmt.Sprintf("a listing by %d, descending %v, of %s", l.Order, l.Descending, describeFilter(l.Filter))
	for at := 0; ; {
		page := s.list(l)
		if len(page) != min(l.Limit, len(want)-at) {
			s.tb.Fatalf("%s has %d entries after %d of %d, want %d", about, len(page), at, len(want), min(l.Limit, len(want)-at))
		}
		for i, e := range page {
			if !slices.Equal(e.Key, want[at+i].Key) {
				s.tb.Fatalf("%s has %s as number %d, want %s", about, describe(e.Key), at+i, describe(want[at+i].Key))
			}
			if l.Parts == everything.Parts|driver.Usage {
				if d := diff(want[at+i], e); d != "" {
					s.tb.Errorf("%s has %s: %s", about, describe(e.Key), d)
				}
			}
		}
		if len(page) == 0 {
			return
		}
		at += len(page)
		last := page[len(page)-1]
		l.After = &last
	}
}

// orders are those of listings.
var orders = []driver.Order{driver.ByKey, driver.ByName, driver.ByCached, driver.ByUsed, driver.ByExpiry, driver.BySize}

func testList(t *testing.T, h Harness) {
	// Entries many of which are equal in what a listing is sorted by.
	varied := func(n int) []driver.Entry {
		random := rand.New(rand.NewPCG(1, 2))
		var all []driver.Entry
		for i := range n {
			e := version(key(fmt.Sprintf("%c", 'a'+i%7), int64(random.IntN(9)-4), i%2 == 0, fmt.Sprint(i)), i)
			e.Name = []string{"", "a", "A", "b", "ab", "\xff", "a\x00", "é"}[random.IntN(8)]
			e.CachedAt = now.Add(time.Duration(random.IntN(9)-20) * time.Minute)
			e.ExpiresAt = now.Add(time.Duration(random.IntN(9)-4) * time.Minute)
			if i%5 == 0 {
				e.ExpiresAt = time.Time{}
			}
			e.Payload = []byte(strings.Repeat("x", 100*random.IntN(5)))
			all = append(all, e)
		}
		return used(all)
	}
	open := func(t *testing.T, n int) (subject, []driver.Entry) {
		t.Helper()
		table := h.table(t, text("owner"), integer("page"), boolean("explicit"), text("id"))
		all := varied(n)
		table.put(all...)
		stored := table.entries(driver.Selection{Parts: driver.Usage})
		for i := range all {
			all[i].Size = stored[encode(all[i].Key)].Size // as the store has it
		}
		return table, all
	}
	listing := func(order driver.Order, descending bool) driver.Listing {
		return driver.Listing{Selection: where(driver.Where{}), Order: order, Descending: descending, Limit: 17}
	}

	for _, order := range orders {
		t.Run(fmt.Sprintf("in order %d", order), func(t *testing.T) {
			table, all := open(t, 60)
			for _, descending := range []bool{false, true} {
				l := listing(order, descending)
				table.wantListed(l, all)
				l.State, l.Now = driver.Live, now
				table.wantListed(l, all)
				l.State, l.Parts, l.Limit = driver.Expired, 0, len(all)+1
				table.wantListed(l, all)

				l = listing(order, descending)
				l.Leading = driver.Key{"b"}
				table.wantListed(l, all)
				l.Leading = nil
				l.Where = driver.Where{CachedFrom: now.Add(-18 * time.Minute), NamePrefix: "a", Prefix: "c"}
				table.wantListed(l, all)
			}
		})
	}

	t.Run("an entry that stays is on one page, whatever comes and goes", func(t *testing.T) {
		for _, order := range orders {
			table, all := open(t, 60)
			l := driver.Listing{Order: order, Limit: 7}
			seen := make(map[string]int)
			for round := 0; ; round++ {
				page := table.list(l)
				if len(page) == 0 {
					break
				}
				for _, e := range page {
					seen[encode(e.Key)]++
				}
				last := page[len(page)-1]
				l.After = &last
				table.delete(last.Key) // where the next page goes on
				if round < 5 {         // or the listing might never end
					table.put(version(key("new", int64(round), true, "x"), 1))
				}
			}
			for _, e := range all {
				if n := seen[encode(e.Key)]; n != 1 {
					t.Errorf("order %d: %s is on %d pages, want 1", order, describe(e.Key), n)
				}
			}
		}
	})

	t.Run("keys and names are sorted by their bytes, whatever these are", func(t *testing.T) {
		table := h.table(t, text("owner"), integer("page"), text("id"))
		var all []driver.Entry
		values := []string{
			"", "a", "A", "ab", "a\x00", "a\x00b", "a\xff", "\xff", "\x00", `\`, `\x61`, `a\`, "[", "]", "é", "e\u0301", "\uffff", "\U0010ffff", "\xc3", "~",
			"%", strings.Repeat("a", 300), strings.Repeat("a", 300) + "\xff", strings.Repeat("\xff", 200),
		}
		if h.MaxKey == 0 {
			values = append(values, strings.Repeat("a", 3_000), strings.Repeat("a", 3_000)+"b", strings.Repeat("\\", 3_000))
		}
		for i, s := range values {
			e := version(key(s, int64(i%3+2), values[i*7%len(values)]), 1)
			e.Name = values[i*5%len(values)] + strings.Repeat("long ", i%2*600)
			all = append(all, e)
			e.Key = key("a", int64(i%3-1), s)
			e.Name = s
			all = append(all, e)
		}
		all = used(all)
		table.put(all...)
		for _, order := range []driver.Order{driver.ByKey, driver.ByName, driver.ByCached} {
			for _, descending := range []bool{false, true} {
				l := driver.Listing{Order: order, Descending: descending, Limit: 5}
				table.wantListed(l, all)
				l.Limit = 1
				table.wantListed(l, all)
				l.Leading = driver.Key{"a"}
				table.wantListed(l, all)
			}
		}
	})

	t.Run("a listing of nothing is empty", func(t *testing.T) {
		table := h.ids(t)
		for _, order := range orders {
			if page := table.list(listing(order, false)); len(page) != 0 {
				t.Errorf("order %d: %d entries", order, len(page))
			}
		}
	})

	t.Run("an unknown order and no limit are errors", func(t *testing.T) {
		table := h.ids(t)
		for _, l := range []driver.Listing{{Order: driver.BySize + 1, Limit: 1}, {Limit: 0}, {Limit: -1}} {
			if _, err := table.List(t.Context(), l); err == nil {
				t.Errorf("%+v: no error", l)
			}
		}
	})

	t.Run("of many", func(t *testing.T) {
		table := h.ids(t)
		all := used(versions(ids(0, h.pages()), 1))
		for i := range all {
			all[i].Name = fmt.Sprintf("%07d", (i*7919)%len(all))
		}
		table.put(all...)
		for _, order := range []driver.Order{driver.ByKey, driver.ByName} {
			l := listing(order, order == driver.ByName)
			l.Limit = len(all)/3 + 1
			table.wantListed(l, all)
		}
	})
}
