package exchange

import (
	"fmt"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/memory"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/tier"
)

// TestWhatIsNearIsWhatAGetFinds reads entries from memory over a store through all layers that
// may stand between, and compares them with what a get finds that goes farther.
func TestWhatIsNearIsWhatAGetFinds(t *testing.T) {
	for name, change := range map[string]func(*Declaration){
		"bare":   func(*Declaration) {},
		"beside": func(d *Declaration) { d.Beside = []string{"accept"} },
		"tagged": func(d *Declaration) { d.Tags = func(k driver.Key, _ any) []string { return []string{k[0].(string)} } },
		"both": func(d *Declaration) {
			d.Beside = []string{"accept"}
			d.Tags = func(driver.Key, any) []string { return []string{"a"} }
		},
		"zstd":    func(d *Declaration) { d.Compression = settings.Zstd },
		"limited": func(d *Declaration) { d.Limit = settings.Limit{Entries: 1_000} },
	} {
		t.Run(name, func(t *testing.T) {
			below, err := memory.New(nil)
			check(t, err)
			store, err := tier.New(fallible{below}, &tier.Options{MaxAge: time.Hour})
			check(t, err)
			clock := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
			x, err := New(Options{
				Now: func() time.Time { return clock }, DigestKey: []byte("a key of 16 bytes"),
				Upkeep: Upkeep{KeepExpired: -1},
			})
			check(t, err)
			t.Cleanup(func() { check(t, x.Close()); check(t, store.Close()) })
			d := Declaration{Name: "tracks", Key: []driver.Column{{Name: "id", Kind: driver.String}, {Name: "accept", Kind: driver.String}}}
			change(&d)
			table, err := x.Open(t.Context(), store, d)
			check(t, err)
			put := func(id string, expires time.Duration) {
				e := driver.Entry{Key: driver.Key{id, "text/html"}, Status: 200, Payload: []byte(id + " is it"), CachedAt: x.Stamp(), ExpiresAt: clock.Add(expires)}
				var err error
				e.Header, err = table.Tagged("", e.Key, nil)
				check(t, err)
				check(t, table.Put(t.Context(), []driver.Entry{e}))
			}
			compare := func() {
				t.Helper()
				for _, id := range []string{"a", "b", "c", "absent"} {
					keys := []driver.Key{{id, "text/html"}}
					for _, sel := range []driver.Selection{
						allParts(x), {Filter: driver.Filter{State: driver.Live, Now: clock}, Parts: driver.Payload}, {Filter: driver.Filter{State: driver.Expired, Now: clock}, Parts: driver.Meta},
					} {
						var seen []string
						see := func(_ int, e driver.Entry) {
							seen = append(seen, fmt.Sprint(e.Status, sel.Parts&driver.Meta != 0 && isCutShort(e)))
							if sel.Parts&driver.Payload != 0 {
								seen = append(seen, string(e.Payload))
							}
						}
						check(t, table.table.Get(t.Context(), keys, sel, see))
						want := fmt.Sprint(seen)
						seen = nil
						if known := table.getNear(t.Context(), keys, sel, see); !known {
							t.Errorf("%s is not near", id)
						}
						if got := fmt.Sprint(seen); got != want {
							t.Errorf("%s, state %d: near is %s, want %s", id, sel.State, got, want)
						}
					}
				}
			}
			compare()
			put("a", time.Hour)
			put("b", time.Hour)
			put("c", time.Second)
			clock = clock.Add(time.Minute)
			compare()
			if table.marked != nil {
				inv := x.NewInvalidation()
				inv.Tags("a")
				inv.URL(table, driver.Key{"b", "other"})
				check(t, inv.Do(t.Context()))
				compare()
			}
			put("a", time.Hour)
			compare()
			table.near = nil
			var found int
			check(t, table.get(t.Context(), []driver.Key{{"a", "text/html"}}, new(allParts(x)), func(int, driver.Entry) { found++ }))
			if found != 1 {
				t.Error("without what is near, nothing is found")
			}
		})
	}
}
