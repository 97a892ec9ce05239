package exchange

import (
	"context"
	"errors"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/head"
	"github.com/endpointcache/endpointcache/redact"
	"github.com/endpointcache/endpointcache/settings"
)

// PlaceFor finds the table for entries of a repository that were stored by a declaration, nil if none is
// known, in tables with these key columns: its name, and the one that it would have without a change
// of the declaration. The store remembers what it has to know of the table, which may have to be made. The error is
// [ErrUnkept] where the repository has tables for too many other origins.
func (x *Exchange) PlaceFor(ctx context.Context, repository, origin string, d *settings.Declaration, key []driver.Column) (name, own string, err error) {
	if err := checkName(repository); err != nil {
		return "", "", err
	}
	if err := (driver.TableSpec{Name: repository, Key: key}).Validate(); err != nil {
		return "", "", err
	}
	s, err := x.declaredStore(ctx)
	if err != nil {
		return "", "", err
	}
	p, err := s.Plan(ctx, repository, d, key, 1)
	if err != nil {
		return "", "", err
	}
	before := p.Others()
	name, own = p.Place(origin)
	if before >= mostOrigins && p.Others() > before {
		return "", "", ErrUnkept
	}
	return name, own, p.Do(ctx)
}

// Prepare makes an entry one as the table stores it: without what is never stored, and if the declaration
// is known, with a name and tags where it has none, as it comes from elsewhere. It is false for one
// that is not to be stored.
func (t *Table) Prepare(ctx context.Context, e *driver.Entry) (keep bool, err error) {
	h, err := head.Decode(t.Header(ctx, e.Header))
	if err != nil {
		return false, err
	}
	h, e.Payload, err = t.Redact(e.Status, h, e.Payload)
	if errors.Is(err, redact.ErrNotStored) {
		return false, nil
	}
	if err == nil {
		e.Header, err = head.Encode(h)
	}
	if err != nil || t.Decode == nil || !hasValue(e.Status) {
		return err == nil, err
	}
	value, name, err := t.Decode(e.Payload, t.Tags != nil)
	if err != nil {
		return true, nil //nolint:nilerr // whoever reads it is told
	}
	if e.Name == "" {
		e.Name = name
	}
	if _, tagged := h.Notes[tagsNote]; !tagged {
		e.Header, err = t.Tagged(e.Header, e.Key, value)
	}
	return err == nil, err
}

// Restore stores entries with all their times, of two with one key the later, or if newer ones are to
// stay, the newer. It returns how many it has stored.
func (t *Table) Restore(ctx context.Context, entries []driver.Entry, keepNewer bool) (stored int, err error) {
	entries = LastOfEach(entries, keepNewer)
	if keepNewer {
		done, err := t.PutNewer(ctx, entries)
		if err != nil {
			return 0, err
		}
		kept := entries[:0:0]
		for i, e := range entries {
			if done[i] {
				kept = append(kept, e)
			}
		}
		entries = kept
	} else if err := t.Put(ctx, entries); err != nil {
		return 0, err
	}
	return len(entries), useEach(ctx, t.table, entries)
}

// LastOfEach are the entries that have no later one of the same key, or where the newest is wanted, no newer
// one. They are in their order.
func LastOfEach(entries []driver.Entry, newest bool) []driver.Entry {
	at := make(map[string]int, len(entries))
	last := make([]driver.Entry, 0, len(entries))
	var key []byte
	for _, e := range entries {
		key = driver.AppendKey(key[:0], e.Key)
		i, ok := at[string(key)]
		switch {
		case !ok:
			at[string(key)] = len(last)
			last = append(last, e)
		case !newest || !last[i].CachedAt.After(e.CachedAt):
			last[i] = e
		}
	}
	return last
}
