package bounds

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/hooks"
)

// enforce evicts from the tables that exceed their limits, and from all where the store
// exceeds its own.
func (k *Keeper) enforce(ctx context.Context) error {
	var errs []error
	for _, t := range k.snapshot() {
		if t.own.suspect() {
			err := k.keepWithin(ctx, &t.own, []*kept{t})
			t.own.fails(err != nil)
			errs = append(errs, err)
		}
	}
	if k.all.suspect() {
		tables, err := k.everyTable(ctx)
		err = errors.Join(err, k.keepWithin(ctx, &k.all, tables))
		k.all.fails(err != nil)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// everyTable are the tables of the store, those that other programs have made included, as
// far as they can be opened.
func (k *Keeper) everyTable(ctx context.Context) (all []*kept, err error) {
	specs, err := k.opts.Store.Tables(ctx)
	if err != nil {
		return nil, err
	}
	var errs []error
	others := make(map[string]*kept)
	for _, spec := range specs {
		if strings.HasPrefix(spec.Name, OwnPrefix) {
			continue
		}
		k.mu.Lock()
		t, other := k.tables[spec.Name], k.others[spec.Name]
		k.mu.Unlock()
		switch {
		case t != nil:
			all = append(all, t)
			continue
		case other == nil || !slices.Equal(other.spec.Key, spec.Key):
			opened, err := k.opts.Store.OpenTable(ctx, spec)
			if err != nil {
				errs = append(errs, err)
				continue
			}
			other = &kept{Table: opened, spec: spec}
		}
		others[spec.Name] = other
		all = append(all, other)
	}
	k.mu.Lock()
	k.others = others
	k.mu.Unlock()
	return all, errors.Join(errs...)
}

// keepWithin measures the tables of a limit, and evicts from them where it is exceeded.
func (k *Keeper) keepWithin(ctx context.Context, of *total, all []*kept) error {
	demand := of.demand()
	size, err := of.measure(ctx, all)
	if err != nil {
		return err
	}
	if !exceeds(sum(size, demand), of.limit, percentAfter) {
		return nil
	}
	// What has expired leaves first.
	cleared := 0
	for _, t := range all {
		n, err := t.Clear(ctx, driver.Filter{State: driver.Expired, Now: k.now()})
		if err != nil {
			return err
		}
		cleared += n
		k.tell(t, hooks.Expired, driver.Size{Entries: n})
		if err := t.flushUses(ctx, 1); err != nil {
			return err
		}
	}
	if cleared > 0 {
		if size, err = of.measure(ctx, all); err != nil {
			return err
		}
	}
	for exceeds(sum(size, demand), of.limit, percentAfter) {
		left, err := k.evict(ctx, all, order(of.limit), excess(sum(size, demand), of.limit, percentAfter), size)
		if err != nil {
			return err
		}
		if left.Entries == 0 {
			return nil // there are none, or they were used or saved since; the next round looks again
		}
		of.evicted(left)
		size = driver.Size{Entries: size.Entries - left.Entries, Bytes: size.Bytes - left.Bytes}
	}
	return nil
}

// measure takes the size of the limit's tables. Where it is about entries alone, they are
// counted, for which stores read less.
func (t *total) measure(ctx context.Context, tables []*kept) (all driver.Size, err error) {
	t.measuring()
	for _, table := range tables {
		var size driver.Size
		if t.limit.Bytes > 0 {
			size, err = table.Size(ctx)
		} else {
			size.Entries, err = table.Count(ctx, driver.Filter{})
		}
		if err != nil {
			return all, err
		}
		all = sum(all, size)
	}
	t.set(all)
	return all, nil
}

// The least and the most entries of a table that a step looks at.
const (
	leastStep = 100
	mostStep  = 10_000
)

// page is the first entries of a table in the order, and how many of them leave.
type page struct {
	table   *kept
	entries []driver.Entry
	leaving int
}

// evict removes about as much as is over, the first in the order, from tables that have a
// size together. It returns what has left, the bytes as far as they are known.
func (k *Keeper) evict(ctx context.Context, tables []*kept, by driver.Order, over, size driver.Size) (left driver.Size, err error) {
	// As many of average size, and some more.
	step := over.Entries
	if size.Bytes > 0 {
		step = max(step, int(float64(over.Bytes)/float64(size.Bytes)*float64(size.Entries)))
	}
	step = min(max(step+step/4, leastStep), mostStep)

	var pages []*page
	var horizon time.Time // entries behind it may be missing
	for _, t := range tables {
		entries, err := t.List(ctx, driver.Listing{Selection: driver.Selection{Parts: driver.Usage}, Order: by, Limit: step})
		if err != nil {
			return left, err
		}
		pages = append(pages, &page{table: t, entries: entries})
		if len(entries) == step {
			if last := instantOf(by, entries[step-1]); horizon.IsZero() || last.Before(horizon) {
				horizon = last
			}
		}
	}
	for over.Entries > 0 || over.Bytes > 0 {
		p := earliest(by, pages)
		if p == nil || !horizon.IsZero() && instantOf(by, p.entries[p.leaving]).After(horizon) {
			break
		}
		over.Entries--
		over.Bytes -= p.entries[p.leaving].Size
		p.leaving++
	}
	for _, p := range pages {
		gone, err := p.remove(ctx, by)
		k.tell(p.table, hooks.OverLimit, gone)
		if err != nil {
			return left, err
		}
		left = sum(left, gone)
	}
	return left, nil
}

// earliest is the page of which the next entry is the first in the order, nil for none.
func earliest(by driver.Order, pages []*page) (first *page) {
	for _, p := range pages {
		if p.leaving == len(p.entries) {
			continue
		}
		if first == nil || instantOf(by, p.entries[p.leaving]).Before(instantOf(by, first.entries[first.leaving])) {
			first = p
		}
	}
	return first
}

func instantOf(by driver.Order, e driver.Entry) time.Time {
	if by == driver.ByCached {
		return e.CachedAt
	}
	return e.UsedAt
}

// remove removes the entries that leave. They are removed by their instant, so that one stays
// which was saved or used since. Those of the last instant, such as of one save, leave
// together if they are few; else the first of them leave by their keys.
func (p *page) remove(ctx context.Context, by driver.Order) (gone driver.Size, err error) {
	if p.leaving == 0 {
		return gone, nil
	}
	at := func(i int) time.Time { return instantOf(by, p.entries[i]) }
	last := at(p.leaving - 1)
	end := p.leaving
	for end < len(p.entries) && at(end).Equal(last) {
		end++
	}
	var keys []driver.Key
	if end < len(p.entries) && end-p.leaving <= p.leaving/4 {
		p.leaving, last = end, at(end)
	} else {
		for i := p.leaving - 1; i >= 0 && at(i).Equal(last); i-- {
			keys = append(keys, p.entries[i].Key)
		}
	}
	if len(keys) < p.leaving {
		before := driver.Where{UsedBefore: last}
		if by == driver.ByCached {
			before = driver.Where{CachedBefore: last}
		}
		if gone.Entries, err = p.table.Clear(ctx, driver.Filter{Where: before}); err != nil {
			return gone, err
		}
	}
	n, err := p.table.Delete(ctx, keys)
	gone.Entries += n
	for _, e := range p.entries[:p.leaving] {
		gone.Bytes += e.Size
	}
	gone.Bytes = gone.Bytes / int64(p.leaving) * int64(gone.Entries) // others than were listed may have left
	return gone, err
}
