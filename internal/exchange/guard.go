package exchange

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/hooks"
	"github.com/endpointcache/endpointcache/internal/secret"
)

var (
	// ErrStoreSlow means that the store did not answer in time.
	ErrStoreSlow = errors.New("the store did not answer in time")

	// ErrStoreDown means that the store was not asked, as it has failed before.
	ErrStoreDown = errors.New("the store is not asked, as it has failed")
)

// guard keeps a store that fails or hangs from failing calls or holding them up: each
// operation has a time limit, and after failures in a row the store is left alone for a
// while. Then a probe beside the calls finds out whether it works again. One line is
// logged when a spell of failures begins, and one when it ends.
//
// Our own instead of a library's circuit breaker: an operation that succeeds costs an
// atomic load, and no caller is the probe.
type guard struct {
	x      *Exchange
	failed atomic.Bool // a spell of failures has begun

	mu       sync.Mutex
	failing  map[access]bool // what did not work when it was last tried
	since    time.Time       // when the spell began
	failures int64           // of it
	last     error           // of these
	skipped  int64           // operations of it that were not tried
	until    time.Time       // when the store is tried again; zero: it is not left alone
	pause    time.Duration   // the last one
	probing  bool
}

// access tells reads from writes: a full disk can be read, and a lock may keep out
// writers only. That one of them works says nothing of the other.
type access bool

const (
	reads  access = false
	writes access = true
)

func accessOf(op string) access { return op != "get" }

const (
	failuresBefore = 3 // in a row, and the store is left alone; one that hangs is at once
	firstPause     = 250 * time.Millisecond
	longestPause   = 5 * time.Second
)

func (g *guard) init(x *Exchange) { g.x, g.failing = x, make(map[access]bool, 2) }

// allow reports whether the store may be asked.
func (g *guard) allow(t *Table) bool {
	if !g.failed.Load() {
		return true
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.until.IsZero() {
		return true
	}
	g.skipped++
	if !g.probing && time.Now().After(g.until) && g.x.running.enter() {
		g.probing = true
		go g.probe(t, g.failing[reads], g.failing[writes])
	}
	return false
}

// probe tries what has failed, with a key that hardly exists. No other probe begins
// before its operations have ended, as those of a store that hangs pile up.
func (g *guard) probe(t *Table, reading, writing bool) {
	defer g.x.running.leave()
	ctx, cancel := context.WithTimeout(g.x.running.ctx, g.x.opts.StoreTimeout)
	defer cancel()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if writing {
			g.report(t, "save", guarded(func() error {
				_, err := t.table.Renew(ctx, []driver.Renewal{{Key: t.probeKey, CachedAt: earliest, ExpiresAt: earliest}})
				return err
			}))
		}
		if reading {
			g.report(t, "get", guarded(func() error {
				// No memory over the store answers for the usage.
				return t.table.Get(ctx, []driver.Key{t.probeKey}, driver.Selection{Parts: driver.Usage}, func(int, driver.Entry) {})
			}))
		}
		g.mu.Lock()
		defer g.mu.Unlock()
		g.probing = false
	}()
	select {
	case <-ended:
	case <-ctx.Done():
	}
}

// leftOut is the error of an operation that is not tried.
func (g *guard) leftOut(ctx context.Context, t *Table, op string) error {
	g.mu.Lock()
	err := fmt.Errorf("%w: %w", ErrStoreDown, g.last)
	g.mu.Unlock()
	g.x.storeFailed(ctx, t, op, err)
	return err
}

// report tells how an operation has ended.
func (g *guard) report(t *Table, op string, err error) {
	if err == nil && !g.failed.Load() {
		return
	}
	g.x.storeState(g.note(t, op, err))
}

// note takes note of how an operation has ended, and returns the state of the store where that
// has changed.
func (g *guard) note(t *Table, op string, err error) *hooks.StoreState {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err == nil {
		return g.succeeded(accessOf(op))
	}
	g.failing[accessOf(op)] = true
	g.failures++
	g.last = err
	if g.failed.CompareAndSwap(false, true) {
		g.since = time.Now()
		g.x.log.Warn("endpointcache: "+op+" failed", "repository", t.Name, "error", err)
	}
	if g.failures >= failuresBefore || errors.Is(err, ErrStoreSlow) {
		used := g.until.IsZero()
		g.pause = min(max(2*g.pause, firstPause), longestPause)
		g.until = time.Now().Add(g.pause)
		if used {
			return &hooks.StoreState{LeftOut: true, Failures: g.failures}
		}
	}
	return nil
}

// succeeded ends a spell of failures, once all that has failed works. The lock is held.
func (g *guard) succeeded(a access) *hooks.StoreState {
	g.failing[a] = false
	if g.failing[reads] || g.failing[writes] || !g.failed.CompareAndSwap(true, false) {
		return nil
	}
	g.x.log.Info("endpointcache: the store answers again", "failed", g.failures, "skipped", g.skipped,
		"after", time.Since(g.since).Round(time.Millisecond))
	var used *hooks.StoreState
	if !g.until.IsZero() {
		used = &hooks.StoreState{Failures: g.failures, Skipped: g.skipped}
	}
	g.failures, g.skipped, g.until, g.pause = 0, 0, time.Time{}, 0
	return used
}

