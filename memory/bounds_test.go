package memory_test

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/memory"
)

// bounded is a table of a store with bounds.
type bounded struct {
	driver.Table
	tb testing.TB
}

func openBounded(tb testing.TB, s *memory.Store, name string) bounded {
	tb.Helper()
	table, err := s.OpenTable(tb.Context(), driver.TableSpec{Name: name, Key: []driver.Column{{Name: "id", Kind: driver.Int}}})
	if err != nil {
		tb.Fatal(err)
	}
	return bounded{table, tb}
}

// entries are n entries from the i-th on, with payloads of this size.
func entries(i, n, size int) []driver.Entry {
	all := make([]driver.Entry, n)
	for j := range all {
		all[j] = driver.Entry{Key: driver.Key{int64(i + j)}, Name: "name", Payload: make([]byte, size)}
	}
	return all
}

func keys(entries []driver.Entry) []driver.Key {
	all := make([]driver.Key, len(entries))
	for i, e := range entries {
		all[i] = e.Key
	}
	return all
}

func (t bounded) put(entries ...driver.Entry) {
	t.tb.Helper()
	if err := t.Put(t.tb.Context(), entries); err != nil {
		t.tb.Fatal(err)
	}
}

// found is how many of the entries are there.
func (t bounded) found(entries []driver.Entry) int {
	t.tb.Helper()
	n := 0
	if err := t.Get(t.tb.Context(), keys(entries), driver.Selection{}, func(int, driver.Entry) { n++ }); err != nil {
		t.tb.Fatal(err)
	}
	return n
}

// size returns the number of entries and the bytes of their payloads. It fails
// the test unless a count and an iteration agree.
func (t bounded) size() (n, payloads int) {
	t.tb.Helper()
	for e, err := range t.Entries(t.tb.Context(), driver.Selection{Parts: driver.Payload}) {
		if err != nil {
			t.tb.Fatal(err)
		}
		n++
		payloads += len(e.Payload)
	}
	count, err := t.Count(t.tb.Context(), driver.Filter{})
	if err != nil {
		t.tb.Fatal(err)
	}
	if count != n {
		t.tb.Errorf("count is %d, an iteration yields %d", count, n)
	}
	return n, payloads
}

func (t bounded) clear() int {
	t.tb.Helper()
	n, err := t.Clear(t.tb.Context(), driver.Filter{})
	if err != nil {
		t.tb.Fatal(err)
	}
	return n
}

