package drivertest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
)

// testSummarize holds stores that sum up tables to what their entries come to.
func testSummarize(t *testing.T, h Harness) {
	of := func(table subject, now time.Time) driver.Summary {
		t.Helper()
		sum, err := driver.Summarize(t.Context(), table.store, table.Table, table.spec, now)
		if err != nil {
			t.Fatalf("summarize: %v", err)
		}
		return sum
	}
	// want fails the test unless the summary is that of the entries, as the table has them.
	want := func(t *testing.T, table subject, now time.Time) driver.Summary {
		t.Helper()
		var sum driver.Summary
		for _, e := range table.entries(driver.Selection{Parts: driver.Meta | driver.Usage}) {
			sum.Add(e, now)
		}
		got := of(table, now)
		if got != sum || got.Oldest.Location() != time.UTC || got.Newest.Location() != time.UTC {
			t.Errorf("the summary is %+v, want %+v", got, sum)
		}
		return got
	}

	t.Run("a summary is that of the entries", func(t *testing.T) {
		table := h.table(t, text("id"), integer("page"), boolean("live"))
		if got := want(t, table, now); got != (driver.Summary{}) {
			t.Errorf("the summary of an empty table is %+v", got)
		}
		later := now.Add(time.Hour)
		var entries []driver.Entry
		for i, status := range []int{200, 404, 410, 200, 301, 403, 200} {
			e := version(key(fmt.Sprint("\xff", i), int64(i), i%2 == 0), i)
			e.Status, e.Payload, e.CachedAt = status, noise(100*i), now.Add(-time.Duration(i)*time.Minute)
			e.ExpiresAt = later.Add(time.Duration(i-3) * time.Microsecond)
			entries = append(entries, e)
		}
		entries[6].ExpiresAt, entries[6].Name = time.Time{}, ""
		table.put(entries...)
		got := want(t, table, later)
		if got.Entries != 7 || got.Live != 3 || got.Absent != 2 || got.Bytes < 2_100 ||
			!got.Oldest.Equal(entries[6].CachedAt) || !got.Newest.Equal(entries[0].CachedAt) {
			t.Errorf("the summary is %+v", got)
		}
		if got := want(t, table, later.Add(time.Hour)); got.Live != 1 {
			t.Errorf("an hour later, %d are live", got.Live)
		}
		table.delete(entries[0].Key, entries[6].Key)
		table.renew([]bool{true}, renewal(entries[1], 9))
		want(t, table, later)
		table.clear(driver.All, now)
		if got := want(t, table, now); got != (driver.Summary{}) {
			t.Errorf("the summary of a table without entries is %+v", got)
		}
	})

	t.Run("a summary is of one table", func(t *testing.T) {
		table := h.ids(t)
		other := openTable(t, table.store, driver.TableSpec{Name: "albums", Key: table.spec.Key})
		table.put(versions(ids(0, 3), 1)...)
		other.put(versions(ids(0, 5), 1)...)
		if a, b := want(t, table, now), want(t, other, now); a.Entries != 3 || b.Entries != 5 {
			t.Errorf("there are %d and %d entries, want 3 and 5", a.Entries, b.Entries)
		}
	})

	t.Run("of many", func(t *testing.T) {
		table := h.ids(t)
		all := versions(ids(0, h.pages()), 1)
		for i := range all {
			if i%3 == 0 {
				all[i].ExpiresAt = now
			}
			if i%5 == 0 {
				all[i].Status = 404
			}
		}
		table.put(all...)
		if got := want(t, table, now); got.Entries != len(all) || got.Live != len(all)-(len(all)+2)/3 || got.Absent != (len(all)+4)/5 {
			t.Errorf("the summary of %d is %+v", len(all), got)
		}
	})

	t.Run("a summary whose context is done, or of a closed store, is an error", func(t *testing.T) {
		table := h.ids(t)
		table.put(version(id(1), 1))
		cancelled, cancel := context.WithCancel(t.Context())
		cancel()
		if sum, err := driver.Summarize(cancelled, table.store, table.Table, table.spec, now); !errors.Is(err, context.Canceled) || sum != (driver.Summary{}) {
			t.Errorf("summarize: %+v, %v", sum, err)
		}
		if err := table.store.Close(); err != nil {
			t.Fatal(err)
		}
		if sum, err := driver.Summarize(t.Context(), table.store, table.Table, table.spec, now); !errors.Is(err, driver.ErrClosed) || sum != (driver.Summary{}) {
			t.Errorf("summarize: %+v, %v", sum, err)
		}
	})
}
