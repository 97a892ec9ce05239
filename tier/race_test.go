package tier_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/tier"
)

var now = time.Now().UTC().Truncate(time.Microsecond)

// everything selects all parts that are held.
var everything = driver.Selection{Parts: driver.Payload | driver.Meta}

func id(i int) driver.Key { return driver.Key{fmt.Sprintf("id-%d", i)} }

func entry(i, v int) driver.Entry {
	return driver.Entry{Key: id(i), Status: 200, Payload: fmt.Appendf(nil, "%d of %d", v, i), CachedAt: now.Add(time.Duration(v) * time.Microsecond)}
}

func openTable(tb testing.TB, s driver.Store, name string) driver.Table {
	tb.Helper()
	t, err := s.OpenTable(tb.Context(), driver.TableSpec{Name: name, Key: []driver.Column{{Name: "id", Kind: driver.String}}})
	if err != nil {
		tb.Fatal(err)
	}
	return t
}

// payloads are those of a table, by the indexes of keys.
func payloads(tb testing.TB, t driver.Table, keys ...driver.Key) map[int]string {
	tb.Helper()
	found := make(map[int]string)
	var mu sync.Mutex
	if err := t.Get(tb.Context(), keys, everything, func(i int, e driver.Entry) {
		mu.Lock()
		defer mu.Unlock()
		found[i] = string(e.Payload)
	}); err != nil {
		tb.Fatal(err)
	}
	return found
}

// TestItConvergesToTheStoreBelow has many goroutines read, write and lose sight through two
// stores at once, and then compares what both hold with what is below, again and again.
func TestItConvergesToTheStoreBelow(t *testing.T) {
	h := newHub(openMemory(t))
	var late atomic.Bool
	delay := func() {
		if late.Load() && rand.IntN(4) == 0 {
			time.Sleep(rand.N(100 * time.Microsecond))
		}
	}
	h.around = func(_ string, run func() error) error {
		delay()
		defer delay()
		return run()
	}
	stores := []*tier.Store{closing(t, over(t, h.open(), nil)), closing(t, over(t, h.open(), &tier.Options{MaxBytes: 16 << 10}))}
	tables := []driver.Table{openTable(t, stores[0], "tracks"), openTable(t, stores[1], "tracks")}
	below := openTable(t, h.Store, "tracks")
	keys := make([]driver.Key, 16)
	for i := range keys {
		keys[i] = id(i)
	}
	rounds := 60
	if testing.Short() {
		rounds = 25
	}
	for round := range rounds {
		late.Store(true)
		var wait sync.WaitGroup
		for g := range 8 {
			wait.Go(func() {
				r := rand.New(rand.NewPCG(uint64(round), uint64(g)))
				for range 100 {
					if err := step(t.Context(), r, tables[g%2], keys); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		if round%5 == 4 {
			wait.Go(func() { h.lose(nil) })
		}
		wait.Wait()
		late.Store(false)
		want := payloads(t, below, keys...)
		for i, table := range tables {
			waitfor.True(t, fmt.Sprintf("store %d has what is below", i), func() bool {
				return stores[i].Stats().Watching && fmt.Sprint(payloads(t, table, keys...)) == fmt.Sprint(want)
			})
			before := stores[i].Stats()
			payloads(t, table, keys...)
			payloads(t, table, keys...)
			if after := stores[i].Stats(); after.Hits == before.Hits {
				t.Errorf("store %d holds nothing", i)
			}
		}
	}
}

// step does one operation.
func step(ctx context.Context, r *rand.Rand, t driver.Table, keys []driver.Key) (err error) {
	at := r.IntN(len(keys))
	e := entry(at, r.IntN(1_000_000))
	switch r.IntN(40) {
	case 0, 1:
		err = t.Put(ctx, []driver.Entry{e, entry((at+1)%len(keys), r.IntN(1_000_000))})
	case 2:
		_, err = t.PutIf(ctx, []driver.Entry{e}, driver.Condition{If: driver.IfNewer})
	case 3:
		_, err = t.Delete(ctx, keys[at:at+1])
	case 4:
		_, _, err = t.Pop(ctx, keys[at], driver.Filter{})
	case 5:
		_, err = t.Clear(ctx, driver.Filter{Leading: keys[at]})
	case 6:
		var seen time.Time
		err = t.Get(ctx, keys[at:at+1], everything, func(_ int, e driver.Entry) { seen = e.CachedAt })
		if err == nil && !seen.IsZero() {
			_, err = t.Renew(ctx, []driver.Renewal{{Key: keys[at], Seen: seen, CachedAt: e.CachedAt}})
		}
	case 7:
		_, err = t.Clear(ctx, driver.Filter{})
	default:
		n := 1 + r.IntN(len(keys)-at)
		err = t.Get(ctx, keys[at:at+n], everything, func(int, driver.Entry) {})
	}
	return err
}

// TestOneSeesWhatItHasWritten has each goroutine write keys of its own, by which the others'
// reads pass.
func TestOneSeesWhatItHasWritten(t *testing.T) {
	h := newHub(openMemory(t))
	s := closing(t, over(t, h.open(), nil))
	table := openTable(t, s, "tracks")
	var wait sync.WaitGroup
	for g := range 8 {
		wait.Go(func() {
			for v := range 300 {
				e := entry(g, v)
				if err := table.Put(t.Context(), []driver.Entry{e}); err != nil {
					t.Error(err)
					return
				}
				for range 2 {
					got := ""
					if err := table.Get(t.Context(), []driver.Key{id((g + 1) % 8), id(g)}, everything, func(i int, e driver.Entry) {
						if i == 1 {
							got = string(e.Payload)
						}
					}); err != nil || got != string(e.Payload) {
						t.Errorf("%q was written, %q is read, %v", e.Payload, got, err)
						return
					}
				}
			}
		})
	}
	wait.Wait()
}
