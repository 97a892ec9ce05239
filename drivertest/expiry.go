package drivertest

import (
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
)

func testExpiry(t *testing.T, h Harness) {
	instant := now.Add(time.Hour + 123_456*time.Microsecond)
	end := time.Date(9999, 12, 31, 23, 59, 59, 999_999_000, time.UTC)

	for _, tt := range []struct {
		name    string
		expires time.Time
		now     time.Time
		live    bool
	}{
		{"an entry is live a microsecond before its expiry", instant, instant.Add(-time.Microsecond), true},
		{"an entry is expired at the instant of its expiry", instant, instant, false},
		{"an entry is expired a microsecond after its expiry", instant, instant.Add(time.Microsecond), false},
		{"an entry is live within the second of its expiry", instant, instant.Truncate(time.Second), true},
		{"an entry is live at the present", instant, now, true},
		{"an entry without expiry is live at the present", time.Time{}, now, true},
		{"an entry without expiry is live in the year 9999", time.Time{}, end, true},
		{"an entry of the year 9999 is live at the present", end, now, true},
		{"an entry of the year 9999 expires at its instant", end, end, false},
		{"an entry of the year 9999 is live a microsecond before", end, end.Add(-time.Microsecond), true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			table := h.ids(t)
			e := expiring(id(1), tt.expires)
			table.put(e)
			table.wantState(e, tt.now, tt.live)
		})
	}

	for _, tt := range []struct {
		name    string
		expires time.Time
	}{
		{"an entry that expired a microsecond ago is expired", now.Add(-time.Microsecond)},
		{"an entry that expired long ago is expired", now.AddDate(-20, 0, 0)},
		{"an entry that expired at the Unix epoch is expired", time.Unix(0, 0).UTC()},
		{"an entry that expired before the Unix epoch is expired", time.Unix(0, -1000).UTC()},
		{"an entry that expired in the year 1 is expired", time.Time{}.Add(time.Microsecond)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			table := h.ids(t)
			e := expiring(id(1), tt.expires)
			table.put(e)
			if table.store.Traits().Vanishes { // it may be gone, but must not be live
				table.wantAbsent(e, now, driver.Live)
				return
			}
			table.wantState(e, now, false)
		})
	}

	t.Run("a put of an expired entry takes the place of a live one", func(t *testing.T) {
		table := h.ids(t)
		table.put(expiring(id(1), now.Add(time.Hour)))
		gone := expiring(id(1), now.AddDate(-1, 0, 0))
		table.put(gone)
		table.wantAbsent(gone, now, driver.Live)
	})

	t.Run("time may run backwards", func(t *testing.T) {
		table := h.ids(t)
		e := expiring(id(1), instant)
		table.put(e)
		table.wantState(e, instant, false)
		table.wantState(e, now, true)
	})

	t.Run("a bulk get selects by state", func(t *testing.T) {
		table := h.ids(t)
		keys := ids(0, 100)
		for i, k := range keys {
			table.put(expiring(k, now.Add(time.Duration(1+i%2)*time.Hour)))
		}
		for i := range table.get(at(now.Add(90*time.Minute), driver.Live), keys...) {
			if i%2 == 0 {
				t.Errorf("entry %d is expired, but was visited as live", i)
			}
		}
		for i := range table.get(at(now.Add(90*time.Minute), driver.Expired), keys...) {
			if i%2 == 1 {
				t.Errorf("entry %d is live, but was visited as expired", i)
			}
		}
		if n := len(table.get(at(now.Add(90*time.Minute), driver.Live), keys...)); n != 50 {
			t.Errorf("%d live entries, want 50", n)
		}
	})
}

// wantState fails the test unless every operation finds that e, the table's
// only entry, is live or expired at an instant.
func (s subject) wantState(e driver.Entry, instant time.Time, live bool) {
	s.tb.Helper()
	is, isNot := driver.Live, driver.Expired
	if !live {
		is, isNot = isNot, is
	}
	for _, state := range []driver.State{driver.All, is} {
		sel := at(instant, state)
		if got, ok := s.get(sel, e.Key)[0]; !ok {
			s.tb.Errorf("get of %s entries leaves it out", stateName(state))
		} else if d := diff(e, got); d != "" {
			s.tb.Error(d)
		}
		s.wantCount(1, state, instant)
		if n := len(s.entries(sel)); n != 1 {
			s.tb.Errorf("an iteration over %s entries yields %d, want 1", stateName(state), n)
		}
	}
	s.wantAbsent(e, instant, isNot)
	if n := s.clear(isNot, instant); n != 0 {
		s.tb.Errorf("clear of %s entries removed %d, want 0", stateName(isNot), n)
	}
	s.want(e)
	if n := s.clear(is, instant); n != 1 {
		s.tb.Errorf("clear of %s entries removed %d, want 1", stateName(is), n)
	}
	s.wantOnly()
	s.put(e)
}

// wantAbsent fails the test unless no operation finds e in this state.
func (s subject) wantAbsent(e driver.Entry, instant time.Time, state driver.State) {
	s.tb.Helper()
	sel := at(instant, state)
	if len(s.get(sel, e.Key)) != 0 {
		s.tb.Errorf("get of %s entries visits it", stateName(state))
	}
	s.wantCount(0, state, instant)
	if n := len(s.entries(sel)); n != 0 {
		s.tb.Errorf("an iteration over %s entries yields %d, want 0", stateName(state), n)
	}
}
