package drivertest_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/drivertest"
	"github.com/endpointcache/endpointcache/memory"
	"github.com/endpointcache/endpointcache/tier"
)

// holding are mutants that hold in memory what is in another store.
var holding = []mutant{
	{"never sees what others change", "Open", "an_open_store_sees", faults{tier: &tierFaults{life: time.Hour}}},
	{"does not say that it lags", "Open", "an_open_store_sees", faults{tier: &tierFaults{traits: func(t *driver.Traits) { t.Lags = 0 }}}},
	{"has near what is not selected", "Near", "what_is_near", nearFault(func(near getNear) getNear {
		return func(k driver.Key, sel driver.Selection) (driver.Entry, bool, bool) {
			return near(k, driver.Selection{Parts: sel.Parts})
		}
	})},
	{"has another entry near", "Near", "what_is_near", nearFault(func(near getNear) getNear {
		return func(k driver.Key, sel driver.Selection) (driver.Entry, bool, bool) {
			e, found, known := near(k, sel)
			e.Payload = slices.Concat(e.Payload, []byte{0})
			return e, found, known
		}
	})},
	{"has the usage near", "Near", "what_is_near", nearFault(func(near getNear) getNear {
		return func(k driver.Key, sel driver.Selection) (driver.Entry, bool, bool) {
			sel.Parts &^= driver.Usage
			return near(k, sel)
		}
	})},
	{"has near what was there", "Near", "a_change_is_seen", nearFault(func(near getNear) getNear {
		var last driver.Entry
		var known bool
		return func(k driver.Key, sel driver.Selection) (driver.Entry, bool, bool) {
			if known && len(k) == 1 {
				return last, true, true
			}
			var found bool
			last, found, known = near(k, sel)
			known = known && found
			return last, found, known
		}
	})},
	{"takes what is not near for absent", "Near", "", nearFault(func(near getNear) getNear {
		return func(k driver.Key, sel driver.Selection) (driver.Entry, bool, bool) {
			e, found, known := near(k, sel)
			return e, found, known || sel.Parts&driver.Usage == 0
		}
	})},
}

type getNear = func(driver.Key, driver.Selection) (driver.Entry, bool, bool)

func nearFault(f func(getNear) getNear) faults { return faults{tier: &tierFaults{near: f}} }

// tierFaults are what memory over a store does otherwise than it should.
type tierFaults struct {
	life   time.Duration // of what it holds; 0: a short one
	traits func(*driver.Traits)
	near   func(getNear) getNear
}

// TestSuitePassesATier proves that the mutants above fail for their faults.
func TestSuitePassesATier(t *testing.T) {
	drivertest.RunTopics(t, tierHarness(tierFaults{}), "Open", "Near")
}

// tierHarness opens stores over one in memory, which know nothing of each other.
func tierHarness(f tierFaults) drivertest.Harness {
	return drivertest.At(
		func(tb testing.TB) driver.Store {
			s, err := memory.New(nil)
			if err != nil {
				tb.Fatal(err)
			}
			return s
		},
		func(tb testing.TB, place driver.Store) driver.Store {
			life := f.life
			if life == 0 {
				life = 50 * time.Millisecond
			}
			s, err := tier.New(unclosed{place}, &tier.Options{MaxAge: life})
			if err != nil {
				tb.Fatal(err)
			}
			return &tierStore{s, f}
		})
}

// unclosed is a store that others go on using.
type unclosed struct{ driver.Store }

func (unclosed) Close() error { return nil }

type tierStore struct {
	*tier.Store
	faults tierFaults
}

func (s *tierStore) Traits() driver.Traits {
	traits := s.Store.Traits()
	if f := s.faults.traits; f != nil {
		f(&traits)
	}
	return traits
}

func (s *tierStore) OpenTable(ctx context.Context, spec driver.TableSpec) (driver.Table, error) {
	t, err := s.Store.OpenTable(ctx, spec)
	if err != nil || s.faults.near == nil {
		return t, err
	}
	near := t.(driver.NearTable)
	return nearTable{near, s.faults.near(near.GetNear)}, nil
}

type nearTable struct {
	driver.Table
	near getNear
}

func (t nearTable) GetNear(key driver.Key, sel driver.Selection) (driver.Entry, bool, bool) {
	return t.near(key, sel)
}
