package drivertest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
)

const us = time.Microsecond

func testPutIf(t *testing.T, h Harness) {
	then := now.Add(2 * time.Hour)
	saved := now.Add(time.Minute) // the new entry is of this time
	never := time.Time{}
	for _, tt := range []struct {
		name     string
		cachedAt time.Time
		expires  time.Time
		stores   []driver.Precondition // which hold for it
	}{
		{"an expired entry", saved.Add(-us), then.Add(-us), []driver.Precondition{driver.IfNotLive, driver.IfNewer}},
		{"an entry that expires at the instant", saved.Add(us), then, []driver.Precondition{driver.IfNotLive}},
		{"an entry that expires a microsecond later", saved.Add(us), then.Add(us), nil},
		{"an entry that expires within the second", saved.Add(us), then.Truncate(time.Second).Add(time.Second), nil},
		{"an entry that never expires", saved.Add(us), never, nil},
		{"an older entry that never expires", saved.Add(-time.Hour), never, []driver.Precondition{driver.IfNewer}},
		{"a live entry of the same microsecond", saved, then.Add(time.Hour), []driver.Precondition{driver.IfNewer, driver.IfUnchanged}},
		{"an expired entry of the same microsecond", saved, then.Add(-us), []driver.Precondition{driver.IfNotLive, driver.IfNewer, driver.IfUnchanged}},
		{"an entry older by a microsecond", saved.Add(-us), then.Add(time.Hour), []driver.Precondition{driver.IfNewer}},
		{"an entry newer by a microsecond", saved.Add(us), then.Add(time.Hour), nil},
		{"an expired entry that is newer", saved.Add(us), now.Add(time.Hour), []driver.Precondition{driver.IfNotLive}},
		{"an entry from before the Unix epoch", time.Unix(0, -1000).UTC(), then.Add(time.Hour), []driver.Precondition{driver.IfNewer}},
	} {
		for _, precondition := range []driver.Precondition{driver.IfAbsent, driver.IfNotLive, driver.IfNewer, driver.IfUnchanged} {
			stores := slices.Contains(tt.stores, precondition)
			t.Run(fmt.Sprintf("a put %s, where there is %s: %v", preconditionNames[precondition], tt.name, stores), func(t *testing.T) {
				table := h.ids(t)
				there := version(nil, 1)
				there.CachedAt, there.ExpiresAt = tt.cachedAt, tt.expires
				table.wantPutIf(driver.Condition{If: precondition, Now: then}, there, saved, stores)
			})
		}
	}

	t.Run("a put whose condition holds replaces every part of an entry", func(t *testing.T) {
		table := h.ids(t)
		full, bare := version(id(1), 1), driver.Entry{Key: id(1), CachedAt: now.Add(us)}
		for range 2 {
			table.putIf(driver.Condition{If: driver.IfNewer}, []bool{true}, full)
			table.wantOnly(full)
			table.putIf(driver.Condition{If: driver.IfNewer}, []bool{true}, bare)
			table.wantOnly(bare)
			full.CachedAt, bare.CachedAt = full.CachedAt.Add(time.Second), bare.CachedAt.Add(time.Second)
		}
	})

	t.Run("an expired entry may take the place of an expired one", func(t *testing.T) {
		table := h.ids(t)
		table.put(expiring(id(1), then))
		for i := range 3 {
			e := version(id(1), 2+i)
			e.ExpiresAt = then.Add(-time.Minute)
			table.putIf(driver.Condition{If: driver.IfNotLive, Now: then}, []bool{true}, e)
			table.wantOnly(e)
		}
		table.wantCount(1, driver.Expired, then)
	})

	t.Run("what is absent is absent whatever was there before", func(t *testing.T) {
		table := h.ids(t)
		for v := range 3 {
			table.putIf(driver.Condition{If: driver.IfAbsent}, []bool{true}, version(id(1), v))
			table.putIf(driver.Condition{If: driver.IfAbsent}, []bool{false}, version(id(1), v+10))
			table.wantOnly(version(id(1), v))
			table.delete(id(1))
		}
	})

	for _, keys := range [][]driver.Key{strangeKeys(h), strangeKeys(h)[:1]} {
		t.Run(fmt.Sprintf("%d keys of any bytes", len(keys)), func(t *testing.T) {
			table := h.table(t, text("a"), text("b"), integer("n"), boolean("ok"))
			for v := range 2 {
				table.putIf(driver.Condition{If: driver.IfNewer}, all(len(keys), true), versions(keys, v+1)...)
				table.putIf(driver.Condition{If: driver.IfNewer}, all(len(keys), false), versions(keys, v)...)
				table.putIf(driver.Condition{If: driver.IfAbsent}, all(len(keys), false), versions(keys, 9)...)
				table.wantOnly(versions(keys, v+1)...)
			}
		})
	}

	for _, n := range []int{2, 17, 1_001, h.pages()} {
		if testing.Short() && n == 1_001 {
			continue
		}
		t.Run(fmt.Sprintf("%d entries of mixed outcomes are put in one call", n), func(t *testing.T) {
			table := h.ids(t)
			r := rand.New(rand.NewPCG(2, uint64(n)))
			var there, entries, left []driver.Entry
			want := make([]bool, n)
			for i, number := range r.Perm(n) {
				e := version(id(number), 100)
				entries = append(entries, e)
				old := version(id(number), 99+number%3) // older, of the same time, or newer
				if number%4 != 0 {
					there = append(there, old)
				}
				if want[i] = number%4 == 0 || !old.CachedAt.After(e.CachedAt); want[i] {
					left = append(left, e)
				} else {
					left = append(left, old)
				}
			}
			table.put(there...)
			table.putIf(driver.Condition{If: driver.IfNewer}, want, entries...)
			table.wantOnly(left...)
		})
	}

	t.Run("an unknown precondition is an error and changes nothing", func(t *testing.T) {
		table := h.ids(t)
		for _, unknown := range []driver.Precondition{0, driver.IfUnchanged + 1, 255} {
			stored, err := table.PutIf(t.Context(), versions(ids(0, 2), 1), driver.Condition{If: unknown, Now: now})
			var op *driver.OpError
			if err == nil || stored != nil || !errors.As(err, &op) {
				t.Errorf("precondition %d: put reports %v, %v", unknown, stored, err)
			}
		}
		table.wantOnly()
	})

	t.Run("a put of nothing reports nothing", func(t *testing.T) {
		table := h.ids(t)
		table.put(version(id(1), 1))
		table.putIf(driver.Condition{If: driver.IfAbsent}, nil)
		table.wantOnly(version(id(1), 1))
	})

	t.Run("the store does not keep the caller's memory", func(t *testing.T) {
		table := h.ids(t)
		e := version(id(1), 1)
		table.putIf(driver.Condition{If: driver.IfAbsent}, []bool{true}, e)
		scribble(e.Payload)
		table.wantOnly(version(id(1), 1))
	})

	t.Run("a put touches its own table alone", func(t *testing.T) {
		one, other := h.neighbours(t)
		other.put(version(id(1), 1))
		one.putIf(driver.Condition{If: driver.IfAbsent}, []bool{true, true}, versions(ids(1, 2), 2)...)
		one.wantOnly(versions(ids(1, 2), 2)...)
		other.wantOnly(version(id(1), 1))
	})

	t.Run("a payload beyond the store's limit is refused", func(t *testing.T) {
		if h.MaxPayload == 0 {
			t.Skip("this store has no limit")
		}
		table := h.ids(t)
		large := version(key("large"), 2)
		if !testing.Short() { // testLimits puts what fits, too
			large.Payload = noise(h.MaxPayload)
			table.putIf(driver.Condition{If: driver.IfAbsent}, []bool{true}, large)
			table.want(large)
			table.delete(large.Key)
		}
		large.Payload = noise(2 * h.MaxPayload)
		stored, err := table.PutIf(t.Context(), []driver.Entry{version(id(1), 2), large}, driver.Condition{If: driver.IfAbsent})
		if !errors.Is(err, driver.ErrTooLarge) || stored != nil {
			t.Fatalf("put reports %v, %v, want %v", stored, err, driver.ErrTooLarge)
		}
		if table.has(large.Key) {
			t.Error("the entry that was refused is there")
		}
		if table.has(id(1)) {
			table.want(version(id(1), 2))
		}
	})

	testPutIfUnchanged(t, h)
	testPutIfRaces(t, h)
	testPutIfUnchangedRaces(t, h)
}

