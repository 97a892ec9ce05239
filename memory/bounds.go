package memory

import (
	"math"

	"github.com/maypok86/otter/v2"

	"github.com/endpointcache/endpointcache/driver"
)

// bounds decides which entries of a store's tables have to leave.
//
// It holds every entry of the store a second time, in an otter cache whose
// policy is W-TinyLFU. Each change of an entry is made there, and the table's
// map is changed along with it while the cache has the key locked; so the two
// agree on every key at every time, whichever side removes the entry. The locks are
// always taken in this order: the cache's, then the table's.
//
// The cache's maintenance runs within the calls, on no goroutine of its own:
// when a put returns, the store is within its bounds, and Close has nothing to
// stop.
type bounds struct {
	cache    *otter.Cache[id, *entry]
	maxEntry int64 // the size of the largest entry that fits
}

// maxWeight is the largest weight that otter can give to an entry.
const maxWeight = math.MaxUint32

func newBounds(o Options) (*bounds, error) {
	b := &bounds{maxEntry: math.MaxInt64}
	opts := &otter.Options[id, *entry]{
		Executor:         func(task func()) { task() },
		OnAtomicDeletion: b.removed,
	}
	// Otter bounds the number or the weight, not both. An entry that weighs no
	// less than its share of the bytes makes the weight bound the number, too.
	weight, share := o.MaxBytes, int64(0)
	if o.MaxEntries > 0 {
		share = o.MaxBytes / int64(o.MaxEntries)
	}
	if share > 0 {
		weight = share * int64(o.MaxEntries)
	}
	if weight > 0 {
		b.maxEntry = min(weight, maxWeight)
	}
	if weight == 0 || share > maxWeight {
		// With so large a share, MaxEntries of the largest entries that there
		// can be are within MaxBytes.
		opts.MaximumSize = o.MaxEntries
	} else {
		opts.MaximumWeight = uint64(weight)
		opts.Weigher = func(_ id, e *entry) uint32 { return uint32(max(e.size(), share)) }
	}
	cache, err := otter.New(opts)
	if err != nil {
		return nil, err
	}
	b.cache = cache
	return b, nil
}

// read tells the policy that e was read.
func (b *bounds) read(e *entry) {
	b.cache.GetIfPresent(e.id)
}

// put stores entries of t and evicts what no longer fits. It stores none where
// one of them is too large.
func (b *bounds) put(t *table, entries []*entry) error {
	if len(entries) == 0 {
		return nil
	}
	for _, e := range entries {
		if err := t.checkSize(e); err != nil {
			return err
		}
	}
	_, err := b.exchangeAll(t, len(entries), func(i int) string { return entries[i].id.key }, func(i int, _ *entry) (*entry, error) {
		return entries[i], nil
	})
	return err
}

// exchangeAll replaces entries of t by their keys, each in one step, reports by index
// which it has replaced, and evicts what no longer fits.
func (b *bounds) exchangeAll(t *table, n int, key func(i int) string, with replacement) (replaced []bool, err error) {
	defer b.cache.CleanUp()
	replaced = make([]bool, n)
	for i := range n {
		b.cache.Compute(id{table: t, key: key(i)}, func(*entry, bool) (*entry, otter.ComputeOp) {
			t.mu.Lock()
			defer t.mu.Unlock()
			var e *entry
			if e, err = t.exchange(key(i), i, with); e == nil {
				return nil, otter.CancelOp
			}
			replaced[i] = true
			return e, otter.WriteOp
		})
		if err != nil {
			return nil, err
		}
	}
	return replaced, nil
}

// delete removes the entries of t with these keys and returns their number.
func (b *bounds) delete(t *table, keys []driver.Key) int {
	n := 0
	var buf []byte
	for _, key := range keys {
		buf = driver.AppendKey(buf[:0], key)
		if _, ok := b.cache.Invalidate(id{table: t, key: string(buf)}); ok {
			n++
		}
	}
	return n
}

// remove removes these entries, except those that were replaced or removed
// meanwhile, and returns their number.
func (b *bounds) remove(entries []*entry) int {
	n := 0
	for _, e := range entries {
		b.cache.ComputeIfPresent(e.id, func(current *entry) (*entry, otter.ComputeOp) {
			if current != e {
				return nil, otter.CancelOp
			}
			n++
			return nil, otter.InvalidateOp
		})
	}
	return n
}

// pop removes the entry with this key if it is selected, and returns it, or nil.
func (b *bounds) pop(key id, selected func(*entry) bool) (popped *entry) {
	b.cache.ComputeIfPresent(key, func(current *entry) (*entry, otter.ComputeOp) {
		if !selected(current) {
			return nil, otter.CancelOp
		}
		popped = current
		return nil, otter.InvalidateOp
	})
	return popped
}

// removed takes an entry that leaves the cache out of its table.
func (b *bounds) removed(gone otter.DeletionEvent[id, *entry]) {
	if gone.Cause == otter.CauseReplacement {
		return // put has replaced it in the table
	}
	t := gone.Key.table
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.entries, gone.Key.key)
}

// reset forgets all entries.
func (b *bounds) reset() {
	b.cache.InvalidateAll()
}
