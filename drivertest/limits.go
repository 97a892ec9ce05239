package drivertest

import (
	"errors"
	"strings"
	"testing"

	"github.com/endpointcache/endpointcache/driver"
)

func testLimits(t *testing.T, h Harness) {
	// wantTooLarge puts an entry that is too large amid others.
	wantTooLarge := func(t *testing.T, large driver.Entry) {
		t.Helper()
		table := h.ids(t)
		table.put(version(id(1), 1))
		err := table.Put(t.Context(), []driver.Entry{version(id(1), 2), large, version(id(2), 2)})
		if !errors.Is(err, driver.ErrTooLarge) {
			t.Fatalf("put: %v, want %v", err, driver.ErrTooLarge)
		}
		if table.has(large.Key) {
			t.Error("the entry that was refused is there")
		}
		for i, e := range table.get(everything, id(1), id(2)) {
			if d := diff(version(nil, 2), e); d != "" && diff(version(nil, 1), e) != "" {
				t.Errorf("entry %d is neither as it was nor as it was put: %s", i, d)
			}
		}
		if n := table.delete(large.Key); n != 0 {
			t.Errorf("delete of the entry that was refused removed %d", n)
		}
		table.put(version(id(1), 3))
		table.want(version(id(1), 3))
	}

	t.Run("a payload beyond the store's limit is refused", func(t *testing.T) {
		if h.MaxPayload == 0 {
			t.Skip("this store has no limit")
		}
		table := h.ids(t)
		fits := version(id(1), 1)
		fits.Payload = noise(h.MaxPayload)
		if testing.Short() { // some servers take seconds for much
			fits.Payload = fits.Payload[:min(h.MaxPayload, 20<<20)]
		}
		table.put(fits)
		table.want(fits)

		large := version(key("large"), 1)
		large.Payload = noise(2 * h.MaxPayload)
		wantTooLarge(t, large)
	})

	t.Run("a key beyond the store's limit is refused", func(t *testing.T) {
		if h.MaxKey == 0 {
			t.Skip("this store has no limit")
		}
		wantTooLarge(t, version(key(strings.Repeat("k", 2*h.MaxKey)), 1))
	})
}
