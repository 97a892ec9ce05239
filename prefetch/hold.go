package prefetch

import (
	"container/list"
	"time"

	"github.com/endpointcache/endpointcache/fetch"
)

// holder holds missing keys until there are enough of them for a whole request. It
// sends the jobs of each request together. One goroutine uses it.
type holder[K comparable] struct {
	source   *fetch.Source[K]
	requests chan<- []job[K]

	groups map[any]*list.Element // of *partial
	oldest *list.List            // of *partial
	keys   int                   // in all of them
	missed int                   // how often no key came in time since the last one
}

// partial are jobs of one group that are fewer than a request can be for.
type partial[K comparable] struct {
	group any
	jobs  []job[K]
	since time.Time
}

func newHolder[K comparable](source *fetch.Source[K], requests chan<- []job[K]) *holder[K] {
	return &holder[K]{source: source, requests: requests, groups: make(map[any]*list.Element), oldest: list.New()}
}

// add sends what has become complete with j. If too many keys would be held, those
// are sent that have waited for the longest.
func (h *holder[K]) add(j job[K]) {
	h.missed = 0
	group, ok := h.source.Group(j.key)
	if !ok {
		h.requests <- []job[K]{j}
		return
	}
	e, ok := h.groups[group]
	if !ok {
		e = h.oldest.PushBack(&partial[K]{group: group, since: time.Now()})
		h.groups[group] = e
	}
	p := e.Value.(*partial[K])
	p.jobs = append(p.jobs, j)
	h.keys++
	switch {
	case len(p.jobs) == h.source.BatchSize():
		h.send(e)
	case h.keys > heldKeys:
		h.send(h.oldest.Front())
	}
}

func (h *holder[K]) send(e *list.Element) {
	p := h.oldest.Remove(e).(*partial[K])
	delete(h.groups, p.group)
	h.keys -= len(p.jobs)
	h.requests <- p.jobs
}

// notice notes that no key came in time. The second time in a row, all that is held is
// sent: once it may have been the whole process that got no processor.
func (h *holder[K]) notice() {
	if h.missed++; h.missed > 1 {
		h.flush()
	}
}

// hurry sends what has waited for long, if nothing else is to be sent now: keys may
// come without end that are all cached.
func (h *holder[K]) hurry() {
	for h.keys > 0 && len(h.requests) == 0 && h.left() <= 0 {
		h.send(h.oldest.Front())
	}
}

// left is how much longer the oldest keys may wait.
func (h *holder[K]) left() time.Duration {
	return heldWithin - time.Since(h.oldest.Front().Value.(*partial[K]).since)
}

// flush sends all that is held.
func (h *holder[K]) flush() {
	for h.keys > 0 {
		h.send(h.oldest.Front())
	}
}

// patience tells when a key has not come in time, see [holder.notice].
func (h *holder[K]) patience() <-chan time.Time {
	if h.keys == 0 {
		return nil
	}
	return time.After(max(0, min(h.left(), heldIdle)) / 2)
}
