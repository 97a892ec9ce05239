package drivertest

import (
	"context"
	"math/rand/v2"
	"testing"

	"github.com/endpointcache/endpointcache/driver"
)

// testAgree has two stores do everything at once with a few entries, and then compares what
// gets of both find with what is there.
func testAgree(t *testing.T, h Harness) {
	one := h.ids(t)
	tables := []subject{one, openTable(t, h.reopen(t, one.store), one.spec)}
	keys := ids(0, 12)
	for round := range rounds(10) {
		together(t, func(ctx context.Context, g int) error {
			r := rand.New(rand.NewPCG(uint64(round), uint64(g)))
			for range 30 {
				if err := anything(ctx, r, tables[g%2], keys); err != nil {
					return err
				}
			}
			return nil
		})
		there := one.entries(everything)
		for _, table := range tables {
			agrees := func() bool {
				found := table.get(everything, keys...)
				for i, k := range keys {
					e, ok := found[i]
					want, is := there[encode(k)]
					if ok != is || is && diff(want, e) != "" {
						return false
					}
				}
				return true
			}
			table.soon("gets find what is there", agrees)
			if !agrees() {
				t.Fatalf("gets find %v, there are %v", table.get(everything, keys...), there)
			}
		}
	}
}

// anything does one operation with some of the keys.
func anything(ctx context.Context, r *rand.Rand, table subject, keys []driver.Key) (err error) {
	at := r.IntN(len(keys))
	some, v := keys[at:at+1+r.IntN(len(keys)-at)], 1+r.IntN(1_000)
	switch r.IntN(16) {
	case 0, 1:
		err = table.Put(ctx, versions(some, v))
	case 2:
		_, err = table.PutIf(ctx, versions(some, v), driver.Condition{If: driver.IfNewer})
	case 3:
		_, err = table.PutIf(ctx, versions(some, v), driver.Condition{If: driver.IfAbsent})
	case 4:
		_, err = table.Delete(ctx, some)
	case 5:
		_, _, err = table.Pop(ctx, keys[at], driver.Filter{})
	case 6:
		_, err = table.Clear(ctx, driver.Filter{Leading: keys[at]})
	case 7:
		var seen driver.Entry
		err = table.Get(ctx, keys[at:at+1], everything, func(_ int, e driver.Entry) { seen = e })
		if err == nil && seen.Status != 0 {
			seen.Key = keys[at]
			_, err = table.Renew(ctx, []driver.Renewal{renewal(seen, v)})
		}
	default:
		err = table.Get(ctx, some, everything, func(int, driver.Entry) {})
	}
	return err
}
