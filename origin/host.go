package origin

import (
	"container/list"
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// host is what is known of a host: the requests that wait for it, and when it may be asked.
type host struct {
	name       string
	limiter    *rate.Limiter // nil: none
	most       int           // requests in flight, 0 for any number
	firstPause time.Duration
	maxPause   time.Duration

	// Of the table of hosts, and guarded by its lock.
	users  int
	unused *list.Element

	mu       sync.Mutex
	queue    list.List   // of *place: first come, first served
	timer    *time.Timer // wakes the first of the queue
	inFlight int

	paused  time.Time // until when nothing is sent
	epoch   int       // the number of pauses, to tell what was sent before the last one
	refused int       // pauses in a row after which the host has refused again

	// After a pause, requests are let through as a new TCP connection would:
	// one, and for each good answer two more.
	window int       // how many may be unanswered, 0 for any number
	trying int       // how many are
	tried  time.Time // when the last of them was sent
}

// patience is how long a request that tries whether a host answers again keeps others
// from trying.
const patience = time.Second

// place is a request's in the queue, and then among those that were sent.
type place struct {
	ready   chan struct{} // closed when the request may be sent
	element *list.Element // in the queue; nil when it may be sent
	epoch   int           // the host's when it was sent, or settled
}

// settled is the epoch of a request whose outcome has been counted.
const settled = -1

// enter waits until a request may be sent. Unless that fails, answered or failed,
// and then leave, are due.
func (h *host) enter(ctx context.Context) (*place, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	p := &place{ready: make(chan struct{})}
	h.mu.Lock()
	p.element = h.queue.PushBack(p)
	h.admit()
	h.mu.Unlock()
	select {
	case <-p.ready:
		return p, nil
	case <-ctx.Done():
		h.giveUp(p)
		return nil, ctx.Err()
	}
}

// giveUp takes back a request that will not be sent.
func (h *host) giveUp(p *place) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if p.element != nil {
		h.queue.Remove(p.element)
	} else {
		h.settle(p)
		h.inFlight--
	}
	h.admit()
}

// admit lets those requests go at the head of the queue that may be sent now, and
// wakes up when the next one may. The lock is held.
func (h *host) admit() {
	for h.queue.Len() > 0 {
		if h.most > 0 && h.inFlight >= h.most {
			return // until one leaves
		}
		now := time.Now()
		if d := h.delay(now); d > 0 {
			h.wake(d)
			return
		}
		p := h.queue.Remove(h.queue.Front()).(*place)
		p.element, p.epoch = nil, h.epoch
		h.inFlight++
		if h.window > 0 {
			h.trying++
			h.tried = now
		}
		close(p.ready)
	}
	if h.timer != nil {
		h.timer.Stop()
	}
}

// delay is how long the next request has to wait. Where it is 0 or less, the rate has
// counted the request.
func (h *host) delay(now time.Time) time.Duration {
	if d := h.paused.Sub(now); d > 0 {
		return d
	}
	if h.window > 0 && h.trying >= h.window {
		if d := h.tried.Add(patience).Sub(now); d > 0 {
			return d
		}
	}
	if h.limiter == nil {
		return 0
	}
	r := h.limiter.ReserveN(now, 1)
	d := r.DelayFrom(now)
	if d > 0 {
		r.CancelAt(now)
	}
	return d
}

func (h *host) wake(d time.Duration) {
	if h.timer != nil {
		h.timer.Reset(d)
		return
	}
	h.timer = time.AfterFunc(d, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.admit()
	})
}

// leave is for requests that are no longer in flight.
func (h *host) leave() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.inFlight--
	h.admit()
}

// failed is for requests that were not answered.
func (h *host) failed(p *place) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.settle(p)
	h.admit()
}

// answered is for requests that were. It returns how long the pause is that the
// answer has begun or made longer, if it has.
func (h *host) answered(p *place, asks plea) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	latest := p.epoch == h.epoch // else it was sent before the last pause
	h.settle(p)
	if latest && !asks.refused {
		h.refused = 0
	}
	var d time.Duration
	switch {
	case asks.pause:
		d = h.pause(asks, latest)
	case latest && h.window > 0:
		h.widen()
	}
	h.admit()
	return d
}

// settle ends what a request has tried, once.
func (h *host) settle(p *place) {
	if h.window > 0 && p.epoch == h.epoch {
		h.trying--
	}
	p.epoch = settled
}

// widen lets more requests through after a good answer, and all where these are
// enough.
func (h *host) widen() {
	h.window++
	if h.queue.Len() == 0 {
		h.window, h.trying = 0, 0
	}
}

// pause lets no request through for a while. Several that were sent at once are
// refused at once: only the first counts, unless another asks for more time.
func (h *host) pause(asks plea, latest bool) time.Duration {
	d := asks.wait
	if !asks.told {
		if !latest {
			return 0
		}
		d = grown(h.firstPause, h.refused, h.maxPause)
	}
	if latest {
		h.epoch++
		h.window, h.trying = 1, 0
		if asks.refused {
			h.refused++
		}
	}
	now := time.Now()
	if d = min(d, h.maxPause); !now.Add(d).After(h.paused) {
		return 0
	}
	d = min(withJitter(d), h.maxPause)
	h.paused = now.Add(d)
	return d
}
