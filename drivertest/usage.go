package drivertest

import (
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
)

// wantUsed fails the test unless the entry was used last at an instant.
func (s subject) wantUsed(k driver.Key, want time.Time) {
	s.tb.Helper()
	e, ok := s.get(driver.Selection{Parts: driver.Usage}, k)[0]
	if !ok || !e.UsedAt.Equal(want) || e.UsedAt.Location() != time.UTC {
		s.tb.Errorf("%s was used at %v (found: %v), want %v", describe(k), e.UsedAt, ok, want)
	}
}

// size returns how much the table holds.
func (s subject) size() driver.Size {
	s.tb.Helper()
	size, err := s.Size(s.tb.Context())
	if err != nil {
		s.tb.Fatalf("size: %v", err)
	}
	return size
}

func testUsage(t *testing.T, h Harness) {
	use := func(t *testing.T, table subject, at time.Time, keys ...driver.Key) {
		t.Helper()
		if err := table.Use(t.Context(), keys, at); err != nil {
			t.Fatalf("use: %v", err)
		}
	}

	t.Run("a use changes when entries were used, and nothing else", func(t *testing.T) {
		table := h.ids(t)
		entries := versions(ids(0, 5), 1)
		entries[2].ExpiresAt = time.Time{}
		entries[3].ExpiresAt = now
		table.put(entries...)
		for _, e := range entries {
			table.wantUsed(e.Key, e.CachedAt)
		}
		use(t, table, now.Add(time.Minute), id(1), id(2), id(3), id(99))
		table.wantOnly(entries...)
		for i, e := range entries {
			want := e.CachedAt
			if i >= 1 && i <= 3 {
				want = now.Add(time.Minute)
			}
			table.wantUsed(e.Key, want)
		}
	})

	t.Run("an earlier use is no news", func(t *testing.T) {
		table := h.ids(t)
		table.put(version(id(1), 1))
		use(t, table, now.Add(time.Minute), id(1))
		use(t, table, now.Add(30*time.Second), id(1), id(1))
		table.wantUsed(id(1), now.Add(time.Minute))
	})

	t.Run("a put and a renewal are uses", func(t *testing.T) {
		table := h.ids(t)
		e := version(id(1), 1)
		table.put(e)
		use(t, table, now.Add(time.Minute), id(1))
		r := renewal(e, 2)
		table.renew([]bool{true}, r)
		table.wantUsed(id(1), r.CachedAt)
		use(t, table, now.Add(time.Minute), id(1))
		table.put(version(id(1), 3))
		table.wantUsed(id(1), version(id(1), 3).CachedAt)
		use(t, table, now.Add(time.Minute), id(1))
		table.putIf(driver.Condition{If: driver.IfNewer}, []bool{true}, version(id(1), 4))
		table.wantUsed(id(1), version(id(1), 4).CachedAt)
	})

	t.Run("of many", func(t *testing.T) {
		table := h.ids(t)
		all := versions(ids(0, h.pages()), 1)
		table.put(all...)
		use(t, table, now.Add(time.Minute), ids(0, len(all)/2)...)
		for i := range all {
			all[i].UsedAt = all[i].CachedAt
			if i < len(all)/2 {
				all[i].UsedAt = now.Add(time.Minute)
			}
		}
		table.wantCleared(where(driver.Where{UsedBefore: now.Add(time.Second)}), all)
	})

	t.Run("the size of a table is that of its entries", func(t *testing.T) {
		table := h.ids(t)
		if size := table.size(); size != (driver.Size{}) {
			t.Errorf("the size of an empty table is %+v", size)
		}
		one, two := version(id(1), 1), expiring(id(2), now)
		one.Payload, two.Payload = noise(5_000), noise(3_000)
		table.put(one, two)
		size := table.size()
		if size.Entries != 2 || size.Bytes < 8_000 || size.Bytes > 16_000 {
			t.Errorf("the size of two entries of 5,000 and 3,000 bytes is %+v", size)
		}
		var sum int64
		for _, e := range table.entries(driver.Selection{Parts: driver.Usage}) {
			sum += e.Size
		}
		if size.Bytes != sum {
			t.Errorf("the size is %d bytes, those of the entries are %d", size.Bytes, sum)
		}
		two.Payload = nil
		table.put(two)
		if less := table.size(); less.Entries != 2 || size.Bytes-less.Bytes < 3_000 {
			t.Errorf("the size was %+v, and without 3,000 bytes is %+v", size, less)
		}
		table.renew([]bool{true}, renewal(one, 2))
		table.delete(id(2))
		if less := table.size(); less.Entries != 1 || less.Bytes < 5_000 || less.Bytes > 10_000 {
			t.Errorf("the size of an entry of 5,000 bytes is %+v", less)
		}
		table.clear(driver.All, now)
		if size := table.size(); size != (driver.Size{}) {
			t.Errorf("the size of an empty table is %+v", size)
		}
	})
}
