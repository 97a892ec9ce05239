package cache

import (
	"context"
	"fmt"
	"maps"
	"math"
	"reflect"
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

	// Key has values of key columns, by the columns' names, in which case matters: strings,
	// integers and bools, of any type. A table without such a column, or with one of another
	// kind, has no such response; if that is so of all tables, it is an error. Stores search
	// by the first columns of a key; those in the middle are compared with what these select.
	Key map[string]any

	// KeyPrefix is what strings in key columns begin with, byte by byte, by the columns'
	// names, as in Key.
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

// fit reports a key column that no table has, or for which no table has values of that kind.
func (q Query) fit(tables []*exchange.Table) error {
	for _, name := range slices.Sorted(maps.Keys(q.Key)) {
		if err := fitOne(tables, name, q.Key[name]); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(q.KeyPrefix)) {
		if err := fitOne(tables, name, q.KeyPrefix[name]); err != nil {
			return fmt.Errorf("%w: it has no prefix", err)
		}
	}
	return nil
}

func fitOne(tables []*exchange.Table, name string, value any) error {
	if len(tables) == 0 {
		return nil
	}
	err := fmt.Errorf("no table has a key column %q", name)
	for _, t := range tables {
		if i := columnOf(t, name); i >= 0 {
			if _, err = keyValue(t.Spec().Key[i], value); err == nil {
				return nil
			}
		}
	}
	return fmt.Errorf("cache: query: %w", err)
}

func columnOf(t *exchange.Table, name string) int {
	return slices.IndexFunc(t.Spec().Key, func(c driver.Column) bool { return c.Name == name })
}

// of is the query for a table; ok is false where it selects nothing there.
func (q Query) of(ctx context.Context, t *exchange.Table, now time.Time) (sel selection, ok bool) {
	sel = selection{ctx: ctx, table: t}
	sel.State, sel.Now = q.State, exchange.Instant(now)
	sel.Where = driver.Where{
		Name: q.Name, NamePrefix: q.NamePrefix, MinStatus: q.MinStatus, MaxStatus: q.MaxStatus,
		CachedFrom: instant(q.CachedFrom), CachedBefore: instant(q.CachedBefore), UsedBefore: instant(q.UsedBefore),
	}
	for name := range q.Key {
		if columnOf(t, name) < 0 {
			return sel, false
		}
	}
	for name := range q.KeyPrefix {
		if i := columnOf(t, name); i < 0 || t.Spec().Key[i].Kind != driver.String {
			return sel, false
		}
	}
	var rest []func(driver.Entry) bool
	leads := true // all columns before this one are given
	for i, column := range t.Spec().Key {
		value, given := q.Key[column.Name]
		prefix := q.KeyPrefix[column.Name]
		if given {
			v, err := keyValue(column, value)
			if err != nil {
				return sel, false
			}
			if leads {
				sel.Leading = append(sel.Leading, v)
			} else {
				rest = append(rest, func(e driver.Entry) bool { return e.Key[i] == v })
			}
		}
		switch {
		case prefix == "":
		case leads && !given:
			sel.Where.Prefix = prefix
		default:
			rest = append(rest, func(e driver.Entry) bool { return strings.HasPrefix(e.Key[i].(string), prefix) })
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
	if judged := q.State != repository.All && t.Marked(); judged || len(rest) > 0 {
		sel.wanted = func(e driver.Entry) bool {
			return !slices.ContainsFunc(rest, func(holds func(driver.Entry) bool) bool { return !holds(e) })
		}
	}
	return sel, true
}

func instant(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return exchange.Instant(t)
}

// keyValue is a value as the column has it.
func keyValue(c driver.Column, value any) (driver.Value, error) {
	switch v := reflect.ValueOf(value); {
	case c.Kind == driver.String && v.Kind() == reflect.String:
		return v.String(), nil
	case c.Kind == driver.Bool && v.Kind() == reflect.Bool:
		return v.Bool(), nil
	case c.Kind == driver.Int && v.CanInt():
		return v.Int(), nil
	case c.Kind == driver.Int && v.CanUint() && v.Uint() <= math.MaxInt64:
		return int64(v.Uint()), nil
	case c.Kind == driver.Int && v.CanUint():
		return nil, fmt.Errorf("the key column %q has no integer as great as %d", c.Name, v.Uint())
	}
	return nil, fmt.Errorf("the key column %q is a %s, not a %T", c.Name, c.Kind, value)
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
	out.Key = columnsOf(s.table.Spec().Key, e.Key)
	return out
}
