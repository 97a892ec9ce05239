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
	through *body
	changed chan struct{} // closed when something was released; nil where nobody waits
}

func (g *budget) init(total, largest int64) { g.limit = total - largest }

// grow counts n more bytes of b, once they fit.
func (g *budget) grow(ctx context.Context, b *body, n int64) error {
	for {
		g.mu.Lock()
		fits := g.used+n <= g.limit
		if !fits && g.through == nil {
			g.through = b
		}
		if fits || g.through == b {
			g.used += n
			b.held += n
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

// release gives back what b has counted.
func (g *budget) release(b *body) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if b.held == 0 && g.through != b {
		return
	}
	g.used -= b.held
	b.held = 0
	if g.through == b {
		g.through = nil
	}
	if g.changed != nil {
		close(g.changed)
		g.changed = nil
	}
}
