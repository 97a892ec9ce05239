package prefetch

import (
	"sync"

	"github.com/endpointcache/endpointcache/fetch"
)

// ledger holds what became of each key, or where a function is told of that, the keys
// that are not decided yet.
type ledger[K comparable] struct {
	item func(Item[K]) // nil: items are kept

	mu     sync.Mutex
	keys   map[K]int // with the indexes of their items; where item is set, only those that are not decided
	items  []Item[K] // those with no status are on their way
	counts Progress
	causes causes[K]
}

func newLedger[K comparable](item func(Item[K])) *ledger[K] {
	return &ledger[K]{item: item, keys: make(map[K]int)}
}

// enter notes a key that comes, false where it is there already.
func (l *ledger[K]) enter(key K) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, twice := l.keys[key]; twice {
		return false
	}
	l.keys[key] = len(l.items)
	if l.item == nil {
		l.items = append(l.items, Item[K]{Key: key})
	}
	return true
}

// decide enters what became of a key. One goroutine uses it at a time.
func (l *ledger[K]) decide(f fetch.Filled[K]) {
	item := Item[K]{Key: f.Key, Status: f.Status, Err: f.Err}
	l.mu.Lock()
	add(&l.counts, f.Status, f.Size)
	if f.Status == Failed {
		l.causes.add(f.Key, f.Err)
	}
	if l.item == nil {
		l.items[l.keys[f.Key]] = item
	} else {
		delete(l.keys, f.Key)
	}
	l.mu.Unlock()
	if l.item != nil {
		l.item(item)
	}
}

// snapshot is the progress without what the ledger does not know.
func (l *ledger[K]) snapshot() Progress {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.counts
}

// result is called when all has ended.
func (l *ledger[K]) result(final Progress) *Result[K] {
	return &Result[K]{
		Items:     l.items,
		Cached:    final.Cached,
		Fetched:   final.Fetched,
		Confirmed: final.Confirmed,
		Stale:     final.Stale,
		Absent:    final.Absent,
		Failed:    final.Failed,
		Cancelled: final.Cancelled,
		Causes:    l.causes.sorted(),
		Requests:  final.Requests,
		Bytes:     final.Bytes,
		Elapsed:   final.Elapsed,
	}
}
