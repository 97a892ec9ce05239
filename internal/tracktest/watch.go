package tracktest

import (
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/waitfor"
)

// Watched is a Watch of a store that has begun, and goes on until the test ends.
type Watched struct {
	ended chan struct{}
	err   error

	mu      sync.Mutex
	changes []driver.Change
}

// Watch begins to watch a store.
func Watch(tb testing.TB, s driver.Watcher) *Watched {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	w := &Watched{ended: make(chan struct{})}
	began := make(chan struct{})
	go func() {
		defer close(w.ended)
		w.err = s.Watch(ctx, func() { close(began) }, func(c driver.Change) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.changes = append(w.changes, c)
		})
	}()
	tb.Cleanup(func() {
		cancel()
		waitfor.Receive(tb, "Watch ends with its context", w.ended)
	})
	waitfor.True(tb, "Watch begins", func() bool {
		select {
		case <-w.ended:
			tb.Fatalf("Watch = %v", w.err)
		case <-began:
			return true
		default:
		}
		return false
	})
	return w
}

// Err waits until the Watch has ended, and returns why it has.
func (w *Watched) Err(tb testing.TB) error {
	tb.Helper()
	waitfor.Receive(tb, "Watch ends", w.ended)
	return w.err
}

// Told waits until it was told that an entry of a table may have changed.
func (w *Watched) Told(tb testing.TB, table string, key driver.Key) {
	tb.Helper()
	waitfor.True(tb, "a change is told", func() bool { return w.Tells(table, key) })
}

// Tells reports whether it was told so.
func (w *Watched) Tells(table string, key driver.Key) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.ContainsFunc(w.changes, func(c driver.Change) bool {
		return (c.Table == "" || c.Table == table) &&
			(c.Keys == nil || slices.ContainsFunc(c.Keys, func(k driver.Key) bool { return slices.Equal(k, key) }))
	})
}

// Forget forgets what was told, and returns it.
func (w *Watched) Forget() []driver.Change {
	w.mu.Lock()
	defer w.mu.Unlock()
	changes := w.changes
	w.changes = nil
	return changes
}
