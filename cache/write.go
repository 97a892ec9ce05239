package cache

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/endpointcache/endpointcache/internal/endpoint"
	"github.com/endpointcache/endpointcache/internal/exchange"
	"github.com/endpointcache/endpointcache/settings"
)

// Write is an endpoint that changes what is stored, as [AddWrite] has added it.
type Write[K comparable] struct {
	cache    *ResponseCache
	settings settings.WriteSettings[K]
}

// AddWrite declares what the requests of an endpoint make old. Transports over the cache
// obey it for each request whose response is no error; where writes are made by other means,
// [Write.Invalidate] is to be called.
//
// The error is [ErrNotFound] where the cache has no repository that w names, [ErrType] where
// one has other keys, and [ErrSamePattern] where the same requests were declared before.
func AddWrite[K comparable](c *ResponseCache, w settings.WriteSettings[K]) (*Write[K], error) {
	if c == nil {
		return nil, fmt.Errorf("cache: add write: %w", errNoCache)
	}
	pattern := w.Pattern
	w, err := w.Resolve()
	if err != nil {
		return nil, fmt.Errorf("cache: add write: %w", err)
	}
	added := &Write[K]{cache: c, settings: w}
	if err := added.validate(); err != nil {
		return nil, fmt.Errorf("cache: add write %q: %w", pattern, err)
	}
	declared := &exchange.Write{Endpoint: w.Endpoint, Match: added.match}
	if err := c.addWrite(declared); err != nil {
		return nil, fmt.Errorf("cache: add write %q: %w", pattern, err)
	}
	return added, nil
}

func (c *ResponseCache) addWrite(w *exchange.Write) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, other := range c.writes {
		if endpoint.Hides(other.Endpoint, w.Endpoint) {
			return ErrSamePattern
		}
	}
	c.writes = append(slices.Clip(c.writes), w)
	return nil
}

func (w *Write[K]) validate() error {
	for _, inv := range w.settings.Invalidates {
		table, err := w.table(inv.Repository())
		if err != nil {
			return err
		}
		if table.KeyType != inv.KeyType() {
			return fmt.Errorf("%w: the keys of %q are of type %v, and not %v", ErrType, table.Name, table.KeyType, inv.KeyType())
		}
	}
	for _, name := range w.settings.InvalidatesAll {
		if _, err := w.table(name); err != nil {
			return err
		}
	}
	return nil
}

func (w *Write[K]) table(name string) (*exchange.Table, error) {
	if m := w.cache.member(name); m != nil {
		return m.table, nil
	}
	return nil, fmt.Errorf("%w: %q", ErrNotFound, name)
}

func (w *Write[K]) match(req *http.Request) (add func(context.Context, *exchange.Invalidation) error, ok bool, err error) {
	key, ok, err := w.settings.Endpoint.Key(req)
	if err != nil || !ok {
		return nil, false, err
	}
	return func(ctx context.Context, inv *exchange.Invalidation) error { return w.add(ctx, req, key, inv) }, true, nil
}

// add adds what a write makes old. Repositories that have been removed since are left out;
// the error is that of keys which are none.
func (w *Write[K]) add(ctx context.Context, req *http.Request, key K, inv *exchange.Invalidation) error {
	var failed []error
	for _, declared := range w.settings.Invalidates {
		table, err := w.table(declared.Repository())
		if err != nil {
			continue
		}
		for _, typed := range declared.Keys(key) {
			k, err := table.KeyOf(typed)
			if err != nil {
				failed = append(failed, err)
				continue
			}
			inv.Entry(ctx, table, req, k, nil)
		}
	}
	for _, name := range w.settings.InvalidatesAll {
		if table, err := w.table(name); err == nil {
			placed, _, _ := table.Written(ctx, req, nil, nil)
			inv.All(placed)
		}
	}
	if w.settings.InvalidatesTags != nil {
		inv.Tags(w.settings.InvalidatesTags(key)...)
	}
	return errors.Join(failed...)
}

// Invalidate makes old what a write about key has changed. It is for writes that no
// transport over the cache has sent. When it returns, no read finds the old entries any more,
// in this process or another, and no response to an earlier request of this cache is stored.
// One that another process asked for may be stored afterwards; tags keep that out, too.
func (w *Write[K]) Invalidate(ctx context.Context, key K) error {
	inv := w.cache.exchange.NewInvalidation()
	if err := errors.Join(w.add(ctx, nil, key, inv), inv.Do(ctx)); err != nil {
		return fmt.Errorf("cache: invalidate: %w", err)
	}
	return nil
}

// InvalidateTags makes all entries with one of the tags old, however many there are: it takes
// one write for each tag. It is about all repositories on the store that declare Tags, those
// of other caches and processes included. Reads do not return old entries unless they allow
// expired ones; fetches ask the API again, with the validators of what is stored.
func (c *ResponseCache) InvalidateTags(ctx context.Context, tags ...string) error {
	if err := c.exchange.InvalidateTags(ctx, tags...); err != nil {
		return fmt.Errorf("cache: invalidate tags: %w", err)
	}
	return nil
}

func (c *ResponseCache) declaredWrites() []*exchange.Write {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.writes // never changed in place
}

// clearMarks removes the marks of entries that were all removed.
func (c *ResponseCache) clearMarks(ctx context.Context, begun time.Time) error {
	tables := make(map[string]bool)
	for _, r := range c.snapshot() {
		family, err := exchange.OfRepository(r).Family(ctx)
		if err != nil {
			return err
		}
		for _, table := range family {
			tables[table.Name] = true
		}
	}
	return c.exchange.ClearMarks(ctx, tables, begun)
}