var preconditionNames = map[driver.Precondition]string{
	driver.IfAbsent: "if absent", driver.IfNotLive: "if not live", driver.IfNewer: "if newer", driver.IfUnchanged: "if unchanged",
}

// wantPutIf puts entries of an instant where there are entries like there, and where
// there are none, one by one and in one call.
func (s subject) wantPutIf(c driver.Condition, there driver.Entry, saved time.Time, stores bool) {
	s.tb.Helper()
	var before, after, left []driver.Entry
	var want []bool
	for i := range 8 {
		e := version(id(i), 50+i)
		e.CachedAt = saved
		after = append(after, e)
		if i%2 == 1 { // there is none
			if want = append(want, c.If != driver.IfUnchanged); want[i] {
				left = append(left, e)
			}
			continue
		}
		there.Key = e.Key
		before = append(before, there)
		if want = append(want, stores); stores {
			left = append(left, e)
		} else {
			left = append(left, there)
		}
	}
	s.put(before...)
	for i := range 3 {
		s.putIf(c, want[i:i+1], after[i])
	}
	s.putIf(c, want[3:], after[3:]...)
	s.wantOnly(left...)
}

// strangeKeys are keys of the columns text, text, integer and boolean.
func strangeKeys(h Harness) []driver.Key {
	long := 4_000
	if h.MaxKey > 0 {
		long = min(long, h.MaxKey)
	}
	return []driver.Key{
		key(string(noise(long)), "", int64(-1), false),
		key("", "", int64(0), true),
		key("", "", int64(0), false),
		key("a\x00", "\xff", int64(1), true),
		key("a", "\x00\xff", int64(1), true),
		key("it's", `"\|:{}%`, int64(1), true),
		key("日本", "É", int64(1), true),
		key("日本", "é", int64(1), true),
	}
}

