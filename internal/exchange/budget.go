package exchange

import (
	"context"
	"sync"
)

// budget bounds the memory of all bodies that are coming in. Each may become as large
// as MaxBody, so one of those that do not fit is let through: the others wait until
// bodies have been saved.
type budget struct {
	mu      sync.Mutex
	limit   int64 // of all but the one that is let through
	used    int64
	through *Share
	changed chan struct{} // closed when something was released; nil where nobody waits
}

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

// Release gives back all that was counted.
func (s *Share) Release() {
	if s == nil || s.budget == nil {
		return
	}
	g := s.budget
	g.mu.Lock()
	defer g.mu.Unlock()
	if s.held == 0 && g.through != s {
		return
	}
	g.used -= s.held
	s.held = 0
	if g.through == s {
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
}

// Value implements [context.Context].
func (s *sharing) Value(key any) any {
	if key == (shareKey{}) {
		return s.share
	}
	return s.Context.Value(key)
}
