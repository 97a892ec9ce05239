package repository

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/exchange"
	"github.com/endpointcache/endpointcache/internal/head"
)

// getMany gets the entries for keys that are wanted, each turned into a T: beside
// reading, where that is worth it.
func getMany[K comparable, V, T any](ctx context.Context, r *ResponseRepository[K, V], keys []K, parts driver.Parts, wanted func(status int) bool, opts []ReadOption, beside bool, convert func(K, driver.Entry) (T, error)) (map[K]T, error) {
	driverKeys, err := r.driverKeys(ctx, keys)
	if err != nil {
		return nil, err
	}
	// Written without a lock, as no index is visited twice.
	values, found, failed := make([]T, len(keys)), make([]bool, len(keys)), make([]error, len(keys))
	take := func(i int, e driver.Entry) {
		if wanted(e.Status) {
			values[i], failed[i] = convert(keys[i], e)
			found[i] = failed[i] == nil
		}
	}
	table, err := r.view(ctx)
	if err != nil {
		return nil, err
	}
	read := table.Get
	if beside {
		read = table.Read
	}
	if err := read(ctx, driverKeys, r.selection(parts, opts), take); err != nil {
		return nil, err
	}
	byKey := make(map[K]T, len(keys))
	for i, key := range keys {
		if found[i] {
			byKey[key] = values[i]
		}
	}
	return byKey, errors.Join(failed...)
}

// lookup is the memory of one get, in one allocation.
type lookup[K comparable] struct {
	key    K
	values [9]driver.Value
	keys   [1]driver.Key
	found  driver.Entry
	ok     bool
}

func (l *lookup[K]) visit(_ int, e driver.Entry) { l.found, l.ok = e, true }

// redacted is e as the table stores it.
func redacted(t *exchange.Table, e Entry) (Entry, error) {
	h, err := e.Head()
	if err != nil {
		return e, err
	}
	stored, body, err := t.Redact(e.Status, h, e.Payload)
	if err != nil {
		return e, err
	}
	e.Payload = body
	if same(stored.Header, h.Header) && same(stored.Trailer, h.Trailer) {
		return e, nil
	}
	e.head, err = head.Encode(stored)
	return e, err
}

func same(a, b http.Header) bool {
	return maps.EqualFunc(a, b, slices.Equal[[]string])
}

// saveResponses saves the entries under the keys of the same index, of two with the same
// key the later. Those whose payload cannot be decoded are left out: the error, which
// joins a [DecodeError] for each, tells of them, and the number is that of those saved.
func saveResponses(ctx context.Context, t *exchange.Table, keys []driver.Key, entries []Entry, opts []SaveOption) (int, error) {
	s, err := newSaving(t, opts)
	if err != nil {
		return 0, err
	}
	var refused []error
	rows := make([]driver.Entry, 0, len(entries))
	for i, e := range entries {
		if e.Status == 0 {
			e.Status = http.StatusOK
		}
		if e, err = redacted(t, e); err != nil {
			refused = append(refused, fmt.Errorf("repository %q: %w", t.Name, err))
			continue
		}
		name := ""
		var value any
		if exchange.HasValue(e.Status) {
			if value, name, err = t.Decode(e.Payload, t.Tags != nil); err != nil {
				refused = append(refused, &DecodeError{Repository: t.Name, Key: t.TypedKey(keys[i]), Err: err})
				continue
			}
		}
		header, err := t.Tagged(t.Header(ctx, e.head), keys[i], value)
		if err != nil {
			refused = append(refused, fmt.Errorf("repository %q: %w", t.Name, err))
			continue
		}
		rows = append(rows, driver.Entry{
			Key: keys[i], Name: name, Status: e.Status, Header: header, Payload: e.Payload,
			CachedAt: s.now, ExpiresAt: s.expires,
		})
	}
	if len(rows) == 0 {
		return 0, errors.Join(refused...)
	}
	if err := s.put(ctx, t, rows); err != nil {
		return 0, errors.Join(append(refused, err)...)
	}
	return len(rows), errors.Join(refused...)
}