func TestBounds(t *testing.T) {
	const (
		maxEntries = 1_000
		maxBytes   = 1 << 20
	)

	t.Run("a store keeps to its number of entries when a put returns", func(t *testing.T) {
		table := openBounded(t, open(t, &memory.Options{MaxEntries: maxEntries}), "tracks")
		for i := range 20 {
			table.put(entries(i*700, 700, 10)...)
			if n, _ := table.size(); n > maxEntries {
				t.Fatalf("%d entries after put %d, want at most %d", n, i, maxEntries)
			}
		}
		if n, _ := table.size(); n < maxEntries*9/10 {
			t.Errorf("%d entries are left, want about %d", n, maxEntries)
		}
	})

	t.Run("a store keeps to its number of bytes when a put returns", func(t *testing.T) {
		table := openBounded(t, open(t, &memory.Options{MaxBytes: maxBytes}), "tracks")
		for i := range 20 {
			table.put(entries(i*50, 50, 1_000*(1+i%7))...)
			if _, size := table.size(); size > maxBytes {
				t.Fatalf("%d bytes after put %d, want at most %d", size, i, maxBytes)
			}
		}
		if _, size := table.size(); size < maxBytes*3/4 {
			t.Errorf("%d bytes are left, want nearly %d", size, maxBytes)
		}
	})

	t.Run("a store keeps to both bounds", func(t *testing.T) {
		table := openBounded(t, open(t, &memory.Options{MaxEntries: maxEntries, MaxBytes: maxBytes}), "tracks")
		table.put(entries(0, 5_000, 0)...)
		if n, _ := table.size(); n > maxEntries || n < maxEntries*9/10 {
			t.Errorf("%d small entries, want about %d", n, maxEntries)
		}
		table.put(entries(10_000, 500, 20_000)...)
		if n, size := table.size(); n > maxEntries || size > maxBytes {
			t.Errorf("%d entries of %d bytes, want at most %d of %d", n, size, maxEntries, maxBytes)
		}
	})

	t.Run("a bound in bytes that its entries cannot reach leaves the other", func(t *testing.T) {
		table := openBounded(t, open(t, &memory.Options{MaxEntries: 10, MaxBytes: 1 << 60}), "tracks")
		table.put(entries(0, 100, 1_000)...)
		if n, _ := table.size(); n > 10 || n == 0 {
			t.Errorf("%d entries, want about 10", n)
		}
	})

	t.Run("a store of one entry holds one", func(t *testing.T) {
		table := openBounded(t, open(t, &memory.Options{MaxEntries: 1}), "tracks")
		for i := range 10 {
			table.put(entries(i, 1, 10)...)
			if n, _ := table.size(); n != 1 {
				t.Errorf("%d entries, want 1", n)
			}
		}
	})

	t.Run("tables share the bounds of their store", func(t *testing.T) {
		s := open(t, &memory.Options{MaxEntries: maxEntries})
		one, other := openBounded(t, s, "one"), openBounded(t, s, "other")
		one.put(entries(0, maxEntries, 10)...)
		other.put(entries(0, 3*maxEntries, 10)...)
		n, _ := one.size()
		m, _ := other.size()
		if n+m > maxEntries {
			t.Errorf("%d and %d entries, want at most %d together", n, m, maxEntries)
		}
	})

	t.Run("entries that grow in place are bounded too", func(t *testing.T) {
		table := openBounded(t, open(t, &memory.Options{MaxBytes: maxBytes}), "tracks")
		table.put(entries(0, 500, 10)...)
		table.put(entries(0, 500, 10_000)...)
		if _, size := table.size(); size > maxBytes {
			t.Errorf("%d bytes, want at most %d", size, maxBytes)
		}
	})

	t.Run("what is read often survives a scan", func(t *testing.T) {
		table := openBounded(t, open(t, &memory.Options{MaxEntries: maxEntries}), "tracks")
		table.put(entries(0, maxEntries, 10)...)
		hot := entries(0, 100, 10)
		for i := range 50 {
			for range 3 {
				table.found(hot)
			}
			table.put(entries(maxEntries*(1+i), maxEntries/5, 10)...)
		}
		if n := table.found(hot); n < 90 {
			t.Errorf("%d of 100 hot entries are left", n)
		}
	})

	t.Run("an evicted entry is gone for every operation", func(t *testing.T) {
		table := openBounded(t, open(t, &memory.Options{MaxEntries: 10}), "tracks")
		all := entries(0, 100, 10)
		table.put(all...)
		left, _ := table.size()
		if n := table.found(all); n != left {
			t.Errorf("get finds %d entries, an iteration %d", n, left)
		}
		if n, err := table.Delete(t.Context(), keys(all)); err != nil || n != left {
			t.Errorf("delete removed %d, %v, want %d", n, err, left)
		}
		if n, _ := table.size(); n != 0 {
			t.Errorf("%d entries are left", n)
		}
	})

	t.Run("what leaves makes room", func(t *testing.T) {
		s := open(t, &memory.Options{MaxEntries: maxEntries, MaxBytes: maxBytes})
		table := openBounded(t, s, "tracks")
		for i := range 20 {
			all := entries(i*maxEntries, maxEntries, 500)
			table.put(all...)
			if n := table.found(all); n != maxEntries {
				t.Fatalf("round %d: %d of %d entries fit into an empty store", i, n, maxEntries)
			}
			if i%2 == 0 {
				table.clear()
			} else if _, err := table.Delete(t.Context(), keys(all)); err != nil {
				t.Fatal(err)
			}
		}
	})

	t.Run("an entry larger than the store is refused and changes nothing", func(t *testing.T) {
		table := openBounded(t, open(t, &memory.Options{MaxBytes: maxBytes}), "tracks")
		before := entries(0, 1, 10)
		before[0].Payload = []byte("before")
		table.put(before...)
		after := append(entries(0, 2, 10), entries(2, 1, maxBytes)...)
		if err := table.Put(t.Context(), after); !errors.Is(err, driver.ErrTooLarge) {
			t.Fatalf("put: %v, want %v", err, driver.ErrTooLarge)
		}
		if n, size := table.size(); n != 1 || size != len("before") {
			t.Errorf("%d entries of %d bytes are there, want what was before", n, size)
		}
	})

	t.Run("goroutines that put and remove leave the bounds intact", func(t *testing.T) {
		s := open(t, &memory.Options{MaxEntries: maxEntries})
		tables := []bounded{openBounded(t, s, "one"), openBounded(t, s, "other")}
		var wg sync.WaitGroup
		for g := range 8 {
			wg.Add(1)
			go func() {
				defer wg.Done()
				table := tables[g%2]
				for round := range 20 {
					some := entries((g/4*1_000+round*97)%3_000, 300, 10*(1+g))
					err := table.Put(t.Context(), some)
					if err == nil && round%5 == 4 {
						_, err = table.Clear(t.Context(), driver.Filter{})
					}
					if err == nil && round%3 == 2 {
						_, err = table.Delete(t.Context(), keys(some))
					}
					if err != nil {
						t.Error(err)
					}
				}
			}()
		}
		wg.Wait()
		total := 0
		for _, table := range tables {
			n, _ := table.size()
			total += n
		}
		if total > maxEntries {
			t.Errorf("%d entries, want at most %d", total, maxEntries)
		}
		// Had an entry been lost to one side, it would take room for ever.
		for _, table := range tables {
			table.clear()
		}
		all := entries(10_000, maxEntries, 10)
		tables[0].put(all...)
		if n := tables[0].found(all); n != maxEntries {
			t.Errorf("%d of %d entries fit into the store afterwards", n, maxEntries)
		}
	})

	t.Run("a put races with evictions of the same keys", func(t *testing.T) {
		table := openBounded(t, open(t, &memory.Options{MaxEntries: 16}), "tracks")
		var wg sync.WaitGroup
		for g := range 8 {
			wg.Add(1)
			go func() {
				defer wg.Done()
				payload := fmt.Appendf(nil, "goroutine %d", g)
				for range 30 {
					some := entries(0, 64, 0)
					for i := range some {
						some[i].Payload = payload
					}
					if err := table.Put(t.Context(), some); err != nil {
						t.Error(err)
					}
				}
			}()
		}
		wg.Wait()
		if n, _ := table.size(); n > 16 {
			t.Errorf("%d entries, want at most 16", n)
		}
		for e, err := range table.Entries(t.Context(), driver.Selection{Parts: driver.Payload}) {
			if err != nil || !bytes.HasPrefix(e.Payload, []byte("goroutine ")) {
				t.Errorf("entry %v: payload %q, error %v", e.Key, e.Payload, err)
			}
		}
	})
}
