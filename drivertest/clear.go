package drivertest

import (
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
)

func testClear(t *testing.T, h Harness) {
	then := now.Add(90 * time.Minute)
	// Three entries expire before then, two after it, one never does.
	hours := []time.Duration{1, 2, 1, 0, 2, 1}
	mixed := func() (all, live, expired []driver.Entry) {
		for i, hour := range hours {
			e := expiring(id(i), now.Add(hour*time.Hour))
			if hour == 0 {
				e.ExpiresAt = time.Time{}
			}
			all = append(all, e)
			if e.Live(then) {
				live = append(live, e)
			} else {
				expired = append(expired, e)
			}
		}
		return all, live, expired
	}
	all, live, expired := mixed()

	t.Run("a count tells live, expired and all entries apart", func(t *testing.T) {
		table := h.ids(t)
		table.wantCount(0, driver.All, then)
		table.wantCount(0, driver.Live, then)
		table.wantCount(0, driver.Expired, then)
		table.put(all...)
		table.wantCount(6, driver.All, then)
		table.wantCount(3, driver.Live, then)
		table.wantCount(3, driver.Expired, then)
		table.wantCount(6, driver.Live, now)
		table.wantCount(5, driver.Expired, now.Add(24*time.Hour))
	})

	for _, tt := range []struct {
		name  string
		state driver.State
		left  []driver.Entry
	}{
		{"clearing the expired entries leaves the live ones", driver.Expired, live},
		{"clearing the live entries leaves the expired ones", driver.Live, expired},
		{"clearing all entries leaves none", driver.All, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			one, other := h.neighbours(t)
			one.put(all...)
			other.put(all...)
			if n, want := one.clear(tt.state, then), len(all)-len(tt.left); n != want {
				t.Errorf("clear removed %d entries, want %d", n, want)
			}
			one.wantOnly(tt.left...)
			other.wantOnly(all...)
			if n := one.clear(tt.state, then); n != 0 {
				t.Errorf("a second clear removed %d entries, want 0", n)
			}
		})
	}

	t.Run("the zero filter selects everything", func(t *testing.T) {
		table := h.ids(t)
		table.put(all...)
		table.wantCount(6, driver.All, time.Time{})
		if n := table.clear(driver.All, time.Time{}); n != 6 {
			t.Errorf("clear removed %d entries, want 6", n)
		}
		table.wantOnly()
	})

	t.Run("a cleared table takes entries again", func(t *testing.T) {
		table := h.ids(t)
		for range 3 {
			table.put(all...)
			table.clear(driver.All, then)
			table.put(live...)
			table.wantOnly(live...)
			table.clear(driver.Live, then)
		}
		openTable(t, table.store, table.spec).wantOnly()
	})

	t.Run("clearing many entries counts them all", func(t *testing.T) {
		table := h.ids(t)
		n := min(5_000, h.many()/2*2)
		entries := versions(ids(0, n), 1)
		for i := range entries {
			if i%2 == 0 {
				entries[i].ExpiresAt = now.Add(3 * time.Hour)
			}
		}
		table.put(entries...)
		table.wantCount(n/2, driver.Expired, now.Add(2*time.Hour))
		if got := table.clear(driver.Expired, now.Add(2*time.Hour)); got != n/2 {
			t.Errorf("clear removed %d entries, want %d", got, n/2)
		}
		if got := table.clear(driver.All, now); got != n/2 {
			t.Errorf("clear removed %d entries, want %d", got, n/2)
		}
		table.wantOnly()
	})
}