// ofStore reports whether an error tells of the store, and not of the caller or of one
// entry.
func ofStore(ctx context.Context, err error) bool {
	return err != nil && ctx.Err() == nil && !errors.Is(err, driver.ErrTooLarge) && !errors.Is(err, ErrUnkept)
}

// do runs an operation on n keys of the store and waits for it no longer than the
// limit, though the store may hang, nor than ctx lets it. An operation that is given up
// may go on: it is not to write to what the caller has.
func (g *guard) do(ctx context.Context, t *Table, op string, n int, run func(context.Context) error) error {
	if !g.allow(t) {
		return g.leftOut(ctx, t, op)
	}
	err := g.bounded(ctx, n, run)
	return g.ended(ctx, t, op, err)
}

// prompt is do for an operation that waits for this machine alone and ends soon after
// its context does: another goroutine would take half as long as the operation.
func (g *guard) prompt(ctx context.Context, t *Table, op string, n int, run func(context.Context) error) error {
	if !g.allow(t) {
		return g.leftOut(ctx, t, op)
	}
	limited := &limitedContext{Context: ctx, deadline: time.Now().Add(g.limit(n))}
	err := guarded(func() error { return run(limited) })
	limited.stop()
	if err != nil && ctx.Err() == nil && limited.Err() != nil {
		err = fmt.Errorf("%w: %w", ErrStoreSlow, err)
	}
	return g.ended(ctx, t, op, err)
}

// watch is do for an operation that goes on the calling goroutine, which nobody waits
// for: where it takes too long, late is called once, on another goroutine, and watch
// returns false when the operation has ended at last.
func (g *guard) watch(ctx context.Context, t *Table, op string, n int, run func(context.Context) error, late func()) (onTime bool, err error) {
	if !g.allow(t) {
		return true, g.leftOut(ctx, t, op)
	}
	limit := g.limit(n)
	limited := &limitedContext{Context: ctx, deadline: time.Now().Add(limit)}
	timer := time.AfterFunc(limit, func() {
		_ = g.ended(ctx, t, op, ErrStoreSlow)
		late()
	})
	err = guarded(func() error { return run(limited) })
	limited.stop()
	if !timer.Stop() {
		return false, nil
	}
	return true, g.ended(ctx, t, op, err)
}

func (g *guard) ended(ctx context.Context, t *Table, op string, err error) error {
	switch {
	case ofStore(ctx, err):
		g.x.storeFailed(ctx, t, op, err)
		g.report(t, op, err)
	case err == nil:
		g.report(t, op, nil)
	}
	return err
}

func (g *guard) limit(n int) time.Duration {
	return g.x.opts.StoreTimeout * time.Duration(1+n/1000)
}

func (g *guard) bounded(ctx context.Context, n int, run func(context.Context) error) error {
	limited, cancel := context.WithTimeoutCause(ctx, g.limit(n), ErrStoreSlow)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		err := errEnded
		defer func() { done <- err }()
		err = guarded(func() error { return run(limited) })
	}()
	select {
	case err := <-done:
		if err != nil && ctx.Err() == nil && limited.Err() != nil {
			err = fmt.Errorf("%w: %w", ErrStoreSlow, err)
		}
		return err
	case <-limited.Done():
		return context.Cause(limited)
	}
}

// panicError is a panic in a function of the declaration, or in a store.
type panicError struct{ value any }

func (e *panicError) Error() string { return "panic: " + secret.Mask(fmt.Sprint(e.value)) }

// guarded makes an error of a panic.
func guarded(run func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &panicError{p}
		}
	}()
	return run()
}

// limitedContext is a context with a deadline whose timer is only set where a goroutine
// waits for it: most reads from this machine's disk end without.
type limitedContext struct {
	context.Context
	deadline time.Time

	mu      sync.Mutex
	timed   context.Context // nil until it is waited for
	cancel  context.CancelFunc
	stopped bool
}

// Deadline implements [context.Context].
func (c *limitedContext) Deadline() (time.Time, bool) {
	if earlier, ok := c.Context.Deadline(); ok && earlier.Before(c.deadline) {
		return earlier, true
	}
	return c.deadline, true
}

// Done implements [context.Context].
func (c *limitedContext) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timed == nil {
		c.timed, c.cancel = context.WithDeadlineCause(c.Context, c.deadline, ErrStoreSlow)
		if c.stopped {
			c.cancel()
		}
	}
	return c.timed.Done()
}

// Err implements [context.Context]. It is not nil once the channel of Done is closed, for
// contexts that the store has made of this one and that outlive the operation.
func (c *limitedContext) Err() error {
	c.mu.Lock()
	timed := c.timed
	c.mu.Unlock()
	if timed != nil {
		return timed.Err()
	}
	if err := c.Context.Err(); err != nil {
		return err
	}
	if time.Now().Before(c.deadline) {
		return nil
	}
	return context.DeadlineExceeded
}

// stop ends the context with the operation.
func (c *limitedContext) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopped = true
	if c.cancel != nil {
		c.cancel()
	}
}
