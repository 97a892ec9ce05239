package drivertest_test

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/endpointcache/endpointcache/driver"
)

// summing are mutants that sum up tables, or examine them, wrongly.
var summing = []mutant{
	{"takes expired entries for live ones", "Summarize", "", summaryOf(func(s *driver.Summary, _ time.Time) { s.Live = s.Entries })},
	{"takes the instant of an expiry for life", "Summarize", "a_summary_is_that", faults{summarize: func(ctx context.Context, s driver.Store, spec driver.TableSpec, now time.Time) (driver.Summary, error) {
		return summed(ctx, s, spec, now.Add(-time.Microsecond))
	}}},
	{"counts no 410", "Summarize", "a_summary_is_that", summaryOf(func(s *driver.Summary, _ time.Time) { s.Absent = min(s.Absent, 1) })},
	{"tells the time of day for the oldest", "Summarize", "a_summary_is_that", summaryOf(func(s *driver.Summary, now time.Time) { s.Oldest = now })},
	{"sums up whatever the table is", "Summarize", "a_summary_is_of_one", faults{summarize: func(ctx context.Context, s driver.Store, spec driver.TableSpec, now time.Time) (driver.Summary, error) {
		spec.Name = "tracks"
		return summed(ctx, s, spec, now)
	}}},
	{"tells something with an error", "Summarize", "a_summary_whose", faults{summarize: func(ctx context.Context, s driver.Store, spec driver.TableSpec, now time.Time) (driver.Summary, error) {
		sum, err := summed(ctx, s, spec, now)
		if err != nil {
			sum.Entries = 1
		}
		return sum, err
	}}},

	{"examines whatever is selected", "Examine", "entries_that_are_not", faults{examine: func(sel *driver.Selection, _ *driver.Examined) {
		sel.Filter = driver.Filter{}
	}}},
	{"examines without payloads", "Examine", "entries_that_are_not", faults{examine: func(_ *driver.Selection, found *driver.Examined) {
		if found != nil {
			found.Payload = nil
		}
	}}},
	{"finds everything damaged", "Examine", "entries_that_are_not", faults{examine: func(_ *driver.Selection, found *driver.Examined) {
		if found != nil {
			found.Fault = errors.New("damaged")
		}
	}}},
}

// summed is a summary as it should be.
func summed(ctx context.Context, s driver.Store, spec driver.TableSpec, now time.Time) (driver.Summary, error) {
	t, err := s.OpenTable(ctx, spec)
	if err != nil {
		return driver.Summary{}, err
	}
	return driver.Summarize(ctx, s, t, spec, now)
}

func summaryOf(change func(*driver.Summary, time.Time)) faults {
	return faults{summarize: func(ctx context.Context, s driver.Store, spec driver.TableSpec, now time.Time) (driver.Summary, error) {
		sum, err := summed(ctx, s, spec, now)
		if err == nil && sum.Entries > 0 {
			change(&sum, now)
		}
		return sum, err
	}}
}

// Summarize implements [driver.Summarizer] where that is what the mutant does wrongly.
func (s faultyStore) Summarize(ctx context.Context, spec driver.TableSpec, now time.Time) (driver.Summary, error) {
	if f := s.faults.summarize; f != nil {
		return f(ctx, s.Store, spec, now)
	}
	return driver.Summary{}, errors.ErrUnsupported
}

// Examine implements [driver.Examiner].
func (s faultyStore) Examine(ctx context.Context, spec driver.TableSpec, sel driver.Selection) iter.Seq2[driver.Examined, error] {
	return func(yield func(driver.Examined, error) bool) {
		t, err := s.OpenTable(ctx, spec)
		if err != nil {
			yield(driver.Examined{}, err)
			return
		}
		if f := s.faults.examine; f != nil {
			f(&sel, nil)
		}
		for found, err := range driver.Examine(ctx, s.Store, t, spec, sel) {
			if f := s.faults.examine; f != nil {
				f(&sel, &found)
			}
			if !yield(found, err) {
				return
			}
		}
	}
}
