// Package readonly makes tables and stores that refuse to be changed, for stores that were
// opened to be read: so that none of them can forget a method.
package readonly

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/layer"
)

// Errors of opening a table.
var (
	ErrNoTable  = fmt.Errorf("%w, and there is no such table", driver.ErrReadOnly)
	ErrOldTable = fmt.Errorf("%w, and the table is of an earlier version of the library: open the store once to write", driver.ErrReadOnly)
)

// Table returns below, a table of that name in a store of that kind, as one that refuses
// changes with [driver.ErrReadOnly]. Calls that change nothing, as they are given no keys or
// entries, go on to below, which knows whether it is closed.
func Table(kind, name string, below driver.Table) driver.Table {
	t := &table{below: below, kind: kind, name: name}
	return layer.Like(t, below, func(layer.PutIf) layer.PutIf { return t.PutIf })
}

// table has its methods one by one: a new one of driver.Table has to be thought of.
type table struct {
	below      driver.Table
	kind, name string
}

// refuse is the error of an operation, unless it fails on what is no change.
func (t *table) refuse(ctx context.Context, op string) error {
	if _, err := t.below.Delete(ctx, nil); err != nil {
		return err
	}
	return opError(t.kind, op, t.name)
}

func opError(kind, op, table string) error {
	return &driver.OpError{Store: kind, Op: op, Table: table, Err: driver.ErrReadOnly}
}

func (t *table) Get(ctx context.Context, keys []driver.Key, sel driver.Selection, visit func(int, driver.Entry)) error {
	return t.below.Get(ctx, keys, sel, visit)
}

func (t *table) Count(ctx context.Context, f driver.Filter) (int, error) {
	return t.below.Count(ctx, f)
}

func (t *table) Entries(ctx context.Context, sel driver.Selection) iter.Seq2[driver.Entry, error] {
	return t.below.Entries(ctx, sel)
}

func (t *table) List(ctx context.Context, l driver.Listing) ([]driver.Entry, error) {
	return t.below.List(ctx, l)
}

func (t *table) Size(ctx context.Context) (driver.Size, error) { return t.below.Size(ctx) }

func (t *table) Put(ctx context.Context, entries []driver.Entry) error {
	if len(entries) == 0 {
		return t.below.Put(ctx, nil)
	}
	return t.refuse(ctx, "save to")
}

func (t *table) PutIf(ctx context.Context, entries []driver.Entry, c driver.Condition) ([]bool, error) {
	if len(entries) == 0 {
		return t.below.PutIf(ctx, nil, c)
	}
	return nil, t.refuse(ctx, "save to")
}

func (t *table) Renew(ctx context.Context, renewals []driver.Renewal) ([]bool, error) {
	if len(renewals) == 0 {
		return t.below.Renew(ctx, nil)
	}
	return nil, t.refuse(ctx, "renew in")
}

func (t *table) Use(ctx context.Context, keys []driver.Key, at time.Time) error {
	if len(keys) == 0 {
		return t.below.Use(ctx, nil, at)
	}
	return t.refuse(ctx, "record uses in")
}

func (t *table) Delete(ctx context.Context, keys []driver.Key) (int, error) {
	if len(keys) == 0 {
		return t.below.Delete(ctx, nil)
	}
	return 0, t.refuse(ctx, "delete from")
}

func (t *table) Pop(ctx context.Context, _ driver.Key, _ driver.Filter) (driver.Entry, bool, error) {
	return driver.Entry{}, false, t.refuse(ctx, "pop from")
}

func (t *table) Clear(ctx context.Context, _ driver.Filter) (int, error) {
	return 0, t.refuse(ctx, "clear")
}
