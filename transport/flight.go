package transport

import (
	"sync"
	"sync/atomic"

	"github.com/endpointcache/endpointcache/driver"
)

// flights are the fetches that are under way, by key: callers that want the same
// share one.
type flights struct {
	mu    sync.Mutex
	byKey map[flightKey]*fetch
	lone  map[*fetch]bool   // those that nobody can join, though they may be saved
	ended [recent]flightKey // the last ones that have ended, in a ring
	count atomic.Int64      // of all that have; changed under mu
}

// recent is how many of the fetches that have ended are remembered.
const recent = 512

type flightKey struct {
	repository string
	key        string
	reload     bool // which wants more than that the stored response still holds
}

func (f *flights) init() {
	f.byKey, f.lone = make(map[flightKey]*fetch), make(map[*fetch]bool)
}

// landed counts the fetches that have ended. Who found nothing stored before one of
// the same key did has to look again.
func (f *flights) landed() int64 { return f.count.Load() }

// landedSince reports whether one of that key may have ended since. The lock is
// held.
func (f *flights) landedSince(key flightKey, seen int64) bool {
	count := f.count.Load()
	if count-seen > recent {
		return true
	}
	for i := seen; i < count; i++ {
		if f.ended[i%recent] == key {
			return true
		}
	}
	return false
}

func (c *call) flightKey() flightKey {
	return flightKey{c.repository.Name(), string(driver.AppendKey(nil, c.key)), c.rules.use == Reload}
}

// join returns the fetch of that key with the caller counted among those who wait
// for it, and whether it has still to be started. Where none is under way and one
// has landed since seen, it returns nil.
func (f *flights) join(key flightKey, seen int64, start func() *fetch) (fl *fetch, first bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if fl, ok := f.byKey[key]; ok {
		fl.joined()
		return fl, false
	}
	if f.landedSince(key, seen) {
		return nil, false
	}
	fl = start()
	fl.key, fl.shared = key, true
	fl.callers++
	f.byKey[key] = fl
	return fl, true
}

// begin starts a fetch that nobody waits for, unless one of that key is under way or
// has landed since seen.
func (f *flights) begin(key flightKey, seen int64, start func() *fetch) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.byKey[key] != nil || f.landedSince(key, seen) {
		return false
	}
	fl := start()
	fl.key, fl.shared = key, true
	f.byKey[key] = fl
	return true
}

// add counts a fetch that nobody can join.
func (f *flights) add(key flightKey, fl *fetch) {
	f.mu.Lock()
	defer f.mu.Unlock()
	fl.key = key
	f.lone[fl] = true
}

// saving tells that a fetch is about to be saved, or has been. Meanwhile it can be
// outdated, even if it has landed.
func (f *flights) saving(fl *fetch, begins bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	fl.saving = begins
	if !begins {
		delete(f.lone, fl)
	}
}

// forget lets no more callers join a fetch. Those who have stay.
func (f *flights) forget(fl *fetch) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.forgetLocked(fl)
}

func (f *flights) forgetLocked(fl *fetch) {
	if fl.saving {
		f.lone[fl] = true
	} else {
		delete(f.lone, fl)
	}
	if fl.shared && f.byKey[fl.key] == fl {
		delete(f.byKey, fl.key)
		f.ended[f.count.Load()%recent] = fl.key
		f.count.Add(1)
	}
}

// outdate keeps a response that is under way from being saved: the origin has
// changed what it is about.
func (f *flights) outdate(key flightKey) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, reload := range []bool{false, true} {
		key.reload = reload
		if fl, ok := f.byKey[key]; ok {
			fl.outdated.Store(true)
			f.forgetLocked(fl)
		}
		for fl := range f.lone {
			if fl.key == key {
				fl.outdated.Store(true)
			}
		}
	}
}
