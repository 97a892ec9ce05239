package redis_test

import (
	"bytes"
	"context"
	"testing"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/redis"
)

// Of entries whose keys begin otherwise, no more is read than the keys, and to count or
// clear those that are selected, no payload of theirs either.
func TestLeadingValuesReadNoOtherPayloads(t *testing.T) {
	const size = 50 << 10
	table, c := counted(t, &redis.Options{Prefix: newPrefix(t, serverURL(t))})
	entries, keys := trackEntries(100)
	for i := range entries {
		entries[i].Payload = bytes.Repeat([]byte("x"), size)
	}
	put(t, table, entries...)
	f := driver.Filter{Leading: keys[7][:1]}
	for _, tt := range []struct {
		name string
		most int64
		do   func(context.Context) (int, error)
	}{
		{"count", size, func(ctx context.Context) (int, error) { return table.Count(ctx, f) }},
		{"count of live entries", size, func(ctx context.Context) (int, error) {
			return table.Count(ctx, driver.Filter{State: driver.Live, Now: now, Leading: f.Leading})
		}},
		{"iterate", 2 * size, func(ctx context.Context) (n int, err error) {
			for e, err := range table.Entries(ctx, driver.Selection{Filter: f, Parts: driver.Payload}) {
				if err != nil || len(e.Payload) != size {
					t.Errorf("%d bytes, %v", len(e.Payload), err)
				}
				n++
			}
			return n, nil
		}},
		{"clear", size, func(ctx context.Context) (int, error) { return table.Clear(ctx, f) }},
	} {
		before := c.received.Load()
		n, err := tt.do(context.Background())
		if err != nil || n != 1 {
			t.Errorf("%s: %d, %v; want 1", tt.name, n, err)
		}
		if read := c.received.Load() - before; read > tt.most {
			t.Errorf("%s reads %d bytes, want at most %d", tt.name, read, tt.most)
		}
	}
	if n := count(t, table, driver.Filter{}); n != len(entries)-1 {
		t.Errorf("%d entries are left", n)
	}
}
