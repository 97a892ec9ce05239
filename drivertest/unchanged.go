package drivertest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
)

var ifUnchanged = driver.Condition{If: driver.IfUnchanged}

// other is another version of e, of the same instant.
func other(e driver.Entry, v int) driver.Entry {
	changed := version(e.Key, v)
	changed.CachedAt = e.CachedAt
	return changed
}

func others(entries []driver.Entry, v int) []driver.Entry {
	changed := make([]driver.Entry, len(entries))
	for i, e := range entries {
		changed[i] = other(e, v)
	}
	return changed
}

func testPutIfUnchanged(t *testing.T, h Harness) {
	t.Run("a put if unchanged replaces every part of an entry", func(t *testing.T) {
		table := h.ids(t)
		for _, cachedAt := range []time.Time{now, time.Unix(0, 0).UTC(), time.Unix(0, -1000).UTC()} {
			full := version(id(1), 1)
			full.CachedAt = cachedAt
			bare := driver.Entry{Key: id(1), CachedAt: cachedAt}
			table.put(full)
			for _, e := range []driver.Entry{bare, other(full, 2), other(full, 3), bare, full} {
				table.putIf(ifUnchanged, []bool{true}, e)
				table.wantOnly(e)
			}
		}
	})

	t.Run("a put if unchanged brings nothing back", func(t *testing.T) {
		table := h.ids(t)
		entries := versions(ids(0, 6), 1)
		table.put(entries...)
		table.delete(entries[0].Key, entries[1].Key)
		for _, e := range entries[2:4] {
			if _, ok, err := table.Pop(t.Context(), e.Key, driver.Filter{}); err != nil || !ok {
				t.Fatalf("pop: %v, %v", ok, err)
			}
		}
		for _, e := range entries[:4] {
			table.putIf(ifUnchanged, []bool{false}, e)
		}
		table.putIf(ifUnchanged, []bool{false, false, false, false, true, true}, others(entries, 2)...)
		table.wantOnly(others(entries[4:], 2)...)
		table.clear(driver.All, now)
		table.putIf(ifUnchanged, all(6, false), entries...)
		table.wantOnly()
	})

	t.Run("a put if unchanged leaves an entry that was renewed", func(t *testing.T) {
		table := h.ids(t)
		for _, n := range []int{1, 3} {
			entries := versions(ids(0, n), 1)
			table.put(entries...)
			var left []driver.Entry
			for _, e := range entries {
				r := renewal(e, 2)
				table.renew([]bool{true}, r)
				left = append(left, renewed(e, r))
			}
			table.putIf(ifUnchanged, all(n, false), others(entries, 3)...)
			table.wantOnly(left...)
			table.putIf(ifUnchanged, all(n, true), others(left, 3)...)
			table.wantOnly(others(left, 3)...)
		}
	})

	for _, keys := range [][]driver.Key{strangeKeys(h), strangeKeys(h)[:1]} {
		t.Run(fmt.Sprintf("%d keys of any bytes are unchanged", len(keys)), func(t *testing.T) {
			table := h.table(t, text("a"), text("b"), integer("n"), boolean("ok"))
			entries := versions(keys, 1)
			table.putIf(ifUnchanged, all(len(keys), false), entries...)
			table.wantOnly()
			table.put(entries...)
			for v := range 2 {
				table.putIf(ifUnchanged, all(len(keys), false), versions(keys, v+2)...)
				table.putIf(ifUnchanged, all(len(keys), true), others(entries, v+2)...)
				table.wantOnly(others(entries, v+2)...)
			}
		})
	}

	t.Run("a large payload if unchanged", func(t *testing.T) {
		table := h.ids(t)
		entries := versions(ids(0, 3), 1)
		for i := range entries {
			entries[i].Payload = noise(largePayload(h))
		}
		table.put(entries[0])
		for _, n := range []int{1, 2, 1} {
			changed := others(entries[:n], 2)
			for i := range changed {
				changed[i].Payload = noise(largePayload(h) - 1)
			}
			table.putIf(ifUnchanged, []bool{true, false}[:n], changed...)
			table.wantOnly(changed[0])
		}
		table.putIf(ifUnchanged, []bool{false}, entries[1])
		table.putIf(ifUnchanged, []bool{true}, other(entries[0], 3))
		table.wantOnly(other(entries[0], 3))
	})

	for _, n := range []int{2, 17, 1_001, h.pages()} {
		if testing.Short() && n == 1_001 {
			continue
		}
		t.Run(fmt.Sprintf("%d entries of mixed outcomes are put if unchanged", n), func(t *testing.T) {
			table := h.ids(t)
			r := rand.New(rand.NewPCG(4, uint64(n)))
			var there, entries, left []driver.Entry
			want := make([]bool, n)
			for i, number := range r.Perm(n) {
				e := version(id(number), 100)
				entries = append(entries, e)
				switch number % 4 {
				case 0: // there is none
					continue
				case 1:
					want[i] = true
					there = append(there, other(e, 7))
					left = append(left, e)
				default:
					old := version(id(number), 95+2*(number%4)) // older or newer
					there = append(there, old)
					left = append(left, old)
				}
			}
			table.put(there...)
			table.putIf(ifUnchanged, want, entries...)
			table.wantOnly(left...)
		})
	}

	t.Run("a put if unchanged touches its own table alone", func(t *testing.T) {
		one, neighbour := h.neighbours(t)
		e := version(id(1), 1)
		neighbour.put(e)
		one.putIf(ifUnchanged, []bool{false}, other(e, 2))
		one.put(e)
		one.putIf(ifUnchanged, []bool{true}, other(e, 3))
		one.wantOnly(other(e, 3))
		neighbour.wantOnly(e)
	})
}

