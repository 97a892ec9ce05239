package bounds

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/endpointcache/endpointcache/driver"
)

// enforce evicts from the tables that exceed their limits, and from all where the store
// exceeds its own.
func (k *Keeper) enforce(ctx context.Context) error {
	var errs []error
	for _, t := range k.snapshot() {
		if t.own.suspect() {
			errs = append(errs, k.keepWithin(ctx, &t.own, func(context.Context) ([]*table, error) { return []*table{t}, nil }))
		}
	}
	if k.all.suspect() {
		errs = append(errs, k.keepWithin(ctx, &k.all, k.everyTable))
	}
	return errors.Join(errs...)
}

// everyTable are the tables of the store, those that other programs have made included.
func (k *Keeper) everyTable(ctx context.Context) ([]*table, error) {
	specs, err := k.opts.Store.Tables(ctx)
	if err != nil {
		return nil, err
	}
	known := make(map[string]*table)
	for _, t := range k.snapshot() {
		known[t.name] = t
	}
	var all []*table
	for _, spec := range specs {
		switch t := known[spec.Name]; {
		case strings.HasPrefix(spec.Name, OwnPrefix):
		case t != nil:
			all = append(all, t)
		default:
			opened, err := k.opts.Store.OpenTable(ctx, spec)
			if err != nil {
				return nil, err
			}
			all = append(all, &table{Table: opened, keeper: k, name: spec.Name})
		}
	}
	return all, nil
}

// keepWithin measures the tables of a limit, and evicts from them where it is exceeded.
func (k *Keeper) keepWithin(ctx context.Context, of *total, tables func(context.Context) ([]*table, error)) error {
	all, err := tables(ctx)
	if err != nil {
		return err
	}
	size, err := of.measure(ctx, all)
	if err != nil {
		return err
	}
	if !exceeds(size, of.limit, percentAfter) {
		return nil
	}
	// What has expired leaves first.
	cleared := 0
	for _, t := range all {
		n, err := t.Table.Clear(ctx, driver.Filter{State: driver.Expired, Now: k.now()})
		if err != nil {
			return err
		}
		cleared += n
		if err := t.flushUses(ctx); err != nil {
			return err
		}
	}
	if cleared > 0 {
		if size, err = of.measure(ctx, all); err != nil {
			return err
		}
	}
	for exceeds(size, of.limit, percentAfter) {
		before := size
		if err := evict(ctx, all, order(of.limit), excess(size, of.limit, percentAfter), size); err != nil {
			return err
		}
		if size, err = of.measure(ctx, all); err != nil {
			return err
		}
		if size.Entries >= before.Entries && size.Bytes >= before.Bytes {
			return nil // saves come as fast; the next round goes on
		}
	}
	return nil
}

func (k *Keeper) now() time.Time { return k.opts.Now().UTC().Truncate(time.Microsecond) }

// measure takes the size of the limit's tables.
func (t *total) measure(ctx context.Context, tables []*table) (all driver.Size, err error) {
	t.measuring()
	for _, table := range tables {
		size, err := table.Size(ctx)
		if err != nil {
			return all, err
		}
		all = sum(all, size)
	}
	t.set(all)
	return all, nil
}

// victim is an entry that may have to leave.
type victim struct {
	table *table
	driver.Entry
}

// The least and the most entries of a table that a step looks at.
const (
	leastStep = 100
	mostStep  = 10_000
)

// evict removes about as much as is over, the first in the order, from tables that have a
// size together.
func evict(ctx context.Context, tables []*table, by driver.Order, over, size driver.Size) error {
	// As many of average size, and some more.
	step := over.Entries
	if size.Bytes > 0 {
		step = max(step, int(float64(over.Bytes)/float64(size.Bytes)*float64(size.Entries)))
	}
	step = min(max(step+step/8, leastStep), mostStep)

	var all []victim
	var horizon time.Time // entries behind it may be missing
	for _, t := range tables {
		page, err := t.List(ctx, driver.Listing{Selection: driver.Selection{Parts: driver.Usage}, Order: by, Limit: step})
		if err != nil {
			return err
		}
		for _, e := range page {
			all = append(all, victim{t, e})
		}
		if len(page) == step {
			if last := instantOf(by, page[step-1]); horizon.IsZero() || last.Before(horizon) {
				horizon = last
			}
		}
	}
	slices.SortStableFunc(all, func(a, b victim) int { return instantOf(by, a.Entry).Compare(instantOf(by, b.Entry)) })
	leaving := make(map[*table][]driver.Entry)
	for _, v := range all {
		if over.Entries <= 0 && over.Bytes <= 0 || !horizon.IsZero() && instantOf(by, v.Entry).After(horizon) {
			break
		}
		over.Entries--
		over.Bytes -= v.Size
		leaving[v.table] = append(leaving[v.table], v.Entry)
	}
	for t, entries := range leaving {
		if err := t.remove(ctx, by, entries); err != nil {
			return err
		}
	}
	return nil
}

func instantOf(by driver.Order, e driver.Entry) time.Time {
	if by == driver.ByCached {
		return e.CachedAt
	}
	return e.UsedAt
}

// remove removes the first entries of the table in the order. Those that are before the
// last of them are removed by their instant, so that one stays which was saved or used
// since.
func (t *table) remove(ctx context.Context, by driver.Order, entries []driver.Entry) error {
	last := instantOf(by, entries[len(entries)-1])
	if instantOf(by, entries[0]).Before(last) {
		before := driver.Where{UsedBefore: last}
		if by == driver.ByCached {
			before = driver.Where{CachedBefore: last}
		}
		if _, err := t.Table.Clear(ctx, driver.Filter{Where: before}); err != nil {
			return err
		}
	}
	var keys []driver.Key
	for _, e := range entries {
		if instantOf(by, e).Equal(last) {
			keys = append(keys, e.Key)
		}
	}
	_, err := t.Table.Delete(ctx, keys)
	return err
}
