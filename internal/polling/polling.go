// Package polling is what the stores have in common that have to look by themselves whether
// others have changed something: nobody tells them.
package polling

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/endpointcache/endpointcache/driver"
)

// every is how often a store that is watched looks, so that a change is told well within the
// 100 milliseconds that [driver.Watcher] promises.
const every = 40 * time.Millisecond

// started is what times are counted from.
var started = time.Now()

// Watchers are those who watch a store. They look on their own goroutines, one for all.
type Watchers struct {
	any    atomic.Bool
	looked atomic.Int64 // when somebody last did, in nanoseconds since started

	mu  sync.Mutex
	all map[chan struct{}]bool
}

// Any reports whether there are some.
func (w *Watchers) Any() bool { return w.any.Load() }

// Due reports whether nobody has looked lately.
func (w *Watchers) Due() bool { return int64(time.Since(started))-w.looked.Load() >= int64(every)/2 }

// Looked says that somebody looks now.
func (w *Watchers) Looked() { w.looked.Store(int64(time.Since(started))) }

// Tell tells all of them that anything may have changed. It does not wait for them.
func (w *Watchers) Tell() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for told := range w.all {
		select {
		case told <- struct{}{}:
		default: // it has yet to hear of an earlier change
		}
	}
}

// Watch is a store's, see [driver.Watcher]. The context is not nil. look calls Tell where
// something has changed since it was called last. The first time, it looks in any case; later
// it may leave that to others unless it is Due. Its error ends the Watch.
func (w *Watchers) Watch(ctx context.Context, look func(first bool) error, begun func(), changed func(driver.Change)) error {
	told := make(chan struct{}, 1)
	w.join(told)
	defer w.leave(told)
	if err := look(true); err != nil {
		return err
	}
	select {
	case <-told: // of what was before
	default:
	}
	begun()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-told:
			changed(driver.Change{})
		case <-tick.C:
			if err := look(false); err != nil {
				return err
			}
		}
	}
}

func (w *Watchers) join(told chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.all == nil {
		w.all = make(map[chan struct{}]bool)
	}
	w.all[told] = true
	w.any.Store(true)
}

func (w *Watchers) leave(told chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.all, told)
	w.any.Store(len(w.all) > 0)
}
