package drivertest_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/endpointcache/endpointcache/driver"
)

// usage are mutants that do not keep to further filters, listings, uses, sizes and tables.
var usage = []mutant{
	{"forgets how a payload is encoded", "Values", "", faults{entry: func(e *driver.Entry) { e.Encoding = "" }}},
	{"forgets the checksum of a payload", "Parts", "", faults{entry: func(e *driver.Entry) { e.PayloadSum = 0 }}},
	{"keeps checksums as signed numbers", "Values", "", faults{entry: func(e *driver.Entry) { e.MetaSum &^= 1 << 31 }}},
	{"keeps the checksum of what it renews", "Renew", "", faults{renew: func(ctx context.Context, t driver.Table, renewals []driver.Renewal) ([]bool, error) {
		renewals = slices.Clone(renewals)
		for i, r := range renewals {
			_ = t.Get(ctx, []driver.Key{r.Key}, driver.Selection{Parts: driver.Meta}, func(_ int, e driver.Entry) { renewals[i].MetaSum = e.MetaSum })
		}
		return t.Renew(ctx, renewals)
	}}},

	{"does not look at when entries were cached", "Where", "by_when_it_was_cached", whereOf(func(_ string, w *driver.Where) { w.CachedFrom = time.Time{} })},
	{"takes an end for the last instant", "Where", "by_when_it_was_cached", whereOf(func(_ string, w *driver.Where) {
		if !w.CachedBefore.IsZero() {
			w.CachedBefore = w.CachedBefore.Add(time.Microsecond)
		}
	})},
	{"does not look at when entries were used", "Where", "by_when_it_was_used", whereOf(func(_ string, w *driver.Where) { w.UsedBefore = time.Time{} })},
	{"takes the beginning of a name for the name", "Where", "by_name", whereOf(func(_ string, w *driver.Where) {
		if w.Name != "" {
			w.Name, w.NamePrefix = "", w.Name
		}
	})},
	{"does not look at statuses", "Where", "by_status", whereOf(func(_ string, w *driver.Where) { w.MaxStatus = 0 })},
	{"clears whatever the status is", "Where", "by_status", whereOf(func(op string, w *driver.Where) {
		if op == "clear" {
			w.MinStatus, w.MaxStatus = 0, 0
		}
	})},
	{"looks at the letters of a prefix", "Where", "by_what_a_key", whereOf(func(_ string, w *driver.Where) {
		for w.Prefix != "" && strings.Contains("\xff%_*", w.Prefix[len(w.Prefix)-1:]) {
			w.Prefix = w.Prefix[:len(w.Prefix)-1]
		}
	})},
	{"counts without a prefix", "Where", "by_what_a_key", whereOf(func(op string, w *driver.Where) {
		if op == "count" {
			w.Prefix = ""
		}
	})},

	{"lists in the order of keys alone", "List", "in_order_1", listing(func(l *driver.Listing) { l.Order = driver.ByKey })},
	{"lists by the time of the cache for that of a use", "List", "in_order_4", listing(func(l *driver.Listing) {
		if l.Order == driver.ByExpiry {
			l.Order = driver.ByCached
		}
	})},
	{"lists upwards only", "List", "in_order_0", listing(func(l *driver.Listing) { l.Descending = false })},
	{"lists the first page again and again", "List", "", listing(func(l *driver.Listing) { l.After = nil })},
	{"lists one entry less", "List", "", listing(func(l *driver.Listing) { l.Limit = max(1, l.Limit-1) })},
	{"lists whatever the state is", "List", "in_order_0", listing(func(l *driver.Listing) { l.State = driver.All })},
	{"lists whatever the name is", "List", "in_order_0", listing(func(l *driver.Listing) { l.Where.NamePrefix = "" })},
	{"goes on by the order alone", "List", "in_order_1", faults{list: func(ctx context.Context, t driver.Table, l driver.Listing) ([]driver.Entry, error) {
		if l.After != nil && l.Order == driver.ByName {
			after := *l.After
			after.Key = driver.Key{strings.Repeat("\xff", 9), int64(1 << 62), true, strings.Repeat("\xff", 9)}
			if l.Descending {
				after.Key = driver.Key{"", int64(-1 << 62), false, ""}
			}
			l.After = &after
		}
		return t.List(ctx, l)
	}}},
	{"takes any order", "List", "an_unknown_order", faults{list: func(ctx context.Context, t driver.Table, l driver.Listing) ([]driver.Entry, error) {
		l.Order, l.Limit = min(l.Order, driver.BySize), max(l.Limit, 1)
		return t.List(ctx, l)
	}}},

	{"records an earlier use", "Usage", "an_earlier_use", faults{use: func(ctx context.Context, t driver.Table, keys []driver.Key, at time.Time) error {
		if len(keys) == 2 { // as the one that is earlier
			at = at.Add(time.Hour)
		}
		return t.Use(ctx, keys, at)
	}}},
	{"records no use", "Usage", "a_use_changes", faults{use: func(context.Context, driver.Table, []driver.Key, time.Time) error { return nil }}},
	{"renews what is used", "Usage", "a_use_changes", faults{use: func(ctx context.Context, t driver.Table, keys []driver.Key, at time.Time) error {
		for _, k := range keys {
			var found []driver.Entry
			sel := driver.Selection{Parts: driver.Payload | driver.Meta}
			_ = t.Get(ctx, []driver.Key{k}, sel, func(_ int, e driver.Entry) { found = append(found, e) })
			for i := range found {
				found[i].Key, found[i].CachedAt = k, at
			}
			if err := t.Put(ctx, found); err != nil {
				return err
			}
		}
		return nil
	}}},
	{"counts the size of live entries alone", "Usage", "the_size", faults{size: func(ctx context.Context, t driver.Table) (driver.Size, error) {
		size, err := t.Size(ctx)
		n, countErr := t.Count(ctx, driver.Filter{State: driver.Expired, Now: time.Now()})
		size.Entries -= n
		return size, cmpErr(err, countErr)
	}}},
	{"does not know what entries weigh", "Usage", "the_size", faults{size: func(ctx context.Context, t driver.Table) (driver.Size, error) {
		size, err := t.Size(ctx)
		size.Bytes = 100 * int64(size.Entries)
		return size, err
	}}},

	{"lists tables of other programs", "Tables", "tables_are_listed", faults{tables: func(ctx context.Context, s driver.Store) ([]driver.TableSpec, error) {
		specs, err := s.Tables(ctx)
		return append(specs, driver.TableSpec{Name: "zzz", Key: []driver.Column{{Name: "id", Kind: driver.String}}}), err
	}}},
	{"lists tables without their keys", "Tables", "tables_are_listed", faults{tables: func(ctx context.Context, s driver.Store) ([]driver.TableSpec, error) {
		specs, err := s.Tables(ctx)
		for i := range specs {
			specs[i].Key = specs[i].Key[:1]
		}
		return specs, err
	}}},
	{"empties a table that is to be dropped", "Tables", "", faults{drop: func(ctx context.Context, s driver.Store, name string) error {
		specs, err := s.Tables(ctx)
		for _, spec := range specs {
			if spec.Name == name {
				t, err := s.OpenTable(ctx, spec)
				if err == nil {
					_, err = t.Clear(ctx, driver.Filter{})
				}
				return err
			}
		}
		return err
	}}},
	{"drops all tables", "Tables", "", faults{drop: func(ctx context.Context, s driver.Store, _ string) error {
		specs, err := s.Tables(ctx)
		for _, spec := range specs {
			if err := s.DropTable(ctx, spec.Name); err != nil {
				return err
			}
		}
		return err
	}}},
	{"has no way to drop what is not there", "Tables", "a_table_that_is_dropped", faults{drop: func(ctx context.Context, s driver.Store, name string) error {
		specs, err := s.Tables(ctx)
		if err == nil && !slices.ContainsFunc(specs, func(spec driver.TableSpec) bool { return spec.Name == name }) {
			return driver.ErrSchema
		}
		return s.DropTable(ctx, name)
	}}},
	{"fails a drop during another", "Tables", "stores_drop_one_table", faults{drop: func(ctx context.Context, s driver.Store, name string) error {
		dropping.Add(1)
		defer dropping.Add(-1)
		for range 1_000 {
			runtime.Gosched()
			if dropping.Load() > 1 {
				return errors.New("another call drops a table")
			}
		}
		return s.DropTable(ctx, name)
	}}},
	{"fails to open a table during a drop", "Tables", "a_table_is_opened", faults{
		drop: func(ctx context.Context, s driver.Store, name string) error {
			dropping.Add(1)
			defer dropping.Add(-1)
			runtime.Gosched()
			return s.DropTable(ctx, name)
		},
		open: func(ctx context.Context, s driver.Store, spec driver.TableSpec) (driver.Table, error) {
			for range 1_000 {
				runtime.Gosched()
				if dropping.Load() > 0 {
					return nil, errors.New("another call drops the table")
				}
			}
			return s.OpenTable(ctx, spec)
		},
	}},
}

var dropping atomic.Int32 // calls

func cmpErr(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func whereOf(change func(op string, w *driver.Where)) faults {
	return filterOf(func(op string, f *driver.Filter) { change(op, &f.Where) })
}

func listing(change func(*driver.Listing)) faults {
	return faults{list: func(ctx context.Context, t driver.Table, l driver.Listing) ([]driver.Entry, error) {
		if l.Validate() == nil {
			change(&l)
		}
		return t.List(ctx, l)
	}}
}
