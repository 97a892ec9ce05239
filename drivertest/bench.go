package drivertest

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
)

const (
	benchRows  = 10_000 // entries in the table
	benchBatch = 1_000  // keys of a bulk operation
)

// Bench measures the stores of h: payloads of 2 KiB under keys of four columns,
// in a table of 10,000 entries. Bulk operations tell the time for each key.
func Bench(b *testing.B, h Harness) {
	payload := append(bytes.Repeat([]byte(`{"id":"6fW","n":1.10},`), 94)[:2047], '}')
	k := func(i int) driver.Key {
		return key(fmt.Sprintf("6fWaJbO5Z3yk%08d", i), "DE", int64(i%50), i%2 == 0)
	}
	batch := func(from int) (keys []driver.Key, entries []driver.Entry) {
		for i := range benchBatch {
			e := version(k(from+i), 200)
			e.Payload = payload
			keys, entries = append(keys, e.Key), append(entries, e)
		}
		return keys, entries
	}
	store := h.open(b)
	table := openTable(b, store, driver.TableSpec{
		Name: "tracks",
		Key:  []driver.Column{text("id"), text("market"), integer("page"), boolean("explicit")},
	})
	keys := make([]driver.Key, 0, benchRows)
	for from := 0; from < benchRows; from += benchBatch {
		some, entries := batch(from)
		table.put(entries...)
		keys = append(keys, some...)
	}
	// A bulk operation takes keys from all over the table.
	spread := make([]driver.Key, benchBatch)
	for i := range spread {
		spread[i] = keys[i*7919%benchRows]
	}
	newKeys, newEntries := batch(benchRows)
	live := at(now, driver.Live)
	ctx := context.Background()

	get := func(b *testing.B, keys []driver.Key) {
		var n atomic.Int64
		if err := table.Get(ctx, keys, live, func(int, driver.Entry) { n.Add(1) }); err != nil {
			b.Fatal(err)
		}
		if int(n.Load()) != len(keys) {
			b.Fatalf("found %d of %d", n.Load(), len(keys))
		}
	}
	perKey := func(b *testing.B, n int) {
		b.ReportMetric(float64(b.Elapsed())/float64(time.Nanosecond)/float64(b.N)/float64(n), "ns/key")
	}

	b.Run("Get", func(b *testing.B) {
		b.ReportAllocs()
		visit := func(int, driver.Entry) {}
		one := make([]driver.Key, 1)
		for i := 0; b.Loop(); i++ {
			one[0] = keys[i*7919%benchRows]
			if err := table.Get(ctx, one, live, visit); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("GetParallel", func(b *testing.B) {
		b.ReportAllocs()
		var seed atomic.Int64
		b.RunParallel(func(pb *testing.PB) {
			visit := func(int, driver.Entry) {}
			one := make([]driver.Key, 1)
			for i := int(seed.Add(1)) * 1_009; pb.Next(); i++ {
				one[0] = keys[i*7919%benchRows]
				if err := table.Get(ctx, one, live, visit); err != nil {
					b.Error(err)
					return
				}
			}
		})
	})
	b.Run("Get1000", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			get(b, spread)
		}
		perKey(b, benchBatch)
	})
	b.Run("PutNew1000", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := table.Put(ctx, newEntries); err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
			table.delete(newKeys...)
			b.StartTimer()
		}
		perKey(b, benchBatch)
	})
	b.Run("Overwrite1000", func(b *testing.B) {
		b.ReportAllocs()
		table.put(newEntries...)
		for b.Loop() {
			if err := table.Put(ctx, newEntries); err != nil {
				b.Fatal(err)
			}
		}
		perKey(b, benchBatch)
		table.delete(newKeys...)
	})
	b.Run("PutIfNewer1000", func(b *testing.B) {
		b.ReportAllocs()
		table.put(newEntries...)
		for b.Loop() {
			if _, err := table.PutIf(ctx, newEntries, driver.Condition{If: driver.IfNewer}); err != nil {
				b.Fatal(err)
			}
		}
		perKey(b, benchBatch)
	})
	b.Run("Renew1000", func(b *testing.B) {
		b.ReportAllocs()
		table.put(newEntries...)
		renewals := make([]driver.Renewal, benchBatch)
		for i, e := range newEntries {
			renewals[i] = renewal(e, 200)
			renewals[i].Seen, renewals[i].CachedAt = e.CachedAt, e.CachedAt
		}
		for b.Loop() {
			if done, err := table.Renew(ctx, renewals); err != nil || slices.Contains(done, false) {
				b.Fatal(done, err)
			}
		}
		perKey(b, benchBatch)
		table.delete(newKeys...)
	})
	b.Run("Delete1000", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			b.StopTimer()
			table.put(newEntries...)
			b.StartTimer()
			if n, err := table.Delete(ctx, newKeys); err != nil || n != benchBatch {
				b.Fatal(n, err)
			}
		}
		perKey(b, benchBatch)
	})
	b.Run("CountLive", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if n, err := table.Count(ctx, live.Filter); err != nil || n != benchRows {
				b.Fatal(n, err)
			}
		}
	})
	b.Run("Iterate", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			n := 0
			for _, err := range table.Entries(ctx, live) {
				if err != nil {
					b.Fatal(err)
				}
				n++
			}
			if n != benchRows {
				b.Fatal(n)
			}
		}
		perKey(b, benchRows)
	})
}
