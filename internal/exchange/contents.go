package exchange

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/declared"
	"github.com/endpointcache/endpointcache/internal/endpoint"
	"github.com/endpointcache/endpointcache/internal/head"
	"github.com/endpointcache/endpointcache/redact"
	"github.com/endpointcache/endpointcache/settings"
)

// EntryOf returns the repository.Entry of a stored one, as calls with ctx see it. Package
// repository sets it, for package cache.
var EntryOf func(ctx context.Context, t *Table, e driver.Entry) any

// Raw returns a table of the store without its declaration. What it writes outdates what
// was asked for before, as writes to the declared table do. Marked tells that there are marks,
// see [Exchange.HasMarks]: they show in its entries as they do in those of the declared table.
func (x *Exchange) Raw(ctx context.Context, store driver.Store, listed declared.Table, marked bool) (*Table, error) {
	spec := listed.TableSpec
	if t := x.openedRaw(listed, marked); t != nil {
		return t, nil
	}
	opened, err := store.OpenTable(ctx, spec) // without the lock: a store that hangs holds up nobody else
	if err != nil {
		return nil, err
	}
	d, err := x.asListed(ctx, listed)
	if err != nil {
		return nil, err
	}
	x.rawMu.Lock()
	defer x.rawMu.Unlock()
	if t := x.rawOf(listed, marked); t != nil {
		return t, nil
	}
	redactor, err := redact.New(x.opts.Redact)
	if err != nil {
		return nil, err
	}
	t := x.newTable(d, x.fixed, nil, redactor)
	t.stored, t.raw = spec.Name, true
	if marked {
		t.Tags = func(driver.Key, any) []string { return nil } // the entries tell which they have
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

// asListed is the declaration of a table as far as the store remembers it. Of an endpoint that
// makes digests, it needs the key for these, of which it makes none.
func (x *Exchange) asListed(ctx context.Context, listed declared.Table) (Declaration, error) {
	d := Declaration{Name: listed.Declared, Key: listed.Key, Declared: settings.Declaration{Key: listed.Key}}
	known := listed.Declaration
	if known == nil || !slices.Equal(declared.Columns(*known), listed.Key) {
		return d, nil
	}
	d.Key, d.Beside, d.Scope, d.Declared = known.Key, known.Beside, known.Scope, *known
	e, err := endpoint.Remembered(known.Endpoint, known.Recipe, known.Key, known.Scope == settings.PerIdentity)
	if err != nil {
		return d, nil //nolint:nilerr // it is not known
	}
	if endpoint.WantsDigestKey(e) {
		has, err := x.HasDigestKey(ctx)
		if err != nil {
			return d, err
		}
		if has {
			key, err := x.DigestKey(ctx)
			if err != nil {
				return d, err
			}
			e = endpoint.WithDigestKey(e, key).(endpoint.Untyped)
		}
	}
	d.Endpoint, d.Methods, d.Match, d.Request = e, endpoint.MethodsOf(e), e.KeyValues, e.RequestFor
	return d, nil
}

func (x *Exchange) openedRaw(listed declared.Table, marked bool) *Table {
	x.rawMu.Lock()
	defer x.rawMu.Unlock()
	return x.rawOf(listed, marked)
}

// rawOf is the table that Raw has opened, nil for none. The lock is held.
func (x *Exchange) rawOf(listed declared.Table, marked bool) *Table {
	t, ok := x.raw[listed.Name]
	if !ok || !slices.Equal(t.columns(), listed.Key) || t.Marked() != marked {
		return nil
	}
	if d := listed.Declaration; d != nil && (d.Endpoint != t.Declared.Endpoint || !slices.Equal(d.Recipe, t.Declared.Recipe)) {
		return nil
	}
	return t
}

// Marked reports whether entries have marks, which Count and Clear know nothing of: what
// Entries and List yield in a state differs from what these count and remove.
func (t *Table) Marked() bool { return t.marked != nil }

// Undeclared reports whether the table was opened without its declaration.
func (t *Table) Undeclared() bool { return t.raw }

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

// The size of a step that changes or removes entries.
const contentsAtOnce = 500

// SetExpiry gives the entries that are selected, and that wanted accepts, an expiry, zero for
// never, and returns how many. It neither reads nor writes payloads where the selection does
// not ask for them. An entry that is replaced meanwhile keeps the expiry of its replacement.
//
// Old tells that what is known is to be asked for again: what is under way was asked for
// before, and variants are of no use any more. Otherwise, entries that marks have made old
// are left out: they stay so.
func (t *Table) SetExpiry(ctx context.Context, sel driver.Selection, wanted func(driver.Entry) bool, expires time.Time, old bool) (changed int, err error) {
	if old && sel.State != driver.Expired {
		t.outdateAll(ctx)
	}
	step := make([]driver.Entry, 0, contentsAtOnce)
	flush := func() error {
		n, err := t.renew(ctx, step, expires, old)
		changed += n
		step = step[:0]
		return err
	}
	sel.Parts |= driver.Meta | driver.Usage
	for e, err := range t.table.Entries(ctx, sel) {
		if err != nil {
			return changed, err
		}
		if !wanted(e) || !old && isCutShort(e) {
			continue
		}
		if head.IsSealed(e.Header) {
			return changed, errSealedTimes
		}
		e.Payload = nil
		if step = append(step, e); len(step) == contentsAtOnce {
			if err := flush(); err != nil {
				return changed, err
			}
		}
	}
	return changed, flush()
}

// errSealedTimes keeps entries from becoming ones that nobody can open: their seals are about their times, too.
var errSealedTimes = errors.New("entries are sealed: their expiry can only be changed with their keys")

// renew is a step of SetExpiry.
func (t *Table) renew(ctx context.Context, entries []driver.Entry, expires time.Time, old bool) (changed int, err error) {
	keys := make([]driver.Key, len(entries))
	renewals := make([]driver.Renewal, len(entries))
	for i, e := range entries {
		keys[i] = e.Key
		renewals[i] = driver.Renewal{
			Key: e.Key, Seen: e.CachedAt, Name: e.Name, Status: e.Status,
			Header: e.Header, CachedAt: e.CachedAt, ExpiresAt: expires,
		}
		if old {
			if renewals[i].Header, err = withoutVariants(e.Header); err != nil {
				return 0, err
			}
		}
	}
	if old {
		t.outdate(ctx, keys)
	}
	done, err := t.table.Renew(ctx, renewals)
	if err != nil {
		return 0, err
	}
	renewed := entries[:0:0]
	for i, e := range entries {
		if done[i] {
			renewed = append(renewed, e)
		}
	}
	return len(renewed), useEach(ctx, t.table, renewed) // a renewal is a use as of CachedAt
}

// withoutVariants is the encoded header of an entry whose variants are not found any more,
// as they are of another generation.
func withoutVariants(header string) (string, error) {
	if _, ok := head.Value(header, ":"+generationNote); !ok {
		return header, nil
	}
	h, err := head.Decode(header)
	if err != nil {
		return "", err
	}
	h.Notes[generationNote] = rand.Text()
	return head.Encode(h)
}

// ClearWithVariants is Clear. If the filter selects all entries, it removes their variants,
// too. Those of single entries are not found any more, and stay until they are cleared.
func (t *Table) ClearWithVariants(ctx context.Context, f driver.Filter) (int, error) {
	n, err := t.Clear(ctx, f)
	if err != nil || !f.All() {
		return n, err
	}
	return n, t.x.vary.clearLeading(ctx, t.stored)
}

// DeleteWanted removes the entries that are selected and that wanted accepts, and returns
// how many.
func (t *Table) DeleteWanted(ctx context.Context, sel driver.Selection, wanted func(driver.Entry) bool) (deleted int, err error) {
	if sel.State != driver.Expired {
		t.outdateAll(ctx)
	}
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
		if keys = append(keys, e.Key); len(keys) == contentsAtOnce {
			if err := flush(); err != nil {
				return deleted, err
			}
		}
	}
	return deleted, flush()
}
