package drivertest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
)

func testRenew(t *testing.T, h Harness) {
	then := now.Add(2 * time.Hour)
	payload := func(n int) int {
		if h.MaxPayload > 0 {
			return min(n, h.MaxPayload)
		}
		return n
	}

	t.Run("a renewal changes times and headers and nothing else", func(t *testing.T) {
		table := h.ids(t)
		entries := versions(ids(0, 8), 1)
		entries[1].Name, entries[1].Payload = "", nil
		entries[2].Name, entries[2].Payload = "a\x00\xff b", []byte("\x00\xff\xfe{}\n")
		entries[3].Payload = noise(3_000)
		entries[4].Status, entries[4].ExpiresAt = 404, time.Time{}
		entries[5].Header = ""
		entries[6].Payload = []byte(`{"a": 1.10, "a":1e400}`)
		table.put(entries...)
		renew := func(v int, change func(i int, r *driver.Renewal)) {
			t.Helper()
			renewals := make([]driver.Renewal, len(entries))
			for i := range entries {
				renewals[i] = renewal(entries[i], v)
				change(i, &renewals[i])
				entries[i] = renewed(entries[i], renewals[i])
			}
			table.renew([]bool{true}, renewals[0])
			table.renew(all(6, true), renewals[1:7]...)
			table.renew([]bool{true}, renewals[7])
			table.wantOnly(entries...)
		}
		renew(2, func(int, *driver.Renewal) {})
		renew(3, func(_ int, r *driver.Renewal) { r.ExpiresAt = time.Time{} })
		renew(4, func(_ int, r *driver.Renewal) { r.Header = "" })
		renew(5, func(i int, r *driver.Renewal) { r.Header = `{"Long":["` + strings.Repeat("long ", 500*i) + `"]}` })
		renew(1, func(_ int, r *driver.Renewal) { r.CachedAt = r.Seen.Add(-time.Hour) })
		renew(6, func(_ int, r *driver.Renewal) { r.Header = `{}` })
	})

	t.Run("a large payload stays as it is", func(t *testing.T) {
		table := h.ids(t)
		one, two := version(id(1), 1), version(id(2), 1)
		one.Payload, two.Payload = noise(payload(6<<20)), noise(payload(500<<10))
		table.put(one)
		table.put(two)
		for v := range 2 {
			r := []driver.Renewal{renewal(one, 2+v), renewal(two, 4+v)}
			table.renew([]bool{true, true}, r...)
			one, two = renewed(one, r[0]), renewed(two, r[1])
			table.wantOnly(one, two)
		}
		table.put(version(id(1), 9))
		table.delete(id(2))
		table.wantOnly(version(id(1), 9))
	})

	t.Run("an entry of another time, and a key without one, are left as they are", func(t *testing.T) {
		table := h.ids(t)
		entries := versions(ids(0, 3), 1)
		table.put(entries...)
		var renewals []driver.Renewal
		for _, d := range []time.Duration{-us, us, 0} {
			r := renewal(entries[len(renewals)], 2)
			r.Seen = r.Seen.Add(d)
			renewals = append(renewals, r)
		}
		missing := renewal(version(id(9), 1), 2)
		table.renew([]bool{false}, renewals[0])
		table.renew([]bool{false}, missing)
		table.renew([]bool{false, false, false, true}, missing, renewals[0], renewals[1], renewals[2])
		table.wantOnly(entries[0], entries[1], renewed(entries[2], renewals[2]))
		table.renew([]bool{false, false}, renewals[2], missing) // it has another time now
	})

	t.Run("a renewal that changes nothing is one", func(t *testing.T) {
		table := h.ids(t)
		entries := versions(ids(0, 2), 1)
		table.put(entries...)
		for range 2 {
			table.renew([]bool{true, true}, renewal(entries[0], 1), renewal(entries[1], 1))
			table.renew([]bool{true}, renewal(entries[0], 1))
			table.wantOnly(entries...)
		}
	})

	for _, tt := range []struct {
		name          string
		before, after time.Time
		live          bool
	}{
		{"a renewal makes an expired entry live", now.Add(time.Hour), then.Add(us), true},
		{"a renewal makes an expired entry live for ever", then, time.Time{}, true},
		{"a renewal makes a live entry expire", then.Add(time.Hour), then, false},
		{"a renewal makes an entry expire that never did", time.Time{}, now.Add(time.Hour), false},
		{"a renewal lengthens a life", then.Add(us), then.Add(time.Hour), true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, n := range []int{1, 2} {
				table := h.ids(t)
				e, other := expiring(id(1), tt.before), expiring(id(2), tt.before)
				r := []driver.Renewal{renewal(e, 2), renewal(other, 2)}
				r[0].ExpiresAt, r[1].ExpiresAt = tt.after, tt.after
				table.put(e, other)
				table.renew(all(n, true), r[:n]...)
				table.delete(other.Key)
				table.wantState(renewed(e, r[0]), then, tt.live)
			}
		})
	}

	t.Run("a renewal to a time that is long past lets an entry expire", func(t *testing.T) {
		table := h.ids(t)
		e := version(id(1), 1)
		table.put(e)
		r := renewal(e, 2)
		r.ExpiresAt = now.AddDate(-1, 0, 0)
		table.renew([]bool{true}, r)
		if table.store.Traits().Vanishes {
			table.wantAbsent(e, now, driver.Live)
			return
		}
		table.wantState(renewed(e, r), now, false)
	})

	t.Run("an entry that expired long ago is renewed as long as it is there", func(t *testing.T) {
		table := h.ids(t)
		e := expiring(id(1), now.AddDate(-1, 0, 0))
		table.put(e)
		r := renewal(e, 2)
		done, err := table.Renew(t.Context(), []driver.Renewal{r})
		if err != nil || len(done) != 1 {
			t.Fatalf("renew: %v, %v", done, err)
		}
		switch {
		case done[0]:
			table.wantState(renewed(e, r), now, true)
		case table.store.Traits().Vanishes:
			table.wantOnly()
		default:
			t.Error("the entry was not renewed")
		}
	})

	t.Run("keys of any bytes", func(t *testing.T) {
		table := h.table(t, text("a"), text("b"), integer("n"), boolean("ok"))
		entries := versions(strangeKeys(h), 1)
		table.put(entries...)
		for v := range 2 {
			renewals := make([]driver.Renewal, len(entries))
			for i := range entries {
				renewals[i] = renewal(entries[i], 10*v+i+2)
				entries[i] = renewed(entries[i], renewals[i])
			}
			table.renew([]bool{true}, renewals[0])
			table.renew(all(len(entries)-1, true), renewals[1:]...)
			table.wantOnly(entries...)
		}
	})

	for _, n := range []int{2, 17, 1_001, h.pages()} {
		if testing.Short() && n == 1_001 {
			continue
		}
		t.Run(fmt.Sprintf("%d entries of mixed outcomes are renewed in one call", n), func(t *testing.T) {
			table := h.ids(t)
			r := rand.New(rand.NewPCG(3, uint64(n)))
			var there, left []driver.Entry
			var renewals []driver.Renewal
			want := make([]bool, n)
			for i, number := range r.Perm(n) {
				e := version(id(number), number)
				renewals = append(renewals, renewal(e, number+1))
				switch number % 3 {
				case 0: // there is none
					continue
				case 1:
					renewals[i].Seen = e.CachedAt.Add(-us)
					left = append(left, e)
				default:
					want[i] = true
					left = append(left, renewed(e, renewals[i]))
				}
				there = append(there, e)
			}
			table.put(there...)
			table.renew(want, renewals...)
			table.wantOnly(left...)
		})
	}

	t.Run("a renewal of nothing reports nothing", func(t *testing.T) {
		table := h.ids(t)
		table.put(version(id(1), 1))
		table.renew(nil)
		table.wantOnly(version(id(1), 1))
	})

	t.Run("a renewal touches its own table alone", func(t *testing.T) {
		one, other := h.neighbours(t)
		e := version(id(1), 1)
		one.put(e)
		other.put(e)
		one.renew([]bool{true}, renewal(e, 2))
		one.wantOnly(renewed(e, renewal(e, 2)))
		other.wantOnly(e)
	})

	testRenewRaces(t, h)
}

