package tier

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/checksum"
	"github.com/endpointcache/endpointcache/internal/gate"
)

// table is a table of the store below, some of whose entries are held in memory. What it does
// not implement is that of the store below: Count, Entries, List, Use and Size.
type table struct {
	driver.Table
	store  *Store
	ledger *ledger
}

var _ driver.NearTable = (*table)(nil)

// promptTable is a table over one whose Get is prompt.
type promptTable struct{ *table }

// GetsPromptly implements [driver.PromptTable].
func (promptTable) GetsPromptly() {}

// wholly are the parts that are held.
const wholly = driver.Payload | driver.Meta

// Get implements [driver.Table]. Usage is not held: it changes with each use.
func (t *table) Get(ctx context.Context, keys []driver.Key, sel driver.Selection, visit func(int, driver.Entry)) error {
	if !t.store.held.inUse() || gate.Usable(ctx) != nil {
		return t.Table.Get(ctx, keys, sel, visit)
	}
	if sel.Parts&driver.Usage != 0 {
		return t.getUsage(ctx, keys, sel, visit)
	}
	keys, visit = sel.Narrow(keys, visit)
	var space [256]byte
	encoded := space[:0]
	var m misses
	for i, key := range keys {
		encoded = driver.AppendKey(encoded[:0], key)
		own := string(encoded)
		switch it := t.store.held.get(id{t.ledger, own}); {
		case it == nil:
			m.add(i, key, own)
		case !it.absent && sel.Match(it.entry):
			visit(i, it.entry)
		}
	}
	t.store.hits.Add(int64(len(keys) - len(m.at)))
	if len(m.at) == 0 {
		return nil
	}
	t.store.misses.Add(int64(len(m.at)))
	return t.fill(ctx, m, sel, visit)
}

// getUsage is Get of what is not held. It is apart from Get, where its function would have every
// hit allocate.
func (t *table) getUsage(ctx context.Context, keys []driver.Key, sel driver.Selection, visit func(int, driver.Entry)) error {
	return t.Table.Get(ctx, keys, sel, func(i int, e driver.Entry) {
		if sel.Parts&driver.Meta != 0 {
			t.compare(keys[i], &e)
		}
		visit(i, e)
	})
}

// compare lets go of what is held of a key if the store has another entry.
func (t *table) compare(key driver.Key, e *driver.Entry) {
	encoded := string(driver.AppendKey(nil, key))
	if it := t.store.held.get(id{t.ledger, encoded}); it != nil && (it.absent || !it.entry.CachedAt.Equal(e.CachedAt)) {
		t.ledger.changed(encoded)
	}
}

// GetNear implements [driver.NearTable].
func (t *table) GetNear(key driver.Key, sel driver.Selection) (e driver.Entry, found, known bool) {
	if sel.Parts&driver.Usage != 0 || !t.store.held.inUse() {
		return e, false, false
	}
	var space [256]byte
	it := t.store.held.get(id{t.ledger, string(driver.AppendKey(space[:0], key))})
	if it == nil {
		return e, false, false
	}
	t.store.hits.Add(1)
	if it.absent || !sel.Match(it.entry) || !key.HasPrefix(sel.Leading) {
		return e, false, true
	}
	return it.entry, true, true
}

// misses are the keys of a get that are not held.
type misses struct {
	at      []int // in all keys
	keys    []driver.Key
	encoded []string
}

func (m *misses) add(i int, key driver.Key, encoded string) {
	m.at, m.keys, m.encoded = append(m.at, i), append(m.keys, key), append(m.encoded, encoded)
}

// fill reads what is not held, as a whole, so that it answers any later get.
func (t *table) fill(ctx context.Context, m misses, sel driver.Selection, visit func(int, driver.Entry)) (err error) {
	entered := make([]entry, len(m.keys))
	for i, key := range m.encoded {
		entered[i] = t.ledger.begin(key, false)
	}
	asOf := time.Now()
	found := make([]*item, len(m.keys))
	read := false
	defer func() {
		for i, e := range entered {
			if read && found[i] == nil {
				found[i] = &item{asOf: asOf, absent: true}
			}
			if !read {
				found[i] = nil
			}
			t.ledger.endRead(e, found[i])
		}
		t.store.held.settle()
	}()
	err = t.Table.Get(ctx, m.keys, driver.Selection{Parts: wholly}, func(i int, e driver.Entry) {
		checksum.Settle(m.keys[i], &e)
		found[i] = &item{asOf: asOf, entry: e}
		if sel.Match(e) {
			visit(m.at[i], e)
		}
	})
	read = err == nil
	return err
}

