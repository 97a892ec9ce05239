package memory

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"sync"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/gate"
)

// table is a map of entries. Where the store has bounds, entries come and go
// through them, and they keep the map in step.
type table struct {
	spec   driver.TableSpec
	bounds *bounds // nil where there are none

	mu      sync.RWMutex
	entries map[string]*entry // by encoded key; nil once the store is closed
}

var _ driver.PromptTable = (*table)(nil)

// GetsPromptly implements driver.PromptTable.
func (t *table) GetsPromptly() {}

// lookups is how many keys a bulk get looks up under one lock.
const lookups = 64

func (t *table) Get(ctx context.Context, keys []driver.Key, sel driver.Selection, visit func(i int, e driver.Entry)) error {
	var (
		space [256]byte
		found [lookups]*entry
	)
	buf := space[:0]
	keys, visit = sel.Narrow(keys, visit)
	for start := 0; start == 0 || start < len(keys); start += lookups {
		if err := t.rlock(ctx); err != nil {
			return t.error("get from", err)
		}
		chunk := keys[start:min(start+lookups, len(keys))]
		for i, key := range chunk {
			buf = driver.AppendKey(buf[:0], key)
			found[i] = t.entries[string(buf)]
		}
		t.mu.RUnlock()
		for i, e := range found[:len(chunk)] {
			if e == nil || !sel.Match(e.Entry) {
				continue
			}
			if t.bounds != nil {
				t.bounds.read(e)
			}
			visit(start+i, e.Entry)
		}
	}
	return nil
}

func (t *table) Put(ctx context.Context, entries []driver.Entry) error {
	if err := t.rlock(ctx); err != nil {
		return t.error("save to", err)
	}
	t.mu.RUnlock()
	var buf []byte
	stored := make([]*entry, len(entries))
	for i, e := range entries {
		stored[i], buf = newEntry(t, e, buf, bytes.Clone)
	}
	if t.bounds != nil {
		if err := t.bounds.put(t, stored); err != nil {
			return t.error("save to", err)
		}
		return nil
	}
	if err := t.lock(ctx); err != nil {
		return t.error("save to", err)
	}
	defer t.mu.Unlock()
	for _, e := range stored {
		t.entries[e.id.key] = e
	}
	return nil
}

func (t *table) Delete(ctx context.Context, keys []driver.Key) (int, error) {
	if err := t.lock(ctx); err != nil {
		return 0, t.error("delete from", err)
	}
	if t.bounds != nil {
		t.mu.Unlock()
		return t.bounds.delete(t, keys), nil
	}
	defer t.mu.Unlock()
	before := len(t.entries)
	var buf []byte
	for _, key := range keys {
		buf = driver.AppendKey(buf[:0], key)
		delete(t.entries, string(buf))
	}
	return before - len(t.entries), nil
}

func (t *table) Pop(ctx context.Context, key driver.Key, f driver.Filter) (driver.Entry, bool, error) {
	if err := t.lock(ctx); err != nil {
		return driver.Entry{}, false, t.error("pop from", err)
	}
	encoded := string(driver.AppendKey(nil, key))
	only := newFilter(f)
	var e *entry
	if t.bounds != nil {
		t.mu.Unlock()
		e = t.bounds.pop(id{table: t, key: encoded}, only.match)
	} else {
		if there := t.entries[encoded]; there != nil && only.match(there) {
			e = there
			delete(t.entries, encoded)
		}
		t.mu.Unlock()
	}
	if e == nil {
		return driver.Entry{}, false, nil
	}
	return e.Entry, true, nil
}

func (t *table) Count(ctx context.Context, f driver.Filter) (int, error) {
	if err := t.rlock(ctx); err != nil {
		return 0, t.error("count", err)
	}
	defer t.mu.RUnlock()
	only := newFilter(f)
	if only.All() {
		return len(t.entries), nil
	}
	n := 0
	for _, e := range t.entries {
		if only.match(e) {
			n++
		}
	}
	return n, nil
}

func (t *table) Clear(ctx context.Context, f driver.Filter) (int, error) {
	if t.bounds != nil {
		selected, err := t.selected(ctx, f)
		if err != nil {
			return 0, t.error("clear", err)
		}
		return t.bounds.remove(selected), nil
	}
	if err := t.lock(ctx); err != nil {
		return 0, t.error("clear", err)
	}
	defer t.mu.Unlock()
	before := len(t.entries)
	only := newFilter(f)
	if only.All() {
		t.entries = make(map[string]*entry) // a map that is emptied keeps its memory
		return before, nil
	}
	for key, e := range t.entries {
		if only.match(e) {
			delete(t.entries, key)
		}
	}
	return before - len(t.entries), nil
}

// Entries yields what was there when the iteration began.
func (t *table) Entries(ctx context.Context, sel driver.Selection) iter.Seq2[driver.Entry, error] {
	return func(yield func(driver.Entry, error) bool) {
		selected, err := t.selected(ctx, sel.Filter)
		for _, e := range selected {
			if err = ctx.Err(); err != nil {
				break
			}
			out := e.Entry
			out.Key = decodeKey(t.spec.Key, e.id.key)
			if !yield(out, nil) {
				return
			}
		}
		if err != nil {
			yield(driver.Entry{}, t.error("iterate over", err))
		}
	}
}

// List implements [driver.Table]: it looks at all entries.
func (t *table) List(ctx context.Context, l driver.Listing) ([]driver.Entry, error) {
	page, err := l.Page(t.Entries(ctx, l.Selected()))
	if err != nil {
		var op *driver.OpError
		if !errors.As(err, &op) {
			err = t.error("list", err)
		}
		return nil, err
	}
	return page, nil
}

// Size implements [driver.Table].
func (t *table) Size(ctx context.Context) (driver.Size, error) {
	if err := t.rlock(ctx); err != nil {
		return driver.Size{}, t.error("size of", err)
	}
	defer t.mu.RUnlock()
	size := driver.Size{Entries: len(t.entries)}
	for _, e := range t.entries {
		size.Bytes += e.Size
	}
	return size, nil
}

// selected returns the entries that f selects.
func (t *table) selected(ctx context.Context, f driver.Filter) ([]*entry, error) {
	if err := t.rlock(ctx); err != nil {
		return nil, err
	}
	defer t.mu.RUnlock()
	only := newFilter(f)
	var selected []*entry
	if only.leading == "" {
		selected = make([]*entry, 0, len(t.entries))
	}
	for _, e := range t.entries {
		if only.match(e) {
			selected = append(selected, e)
		}
	}
	return selected, nil
}

// lock locks the table for an operation that changes it, unless the operation
// cannot begin.
func (t *table) lock(ctx context.Context) error {
	if err := gate.Usable(ctx); err != nil {
		return err
	}
	t.mu.Lock()
	if t.entries == nil {
		t.mu.Unlock()
		return driver.ErrClosed
	}
	return nil
}

// rlock is lock for an operation that only reads.
func (t *table) rlock(ctx context.Context) error {
	if err := gate.Usable(ctx); err != nil {
		return err
	}
	t.mu.RLock()
	if t.entries == nil {
		t.mu.RUnlock()
		return driver.ErrClosed
	}
	return nil
}

func (t *table) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.entries = nil
}

func (t *table) error(op string, err error) error {
	return opError(op, t.spec.Name, err)
}
