package bounds

import (
	"sync"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/settings"
)

// total is how much there is of what a limit is for, as far as it is known: what was
// measured, what this process has saved since, and what it is about to save. What takes the
// place of other entries is counted, too, so that it is never less, but for what other
// processes save.
type total struct {
	limit settings.Limit

	mu       sync.Mutex
	retired  bool // nobody keeps it any more
	failed   bool // it could not be kept the last time
	measured bool
	size     driver.Size
	since    driver.Size // what was saved since a measurement began
	coming   driver.Size // what is being saved
	refused  driver.Size // the most that waits for room
}

// A round evicts down to a part of the limit, so that not every save needs one. One is
// begun when the limit is reached, and waited for when it is exceeded by more.
const (
	percentAfter = 95
	percentBegin = 100
	percentWait  = 105
	percentChunk = 4 // of the limit, for one put
)

// announce counts what is about to be saved. It reports whether a round has to begin, and
// whether there is no room before it has ended: then nothing was counted. Forced, it is
// counted in any case.
func (t *total) announce(n driver.Size, forced bool) (begin, full bool) {
	if t.limit.IsZero() {
		return false, false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	will := sum(t.size, t.coming, n)
	if !forced && !t.failed && !t.retired && (!t.measured || exceeds(will, t.limit, percentWait) && (t.size != driver.Size{} || t.coming != driver.Size{})) {
		t.refused.Entries, t.refused.Bytes = max(t.refused.Entries, n.Entries), max(t.refused.Bytes, n.Bytes)
		return true, true
	}
	t.coming = sum(t.coming, n)
	return !t.retired && (!t.measured || exceeds(will, t.limit, percentBegin)), false
}

// retire lets saves go on without the limit.
func (t *total) retire() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.retired = true
}

// fails is told whether the limit could not be kept: saves do not wait for what fails.
func (t *total) fails(failed bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failed = failed
}

// end is told that what was announced is over, and how much of it was saved.
func (t *total) end(announced, saved driver.Size) {
	if t.limit.IsZero() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.coming.Entries -= announced.Entries
	t.coming.Bytes -= announced.Bytes
	t.size, t.since = sum(t.size, saved), sum(t.since, saved)
}

func sum(sizes ...driver.Size) (all driver.Size) {
	for _, size := range sizes {
		all.Entries += size.Entries
		all.Bytes += size.Bytes
	}
	return all
}

// remove counts what was removed. Its bytes are not known: they count until the next
// measurement.
func (t *total) remove(entries int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.size.Entries = max(0, t.size.Entries-entries)
}

// evicted is told what has left since the measurement.
func (t *total) evicted(left driver.Size) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.size.Entries = max(0, t.size.Entries-left.Entries)
	t.size.Bytes = max(0, t.size.Bytes-left.Bytes)
}

// measuring is told that a measurement begins.
func (t *total) measuring() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.since = driver.Size{}
}

// set is told of a measurement. What was saved while it went on may not be in it.
func (t *total) set(size driver.Size) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.measured = true
	t.size = sum(size, t.since)
}

// demand returns what needs room beside what is stored, of which a round is about to make some.
func (t *total) demand() driver.Size {
	t.mu.Lock()
	defer t.mu.Unlock()
	refused := t.refused
	t.refused = driver.Size{}
	return refused
}

// suspect reports whether the limit may be exceeded, or there is no room.
func (t *total) suspect() bool {
	if t.limit.IsZero() {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return !t.measured || exceeds(sum(t.size, t.coming, t.refused), t.limit, percentBegin)
}

// exceeds reports whether a size is beyond a percentage of a limit.
func exceeds(size driver.Size, limit settings.Limit, percent int64) bool {
	return limit.Entries > 0 && int64(size.Entries)*100 > int64(limit.Entries)*percent ||
		limit.Bytes > 0 && size.Bytes > share(limit.Bytes, percent)
}

// share is a percentage of n, which may be large.
func share(n, percent int64) int64 { return n/100*percent + n%100*percent/100 }

// excess is what has to leave for a size to be within a percentage of a limit.
func excess(size driver.Size, limit settings.Limit, percent int64) driver.Size {
	var over driver.Size
	if limit.Entries > 0 {
		over.Entries = max(0, size.Entries-int(share(int64(limit.Entries), percent)))
	}
	if limit.Bytes > 0 {
		over.Bytes = max(0, size.Bytes-share(limit.Bytes, percent))
	}
	return over
}
