// Package checksum finds out whether an entry comes back from a store as it was put there.
// A disk, a file system or a bug may have changed it; most stores would not notice.
//
// It stands between the exchange and the stores, so that all of them find the same damage,
// and none has to know what a checksum is made of: to a store it is a number.
package checksum

import (
	"context"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/layer"
)

// Options are what becomes of damaged entries.
type Options struct {
	// Report is told how many entries an operation has found damaged that were not known
	// to be. Many goroutines may call it at once.
	Report func(n int)

	// Mend, which may be nil, is for entries that mean the most when they are not there. If
	// ok, an entry with that key whose CachedAt can no longer be told is one of that instant,
	// and does not expire.
	Mend func(key driver.Key) (cachedAt time.Time, ok bool)
}

// table has its entries checked.
type table struct {
	driver.Table
	near  driver.NearTable // the same, where it is one
	opts  Options
	reads sync.Pool // of *read
}

// New returns t with its entries checked. An entry without a checksum is taken as it is. One
// whose checksum is wrong is not handed out, and is given times at which any other may take
// its place. The table has the abilities of t, see [layer.Like].
func New(t driver.Table, o Options) driver.Table {
	checked := &table{Table: t, opts: o}
	checked.near, _ = t.(driver.NearTable)
	checked.reads.New = func() any { return newRead(checked) }
	return layer.Like(checked, t, func(kept layer.PutIf) layer.PutIf {
		return func(ctx context.Context, entries []driver.Entry, c driver.Condition) ([]bool, error) {
			return kept(ctx, added(entries), c)
		}
	})
}

// Put implements [driver.Table].
func (t *table) Put(ctx context.Context, entries []driver.Entry) error {
	return t.Table.Put(ctx, added(entries))
}

// PutIf implements [driver.Table].
func (t *table) PutIf(ctx context.Context, entries []driver.Entry, c driver.Condition) ([]bool, error) {
	return t.Table.PutIf(ctx, added(entries), c)
}

// added are the entries with their sums. The caller's are left as they are.
func added(entries []driver.Entry) []driver.Entry {
	entries = slices.Clone(entries)
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	for i := range entries {
		s.add(&entries[i])
	}
	return entries
}

// Renew implements [driver.Table].
func (t *table) Renew(ctx context.Context, renewals []driver.Renewal) ([]bool, error) {
	renewals = slices.Clone(renewals)
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	for i := range renewals {
		r := &renewals[i]
		r.MetaSum = s.metaToKeep(r.Key, renewed(r))
	}
	return t.Table.Renew(ctx, renewals)
}

// renewed is what the sum of a renewal is about.
func renewed(r *driver.Renewal) *driver.Entry {
	return &driver.Entry{Name: r.Name, Status: r.Status, Header: r.Header, CachedAt: r.CachedAt, ExpiresAt: r.ExpiresAt}
}

// read is the memory of one get, which is used again: a get from this machine takes little
// longer than a few allocations.
type read struct {
	t       *table
	keys    []driver.Key
	parts   driver.Parts
	visit   func(int, driver.Entry)
	scratch scratch // for one key, which is visited once

	onOne, onEntry func(int, driver.Entry) // its methods

	mu      sync.Mutex
	damaged []damaged
}

func newRead(t *table) *read {
	r := &read{t: t}
	r.onOne, r.onEntry = r.checkOne, r.check
	return r
}

func (r *read) check(i int, e driver.Entry) {
	s := scratches.Get().(*scratch)
	r.checkWith(s, i, &e)
	scratches.Put(s)
}

func (r *read) checkOne(i int, e driver.Entry) { r.checkWith(&r.scratch, i, &e) }

func (r *read) checkWith(s *scratch, i int, e *driver.Entry) {
	found, ok := r.t.check(s, r.keys[i], e, r.parts)
	if found != nil {
		r.mu.Lock()
		r.damaged = append(r.damaged, *found)
		r.mu.Unlock()
	}
	if ok {
		r.visit(i, *e)
	}
}

// Get implements [driver.Table].
func (t *table) Get(ctx context.Context, keys []driver.Key, sel driver.Selection, visit func(int, driver.Entry)) error {
	r := t.reads.Get().(*read)
	r.keys, r.parts, r.visit = keys, sel.Parts, visit
	onEntry := r.onEntry
	if len(keys) == 1 {
		onEntry = r.onOne
	}
	err := t.Table.Get(ctx, keys, sel, onEntry)
	if found := r.damaged; len(found) > 0 {
		t.disarm(ctx, found)
	}
	r.keys, r.visit, r.damaged = nil, nil, nil
	t.reads.Put(r)
	return err
}

// GetNear implements [driver.NearTable]. It leaves what is damaged to Get.
func (t *table) GetNear(key driver.Key, sel driver.Selection) (e driver.Entry, found, known bool) {
	e, found, known = t.near.GetNear(key, sel)
	if !found {
		return e, found, known
	}
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	damaged, ok := t.check(s, key, &e, sel.Parts)
	if damaged != nil || !ok {
		return driver.Entry{}, false, damaged == nil
	}
	return e, true, true
}

// Pop implements [driver.Table].
func (t *table) Pop(ctx context.Context, key driver.Key, f driver.Filter) (driver.Entry, bool, error) {
	e, ok, err := t.Table.Pop(ctx, key, f)
	if err != nil || !ok {
		return e, ok, err
	}
	if found, ok := t.check(new(scratch), key, &e, driver.Payload|driver.Meta); !ok || found != nil {
		if found != nil {
			t.opts.Report(1)
		}
		return driver.Entry{}, false, nil
	}
	return e, true, nil
}

// atOnce is how many damaged entries are disarmed together.
const atOnce = 256

// Entries implements [driver.Table].
func (t *table) Entries(ctx context.Context, sel driver.Selection) iter.Seq2[driver.Entry, error] {
	if sel.Parts&(driver.Payload|driver.Meta) == 0 {
		return t.Table.Entries(ctx, sel)
	}
	return func(yield func(driver.Entry, error) bool) {
		var s scratch
		var all []damaged
		defer func() { t.disarm(ctx, all) }()
		for e, err := range t.Table.Entries(ctx, sel) {
			if err != nil {
				yield(e, err)
				return
			}
			found, ok := t.check(&s, e.Key, &e, sel.Parts)
			if found != nil {
				if all = append(all, *found); len(all) == atOnce {
					t.disarm(ctx, all)
					all = all[:0]
				}
			}
			if ok && !yield(e, nil) {
				return
			}
		}
	}
}

// List implements [driver.Table].
func (t *table) List(ctx context.Context, l driver.Listing) ([]driver.Entry, error) {
	var s scratch
	var all []damaged
	defer func() { t.disarm(ctx, all) }()
	return l.Sift(func(l driver.Listing) ([]driver.Entry, error) { return t.Table.List(ctx, l) }, func(e *driver.Entry) (bool, error) {
		found, ok := t.check(&s, e.Key, e, l.Parts|l.Order.Parts())
		if found != nil {
			all = append(all, *found)
		}
		return ok, nil
	})
}
