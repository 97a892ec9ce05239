package exchange

import (
	"context"
	"slices"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/declared"
	"github.com/endpointcache/endpointcache/settings"
)

// EntryOf returns the repository.Entry of a stored one, as calls with ctx see it. Package
// repository sets it, for package cache.
var EntryOf func(ctx context.Context, t *Table, e driver.Entry) any

// Raw returns a table of the store without its declaration. What it writes outdates what
// was asked for before, as writes to the declared table do.
func (x *Exchange) Raw(ctx context.Context, store driver.Store, listed declared.Table) (*Table, error) {
	spec := listed.TableSpec
	x.rawMu.Lock()
	defer x.rawMu.Unlock()
	if t, ok := x.raw[spec.Name]; ok && slices.Equal(t.Declaration.Key, spec.Key) {
		return t, nil
	}
	own := Declaration{Name: listed.Declared, Key: spec.Key, Declared: settings.Declaration{Key: spec.Key}}
	t := x.newTable(own, x.fixed, nil, nil)
	t.stored, t.raw = spec.Name, true
	opened, err := store.OpenTable(ctx, spec)
	if err != nil {
		return nil, err
	}
	if err := t.take(ctx, store, opened); err != nil {
		return nil, err
	}
	t.origins = newOrigins(t)
	if x.raw == nil {
		x.raw = make(map[string]*Table)
	}
	x.raw[spec.Name] = t
	return t, nil
}

// Spec describes the table in the store.
func (t *Table) Spec() driver.TableSpec {
	return driver.TableSpec{Name: t.stored, Key: t.columns()}
}

// List lists entries, see [driver.Table].
func (t *Table) List(ctx context.Context, l driver.Listing) ([]driver.Entry, error) {
	return t.table.List(ctx, l)
}

// Size tells how much the table holds, see [driver.Table].
func (t *Table) Size(ctx context.Context) (driver.Size, error) { return t.table.Size(ctx) }

// The size of a step that changes lifetimes.
const lifetimesAtOnce = 500

// SetExpiry gives the entries that are selected, and that wanted accepts, the expiry that at
// returns, and returns how many. It neither reads nor writes payloads where the selection
// does not ask for them. An entry that is replaced meanwhile keeps the expiry of its
// replacement. Old tells that what is known is to be asked for again: what is under way
// was asked for before.
func (t *Table) SetExpiry(ctx context.Context, sel driver.Selection, wanted func(driver.Entry) bool, at func(driver.Entry) time.Time, old bool) (changed int, err error) {
	var step []driver.Renewal
	flush := func() error {
		if len(step) == 0 {
			return nil
		}
		if old {
			keys := make([]driver.Key, len(step))
			for i := range step {
				keys[i] = step[i].Key
			}
			t.outdate(ctx, keys)
		}
		done, err := t.table.Renew(ctx, step)
		for _, ok := range done {
			if ok {
				changed++
			}
		}
		step = step[:0]
		return err
	}
	sel.Parts |= driver.Meta
	for e, err := range t.table.Entries(ctx, sel) {
		if err != nil {
			return changed, err
		}
		if !wanted(e) {
			continue
		}
		step = append(step, driver.Renewal{
			Key: e.Key, Seen: e.CachedAt, Name: e.Name, Status: e.Status,
			Header: e.Header, CachedAt: e.CachedAt, ExpiresAt: at(e),
		})
		if len(step) == lifetimesAtOnce {
			if err := flush(); err != nil {
				return changed, err
			}
		}
	}
	return changed, flush()
}

// DeleteWanted removes the entries that are selected and that wanted accepts, and returns
// how many.
func (t *Table) DeleteWanted(ctx context.Context, sel driver.Selection, wanted func(driver.Entry) bool) (deleted int, err error) {
	var keys []driver.Key
	flush := func() error {
		if len(keys) == 0 {
			return nil
		}
		n, err := t.Delete(ctx, keys)
		deleted += n
		keys = keys[:0]
		return err
	}
	for e, err := range t.table.Entries(ctx, sel) {
		if err != nil {
			return deleted, err
		}
		if !wanted(e) {
			continue
		}
		if keys = append(keys, e.Key); len(keys) == lifetimesAtOnce {
			if err := flush(); err != nil {
				return deleted, err
			}
		}
	}
	return deleted, flush()
}
