package drivertest

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/waitfor"
)

// toldWithin is how long the suite waits for what is to be told: so long as only what is
// forgotten takes.
var toldWithin = waitfor.Limit

// within is waitfor.True for what a store tells.
func within(tb testing.TB, what string, holds func() bool) {
	tb.Helper()
	waitfor.Within(tb, toldWithin, what, holds)
}

// watched is a Watch and what it has told.
type watched struct {
	tb     testing.TB
	store  driver.Watcher
	cancel context.CancelFunc
	began  chan struct{}
	ended  chan struct{} // closed when Watch has returned err
	err    error

	busy atomic.Bool // while begun or changed is being called

	mu     sync.Mutex
	n      int             // how many changes were told
	last   map[changed]int // by what may have changed: the number of the last change
	faults []string        // for stop to report: some may come after the test
}

// changed is an entry, by its encoded key, or any entry, of a table, or of any table.
type changed struct{ table, key string }

// watch starts a Watch of a store and waits until it has begun.
func watch(tb testing.TB, s driver.Store) *watched {
	tb.Helper()
	w := startWatch(tb, s)
	w.waitBegun()
	return w
}

// startWatch starts a Watch of a store. It is stopped when the test ends.
func startWatch(tb testing.TB, s driver.Store, also ...func(driver.Change)) *watched {
	tb.Helper()
	watcher, ok := driver.As[driver.Watcher](s)
	if !ok {
		tb.Fatal("one store of the harness tells of changes, and another does not")
	}
	ctx, cancel := context.WithCancel(tb.Context())
	w := &watched{
		tb: tb, store: watcher, cancel: cancel,
		began: make(chan struct{}), ended: make(chan struct{}), last: make(map[changed]int),
	}
	go func() {
		defer close(w.ended)
		w.err = watcher.Watch(ctx, w.begin, func(c driver.Change) { w.change(c, also) })
	}()
	tb.Cleanup(func() { w.stop() })
	return w
}

// stop ends the Watch and returns its error.
func (w *watched) stop() error {
	w.tb.Helper()
	w.cancel()
	within(w.tb, "Watch ends with its context", w.hasEnded)
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, fault := range w.faults {
		w.tb.Error(fault)
	}
	w.faults = nil
	var op *driver.OpError
	if !errors.As(w.err, &op) || op.Store != w.store.Traits().Kind {
		w.tb.Errorf("Watch = %v, want a driver.OpError", w.err)
	}
	return w.err
}

func (w *watched) hasBegun() bool { return isClosed(w.began) }
func (w *watched) hasEnded() bool { return isClosed(w.ended) }

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// waitBegun waits until the Watch has begun. It skips the test where the store cannot
// watch what it is connected to.
func (w *watched) waitBegun() {
	w.tb.Helper()
	within(w.tb, "Watch begins", func() bool { return w.hasBegun() || w.hasEnded() })
	if !w.hasBegun() {
		if errors.Is(w.err, errors.ErrUnsupported) {
			w.tb.Skip(w.err)
		}
		w.tb.Fatalf("Watch = %v, and has not begun", w.err)
	}
}

func (w *watched) fault(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults = append(w.faults, what)
}

// alone marks a call of begun or changed, of which there is one at a time.
func (w *watched) alone() (end func()) {
	if !w.busy.CompareAndSwap(false, true) {
		w.fault("begun and changed are called at the same time")
	}
	if w.hasEnded() {
		w.fault("begun or changed is called after Watch has returned")
	}
	return func() { w.busy.Store(false) }
}

func (w *watched) begin() {
	defer w.alone()()
	if w.hasBegun() {
		w.fault("begun is called twice")
		return
	}
	close(w.began)
}

func (w *watched) change(c driver.Change, also []func(driver.Change)) {
	defer w.alone()()
	if !w.hasBegun() {
		w.fault("a change is told before begun is called")
	}
	for _, tell := range also {
		tell(c)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.n++
	if c.Keys == nil {
		w.last[changed{table: c.Table}] = w.n
	}
	for _, k := range c.Keys {
		if len(k) == 0 {
			w.faults = append(w.faults, "a key without values is told")
		}
		w.last[changed{c.Table, encode(k)}] = w.n
		clear(k) // it is the receiver's
	}
	clear(c.Keys)
}

// told is how many changes were told.
func (w *watched) told() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.n
}

// wait waits until it was told, later than the first so many changes, that each of these
// entries may have changed.
func (w *watched) wait(what string, from int, table string, keys ...driver.Key) {
	w.tb.Helper()
	next := 0
	defer func() {
		if next < len(keys) {
			w.tb.Errorf("of table %.40q, %s is not told", table, describe(keys[next]))
		}
	}()
	within(w.tb, what+" is told", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.hasEnded() {
			w.tb.Fatalf("Watch = %v, before %s is told", w.err, what)
		}
		for ; next < len(keys); next++ {
			key := encode(keys[next])
			if max(w.last[changed{table, key}], w.last[changed{"", key}], w.last[changed{table: table}], w.last[changed{}]) <= from {
				return false
			}
		}
		return true
	})
}
