package exchange

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/credential"
	"github.com/endpointcache/endpointcache/internal/whose"
)

// Invalidation is what a write has made old.
type Invalidation struct {
	x      *Exchange
	tables []*outdated
	tags   []string

	patient bool // the caller waits for the store, and wants its error
}

// outdated is what is old in one table.
type outdated struct {
	table *Table
	keys  []driver.Key
	urls  []string // names of the marks of URLs
	all   bool
}

// NewInvalidation returns one that is empty.
func (x *Exchange) NewInvalidation() *Invalidation { return &Invalidation{x: x} }

func (inv *Invalidation) of(t *Table) *outdated {
	for _, o := range inv.tables {
		if o.table == t {
			return o
		}
	}
	o := &outdated{table: t}
	inv.tables = append(inv.tables, o)
	return o
}

// Keys adds entries by their keys.
func (inv *Invalidation) Keys(t *Table, keys ...driver.Key) {
	o := inv.of(t)
	for _, key := range keys {
		if !slices.ContainsFunc(o.keys, func(other driver.Key) bool { return slices.Equal(other, key) }) {
			o.keys = append(o.keys, key)
		}
	}
}

// URL adds all entries of the key's URL, and reports whether that is more than one key.
func (inv *Invalidation) URL(t *Table, key driver.Key) bool {
	if t.marked == nil || t.marked.url == nil {
		return false
	}
	o := inv.of(t)
	if name := t.marked.urlName(key); !slices.Contains(o.urls, name) {
		o.urls = append(o.urls, name)
	}
	return true
}

// RequestURL adds all entries of the URL of req, whatever its method, headers and body, and
// reports whether the endpoint tells them.
func (inv *Invalidation) RequestURL(t *Table, req *http.Request) bool {
	if t.MatchURL == nil {
		return false
	}
	key, ok := t.MatchURL(req)
	if !ok {
		return false
	}
	placed, whole, identified := t.Written(req.Context(), req, key, nil)
	switch {
	case inv.URL(placed, whole):
	case identified && t.reads():
		inv.Keys(placed, whole) // the only one of the URL
	default:
		return false
	}
	return true
}

// reads reports whether the endpoint has requests that read what is at their URL: others may
// have methods that only it can tell from writes.
func (t *Table) reads() bool {
	return len(t.Methods) == 0 || slices.Contains(t.Methods, http.MethodGet) || slices.Contains(t.Methods, http.MethodHead)
}

// All adds all entries of a table.
func (inv *Invalidation) All(t *Table) { inv.of(t).all = true }

// Tags adds all entries with one of the tags, of all tables.
func (inv *Invalidation) Tags(tags ...string) {
	for _, tag := range tags {
		if !slices.Contains(inv.tags, tag) {
			inv.tags = append(inv.tags, tag)
		}
	}
}

// Written finds where the entries are that a caller means by a key of the table's endpoint:
// the table of the origin of req, or where that is nil of typed calls, and the key with the
// identity of the request or of the context. It is false for identified where nobody knows
// whose entry it is: the key has no more than the place of the identity then, which is of use
// for [Invalidation.URL].
func (t *Table) Written(ctx context.Context, req *http.Request, key driver.Key, signer credential.Signer) (placed *Table, whole driver.Key, identified bool) {
	placed = t.View()
	if req != nil {
		var err error
		if placed, err = t.AtRequest(ctx, req); err != nil {
			return t.Detached(req), key, false
		}
	}
	if !t.Scoped() {
		return placed, key, true
	}
	identity := whose.Of(ctx)
	if req != nil {
		identity, _, _ = t.RequestIdentity(ctx, req, signer)
	}
	return placed, append(driver.Key{identity}, key...), identity != ""
}

// Entry adds the entry of a key of the table's endpoint, for a write by req, or where that is
// nil by ctx. Where nobody knows whose write it is, the entries of all are added.
func (inv *Invalidation) Entry(ctx context.Context, t *Table, req *http.Request, key driver.Key, signer credential.Signer) {
	placed, whole, identified := t.Written(ctx, req, key, signer)
	if identified {
		inv.Keys(placed, whole)
	} else {
		inv.URL(placed, whole)
	}
}

// Try carries the invalidation out as far as the store lets it, for a request that has been
// answered.
func (inv *Invalidation) Try(ctx context.Context) {
	_ = inv.run(context.WithoutCancel(ctx))
}

// Do carries the invalidation out.
func (inv *Invalidation) Do(ctx context.Context) error {
	ctx, cancel := limitless(ctx)
	defer cancel()
	inv.patient = true
	return explained(ctx, inv.run(ctx))
}

