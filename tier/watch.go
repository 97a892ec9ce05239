package tier

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/endpointcache/endpointcache/driver"
)

// watch hears of what others change in the store below.
type watch struct {
	store   *Store
	watcher driver.Watcher
	cancel  context.CancelFunc
	ended   chan struct{}

	watching               atomic.Bool
	invalidations, resyncs atomic.Int64

	mu        sync.Mutex // held while listeners are told
	listeners map[*listener]bool
}

type listener struct{ tell func(driver.Change) }

func startWatch(s *Store, watcher driver.Watcher) *watch {
	ctx, cancel := context.WithCancel(context.Background())
	w := &watch{store: s, watcher: watcher, cancel: cancel, ended: make(chan struct{}), listeners: make(map[*listener]bool)}
	go w.run(ctx)
	return w
}

func (w *watch) stop() {
	w.cancel()
	<-w.ended
}

// The pauses before a watch that has ended is begun again. A library for them would be more
// than these lines.
const (
	firstPause   = 100 * time.Millisecond
	longestPause = 5 * time.Second
)

func (w *watch) run(ctx context.Context) {
	defer close(w.ended)
	var pause time.Duration
	failing := false // which was logged
	for {
		begun := func() {
			if failing {
				w.store.opts.Logger.Info("endpointcache: the tier hears again what others change in its store")
			}
			failing, pause = false, 0
			w.begun()
		}
		err := w.watcher.Watch(ctx, begun, w.changed)
		w.lost()
		switch {
		case ctx.Err() != nil || errors.Is(err, driver.ErrClosed):
			return
		case errors.Is(err, errors.ErrUnsupported):
			w.liveWithout(err)
			return
		}
		if !failing {
			failing = true
			w.store.opts.Logger.Warn("endpointcache: the tier does not hear what others change in its store, and holds nothing", "error", err)
		}
		pause = min(max(2*pause, firstPause), longestPause)
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause/2 + rand.N(pause/2+1)): // processes that have lost a server do not come back as one
		}
	}
}

// begun begins to hold. What was read before may be old.
func (w *watch) begun() {
	w.store.forget()
	w.store.held.used.Store(true)
	w.watching.Store(true)
}

// liveWithout gives entries so short a life that the promise of the traits holds.
func (w *watch) liveWithout(err error) {
	lags := w.store.traits.Lags
	w.store.opts.Logger.Warn("endpointcache: the tier cannot hear what others change in its store, and holds entries for a short time", "life", lags, "error", err)
	w.store.held.life.Store(int64(lags))
	w.store.held.used.Store(true)
}

// lost ends it.
func (w *watch) lost() {
	w.store.held.used.Store(false)
	if w.watching.Swap(false) {
		w.resyncs.Add(1)
	}
	w.store.forget()
	w.tell(driver.Change{})
}

// changed lets go of what has changed.
func (w *watch) changed(c driver.Change) {
	w.store.changed(c, &w.invalidations)
	w.tell(c)
}

func (s *Store) changed(c driver.Change, invalidations *atomic.Int64) {
	switch {
	case c.Table == "":
		invalidations.Add(1)
		s.forget()
	case c.Keys == nil:
		invalidations.Add(1)
		s.ledger(c.Table).changedAll()
	default:
		l := s.ledger(c.Table)
		for _, key := range c.Keys {
			if l.changed(string(driver.AppendKey(nil, key))) {
				invalidations.Add(1)
			}
		}
	}
}

func (w *watch) tell(c driver.Change) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for l := range w.listeners {
		l.tell(c)
	}
}

// OnChange implements [driver.Announcer]. Over a store that cannot tell what others change, tell
// is not called.
func (s *Store) OnChange(tell func(driver.Change)) (stop func()) {
	w := s.watch
	if w == nil {
		return func() {}
	}
	l := &listener{tell}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.listeners[l] = true
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.listeners, l)
	}
}
