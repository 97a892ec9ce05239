package cache

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/exchange"
	"github.com/endpointcache/endpointcache/repository"
)

// Query selects stored responses: those that have all the properties which are set. The
// zero value selects all, live and expired.
type Query struct {
	// State is repository.All, Live or Expired.
	State repository.State

	// Key has values of key columns, by the columns' names: strings, integers and bools. A
	// table without such a column has no such response. Stores search by the first columns
	// of a key; those in the middle are compared with what these select.
	Key map[string]any

	// KeyPrefix is what strings in key columns begin with, byte by byte, by the columns'
	// names.
	KeyPrefix map[string]string

	// Name is the readable name, and NamePrefix what it begins with, byte by byte.
	Name, NamePrefix string

	// MinStatus and MaxStatus are the least and the greatest status code.
	MinStatus, MaxStatus int

	// CachedFrom is the earliest instant at which a response was requested, or saved without
	// a request, and CachedBefore the first that is too late. UsedBefore is the first
	// instant of its last use that is too late.
	CachedFrom, CachedBefore, UsedBefore time.Time

	// Match selects by anything else, among what the other properties select. It is called
	// for one response at a time and must not use the cache. Nil: everything.
	Match func(Stored) bool

	// Bodies tells that Match, or the caller, wants the responses' Payload.
	Bodies bool
}

func (q Query) validate() error {
	if q.State > repository.Expired {
		return fmt.Errorf("cache: query: unknown state %d", q.State)
	}
	if q.MinStatus < 0 || q.MaxStatus < 0 {
		return fmt.Errorf("cache: query: the status is negative")
	}
	return nil
}

// selection is what a query selects of a table.
type selection struct {
	driver.Selection
	ctx    context.Context
	table  *exchange.Table
	wanted func(driver.Entry) bool // what the store cannot tell; nil: it tells all
}

// of is the query for a table; ok is false where it selects nothing there.
func (q Query) of(ctx context.Context, t *exchange.Table, now time.Time) (sel selection, ok bool, err error) {
	sel = selection{ctx: ctx, table: t}
	sel.State, sel.Now = q.State, exchange.Instant(now)
	sel.Where = driver.Where{
		Name: q.Name, NamePrefix: q.NamePrefix, MinStatus: q.MinStatus, MaxStatus: q.MaxStatus,
		CachedFrom: instant(q.CachedFrom), CachedBefore: instant(q.CachedBefore), UsedBefore: instant(q.UsedBefore),
	}
	columns := t.Spec().Key
	for name := range q.Key {
		if !has(columns, name) {
			return sel, false, nil
		}
	}
	for name := range q.KeyPrefix {
		if !has(columns, name) {
			return sel, false, nil
		}
	}
	var rest []func(driver.Entry) bool
	leads := true // all columns before this one are given
	for i, column := range columns {
		value, given := q.Key[column.Name]
		prefix, begins := q.KeyPrefix[column.Name]
		if given {
			v, err := keyValue(column, value)
			if err != nil {
				return sel, false, fmt.Errorf("cache: query: table %q: %w", t.Name, err)
			}
			if leads {
				sel.Leading = append(sel.Leading, v)
			} else {
				rest = append(rest, func(e driver.Entry) bool { return e.Key[i] == v })
			}
		}
		if begins && prefix != "" {
			if column.Kind != driver.String {
				return sel, false, fmt.Errorf("cache: query: table %q: the key column %q is no string: it has no prefix", t.Name, column.Name)
			}
			if leads && !given {
				sel.Where.Prefix = prefix
			} else {
				rest = append(rest, func(e driver.Entry) bool { return strings.HasPrefix(e.Key[i].(string), prefix) })
			}
		}
		leads = leads && given
	}
	if q.Bodies {
		sel.Parts |= driver.Payload
	}
	if q.Match != nil {
		sel.Parts |= driver.Meta | driver.Usage
		whole := sel
		rest = append(rest, func(e driver.Entry) bool { return q.Match(whole.stored(e)) })
	}
	if len(rest) > 0 {
		sel.wanted = func(e driver.Entry) bool {
			return !slices.ContainsFunc(rest, func(holds func(driver.Entry) bool) bool { return !holds(e) })
		}
	}
	return sel, true, nil
}

func instant(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return exchange.Instant(t)
}

func has(columns []driver.Column, name string) bool {
	return slices.ContainsFunc(columns, func(c driver.Column) bool { return c.Name == name })
}

// keyValue is a value as the column has it.
func keyValue(c driver.Column, v any) (driver.Value, error) {
	switch n := v.(type) {
	case int:
		v = int64(n)
	case int32:
		v = int64(n)
	}
	ok := false
	switch v.(type) {
	case string:
		ok = c.Kind == driver.String
	case int64:
		ok = c.Kind == driver.Int
	case bool:
		ok = c.Kind == driver.Bool
	}
	if !ok {
		return nil, fmt.Errorf("the key column %q is a %s, not a %T", c.Name, c.Kind, v)
	}
	return v, nil
}

// keyOf is the key with these values in a table.
func keyOf(spec driver.TableSpec, values []any) (driver.Key, error) {
	if len(values) != len(spec.Key) {
		return nil, fmt.Errorf("the key has %d values, not %d: %s", len(spec.Key), len(values), spec.KeyString())
	}
	key := make(driver.Key, len(values))
	for i, v := range values {
		var err error
		if key[i], err = keyValue(spec.Key[i], v); err != nil {
			return nil, err
		}
	}
	return key, nil
}

// stored is an entry of the table as callers see it.
func (s selection) stored(e driver.Entry) Stored {
	if s.Parts&driver.Payload == 0 {
		e.Payload = nil
	} else if s.table.SharesPayload() {
		e.Payload = slices.Clone(e.Payload)
	}
	out := Stored{Table: s.table.Spec().Name, UsedAt: e.UsedAt, Size: e.Size, Entry: exchange.EntryOf(s.ctx, s.table, e).(repository.Entry)}
	out.Repository, out.Origin = splitTable(s.table.Name)
	for i, column := range s.table.Spec().Key {
		out.Key = append(out.Key, KeyColumn{column.Name, e.Key[i]})
	}
	return out
}
