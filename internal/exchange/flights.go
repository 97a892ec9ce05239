package exchange

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/endpointcache/endpointcache/driver"
)

type flightKey struct{ table, key string }

// flights are those that are under way or not saved yet, by key: callers that want the
// same share the one that is joinable.
type flights struct {
	mu    sync.Mutex
	byKey map[flightKey]*Flight
	ended []flightKey         // the last ones that cannot be joined any more, in a ring
	endOf map[flightKey]int64 // of these: how many had ended before
	count atomic.Int64        // of all that have ended; changed under mu

	tables map[string]*atomic.Int64 // how many flights there are, by the names of tables
}

// recent is how many of the flights that have ended are remembered.
const recent = 4096

// ofTable counts the flights of a table. A repository that was removed may be used still,
// beside another one of its name, which has the same table in the store.
func (fs *flights) ofTable(name string) *atomic.Int64 {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.tables[name] == nil {
		fs.tables[name] = new(atomic.Int64)
	}
	return fs.tables[name]
}

// landings counts the flights that have ended. A caller whose lookup missed before such
// a flight landed looks again.
func (fs *flights) landings() int64 { return fs.count.Load() }

// landedSince reports whether a flight of that key may have landed since. The lock is
// held.
func (fs *flights) landedSince(key flightKey, seen int64) bool {
	if fs.count.Load()-seen > recent {
		return true
	}
	end, ok := fs.endOf[key]
	return ok && end >= seen
}

// joinableFor is the flight that a caller can share, nil for none. The lock is held.
func (fs *flights) joinableFor(a *Ask) *Flight {
	for f := fs.byKey[a.flightKey()]; f != nil; f = f.next {
		if f.joinable {
			if f.sent && a.wantsNews() {
				return nil // its answer is older than the ask
			}
			return f
		}
	}
	return nil
}

// join returns the flight of the ask's key with the caller counted among those that wait
// for it, and whether it has just begun. Where none is under way and one has landed since
// seen, it returns nil. The lock is held.
func (fs *flights) join(a *Ask, seen int64, begin func() *Flight) (f *Flight, first bool) {
	if f := fs.joinableFor(a); f != nil && !a.alone {
		f.joined(a)
		return f, false
	}
	if !a.alone && !a.wantsNews() && fs.landedSince(a.flightKey(), seen) {
		return nil, false
	}
	f = begin()
	f.joinable = !a.alone
	f.callers++
	f.countReader(a, 1)
	fs.link(f)
	return f, true
}

// joinVariant is join for a caller that wants a variant which the flight that it has joined
// before is not. The lock is held.
func (fs *flights) joinVariant(a *Ask, wanted string, begin func() *Flight) (f *Flight, first bool) {
	for f := fs.byKey[a.flightKey()]; f != nil; f = f.next {
		if f.wanted == wanted {
			f.joined(a)
			return f, false
		}
	}
	f = begin()
	f.wanted = wanted
	f.callers++
	f.countReader(a, 1)
	fs.link(f)
	return f, true
}

// link adds a flight. Callers join the newest. The lock is held.
func (fs *flights) link(f *Flight) {
	key := f.ask.flightKey()
	f.next, f.linked = fs.byKey[key], true
	f.overtakes = f.next != nil
	f.ask.Table.flying.Add(1)
	for older := f.next; older != nil && f.joinable; older = older.next {
		fs.forget(older)
	}
	fs.byKey[key] = f
}

// unlink removes a flight that has landed and is not being saved. The lock is held.
func (fs *flights) unlink(f *Flight) {
	if !f.linked {
		return
	}
	f.linked = false
	f.ask.Table.flying.Add(-1)
	key := f.ask.flightKey()
	if fs.byKey[key] == f {
		if f.next == nil {
			delete(fs.byKey, key)
		} else {
			fs.byKey[key] = f.next
		}
		return
	}
	for other := fs.byKey[key]; other != nil; other = other.next {
		if other.next == f {
			other.next = f.next
			return
		}
	}
}

// forget lets no more callers join a flight. Those that have stay. The lock is held.
func (fs *flights) forget(f *Flight) {
	f.wanted = ""
	if f.joinable {
		f.joinable = false
		fs.remember(f.ask.flightKey())
	}
}

// remember notes that a flight of that key has ended. The lock is held.
func (fs *flights) remember(key flightKey) {
	count := fs.count.Load()
	if len(fs.ended) < recent {
		fs.ended = append(fs.ended, key)
	} else {
		oldest := &fs.ended[count%recent]
		if fs.endOf[*oldest] == count-recent {
			delete(fs.endOf, *oldest)
		}
		*oldest = key
	}
	fs.endOf[key] = count
	fs.count.Add(1)
}

// lone adds a flight that nobody can join, though it may be saved.
func (fs *flights) lone(f *Flight) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	f.callers++
	f.countReader(&f.ask, 1)
	fs.link(f)
}

// outdate keeps what was asked for before from being saved under keys: what they are
// about has changed. It waits for the saves that have begun, no longer than the
// exchange waits for its store or ctx lets it.
func (t *Table) outdate(ctx context.Context, keys []driver.Key) {
	if t.flying.Load() == 0 {
		return
	}
	t.x.outdateWhere(ctx, func(yield func(*Flight) bool) {
		for _, key := range keys {
			for f := t.x.flights.byKey[t.flightKey(key)]; f != nil; f = f.next {
				if !yield(f) {
					return
				}
			}
		}
	})
}

// outdateAll is outdate for all keys of the table.
func (t *Table) outdateAll(ctx context.Context) {
	if t.flying.Load() == 0 {
		return
	}
	t.x.outdateWhere(ctx, func(yield func(*Flight) bool) {
		for key, f := range t.x.flights.byKey {
			for ; f != nil && key.table == t.Name; f = f.next {
				if !yield(f) {
					return
				}
			}
		}
	})
}

func (x *Exchange) outdateWhere(ctx context.Context, each func(yield func(*Flight) bool)) {
	fs := &x.flights
	var saving []<-chan struct{}
	fs.mu.Lock()
	for f := range each {
		f.outdated.Store(true)
		fs.forget(f)
		if f.saving {
			saving = append(saving, f.change())
		}
	}
	fs.mu.Unlock()
	if len(saving) == 0 {
		return
	}
	late := time.NewTimer(x.opts.StoreTimeout)
	defer late.Stop()
	for _, changed := range saving {
		select {
		case <-changed:
		case <-late.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// endUnread ends the flights that only typed callers wait for, as the exchange is closed.
// Renewals and the rest of bodies that a transport has begun are waited for: they have
// time limits of their own.
func (fs *flights) endUnread() {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for _, f := range fs.byKey {
		for ; f != nil; f = f.next {
			if f.readers == 0 && !f.landed && !(f.background && !f.ask.Values) {
				fs.forget(f)
				f.end(ErrClosed)
			}
		}
	}
}
