package exchange

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/declared"
	"github.com/endpointcache/endpointcache/internal/endpoint"
	"github.com/endpointcache/endpointcache/internal/head"
	"github.com/endpointcache/endpointcache/settings"
)

// declare completes what the store is to remember. Controls tells that responses decide by their
// headers.
func (d *Declaration) declare(now time.Time, controls bool) {
	d.Declared.Key, d.Declared.Beside = d.Key, d.Beside
	d.Declared.Scope, d.Declared.DeclaredAt = d.Scope, instant(now)
	if controls && d.Declared.Recipe != nil {
		d.Declared.Recipe = append(slices.Clone(d.Declared.Recipe), endpoint.ByVaryLine)
	}
	if d.Migration == nil {
		d.Migration = func(settings.Declaration) (settings.Step, bool) { return nil, false }
	}
}

// open opens the table that has the entries of the declaration.
func (t *Table) open(ctx context.Context, store driver.Store) error {
	records, err := t.x.records.open(ctx)
	if err != nil {
		return err
	}
	opening := declared.Opening{
		Store: declared.Store{Store: store, Records: records}, Name: t.Name, Given: t.Declared, Log: t.x.log,
		Changed: t.Changed, Migration: t.Migration, Source: t.x.olderEntries, Target: t.newEntries, Finish: t.finish, Forget: t.x.forget,
		ForgetDictionaries: t.x.dictionaries.clearLeading,
	}
	name, table, err := opening.Open(ctx)
	if err != nil {
		return err
	}
	t.stored = name
	return t.take(ctx, store, table)
}

// olderEntries is a table whose marks show in the expiry of its entries: with another key, they
// have other marks.
func (x *Exchange) olderEntries(ctx context.Context, table driver.Table, name string, stored settings.Declaration) (driver.Table, error) {
	old := x.newTable(Declaration{
		Name: name, Key: stored.Key, Beside: stored.Beside, Scope: stored.Scope, Declared: stored,
		Tags: func(driver.Key, any) []string { return nil }, // the entries tell which they have
	}, nil, nil, nil)
	old.table = x.through(table, name, settings.Uncompressed)
	if err := old.mark(ctx); err != nil {
		return nil, err
	}
	return old.table, nil
}

// newEntries is a table that entries of the declaration are put into.
func (t *Table) newEntries(table driver.Table, name string) driver.Table {
	return t.x.through(table, name, t.Compression)
}

// finish makes an entry that a migration has made one as it would have been saved.
func (t *Table) finish(e *driver.Entry, outcome settings.Outcome, stored settings.Declaration) (keep bool, err error) {
	if outcome != settings.Rewritten {
		if stored.Endpoint != "" && stored.Endpoint != t.Declared.Endpoint {
			e.Header, err = head.WithoutValidators(e.Header) // they are another URL's
		}
		return true, err
	}
	value, name, err := t.Decode(e.Payload, t.Tags != nil)
	if err != nil {
		return false, fmt.Errorf("the new payload cannot be decoded: %w", err)
	}
	if name != "" {
		e.Name = name
	}
	if e.Header, err = t.Tagged(e.Header, e.Key, value); err != nil {
		return false, err
	}
	h, err := head.Decode(e.Header)
	if err != nil {
		return false, err
	}
	e.Payload, e.Name, err = t.RedactBody(e.Status, h.Header, e.Payload, e.Name)
	return true, err
}

// forget removes the variants of a table that was dropped.
func (x *Exchange) forget(ctx context.Context, table string) error {
	x.upkeep.forget(table)
	return x.vary.clearLeading(ctx, table)
}

// clearLeading removes the entries of which the first value of the key is that one, if the table
// is there.
func (o *ownTable) clearLeading(ctx context.Context, first string) error {
	if there, err := o.isThere(ctx); err != nil || !there {
		return err
	}
	table, err := o.open(ctx)
	if err != nil {
		return err
	}
	_, err = table.Clear(ctx, driver.Filter{Leading: driver.Key{first}})
	return err
}

// Tables are those of the store.
func (x *Exchange) Tables(ctx context.Context) ([]declared.Table, error) {
	s, err := x.declaredStore(ctx)
	if err != nil {
		return nil, err
	}
	return s.List(ctx)
}

// Drop removes the tables of a repository, and what is kept of them.
func (x *Exchange) Drop(ctx context.Context, repository string) error {
	s, err := x.declaredStore(ctx)
	if err != nil {
		return err
	}
	tables, err := s.List(ctx)
	if err != nil {
		return err
	}
	begun := x.Now()
	names := map[string]bool{repository: true}
	for _, t := range tables {
		if t.Repository == repository {
			names[t.Declared] = true
		}
	}
	if err := s.Drop(ctx, repository, x.forget); err != nil {
		return err
	}
	x.forgetRaw(tables, repository)
	for name := range names {
		if err := x.dictionaries.clearLeading(ctx, name); err != nil {
			return err
		}
	}
	return x.ClearMarks(ctx, names, begun)
}

// forgetRaw lets go of the tables of a repository that were opened without its declaration.
func (x *Exchange) forgetRaw(tables []declared.Table, repository string) {
	x.rawMu.Lock()
	defer x.rawMu.Unlock()
	for _, t := range tables {
		if t.Repository == repository {
			delete(x.raw, t.Name)
		}
	}
}

var errNoStore = errors.New("there is no store")

func (x *Exchange) declaredStore(ctx context.Context) (*declared.Store, error) {
	store := x.records.keptIn()
	if store == nil {
		return nil, errNoStore
	}
	records, err := x.records.open(ctx)
	if err != nil {
		return nil, err
	}
	return &declared.Store{Store: store, Records: records}, nil
}
