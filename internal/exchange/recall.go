package exchange

import (
	"sync"
	"time"
)

// recall remembers the latest marks that an exchange has set, for stores that may lose them
// before the entries that they make old. Older ones than it has room for make everything old
// that was known before them.
type recall struct {
	room int

	mu    sync.RWMutex
	marks map[string]time.Time
	ring  []remembered
	next  int       // the place in the ring of the oldest, once it is full
	floor time.Time // the latest instant of what was forgotten
}

type remembered struct {
	name  string
	since time.Time
}

// recallRoom is how many marks are remembered.
const recallRoom = 1 << 16

func (r *recall) add(list []mark, since time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.marks == nil {
		r.marks = make(map[string]time.Time)
	}
	for _, m := range list {
		r.marks[m.name] = since
		if len(r.ring) < r.room {
			r.ring = append(r.ring, remembered{m.name, since})
			continue
		}
		oldest := &r.ring[r.next]
		if r.marks[oldest.name].Equal(oldest.since) {
			delete(r.marks, oldest.name)
			if oldest.since.After(r.floor) { // of several at one time, any may come first
				r.floor = oldest.since
			}
		}
		*oldest = remembered{m.name, since}
		r.next = (r.next + 1) % r.room
	}
}

// latest is the instant of a mark of which the store has another, or none.
func (r *recall) latest(name string, stored time.Time) time.Time {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, since := range [...]time.Time{r.marks[name], r.floor} {
		if since.After(stored) {
			stored = since
		}
	}
	return stored
}
