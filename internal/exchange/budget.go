package exchange

import (
	"context"
	"math"
	"sync"
)

// budget bounds the memory of all bodies that are coming in. Each may become as large
// as MaxBody and take half of that more on the way, so one of those that do not fit is let
// through: the others wait until bodies have been saved.
type budget struct {
	mu      sync.Mutex
	limit   int64 // of all but the one that is let through
	used    int64
	through *Share
	changed chan struct{} // closed when something was released; nil where nobody waits
}

// largestShare is what a body may take on the way to its end, at most.
func largestShare(maxBody int64) int64 { return maxBody + maxBody/2 }

func (g *budget) init(total, largest int64) { g.limit = total - largest }

// Share is what one body that is coming in has of the memory for all. The zero value and
// nil are without a limit.
type Share struct {
	budget *budget
	held   int64
}

type shareKey struct{}

// ShareOf is the share for the body of a request with that context, nil where there is
// no limit.
func ShareOf(ctx context.Context) *Share {
	s, _ := ctx.Value(shareKey{}).(*Share)
	return s
}

// Grow counts n more bytes, once they fit. The error is that of ctx.
func (s *Share) Grow(ctx context.Context, n int64) error {
	if s == nil || s.budget == nil {
		return nil
	}
	g := s.budget
	for {
		g.mu.Lock()
		fits := g.used+n <= g.limit
		if !fits && g.through == nil {
			g.through = s
		}
		if fits || g.through == s {
			g.used += n
			s.held += n
			g.mu.Unlock()
			return nil
		}
		if g.changed == nil {
			g.changed = make(chan struct{})
		}
		changed := g.changed
		g.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Shrink gives back n of the bytes that were counted.
func (s *Share) Shrink(n int64) { s.giveBack(n, false) }

// Release gives back all that was counted.
func (s *Share) Release() { s.giveBack(math.MaxInt64, true) }

// Yield tells that the share grows no more, and lets others through.
func (s *Share) Yield() { s.giveBack(0, true) }

func (s *Share) giveBack(n int64, yield bool) {
	if s == nil || s.budget == nil {
		return
	}
	g := s.budget
	g.mu.Lock()
	defer g.mu.Unlock()
	yield = yield && g.through == s
	if n = min(n, s.held); n == 0 && !yield {
		return
	}
	g.used -= n
	s.held -= n
	if yield {
		g.through = nil
	}
	if g.changed != nil {
		close(g.changed)
		g.changed = nil
	}
}

// Sends reports whether a request with that context is one that the exchange itself
// sends to the origin. It is not to be answered from the cache, nor to wait for itself,
// where a door's client has a transport over the same cache.
func (x *Exchange) Sends(ctx context.Context) bool {
	s := ShareOf(ctx)
	return s != nil && s.budget == &x.budget
}

// sharing is a context whose request has a share.
type sharing struct {
	context.Context
	share *Share
	of    *Flight // nil in tests
}

// Value implements [context.Context].
func (s *sharing) Value(key any) any {
	if key == (shareKey{}) {
		return s.share
	}
	if key == (flightOf{}) {
		return s.of
	}
	return s.Context.Value(key)
}
