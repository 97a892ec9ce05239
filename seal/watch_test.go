package seal_test

import (
	"testing"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/tier"
)

// TestOtherKeysAreAChange has memory above hold what other keys have made of an entry.
func TestOtherKeysAreAChange(t *testing.T) {
	for mode, opts := range modes {
		t.Run(mode, func(t *testing.T) {
			s := openSealed(t, "sqlite", keys(t, 1), opts)
			e := entry(1, 1)
			check(t, s.table(t, spec).Put(t.Context(), []driver.Entry{e}))
			check(t, s.SetKeys(keys(t, 2)))
			above, err := tier.New(s.Store, nil)
			check(t, err)
			t.Cleanup(func() { check(t, above.Close()) })
			waitfor.True(t, "the store is watched", func() bool { return above.Stats().Watching })
			table, err := above.OpenTable(t.Context(), spec)
			check(t, err)
			want := func(n int) {
				t.Helper()
				if got := found(t, table, everything, e.Key); len(got) != n {
					t.Errorf("%d entries are found, want %d", len(got), n)
				}
			}
			want(0)
			check(t, s.SetKeys(keys(t, 1)))
			want(1)
			check(t, s.SetKeys(keys(t, 2)))
			want(0)
		})
	}
}
