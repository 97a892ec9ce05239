package bounds

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/layer"
	"github.com/endpointcache/endpointcache/settings"
)

// table is a table within limits: its own, or those of all tables.
type table struct {
	driver.Table
	near   driver.NearTable // the same, where it is one
	keeper *Keeper
	kept   *kept
	tracks bool      // it matters when entries are used
	reads  sync.Pool // of *read
}

// newTable returns t within its limits, with its own abilities.
func newTable(t driver.Table, k *Keeper, known *kept) driver.Table {
	byUse := func(limit settings.Limit) bool { return !limit.IsZero() && order(limit) == driver.ByUsed }
	within := &table{Table: t, keeper: k, kept: known, tracks: byUse(known.own.limit) || byUse(k.opts.Limit)}
	within.near, _ = t.(driver.NearTable)
	within.reads.New = func() any { return newRead() }
	return layer.Like(within, t, func(kept layer.PutIf) layer.PutIf {
		return func(ctx context.Context, entries []driver.Entry, c driver.Condition) ([]bool, error) {
			return within.putIf(ctx, entries, c, kept)
		}
	})
}

// order is the one in which the table's entries leave for a limit.
func order(limit settings.Limit) driver.Order {
	if limit.Evict == settings.OldestFirst {
		return driver.ByCached
	}
	return driver.ByUsed
}

// read is the memory of one get, which is used again.
type read struct {
	found []bool
	visit func(int, driver.Entry)
	note  func(int, driver.Entry) // its method
}

func newRead() *read {
	r := new(read)
	r.note = r.visited
	return r
}

func (r *read) visited(i int, e driver.Entry) {
	r.found[i] = true
	r.visit(i, e)
}

// Get implements [driver.Table].
func (t *table) Get(ctx context.Context, keys []driver.Key, sel driver.Selection, visit func(int, driver.Entry)) error {
	if !t.tracks {
		return t.Table.Get(ctx, keys, sel, visit)
	}
	r := t.reads.Get().(*read)
	r.visit = visit
	r.found = slices.Grow(r.found[:0], len(keys))[:len(keys)]
	clear(r.found)
	err := t.Table.Get(ctx, keys, sel, r.note)
	t.used(keys, r.found)
	r.visit = nil
	t.reads.Put(r)
	return err
}

// GetNear implements [driver.NearTable].
func (t *table) GetNear(key driver.Key, sel driver.Selection) (e driver.Entry, found, known bool) {
	e, found, known = t.near.GetNear(key, sel)
	if found && t.tracks {
		t.used([]driver.Key{key}, []bool{true})
	}
	return e, found, known
}

// Put implements [driver.Table].
func (t *table) Put(ctx context.Context, entries []driver.Entry) error {
	for first := true; first || len(entries) > 0; first = false {
		n := t.chunk(entries)
		saving := t.announce(ctx, entries[:n])
		err := t.Table.Put(ctx, entries[:n])
		saving.end(nil, err)
		if err != nil {
			return err
		}
		entries = entries[n:]
	}
	return nil
}

// PutIf implements [driver.Table].
func (t *table) PutIf(ctx context.Context, entries []driver.Entry, c driver.Condition) ([]bool, error) {
	return t.putIf(ctx, entries, c, t.Table.PutIf)
}

func (t *table) putIf(ctx context.Context, entries []driver.Entry, c driver.Condition, put layer.PutIf) (stored []bool, err error) {
	for first := true; first || len(entries) > 0; first = false {
		n := t.chunk(entries)
		saving := t.announce(ctx, entries[:n])
		some, err := put(ctx, entries[:n], c)
		saving.end(some, err)
		if err != nil {
			return nil, err
		}
		stored = append(stored, some...)
		entries = entries[n:]
	}
	return stored, nil
}

// Delete implements [driver.Table].
func (t *table) Delete(ctx context.Context, keys []driver.Key) (int, error) {
	n, err := t.Table.Delete(ctx, keys)
	t.removed(n)
	return n, err
}

// Clear implements [driver.Table].
func (t *table) Clear(ctx context.Context, f driver.Filter) (int, error) {
	n, err := t.Table.Clear(ctx, f)
	t.removed(n)
	return n, err
}

func (t *table) removed(n int) {
	t.kept.own.remove(n)
	t.keeper.all.remove(n)
}

// chunk is how many of the entries are put at a time, so that a large put does not exceed
// a limit by far.
func (t *table) chunk(entries []driver.Entry) int {
	n := len(entries)
	for _, limit := range []settings.Limit{t.kept.own.limit, t.keeper.opts.Limit} {
		if limit.Entries > 0 {
			n = min(n, max(1, int(share(int64(limit.Entries), percentChunk))))
		}
		if limit.Bytes <= 0 {
			continue
		}
		var bytes int64
		for i := range n {
			if bytes += size(&entries[i]); bytes > share(limit.Bytes, percentChunk) {
				n = max(1, i)
				break
			}
		}
	}
	return n
}

// saving is a put that goes on.
type saving struct {
	table   *table
	entries []driver.Entry
}

// announce waits until there is room for entries, as long as evictions make some in time.
func (t *table) announce(ctx context.Context, entries []driver.Entry) saving {
	n := sizeOf(entries, nil)
	var late <-chan time.Time
	for _, of := range []*total{&t.kept.own, &t.keeper.all} {
		begin, full := of.announce(n, false)
		for full {
			if late == nil {
				timer := time.NewTimer(t.keeper.opts.MaxWait)
				defer timer.Stop()
				late = timer.C
			}
			forced := !t.keeper.wait(ctx, late)
			begin, full = of.announce(n, forced)
		}
		if begin {
			t.keeper.kick()
		}
	}
	return saving{t, entries}
}

// end counts the entries that were stored; with nil and no error, all.
func (s saving) end(stored []bool, err error) {
	var saved driver.Size
	if err == nil {
		saved = sizeOf(s.entries, stored)
	}
	announced := sizeOf(s.entries, nil)
	s.table.kept.own.end(announced, saved)
	s.table.keeper.all.end(announced, saved)
}

// sizeOf is the size of those of the entries that were stored; with nil, of all.
func sizeOf(entries []driver.Entry, stored []bool) (all driver.Size) {
	for i := range entries {
		if stored == nil || stored[i] {
			all.Entries++
			all.Bytes += size(&entries[i])
		}
	}
	return all
}

// overhead is what an entry may take in a store besides its payload, name, header and key.
const overhead = 400

// size is how many bytes an entry will take, if not less: that shows when the table is
// measured.
func size(e *driver.Entry) int64 {
	n := overhead + len(e.Payload) + len(e.Name) + len(e.Header)
	for _, v := range e.Key {
		if s, ok := v.(string); ok {
			n += len(s)
		}
	}
	return int64(n)
}
