package exchange

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/declared"
)

// A store is opaque if the keys of what caches keep for themselves are digests, by a layer that this
// program does not have: nobody can tell which record is about what. It can be copied as a whole, to a
// store that has nothing else of caches.

var errOpaque = errors.New("its keys are sealed: without the keys of both stores, it can only be copied as a whole, to one that has no other contents")

func (s *side) opaque() bool {
	spec, ok := s.specs[RecordsTable]
	return ok && !slices.Equal(spec.Key, recordColumns)
}

func (c *copying) runOpaque(ctx context.Context) error {
	records := c.from.specs[RecordsTable]
	if there, ok := c.to.specs[RecordsTable]; len(c.Repositories) > 0 || !c.from.opaque() || ok && !slices.Equal(there.Key, records.Key) {
		return errOpaque
	}
	if err := c.fitOpaque(ctx, records); err != nil {
		return err
	}
	if err := c.apart(ctx, records); err != nil {
		return err
	}
	specs := []driver.TableSpec{records}
	if dictionaries, ok := c.from.specs[DictionariesTable]; ok {
		specs = append(specs, dictionaries)
	}
	for _, name := range slices.Sorted(maps.Keys(c.from.specs)) {
		if name != VariantsTable && declared.Own(name) {
			continue
		}
		spec := c.from.specs[name]
		table, err := c.from.store.OpenTable(ctx, spec)
		if err != nil {
			return err
		}
		n, err := table.Count(ctx, driver.Filter{})
		if err != nil {
			return err
		}
		c.progress.Total += n
		specs = append(specs, spec)
	}
	c.report()
	for i, spec := range specs {
		if err := c.copyAll(ctx, spec, i > 0 && spec.Name != DictionariesTable); err != nil {
			return fmt.Errorf("%q: %w", spec.Name, err)
		}
	}
	return c.ended()
}

// fitOpaque reports a target that has other records or tables.
func (c *copying) fitOpaque(ctx context.Context, records driver.TableSpec) error {
	for name, spec := range c.from.specs {
		if there, ok := c.to.specs[name]; ok && !slices.Equal(there.Key, spec.Key) {
			return otherKeys(spec, there)
		}
	}
	if _, ok := c.to.specs[RecordsTable]; !ok {
		return nil
	}
	from, err := c.from.store.OpenTable(ctx, records)
	if err != nil {
		return err
	}
	to, err := c.to.store.OpenTable(ctx, records)
	if err != nil {
		return err
	}
	for e, err := range from.Entries(ctx, driver.Selection{Parts: driver.Payload | driver.Meta}) {
		if err != nil {
			return err
		}
		var there once
		if err := to.Get(ctx, []driver.Key{e.Key}, driver.Selection{Parts: driver.Payload | driver.Meta}, there.visit); err != nil {
			return err
		}
		if there.ok && lasts(&e) && !sameEntry(&there.entry, &e) {
			return errSealed
		}
	}
	return nil
}

func otherKeys(want, have driver.TableSpec) error {
	return &driver.SchemaError{Table: want.Name, Want: want.KeyString(), Have: have.KeyString()}
}

// lasts reports whether what caches keep for themselves is no right that ends.
func lasts(e *driver.Entry) bool { return e.ExpiresAt.IsZero() }

// copyAll copies a whole table.
func (c *copying) copyAll(ctx context.Context, spec driver.TableSpec, counted bool) (err error) {
	c.progress.Table = spec.Name
	r := rowCopy{c: c, counted: counted}
	if !counted {
		r.keep = lasts
	}
	if r.from, err = c.from.store.OpenTable(ctx, spec); err != nil {
		return err
	}
	if r.to, err = c.to.within(ctx, spec); err != nil {
		return err
	}
	return r.run(ctx)
}
