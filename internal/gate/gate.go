// Package gate lets the operations of a store pass until it is closed.
package gate

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/endpointcache/endpointcache/driver"
)

// Gate is open at first. Many goroutines may use it at once.
type Gate struct {
	closing atomic.Bool
	once    sync.Once
	running sync.RWMutex // held by each operation for reading, by Close for writing

	mu   sync.Mutex
	ends map[*context.CancelCauseFunc]struct{} // of what runs until Close
}

// ErrNoContext is the error of a call whose context is nil.
var ErrNoContext = errors.New("the context is nil")

// Usable reports why nothing can be done with a context: it is nil, or done.
func Usable(ctx context.Context) error {
	if ctx == nil {
		return ErrNoContext
	}
	return ctx.Err()
}

// Do does one operation: not with a context that is nil or done, and not after
// [Gate.Close], which is driver.ErrClosed.
func (g *Gate) Do(ctx context.Context, operation func() error) error {
	if g.closing.Load() {
		return driver.ErrClosed
	}
	g.running.RLock()
	defer g.running.RUnlock()
	if g.closing.Load() {
		return driver.ErrClosed
	}
	if err := Usable(ctx); err != nil {
		return err
	}
	return operation()
}

// DoUntilClose is [Gate.Do] for an operation that runs until the context is done which it is
// given: that is so when ctx is, and when Close is called. The error then is that of ctx, or
// driver.ErrClosed.
func (g *Gate) DoUntilClose(ctx context.Context, operation func(context.Context) error) error {
	return g.Do(ctx, func() error {
		ctx, end := context.WithCancelCause(ctx)
		defer end(nil)
		g.mu.Lock()
		if g.ends == nil {
			g.ends = make(map[*context.CancelCauseFunc]struct{})
		}
		g.ends[&end] = struct{}{}
		if g.closing.Load() {
			end(driver.ErrClosed)
		}
		g.mu.Unlock()
		defer func() {
			g.mu.Lock()
			delete(g.ends, &end)
			g.mu.Unlock()
		}()
		err := operation(ctx)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return err
	})
}

// Close lets no operation pass any more, ends those that run until then, waits for those that run, and then calls
// shutDown, whose error it returns. A second call waits for the first, and has no
// error.
func (g *Gate) Close(shutDown func() error) (err error) {
	g.once.Do(func() {
		g.closing.Store(true)
		g.mu.Lock()
		for end := range g.ends {
			(*end)(driver.ErrClosed)
		}
		g.mu.Unlock()
		g.running.Lock()
		defer g.running.Unlock()
		err = shutDown()
	})
	return err
}
