package drivertest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
)

func testIterate(t *testing.T, h Harness) {
	pages := h.pages() // more entries than a store reads ahead
	filled := func(t *testing.T, n int) subject {
		t.Helper()
		table := h.ids(t)
		table.put(versions(ids(0, n), 1)...)
		return table
	}

	t.Run("an iteration yields every entry once with its key", func(t *testing.T) {
		table := filled(t, pages)
		yielded := table.entries(everything)
		for i := range pages {
			if d := diff(version(nil, 1), yielded[encode(id(i))]); d != "" {
				t.Fatalf("%s: %s", describe(id(i)), d)
			}
		}
		if len(yielded) != pages {
			t.Errorf("%d entries, want %d", len(yielded), pages)
		}
	})

	t.Run("an iteration over an empty table yields nothing", func(t *testing.T) {
		if n := len(h.ids(t).entries(everything)); n != 0 {
			t.Errorf("%d entries", n)
		}
	})

	t.Run("an iteration selects by state", func(t *testing.T) {
		table := filled(t, 10)
		table.put(expiring(id(100), now.Add(3*time.Hour)), expiring(id(101), time.Time{}))
		then := now.Add(2 * time.Hour)
		for state, want := range map[driver.State]int{driver.All: 12, driver.Live: 2, driver.Expired: 10} {
			if n := len(table.entries(at(then, state))); n != want {
				t.Errorf("%d %s entries, want %d", n, stateName(state), want)
			}
		}
	})

	// step iterates over a table, runs body for each entry, and fails the test
	// unless each of the first n entries is yielded once. What body adds may be
	// yielded or not.
	step := func(t *testing.T, table subject, n int, body func(driver.Entry)) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		seen := make(map[string]int)
		for e, err := range table.Entries(ctx, everything) {
			if err != nil {
				t.Fatalf("iterate: %v", err)
			}
			seen[encode(e.Key)]++
			body(e)
		}
		for i := range n {
			if times := seen[encode(id(i))]; times != 1 {
				t.Errorf("%s was yielded %d times, want 1", describe(id(i)), times)
			}
		}
	}

	// tenth picks one in ten of the entries.
	tenth := func(e driver.Entry) bool { return strings.HasSuffix(e.Key[0].(string), "0") }

	t.Run("the body may delete the current entry", func(t *testing.T) {
		table := filled(t, pages)
		step(t, table, pages, func(e driver.Entry) {
			if !tenth(e) {
				return
			}
			if n := table.delete(e.Key); n != 1 {
				t.Errorf("delete of the current entry removed %d, want 1", n)
			}
		})
		table.wantCount(pages-pages/10, driver.All, now)
	})

	t.Run("the body may delete entries that are yet to come", func(t *testing.T) {
		table := filled(t, pages)
		seen := 0
		for _, err := range table.Entries(t.Context(), everything) {
			if err != nil {
				t.Fatal(err)
			}
			if seen++; seen == 1 {
				table.clear(driver.All, now)
			}
		}
		if seen > pages {
			t.Errorf("%d entries were yielded of %d", seen, pages)
		}
		table.wantOnly()
	})

	t.Run("the body may replace the current entry", func(t *testing.T) {
		table := filled(t, pages)
		seen := make(map[string]bool)
		for e, err := range table.Entries(t.Context(), everything) {
			if err != nil {
				t.Fatal(err)
			}
			if tenth(e) && !seen[encode(e.Key)] { // it may come again
				table.put(version(e.Key, 2))
			}
			seen[encode(e.Key)] = true
		}
		if len(seen) != pages {
			t.Errorf("%d entries were yielded, want %d", len(seen), pages)
		}
		table.wantCount(pages, driver.All, now)
	})

	t.Run("the body may insert entries", func(t *testing.T) {
		table := filled(t, pages)
		step(t, table, pages, func(e driver.Entry) {
			if e.Status == 1 && tenth(e) { // not for those that it inserts
				id := e.Key[0].(string)
				table.put(version(key("a"+id), 2), version(key(id+"a"), 2), version(key("z"+id), 2))
			}
		})
		table.wantCount(pages+3*pages/10, driver.All, now)
	})

	t.Run("the body may use the table in every way", func(t *testing.T) {
		n := rounds(50)
		table := filled(t, n)
		step(t, table, n, func(e driver.Entry) {
			table.want(version(e.Key, 1))
			table.wantCount(n, driver.All, now)
			table.put(version(id(1_000), 2))
			if got := len(table.entries(everything)); got != n+1 {
				t.Errorf("a nested iteration yields %d entries, want %d", got, n+1)
			}
			if n := table.delete(id(1_000)); n != 1 {
				t.Errorf("a nested delete removed %d, want 1", n)
			}
			table.clear(driver.Expired, now)
			openTable(t, table.store, table.spec)
		})
	})

	t.Run("an iteration blocks no other goroutine", func(t *testing.T) {
		table := filled(t, 10)
		step(t, table, 10, func(driver.Entry) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			done := make(chan error, 1)
			go func() { done <- table.Put(ctx, []driver.Entry{version(id(100), 2)}) }()
			if err := <-done; err != nil {
				t.Errorf("put: %v", err)
			}
		})
	})

	t.Run("entries that stay are yielded once while others come and go", func(t *testing.T) {
		table := filled(t, pages)
		stop := make(chan struct{})
		var wg sync.WaitGroup
		for g := range 2 {
			wg.Add(1)
			go func() {
				defer wg.Done()
				for round := 0; ; round++ {
					select {
					case <-stop:
						return
					default:
					}
					keys := make([]driver.Key, 20)
					for i := range keys { // before, between and after those that stay
						keys[i] = key(fmt.Sprintf("%c%s-%d", "ahz"[i%3], id(i * 200)[0], g))
						if i%3 == 1 {
							keys[i] = key(fmt.Sprintf("%s-%d", id(i * 200)[0], g))
						}
					}
					if err := table.Put(t.Context(), versions(keys, 2)); err != nil {
						t.Errorf("put: %v", err)
						return
					}
					if _, err := table.Delete(t.Context(), keys); err != nil {
						t.Errorf("delete: %v", err)
						return
					}
				}
			}()
		}
		defer wg.Wait()
		defer close(stop)
		for range rounds(3) {
			step(t, table, pages, func(driver.Entry) {})
		}
	})

	t.Run("a loop that breaks off leaves nothing behind", func(t *testing.T) {
		table := filled(t, pages)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		for i := range rounds(100) {
			steps := 0
			for _, err := range table.Entries(ctx, everything) {
				if err != nil {
					t.Fatalf("iterate: %v", err)
				}
				if steps++; steps > i {
					break
				}
			}
			if err := table.Put(ctx, []driver.Entry{version(id(i%pages), 1)}); err != nil {
				t.Fatalf("put after %d loops that broke off: %v", i+1, err)
			}
		}
		table.wantCount(pages, driver.All, now)
	})

	t.Run("a panic in the body leaves nothing behind", func(t *testing.T) {
		table := filled(t, pages)
		for range rounds(20) {
			func() {
				defer func() { _ = recover() }()
				for range table.Entries(t.Context(), everything) {
					panic("in the body")
				}
			}()
		}
		table.put(version(id(0), 2))
		table.wantCount(pages, driver.All, now)
	})

	t.Run("a context that is cancelled midway ends the iteration with its error", func(t *testing.T) {
		table := filled(t, pages)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var last error
		steps := 0
		for _, err := range table.Entries(ctx, everything) {
			if last != nil {
				t.Fatalf("an element follows the error %v", last)
			}
			last = err
			if steps++; steps == 10 {
				cancel()
			}
		}
		if !errors.Is(last, context.Canceled) {
			t.Errorf("after %d steps the iteration ended with %v, want %v", steps, last, context.Canceled)
		}
		table.wantCount(pages, driver.All, now)
	})
}