// largePayload is the size of a payload that stores on a network do not keep in one piece.
func largePayload(h Harness) int {
	if h.MaxPayload > 0 {
		return min(500<<10, h.MaxPayload)
	}
	return 500 << 10
}

func testPutIfUnchangedRaces(t *testing.T, h Harness) {
	// race has goroutines put other versions of the entries of keys, in opposite orders,
	// while change changes all of these entries. It returns by key the names that were
	// reported as stored.
	race := func(t *testing.T, tables []subject, keys []driver.Key, change func(context.Context, subject) error) []map[string]bool {
		t.Helper()
		stored := make([]map[string]bool, len(keys))
		for i := range stored {
			stored[i] = make(map[string]bool)
		}
		var mu sync.Mutex
		tables[0].put(versions(keys, 0)...)
		together(t, func(ctx context.Context, g int) error {
			table := tables[g%len(tables)]
			if g == 0 {
				return change(ctx, table)
			}
			order := make([]int, len(keys))
			for i := range order {
				if order[i] = i; g%2 == 1 {
					order[i] = len(keys) - 1 - i
				}
			}
			for some := range slices.Chunk(order, 1+len(keys)/(1+g%3)) {
				entries := make([]driver.Entry, len(some))
				for j, i := range some {
					entries[j] = other(version(keys[i], 0), 10+g)
				}
				outcomes, err := table.PutIf(ctx, entries, ifUnchanged)
				if err != nil {
					return err
				}
				mu.Lock()
				for j, i := range some {
					if outcomes[j] {
						stored[i][entries[j].Name] = true
					}
				}
				mu.Unlock()
			}
			return nil
		})
		return stored
	}

	renewing := func(t *testing.T, tables []subject) {
		t.Helper()
		keys := ids(0, rounds(60))
		for range rounds(5) {
			stored := race(t, tables, keys, func(ctx context.Context, table subject) error {
				renewals := make([]driver.Renewal, len(keys))
				for i, k := range keys {
					renewals[i] = renewal(version(k, 0), 1)
				}
				done, err := table.Renew(ctx, renewals)
				if slices.Contains(done, false) {
					t.Error("an entry was not renewed, though its time had not changed")
				}
				return err
			})
			for i, e := range tables[0].get(everything, keys...) {
				before := version(keys[i], 0)
				if d := diff(renewed(other(before, e.Status), renewal(before, 1)), e); d != "" {
					t.Errorf("%s: %s", describe(keys[i]), d)
				}
				if untouched := e.Name == before.Name; untouched != (len(stored[i]) == 0) || !untouched && !stored[i][e.Name] {
					t.Errorf("%s is %q, reported as stored are %v", describe(keys[i]), e.Name, stored[i])
				}
			}
			tables[0].wantCount(len(keys), driver.All, now)
		}
	}

	t.Run("what is put if unchanged while it is renewed has both changes or one", func(t *testing.T) {
		renewing(t, []subject{h.ids(t)})
	})

	t.Run("of many stores on the same data one puts what the other renews", func(t *testing.T) {
		if h.Loose {
			t.Skip("this store's server cannot do it")
		}
		one := h.ids(t)
		renewing(t, []subject{one, openTable(t, h.reopen(t, one.store), one.spec)})
	})

	t.Run("what was deleted meanwhile is not put if unchanged", func(t *testing.T) {
		table := h.ids(t)
		keys := ids(0, rounds(60))
		for round := range rounds(6) {
			race(t, []subject{table}, keys, func(ctx context.Context, table subject) error {
				if round%2 == 0 {
					_, err := table.Delete(ctx, keys)
					return err
				}
				for _, k := range keys {
					if _, ok, err := table.Pop(ctx, k, driver.Filter{}); err != nil || !ok {
						return fmt.Errorf("pop of %s: %v, %w", describe(k), ok, err)
					}
				}
				return nil
			})
			table.wantOnly()
		}
	})

	t.Run("what was put meanwhile is not put if unchanged", func(t *testing.T) {
		table := h.ids(t)
		keys := ids(0, rounds(60))
		for range rounds(5) {
			race(t, []subject{table}, keys, func(ctx context.Context, table subject) error {
				return table.Put(ctx, versions(keys, 5))
			})
			table.wantOnly(versions(keys, 5)...)
		}
	})
}