// run first keeps what was asked for before from being saved and from being joined. Marks
// come before removals, which take longer.
func (inv *Invalidation) run(ctx context.Context) error {
	since := inv.x.invalidating()
	inv.outdate(ctx)
	errs := []error{inv.mark(ctx, since)}
	for _, o := range inv.tables {
		t := o.table
		if t.table == nil {
			continue
		}
		switch {
		case o.all && !t.marksAll():
			errs = append(errs, inv.clear(ctx, t))
		case len(o.keys) > 0:
			errs = append(errs, inv.do(ctx, t, "delete", len(o.keys), func(ctx context.Context) error {
				_, err := t.table.Delete(ctx, o.keys)
				return err
			}))
		}
	}
	return errors.Join(errs...)
}

// do runs an operation on n keys.
func (inv *Invalidation) do(ctx context.Context, t *Table, op string, n int, run func(context.Context) error) error {
	if inv.patient {
		return run(ctx)
	}
	return inv.x.guard.do(ctx, t, op, n, run)
}

// clear removes all entries of a table.
func (inv *Invalidation) clear(ctx context.Context, t *Table) error {
	if !inv.patient {
		return t.clearSoon(ctx)
	}
	_, err := t.table.Clear(ctx, driver.Filter{})
	return err
}

// marksAll reports whether one mark makes all of the table's entries old.
func (t *Table) marksAll() bool { return t.marked != nil && t.marked.tagged }

// mark sets the marks.
func (inv *Invalidation) mark(ctx context.Context, since time.Time) error {
	m := &inv.x.marks
	var list []mark
	for _, o := range inv.tables {
		for _, name := range o.urls {
			list = append(list, mark{name, o.table.Name})
		}
		if o.all && o.table.marksAll() {
			list = append(list, mark{o.table.marked.tableName(), o.table.Name})
		}
	}
	if len(list) == 0 && len(inv.tags) == 0 {
		return nil
	}
	if err := m.open(ctx); err != nil {
		inv.x.log.Warn("endpointcache: invalidation failed", "error", err)
		return err
	}
	for _, tag := range inv.tags {
		list = append(list, mark{name: m.nameOf(tagMark, tag)})
	}
	return inv.do(ctx, m.table, "mark", len(list), func(ctx context.Context) error { return m.set(ctx, list, since) })
}

// outdate outdates the flights of what is old, see [Table.outdate].
func (inv *Invalidation) outdate(ctx context.Context) {
	tables := make(map[*Table]*outdated, len(inv.tables))
	flying := len(inv.tags) > 0
	for _, o := range inv.tables {
		tables[o.table] = o
		flying = flying || o.table.flying.Load() > 0
	}
	if !flying {
		return
	}
	inv.x.outdateWhere(ctx, func(yield func(*Flight) bool) {
		for _, f := range inv.x.flights.byKey {
			for ; f != nil; f = f.next {
				if (tables[f.ask.Table].concerns(f) || len(inv.tags) > 0 && f.ask.Table.Tags != nil) && !yield(f) {
					return
				}
			}
		}
	})
}

// concerns reports whether what a flight brings is old already. The tags of its answer are
// not known yet.
func (o *outdated) concerns(f *Flight) bool {
	switch {
	case o == nil:
		return false
	case o.all, slices.ContainsFunc(o.keys, func(key driver.Key) bool { return slices.Equal(key, f.ask.Key) }):
		return true
	}
	return len(o.urls) > 0 && slices.Contains(o.urls, o.table.marked.urlName(f.ask.Key))
}

// clearSoon removes all entries, and returns when that has ended or has taken as long as a
// caller waits for the store. It goes on then.
func (t *Table) clearSoon(ctx context.Context) error {
	g := &t.x.guard
	if !g.allow(t) {
		return g.leftOut(ctx, t, "clear")
	}
	if !t.x.running.enter() {
		return ErrClosed
	}
	cleared := make(chan error, 1)
	go func() {
		defer t.x.running.leave()
		ctx, cancel := context.WithTimeoutCause(ctx, unhurried, ErrStoreSlow)
		defer cancel()
		cleared <- g.ended(ctx, t, "clear", guarded(func() error {
			_, err := t.table.Clear(ctx, driver.Filter{})
			return err
		}))
	}()
	late := time.NewTimer(t.x.opts.StoreTimeout)
	defer late.Stop()
	select {
	case err := <-cleared:
		return err
	case <-late.C:
		return nil
	}
}

// InvalidateTags makes all entries with one of the tags old, of all tables and in all caches
// on the store.
func (x *Exchange) InvalidateTags(ctx context.Context, tags ...string) error {
	if len(tags) == 0 {
		return ctx.Err()
	}
	inv := x.NewInvalidation()
	inv.Tags(tags...)
	return inv.Do(ctx)
}

// Write is an endpoint whose requests change what is stored.
type Write struct {
	Endpoint any // request.Endpoint[K]

	// Match is false for a request that is not one of the endpoint's. Otherwise it
	// returns what adds to an invalidation what the request makes old. It may replace the
	// request's body by an equal one.
	Match func(*http.Request) (add func(context.Context, *Invalidation) error, ok bool, err error)
}