// all are n outcomes.
func all(n int, outcome bool) []bool { return slices.Repeat([]bool{outcome}, n) }

func testPutIfRaces(t *testing.T, h Harness) {
	then := now.Add(2 * time.Hour)

	// race has goroutines put the same keys in opposite orders, each its version, and
	// fails the test unless each key has one winner, whose entry stays.
	race := func(t *testing.T, tables []subject, c driver.Condition, chunk int) {
		t.Helper()
		keys := ids(0, rounds(120))
		winners := make([]atomic.Int32, len(keys))
		together(t, func(ctx context.Context, g int) error {
			order := make([]int, len(keys))
			for i := range order {
				if order[i] = i; g%2 == 1 {
					order[i] = len(keys) - 1 - i
				}
			}
			for some := range slices.Chunk(order, chunk) {
				entries := make([]driver.Entry, len(some))
				for j, i := range some {
					entries[j] = expiring(keys[i], then.Add(time.Hour))
					entries[j].Name = fmt.Sprint(g)
				}
				stored, err := tables[g%len(tables)].PutIf(ctx, entries, c)
				if err != nil {
					return err
				}
				for j, i := range some {
					if !stored[j] {
						continue
					}
					if before := winners[i].Swap(int32(g + 1)); before != 0 {
						t.Errorf("%s was stored by goroutine %d, and by %d", describe(keys[i]), before-1, g)
					}
				}
			}
			return nil
		})
		for i, e := range tables[0].get(everything, keys...) {
			if winner := winners[i].Load(); winner == 0 || e.Name != fmt.Sprint(winner-1) {
				t.Errorf("%s is that of goroutine %s, stored by goroutine %d", describe(keys[i]), e.Name, winner-1)
			}
		}
		tables[0].wantCount(len(keys), driver.Live, then)
	}

	for _, chunk := range []int{1, rounds(40)} {
		t.Run(fmt.Sprintf("of many who put %d at a time if absent one does", chunk), func(t *testing.T) {
			race(t, []subject{h.ids(t)}, driver.Condition{If: driver.IfAbsent}, chunk)
		})
		t.Run(fmt.Sprintf("of many who put %d at a time if not live one does", chunk), func(t *testing.T) {
			table := h.ids(t)
			for i := range rounds(120) / 2 { // the others are absent
				table.put(expiring(id(2*i), then))
			}
			race(t, []subject{table}, driver.Condition{If: driver.IfNotLive, Now: then}, chunk)
		})
	}

	t.Run("of many who put if newer the newest stays", func(t *testing.T) {
		table := h.ids(t)
		keys := ids(0, 50)
		rounds := rounds(10)
		together(t, func(ctx context.Context, g int) error {
			order := slices.Clone(keys)
			if g%2 == 1 {
				slices.Reverse(order)
			}
			for round := range rounds {
				if _, err := table.PutIf(ctx, versions(order, 1+(round*7+g*3)%(rounds*goroutines)), driver.Condition{If: driver.IfNewer}); err != nil {
					return err
				}
			}
			return nil
		})
		newest := 0
		for g := range goroutines {
			for round := range rounds {
				newest = max(newest, 1+(round*7+g*3)%(rounds*goroutines))
			}
		}
		table.wantOnly(versions(keys, newest)...)
	})

	t.Run("puts with and without a condition leave one whole entry", func(t *testing.T) {
		table := h.ids(t)
		keys := ids(0, 50)
		backward := slices.Clone(keys)
		slices.Reverse(backward)
		together(t, func(ctx context.Context, g int) error {
			for round := range rounds(6) {
				var err error
				switch g % 4 {
				case 0:
					err = table.Put(ctx, versions(keys, 1+10*g+round))
				case 1:
					_, err = table.PutIf(ctx, versions(backward, 1+10*g+round), driver.Condition{If: driver.IfNewer})
				case 2:
					_, err = table.PutIf(ctx, versions(keys, 1+10*g+round), driver.Condition{If: driver.IfAbsent})
				default:
					_, err = table.Delete(ctx, backward[:10*round])
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
		for _, e := range table.get(everything, keys...) {
			if err := whole(e); err != nil {
				t.Error(err)
			}
		}
		found := len(table.get(everything, keys...))
		table.wantCount(found, driver.All, now)
		if n := len(table.entries(everything)); n != found {
			t.Errorf("an iteration yields %d entries, a get %d", n, found)
		}
	})

	t.Run("of many stores on the same data one puts what is absent", func(t *testing.T) {
		one := h.ids(t)
		other := openTable(t, h.reopen(t, one.store), one.spec)
		race(t, []subject{one, other}, driver.Condition{If: driver.IfAbsent}, 8)
	})

	t.Run("of many stores on the same data one puts what is not live", func(t *testing.T) {
		if h.Loose {
			t.Skip("this store's server cannot do it")
		}
		one := h.ids(t)
		other := openTable(t, h.reopen(t, one.store), one.spec)
		for i := range rounds(120) / 2 {
			one.put(expiring(id(2*i), then))
		}
		race(t, []subject{one, other}, driver.Condition{If: driver.IfNotLive, Now: then}, 8)
	})
}
