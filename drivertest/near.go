package drivertest

import (
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
)

// testNear holds tables that have entries near to what Get of them finds.
func testNear(t *testing.T, h Harness) {
	if _, near := h.ids(t).Table.(driver.NearTable); !near {
		return
	}

	t.Run("what is near is what a get finds", func(t *testing.T) {
		table := nearOf(h.table(t, text("id"), integer("page")))
		expired := version(key("a", int64(2)), 2)
		expired.ExpiresAt = now.Add(-time.Hour)
		table.put(version(key("a", int64(1)), 1), expired)
		for _, sel := range []driver.Selection{
			everything, at(now, driver.Live), at(now, driver.Expired), {Parts: driver.Payload}, {Parts: driver.Meta}, {Parts: driver.Usage},
			{Filter: driver.Filter{Leading: key("a")}, Parts: driver.Payload | driver.Meta},
			{Filter: driver.Filter{Leading: key("b")}, Parts: driver.Payload | driver.Meta},
		} {
			for _, k := range []driver.Key{key("a", int64(1)), expired.Key, key("b", int64(1))} {
				table.wantNear(k, sel)
				table.wantNear(k, sel)
			}
		}
	})

	t.Run("a change is seen at once", func(t *testing.T) {
		table := nearOf(h.ids(t))
		k, old := id(1), version(id(1), 1)
		check := func() {
			t.Helper()
			table.wantNear(k, everything)
			table.wantNear(k, everything)
		}
		check()
		table.put(old)
		check()
		table.renew([]bool{true}, renewal(old, 2))
		check()
		table.putIf(driver.Condition{If: driver.IfNewer}, []bool{true}, version(k, 3))
		check()
		table.putIf(driver.Condition{If: driver.IfAbsent}, []bool{false}, version(k, 4))
		check()
		table.delete(k)
		check()
		table.put(old)
		check()
		if _, ok, err := table.Pop(t.Context(), k, driver.Filter{}); !ok || err != nil {
			t.Errorf("pop: %v, %v", ok, err)
		}
		check()
		table.put(old)
		table.clear(driver.Live, now)
		check()
		table.put(old)
		drop(t, table.store, table.spec.Name)
		table = nearOf(openTable(t, table.store, table.spec))
		check()
	})

	t.Run("nothing is near in a closed store", func(t *testing.T) {
		table := nearOf(h.ids(t))
		table.put(version(id(1), 1))
		table.wantNear(id(1), everything)
		if err := table.store.Close(); err != nil {
			t.Fatal(err)
		}
		if _, found, known := table.near.GetNear(id(1), everything); found || known {
			t.Errorf("an entry is near: found %v, known %v", found, known)
		}
	})
}

// nearSubject is a table under test that has entries near.
type nearSubject struct {
	subject
	near driver.NearTable
}

func nearOf(s subject) nearSubject { return nearSubject{s, s.Table.(driver.NearTable)} }

// wantNear fails the test unless what is near of a key, if that is known, is what a get finds
// there, which may bring it near.
func (s nearSubject) wantNear(k driver.Key, sel driver.Selection) {
	s.tb.Helper()
	got, found, known := s.near.GetNear(k, sel)
	want, there := s.get(sel, k)[0]
	switch {
	case !known:
		if found {
			s.tb.Errorf("%s is near, and not known", describe(k))
		}
	case sel.Parts&driver.Usage != 0:
		s.tb.Errorf("the usage of %s is known", describe(k))
	case found != there:
		s.tb.Errorf("%s as one of %s: found near is %v, by a get %v", describe(k), describeFilter(sel.Filter), found, there)
	case found:
		if sel.Parts == driver.Payload|driver.Meta {
			if d := diff(want, got); d != "" {
				s.tb.Errorf("near, %s: %s", describe(k), d)
			}
		} else if sel.Parts == driver.Payload && string(got.Payload) != string(want.Payload) || got.Status != want.Status {
			s.tb.Errorf("near, %s is %d %.80q, by a get %d %.80q", describe(k), got.Status, got.Payload, want.Status, want.Payload)
		}
	}
}
