package exchange

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/memory"
)

// markedTable is a table with a column beside the URL's, and with tags, in memory.
func markedTable(t *testing.T, now func() time.Time, tags bool) *Table {
	t.Helper()
	store, err := memory.New(nil)
	check(t, err)
	x, err := New(Options{Now: now, DigestKey: []byte("a key of 16 bytes")})
	check(t, err)
	t.Cleanup(func() { check(t, x.Close()); check(t, store.Close()) })
	d := Declaration{
		Name: "tracks", Beside: []string{"accept", "number"},
		Key: []driver.Column{{Name: "number", Kind: driver.Int}, {Name: "id", Kind: driver.String}, {Name: "accept", Kind: driver.String}},
	}
	if tags {
		d.Tags = func(key driver.Key, _ any) []string { return []string{key[1].(string)} }
	}
	table, err := x.Open(t.Context(), store, d)
	check(t, err)
	return table
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestTheNameOfAMarkIsADigest(t *testing.T) {
	table := markedTable(t, time.Now, false)
	text := driver.AppendKey(nil, driver.Key{"url", "tracks", "a"})
	if got, want := table.marked.urlName(driver.Key{int64(1), "a", "text/html"}), Digest([]byte("a key of 16 bytes"), text); got != want {
		t.Errorf("the name is %q, want %q", got, want)
	}
}

func TestWhichEntriesAMarkMakesOld(t *testing.T) {
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	clock := now
	for _, tags := range []bool{true, false} {
		table := markedTable(t, func() time.Time { return clock }, tags)
		clock = now
		put := func(number int64, id string, expires time.Time) {
			t.Helper()
			e := driver.Entry{Key: driver.Key{number, id, "text/html"}, Status: 200, CachedAt: table.x.Stamp(), ExpiresAt: expires}
			var err error
			e.Header, err = table.Tagged("", e.Key, nil)
			check(t, err)
			check(t, table.Put(t.Context(), []driver.Entry{e}))
		}
		put(1, "a", now.Add(time.Hour))
		put(2, "a", time.Time{})
		put(3, "a", now.Add(time.Second)) // has expired when it is read
		put(4, "b", now.Add(time.Hour))
		clock = now.Add(time.Minute)
		inv := table.x.NewInvalidation()
		if tags {
			inv.Tags("a")
		} else {
			inv.URL(table, driver.Key{int64(9), "a", "other"})
		}
		check(t, inv.Do(t.Context()))
		put(5, "a", now.Add(time.Hour)) // at the same instant

		keys := make([]driver.Key, 5)
		for i := range keys {
			keys[i] = driver.Key{int64(i + 1), []string{"a", "a", "a", "b", "a"}[i], "text/html"}
		}
		for state, want := range map[driver.State][]int64{driver.All: {1, 2, 3, 4, 5}, driver.Live: {4, 5}, driver.Expired: {1, 2, 3}} {
			sel := driver.Selection{Filter: driver.Filter{State: state, Now: clock}}
			seen := map[string][]int64{}
			see := func(how string, number int64, e driver.Entry) {
				seen[how] = append(seen[how], number)
				if old := number < 4; isCutShort(e) != old || e.Live(clock) == old {
					t.Errorf("%s: %d has expired at %v", how, number, e.ExpiresAt)
				}
			}
			check(t, table.Get(t.Context(), keys, sel, func(i int, e driver.Entry) { see("bulk", int64(i+1), e) }))
			for i, key := range keys {
				check(t, table.Get(t.Context(), []driver.Key{key}, sel, func(_ int, e driver.Entry) { see("single", int64(i+1), e) }))
			}
			for e, err := range table.Entries(t.Context(), sel) {
				check(t, err)
				see("entries", e.Key[0].(int64), e)
			}
			for how, got := range seen {
				if slices.Sort(got); !slices.Equal(got, want) {
					t.Errorf("state %d, %s: %v, want %v", state, how, got, want)
				}
			}
			if len(seen) != 3 {
				t.Errorf("state %d: %v", state, seen)
			}
		}
	}
}

// A loop over entries may end, write and invalidate.
func TestTheLoopOverMarkedEntriesIsFree(t *testing.T) {
	table := markedTable(t, time.Now, true)
	for i := range int64(3 * iterateAtOnce) {
		e := driver.Entry{Key: driver.Key{i, "a", ""}, Status: 200, CachedAt: table.x.Stamp()}
		check(t, table.Put(t.Context(), []driver.Entry{e}))
	}
	n := 0
	for e, err := range table.Entries(t.Context(), driver.Selection{}) {
		check(t, err)
		_, err = table.Delete(t.Context(), []driver.Key{e.Key})
		check(t, err)
		check(t, table.x.InvalidateTags(t.Context(), "b"))
		if n++; n == iterateAtOnce+1 {
			break
		}
	}
	if n != iterateAtOnce+1 {
		t.Errorf("%d were yielded", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range table.Entries(ctx, driver.Selection{}) {
		if err == nil {
			t.Error("an entry is yielded though the context is done")
		}
	}
}

func TestWhatIsKnownAfterAnInvalidationIsLater(t *testing.T) {
	clock := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	x, err := New(Options{Now: func() time.Time { return clock }})
	check(t, err)
	t.Cleanup(func() { check(t, x.Close()) })
	if got := x.Stamp(); !got.Equal(clock) {
		t.Errorf("%v without an invalidation", got)
	}
	last := clock
	for round := range 6 {
		since := x.invalidating()
		known := x.Stamp()
		if since.Before(last) || !known.After(since) {
			t.Errorf("round %d: known at %v, invalidated at %v, known at %v", round, last, since, known)
		}
		last = known
		if round == 3 {
			clock = clock.Add(-time.Hour)
		}
	}
	clock = clock.Add(3 * time.Hour)
	if got := x.Stamp(); !got.Equal(clock) {
		t.Errorf("%v when the clock goes on", got)
	}
}

// A store that loses marks does not bring back what this exchange has made old.
func TestAMarkThatTheStoreHasLost(t *testing.T) {
	store, err := memory.New(&memory.Options{MaxEntries: 1000})
	check(t, err)
	x, err := New(Options{DigestKey: []byte("a key that is long enough")})
	check(t, err)
	t.Cleanup(func() { check(t, x.Close()); check(t, store.Close()) })
	table, err := x.Open(t.Context(), store, Declaration{
		Name: "tracks", Key: []driver.Column{{Name: "id", Kind: driver.String}},
		Tags: func(key driver.Key, _ any) []string { return []string{key[0].(string)} },
	})
	check(t, err)
	x.marks.own.room = 4
	put := func(id string) {
		t.Helper()
		e := driver.Entry{Key: driver.Key{id}, Status: 200, CachedAt: x.Stamp()}
		e.Header, err = table.Tagged("", e.Key, nil)
		check(t, err)
		check(t, table.Put(t.Context(), []driver.Entry{e}))
	}
	lose := func() {
		t.Helper()
		_, err := x.marks.table.table.Clear(t.Context(), driver.Filter{})
		check(t, err)
	}
	want := func(wanted map[string]bool) {
		t.Helper()
		for _, id := range []string{"a", "b"} {
			live := false
			check(t, table.Get(t.Context(), []driver.Key{{id}}, driver.Selection{Filter: driver.Filter{State: driver.Live, Now: instant(x.Now())}},
				func(int, driver.Entry) { live = true }))
			if live != wanted[id] {
				t.Errorf("%s is live: %t", id, live)
			}
		}
	}
	put("a")
	put("b")
	check(t, x.InvalidateTags(t.Context(), "a"))
	lose()
	want(map[string]bool{"b": true})
	put("a")
	want(map[string]bool{"a": true, "b": true})
	for range 2 { // more than it remembers, each twice
		for _, tag := range []string{"1", "2", "3", "4", "5"} {
			check(t, x.InvalidateTags(t.Context(), tag))
		}
	}
	want(nil) // as nobody knows any more
	put("b")
	want(map[string]bool{"b": true})
}