func testRenewRaces(t *testing.T, h Harness) {
	// race has goroutines renew the same entries in opposite orders, and fails the test
	// unless each entry has one winner.
	race := func(t *testing.T, tables []subject, chunk int) {
		t.Helper()
		keys := ids(0, rounds(120))
		tables[0].put(versions(keys, 0)...)
		winners := make([]atomic.Int32, len(keys))
		together(t, func(ctx context.Context, g int) error {
			order := make([]int, len(keys))
			for i := range order {
				if order[i] = i; g%2 == 1 {
					order[i] = len(keys) - 1 - i
				}
			}
			for some := range slices.Chunk(order, chunk) {
				renewals := make([]driver.Renewal, len(some))
				for j, i := range some {
					renewals[j] = renewal(version(keys[i], 0), g+1)
				}
				done, err := tables[g%len(tables)].Renew(ctx, renewals)
				if err != nil {
					return err
				}
				for j, i := range some {
					if !done[j] {
						continue
					}
					if before := winners[i].Swap(int32(g + 1)); before != 0 {
						t.Errorf("%s was renewed by goroutine %d, and by %d", describe(keys[i]), before-1, g)
					}
				}
			}
			return nil
		})
		want := make([]driver.Entry, len(keys))
		for i, k := range keys {
			want[i] = renewed(version(k, 0), renewal(version(k, 0), int(winners[i].Load())))
		}
		tables[0].wantOnly(want...)
	}

	for _, chunk := range []int{1, rounds(40)} {
		t.Run(fmt.Sprintf("of many who renew %d at a time one does", chunk), func(t *testing.T) {
			race(t, []subject{h.ids(t)}, chunk)
		})
	}

	t.Run("what was put meanwhile is not renewed", func(t *testing.T) {
		table := h.ids(t)
		keys := ids(0, rounds(100))
		backward := slices.Clone(keys)
		slices.Reverse(backward)
		for round := range rounds(5) {
			old, put := 10*round, 10*round+5
			table.put(versions(keys, old)...)
			together(t, func(ctx context.Context, g int) error {
				if g == 0 {
					return table.Put(ctx, versions(keys, put))
				}
				renewals := make([]driver.Renewal, len(keys))
				for i, k := range backward {
					renewals[i] = renewal(version(k, old), put+g)
				}
				_, err := table.Renew(ctx, renewals)
				return err
			})
			table.wantOnly(versions(keys, put)...)
		}
	})

	t.Run("what was deleted meanwhile stays so", func(t *testing.T) {
		table := h.ids(t)
		keys := ids(0, rounds(100))
		for range rounds(5) {
			table.put(versions(keys, 1)...)
			together(t, func(ctx context.Context, g int) error {
				if g == 0 {
					_, err := table.Delete(ctx, keys)
					return err
				}
				renewals := make([]driver.Renewal, len(keys))
				for i, k := range keys {
					renewals[i] = renewal(version(k, 1), 1) // it can be done again and again
				}
				slices.Reverse(renewals)
				_, err := table.Renew(ctx, renewals)
				return err
			})
			table.wantOnly()
		}
	})

	t.Run("of many stores on the same data one renews", func(t *testing.T) {
		if h.Loose {
			t.Skip("this store's server cannot do it")
		}
		one := h.ids(t)
		race(t, []subject{one, openTable(t, h.reopen(t, one.store), one.spec)}, 8)
	})
}
