package drivertest_test

import (
	"context"
	"errors"
	"testing"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/drivertest"
	"github.com/endpointcache/endpointcache/internal/gate"
	"github.com/endpointcache/endpointcache/memory"
)

// tended are mutants that tell of themselves what nobody can use, or lose entries when they are
// compacted.
var tended = []mutant{
	{"tells nothing of itself", "Diagnose", "findings_say", telling(func([]driver.Finding) []driver.Finding { return nil })},
	{"tells no values", "Diagnose", "findings_say", tellingEach(func(f *driver.Finding) { f.Value = "" })},
	{"gives no advice", "Diagnose", "findings_say", tellingEach(func(f *driver.Finding) { f.Level = driver.Fault })},
	{"gives advice on what is good", "Diagnose", "findings_say", tellingEach(func(f *driver.Finding) { f.Advice = "Nothing." })},
	{"tells of other matters if it is thorough", "Diagnose", "tells_no_less", faults{tend: &tendFaults{thorough: func(found []driver.Finding) []driver.Finding {
		found[0].Subject = "integrity"
		return found
	}}}},
	{"uses entries in a diagnosis", "Diagnose", "changes_nothing", faults{tend: &tendFaults{diagnosed: func(t driver.Table, e driver.Entry) {
		_ = t.Use(context.Background(), []driver.Key{e.Key}, e.CachedAt.Add(1e9))
	}}}},
	{"removes what has expired in a diagnosis", "Diagnose", "changes_nothing", faults{tend: &tendFaults{diagnosed: func(t driver.Table, e driver.Entry) {
		if e.ExpiresAt.Before(e.CachedAt) {
			_, _ = t.Delete(context.Background(), []driver.Key{e.Key})
		}
	}}}},
	{"diagnoses whatever the context", "Diagnose", "goes_by_its_context", faults{tend: &tendFaults{endless: true}}},
	{"diagnoses after a close", "Diagnose", "closed_store", faults{tend: &tendFaults{undead: true}}},
	{"loses an entry when it is compacted", "Compact", "leaves", faults{tend: &tendFaults{compacted: func(t driver.Table, e driver.Entry) {
		_, _ = t.Delete(context.Background(), []driver.Key{e.Key})
	}}}},
	{"brings back the names of before when it is compacted", "Compact", "", faults{tend: &tendFaults{compacted: func(t driver.Table, e driver.Entry) {
		e.Name = "name"
		_ = t.Put(context.Background(), []driver.Entry{e})
	}}}},
	{"compacts whatever the context", "Compact", "goes_by_its_context", faults{tend: &tendFaults{endless: true}}},
	{"frees less than nothing", "Compact", "", faults{tend: &tendFaults{freed: -1}}},
}

// tendFaults are what a store that tells of itself, and can be compacted, does otherwise than it
// should.
type tendFaults struct {
	found, thorough      func([]driver.Finding) []driver.Finding
	diagnosed, compacted func(driver.Table, driver.Entry) // is done to an entry meanwhile
	endless              bool                             // asks no context
	undead               bool                             // works after a close
	freed                int64
}

func telling(change func([]driver.Finding) []driver.Finding) faults {
	return faults{tend: &tendFaults{found: change}}
}

func tellingEach(change func(*driver.Finding)) faults {
	return telling(func(found []driver.Finding) []driver.Finding {
		for i := range found {
			change(&found[i])
		}
		return found
	})
}

// TestSuitePassesATendedStore proves that the mutants above fail for their faults.
func TestSuitePassesATendedStore(t *testing.T) {
	drivertest.RunTopics(t, tendHarness(tendFaults{}), "Diagnose", "Compact")
}

func tendHarness(f tendFaults) drivertest.Harness {
	return drivertest.Harness{Open: func(tb testing.TB) driver.Store {
		s, err := memory.New(nil)
		if err != nil {
			tb.Fatal(err)
		}
		return &tendedStore{Store: s, faults: f}
	}}
}

type tendedStore struct {
	driver.Store
	faults tendFaults
}

// tend does something to an entry of each table.
func (s *tendedStore) tend(ctx context.Context, op string, do func(driver.Table, driver.Entry)) error {
	if s.faults.endless && ctx != nil {
		ctx = context.WithoutCancel(ctx)
	}
	err := gate.Usable(ctx)
	var specs []driver.TableSpec
	if err == nil {
		specs, err = s.Tables(ctx)
	}
	if err != nil && !(s.faults.undead && errors.Is(err, driver.ErrClosed)) {
		return &driver.OpError{Store: s.Traits().Kind, Op: op, Err: err}
	}
	for _, spec := range specs {
		table, err := s.OpenTable(ctx, spec)
		if err != nil {
			return err
		}
		for e, err := range table.Entries(ctx, driver.Selection{Parts: driver.Payload | driver.Meta}) {
			if err != nil {
				return err
			}
			if do != nil {
				do(table, e)
			}
		}
	}
	return nil
}

func (s *tendedStore) Diagnose(ctx context.Context, thorough bool) ([]driver.Finding, error) {
	if err := s.tend(ctx, "diagnose", s.faults.diagnosed); err != nil {
		return nil, err
	}
	found := []driver.Finding{{Subject: "memory", Value: "enough"}, {Subject: "persistence", Value: "none"}}
	if s.faults.found != nil {
		found = s.faults.found(found)
	}
	if thorough && s.faults.thorough != nil {
		found = s.faults.thorough(found)
	}
	return found, nil
}

func (s *tendedStore) Compact(ctx context.Context) (int64, error) {
	return s.faults.freed, s.tend(ctx, "compact", s.faults.compacted)
}
