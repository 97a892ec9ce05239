package cache_test

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync/atomic"
	"time"

	"github.com/endpointcache/endpointcache/driver"
)

// failing is a store whose tables fail after so many operations, or all of whose writes fail.
type failing struct {
	driver.Store
	left     *atomic.Int64
	readOnly bool
	writes   *atomic.Int64 // entries
}

var errBroken = errors.New("the disk is broken")

type failingTable struct {
	driver.Table
	s *failing
}

func (s *failing) OpenTable(ctx context.Context, spec driver.TableSpec) (driver.Table, error) {
	if s.readOnly {
		specs, err := s.Tables(ctx)
		if err != nil || !slices.ContainsFunc(specs, func(there driver.TableSpec) bool { return there.Name == spec.Name }) {
			return nil, errors.Join(errBroken, err)
		}
	}
	table, err := s.Store.OpenTable(ctx, spec)
	return &failingTable{table, s}, err
}

func (s *failing) step(writes int) error {
	if s.left != nil && s.left.Add(-1) < 0 || s.readOnly && writes > 0 {
		return errBroken
	}
	if s.writes != nil {
		s.writes.Add(int64(writes))
	}
	return nil
}

func (t *failingTable) Get(ctx context.Context, keys []driver.Key, sel driver.Selection, visit func(int, driver.Entry)) error {
	if err := t.s.step(0); err != nil {
		return err
	}
	return t.Table.Get(ctx, keys, sel, visit)
}

func (t *failingTable) Put(ctx context.Context, entries []driver.Entry) error {
	if err := t.s.step(len(entries)); err != nil {
		return err
	}
	return t.Table.Put(ctx, entries)
}

func (t *failingTable) PutIf(ctx context.Context, entries []driver.Entry, c driver.Condition) ([]bool, error) {
	if err := t.s.step(len(entries)); err != nil {
		return nil, err
	}
	return t.Table.PutIf(ctx, entries, c)
}

func (t *failingTable) Renew(ctx context.Context, renewals []driver.Renewal) ([]bool, error) {
	if err := t.s.step(len(renewals)); err != nil {
		return nil, err
	}
	return t.Table.Renew(ctx, renewals)
}

func (t *failingTable) Use(ctx context.Context, keys []driver.Key, at time.Time) error {
	if err := t.s.step(1); err != nil {
		return err
	}
	return t.Table.Use(ctx, keys, at)
}

func (t *failingTable) Delete(ctx context.Context, keys []driver.Key) (int, error) {
	if err := t.s.step(len(keys)); err != nil {
		return 0, err
	}
	return t.Table.Delete(ctx, keys)
}

func (t *failingTable) Clear(ctx context.Context, f driver.Filter) (int, error) {
	if err := t.s.step(1); err != nil {
		return 0, err
	}
	return t.Table.Clear(ctx, f)
}

func (t *failingTable) Entries(ctx context.Context, sel driver.Selection) iter.Seq2[driver.Entry, error] {
	return func(yield func(driver.Entry, error) bool) {
		n := 0
		for e, err := range t.Table.Entries(ctx, sel) {
			if n%100 == 99 && err == nil {
				err = t.s.step(0)
			}
			if n++; !yield(e, err) || err != nil {
				return
			}
		}
	}
}
