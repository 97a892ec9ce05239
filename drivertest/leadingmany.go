package drivertest

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
)

func testLeadingMany(t *testing.T, h Harness) {
	pages := h.pages() // more entries than a store reads ahead
	filled := func(t *testing.T) subject {
		t.Helper()
		table := h.owned(t)
		table.put(items("a", pages)...)
		table.put(append(items("", 3), append(items("a\x00", 3), append(items("ab", 3), items("b", 3)...)...)...)...)
		return table
	}
	const others = 12

	// step iterates over the entries of one owner, runs body for each, and fails the
	// test unless each of those that were there is yielded once.
	step := func(t *testing.T, table subject, body func(driver.Entry)) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		seen := make(map[string]int, pages)
		for e, err := range table.Entries(ctx, begins("a")) {
			if err != nil {
				t.Fatalf("iterate: %v", err)
			}
			if e.Key[0] != "a" {
				t.Fatalf("an iteration over the entries of another yields %s", describe(e.Key))
			}
			seen[encode(e.Key)]++
			body(e)
		}
		for i := range pages {
			if times := seen[encode(item("a", i))]; times != 1 {
				t.Fatalf("%s was yielded %d times, want 1", describe(item("a", i)), times)
			}
		}
	}
	tenth := func(e driver.Entry) bool { return strings.HasSuffix(e.Key[1].(string), "0") }

	t.Run("an iteration yields each once", func(t *testing.T) {
		table := filled(t)
		step(t, table, func(driver.Entry) {})
		table.wantCountSelected(pages, begins("a"))
		table.wantYielded(begins("ab"), items("ab", 3))
	})

	t.Run("the body may delete the current entry", func(t *testing.T) {
		table := filled(t)
		step(t, table, func(e driver.Entry) {
			if tenth(e) {
				table.delete(e.Key)
			}
		})
		table.wantCountSelected(pages-pages/10, begins("a"))
		table.wantCount(pages-pages/10+others, driver.All, now)
	})

	t.Run("the body may insert entries", func(t *testing.T) {
		table := filled(t)
		inserted := 0
		step(t, table, func(e driver.Entry) {
			if id := e.Key[1].(string); len(id) == 6 && tenth(e) { // not for those that it inserts
				table.put(version(key("a", "A"+id), 2), version(key("a", id+"a"), 2), version(key("a", "z"+id), 2), version(key("b", id), 2))
				inserted++
			}
		})
		table.wantCountSelected(pages+3*inserted, begins("a"))
	})

	t.Run("the body may clear the entries that are iterated over", func(t *testing.T) {
		table := filled(t)
		seen := 0
		for _, err := range table.Entries(t.Context(), begins("a")) {
			if err != nil {
				t.Fatal(err)
			}
			if seen++; seen == 1 {
				if n := table.clearSelected(begins("a")); n != pages {
					t.Errorf("clear removed %d, want %d", n, pages)
				}
			}
		}
		if seen > pages {
			t.Errorf("%d entries were yielded of %d", seen, pages)
		}
		table.wantCount(others, driver.All, now)
	})

	t.Run("the body may clear other entries", func(t *testing.T) {
		table := filled(t)
		first := true
		step(t, table, func(driver.Entry) {
			if first {
				table.clearSelected(begins("ab"))
				first = false
			}
		})
		table.wantCount(pages+others-3, driver.All, now)
	})

	t.Run("a clear counts them all", func(t *testing.T) {
		table := h.owned(t)
		n := min(5_000, h.many()/2*2)
		entries := items("a", n)
		for i := range entries {
			entries[i].ExpiresAt = now.Add(time.Duration(1+2*(i%2)) * time.Hour)
		}
		other := items("ab", 100)
		table.put(append(entries, other...)...)
		expired := at(now.Add(2*time.Hour), driver.Expired)
		expired.Leading = key("a")
		table.wantCountSelected(n/2, expired)
		if got := table.clearSelected(expired); got != n/2 {
			t.Errorf("clear removed %d expired entries, want %d", got, n/2)
		}
		if got := table.clearSelected(begins("a")); got != n/2 {
			t.Errorf("clear removed %d entries, want %d", got, n/2)
		}
		table.wantOnly(other...)
	})

	t.Run("large payloads come whole", func(t *testing.T) {
		table := h.owned(t)
		size := 1 << 20
		if h.MaxPayload > 0 {
			size = min(size, h.MaxPayload)
		}
		all := append(items("a", 6), items("b", 1)...)
		for i := range all {
			all[i].Payload = noise(size)
			table.put(all[i])
		}
		table.wantYielded(begins("a"), all)
		table.wantYielded(begins("b"), all)
	})

	t.Run("a context that is cancelled midway ends the iteration with its error", func(t *testing.T) {
		table := filled(t)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var last error
		steps := 0
		for _, err := range table.Entries(ctx, begins("a")) {
			last = err
			if steps++; steps == 10 {
				cancel()
			}
		}
		if !errors.Is(last, context.Canceled) {
			t.Errorf("after %d steps the iteration ended with %v, want %v", steps, last, context.Canceled)
		}
	})
}