// write runs an operation of the store below that writes n keys, and holds what left returns for
// the i-th of them, of which taken was held before; nil where that is not known.
func (t *table) write(ctx context.Context, n int, key func(i int) driver.Key, below func() error, left func(i int, taken *item) *item) error {
	if gate.Usable(ctx) != nil {
		return below() // which does nothing
	}
	entered := make([]entry, n)
	var space [256]byte
	for i := range entered {
		entered[i] = t.ledger.begin(string(driver.AppendKey(space[:0], key(i))), true)
	}
	err := errPanic
	defer func() {
		for i, e := range entered {
			var it *item
			if err == nil {
				it = left(i, e.taken)
			}
			t.ledger.endWrite(e, it, err)
		}
		t.store.held.settle()
	}()
	err = below()
	return err
}

// errPanic is the error of an operation that has not returned.
var errPanic = errors.New("the store below has panicked")

func nothing(int, *item) *item { return nil }

// stored is what is left of an entry that was put, unless that is too much to be held, or nothing
// is held. The caller may go on to change its payload. What is held is checked once: its hits need
// not be.
func (t *table) stored(e driver.Entry, asOf time.Time) *item {
	if held := t.store.held; !held.inUse() || int64(len(e.Payload)) > held.max {
		return nil
	}
	e.Payload = bytes.Clone(e.Payload)
	checksum.Settle(e.Key, &e)
	e.Key, e.UsedAt, e.Size = nil, time.Time{}, 0
	return &item{asOf: asOf, entry: e}
}

// Put implements [driver.Table].
func (t *table) Put(ctx context.Context, entries []driver.Entry) error {
	asOf := time.Now()
	return t.write(ctx, len(entries), func(i int) driver.Key { return entries[i].Key },
		func() error { return t.Table.Put(ctx, entries) },
		func(i int, _ *item) *item { return t.stored(entries[i], asOf) })
}

// PutIf implements [driver.Table]. Of the key of an entry that is not stored, somebody else has
// another one.
func (t *table) PutIf(ctx context.Context, entries []driver.Entry, c driver.Condition) (done []bool, err error) {
	asOf := time.Now()
	err = t.write(ctx, len(entries), func(i int) driver.Key { return entries[i].Key },
		func() (err error) {
			done, err = t.Table.PutIf(ctx, entries, c)
			return err
		},
		func(i int, _ *item) *item {
			if !done[i] {
				return nil
			}
			return t.stored(entries[i], asOf)
		})
	return done, err
}

// Renew implements [driver.Table].
func (t *table) Renew(ctx context.Context, renewals []driver.Renewal) (done []bool, err error) {
	err = t.write(ctx, len(renewals), func(i int) driver.Key { return renewals[i].Key },
		func() (err error) {
			done, err = t.Table.Renew(ctx, renewals)
			return err
		},
		func(i int, taken *item) *item {
			r := &renewals[i]
			if !done[i] || taken == nil || taken.absent || !taken.entry.CachedAt.Equal(r.Seen) {
				return nil
			}
			renewed := *taken
			renewed.entry.Header, renewed.entry.MetaSum = r.Header, r.MetaSum
			renewed.entry.CachedAt, renewed.entry.ExpiresAt = r.CachedAt, r.ExpiresAt
			checksum.Settle(r.Key, &renewed.entry)
			return &renewed
		})
	return done, err
}

// Delete implements [driver.Table].
func (t *table) Delete(ctx context.Context, keys []driver.Key) (n int, err error) {
	err = t.write(ctx, len(keys), func(i int) driver.Key { return keys[i] }, func() (err error) {
		n, err = t.Table.Delete(ctx, keys)
		return err
	}, nothing)
	return n, err
}

// Pop implements [driver.Table].
func (t *table) Pop(ctx context.Context, key driver.Key, f driver.Filter) (e driver.Entry, ok bool, err error) {
	err = t.write(ctx, 1, func(int) driver.Key { return key }, func() (err error) {
		e, ok, err = t.Table.Pop(ctx, key, f)
		return err
	}, nothing)
	return e, ok, err
}

// Clear implements [driver.Table].
func (t *table) Clear(ctx context.Context, f driver.Filter) (n int, err error) {
	err = t.ledger.clear(ctx, f, func() (err error) {
		n, err = t.Table.Clear(ctx, f)
		return err
	})
	return n, err
}
