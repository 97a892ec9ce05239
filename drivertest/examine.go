package drivertest

import (
	"context"
	"errors"
	"testing"

	"github.com/endpointcache/endpointcache/driver"
)

// testExamine holds stores that tell what is damaged to what they tell of entries that are not.
func testExamine(t *testing.T, h Harness) {
	t.Run("entries that are not damaged are those of an iteration", func(t *testing.T) {
		table := h.table(t, text("id"), integer("page"))
		all := []driver.Entry{
			version(key("a", int64(1)), 1), version(key("a", int64(2)), 2), version(key("\xff\x00", int64(-1)), 3), expiring(key("b", int64(1)), now),
		}
		all[2].Payload = nil
		table.put(all...)
		for _, sel := range []driver.Selection{
			everything, at(now, driver.Expired), {Parts: driver.Payload}, {Parts: driver.Usage},
			{Filter: driver.Filter{Leading: key("a")}, Parts: driver.Meta},
			{Filter: driver.Filter{Where: driver.Where{Prefix: "b"}}, Parts: driver.Payload | driver.Meta},
		} {
			want := make(map[string]driver.Entry)
			for e, err := range table.Entries(t.Context(), sel) {
				if err != nil {
					t.Fatal(err)
				}
				want[encode(e.Key)] = e
			}
			n := 0
			for found, err := range driver.Examine(t.Context(), table.store, table.Table, table.spec, sel) {
				if err != nil || found.Fault != nil {
					t.Fatalf("examine: %v, %v", found.Fault, err)
				}
				n++
				e, ok := want[encode(found.Key)]
				if !ok || string(found.Payload) != string(e.Payload) || found.Name != e.Name || found.Header != e.Header || found.Status != e.Status ||
					!found.ExpiresAt.Equal(e.ExpiresAt) || !found.CachedAt.Equal(e.CachedAt) || found.Size != e.Size {
					t.Errorf("%+v: %s is %+v, want %+v", sel, describe(found.Key), found.Entry, e)
				}
			}
			if n != len(want) {
				t.Errorf("%+v: %d are examined, want %d", sel, n, len(want))
			}
		}
		table.wantOnly(all...)
	})

	t.Run("an examination whose context is done, or of a closed store, is an error", func(t *testing.T) {
		table := h.ids(t)
		table.put(version(id(1), 1))
		cancelled, cancel := context.WithCancel(t.Context())
		cancel()
		last := func(ctx context.Context) (last error) {
			for _, last = range driver.Examine(ctx, table.store, table.Table, table.spec, everything) { //nolint:revive // the last error counts
			}
			return last
		}
		if err := last(cancelled); !errors.Is(err, context.Canceled) {
			t.Errorf("examine: %v", err)
		}
		if err := table.store.Close(); err != nil {
			t.Fatal(err)
		}
		if err := last(t.Context()); !errors.Is(err, driver.ErrClosed) {
			t.Errorf("examine: %v", err)
		}
	})
}
