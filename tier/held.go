package tier

import (
	"math"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/endpointcache/endpointcache/driver"
)

// held are the items in memory, those of all tables, within their bound.
type held struct {
	cache *otter.Cache[id, *item]
	max   int64
	life  atomic.Int64 // how long an item is answered with, as a time.Duration; 0: any time
	used  atomic.Bool  // items may be answered with, and added
}

// id names an item.
type id struct {
	of  *ledger
	key string // as driver.AppendKey encodes it
}

// item is what is known of one key. It never changes.
type item struct {
	era    uint64 // of its table, see ledger
	asOf   time.Time
	absent bool         // there is no entry
	entry  driver.Entry // with all its parts but the key and the usage
}

// overhead is what an item takes besides the bytes of its entry: the item itself, its place, and
// rounding. Measured: 330.
const overhead = 340

func (i id) size(it *item) int64 {
	e := &it.entry
	return overhead + int64(len(i.key)+len(e.Name)+len(e.Header)+len(e.Payload)+len(e.Encoding))
}

func newHeld(maxBytes int64, maxAge time.Duration) (*held, error) {
	cache, err := otter.New(&otter.Options[id, *item]{
		MaximumWeight: uint64(maxBytes),
		Weigher:       func(i id, it *item) uint32 { return uint32(min(i.size(it), math.MaxUint32)) },
		Executor:      func(task func()) { task() }, // on no goroutine of its own
	})
	if err != nil {
		return nil, err
	}
	h := &held{cache: cache, max: min(maxBytes, math.MaxUint32)}
	h.life.Store(int64(maxAge))
	return h, nil
}

func (h *held) inUse() bool { return h.used.Load() }

// get returns what is known of a key, or nil.
func (h *held) get(i id) *item {
	it, ok := h.cache.GetIfPresent(i)
	if !ok || it.era != i.of.era.Load() {
		return nil
	}
	if life := time.Duration(h.life.Load()); life > 0 && time.Since(it.asOf) >= life {
		return nil
	}
	return it
}

func (h *held) set(i id, it *item) {
	if i.size(it) <= h.max {
		h.cache.Set(i, it)
	}
}

// take is get of an item that is held no longer.
func (h *held) take(i id) *item {
	it := h.get(i)
	h.cache.Invalidate(i)
	return it
}

// drop removes the items of a table that are of such a key and entry.
func (h *held) drop(of *ledger, which func(key string, e *driver.Entry) bool) {
	for i, it := range h.cache.All() {
		if i.of == of && which(i.key, &it.entry) {
			h.cache.Invalidate(i)
		}
	}
}

// settle evicts what no longer fits.
func (h *held) settle() { h.cache.CleanUp() }

func (h *held) reset() { h.cache.InvalidateAll() }

func (h *held) bytes() int64 {
	h.settle()
	return int64(h.cache.WeightedSize()) //nolint:gosec // it is at most MaxBytes
}
