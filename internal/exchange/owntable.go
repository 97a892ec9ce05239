package exchange

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/bounds"
	"github.com/endpointcache/endpointcache/internal/readonly"
)

// ownTable is a table that belongs to no repository. It is opened when it is first needed.
type ownTable struct {
	spec driver.TableSpec
	x    *Exchange
	mend func(driver.Key) (cachedAt time.Time, ok bool) // see checksum.Options

	bounded bool // it is within the limit of all tables; otherwise nothing leaves it

	mu    sync.Mutex
	store driver.Store
	table driver.Table
}

func (o *ownTable) use(store driver.Store) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.store = store
}

// keptIn is the store that the table is kept in, nil for none.
func (o *ownTable) keptIn() driver.Store {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.store
}

func (o *ownTable) open(ctx context.Context) (driver.Table, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.table != nil {
		return o.table, nil
	}
	table, err := o.store.OpenTable(ctx, o.spec)
	if traits := o.store.Traits(); traits.ReadOnly && errors.Is(err, driver.ErrReadOnly) {
		return readonly.Empty(traits.Kind, o.spec.Name), nil // as long as no program that may write has made it
	}
	if err == nil && o.bounded {
		table, err = o.x.keep(o.store, table, o.spec, &bounds.Declared{})
	}
	if err != nil {
		return nil, err
	}
	o.table = o.x.checked(o.store, table, o.spec.Name, o.mend)
	return o.table, nil
}

// opened is the table, nil where it was not needed yet.
func (o *ownTable) opened() driver.Table {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.table
}

// isThere reports whether the table is in the store: unlike open, it does not make it.
func (o *ownTable) isThere(ctx context.Context) (bool, error) {
	if o.opened() != nil {
		return true, nil
	}
	specs, err := o.keptIn().Tables(ctx)
	return slices.ContainsFunc(specs, func(s driver.TableSpec) bool { return s.Name == o.spec.Name }), err
}
