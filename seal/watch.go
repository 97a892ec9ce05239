package seal

import (
	"context"
	"sync"

	"github.com/endpointcache/endpointcache/driver"
)

// hide returns the store below as [driver.As] may find it. Where keys are digests, what it
// tells of keys would be wrong; and of other keys to seal with, it tells nothing.
func (s *Store) hide() driver.Store {
	rest := s.below
	if s.opts.KeyColumn != nil {
		rest = tended(s.below)
	}
	if watcher, ok := driver.As[driver.Watcher](s.below); ok {
		return &watching{Store: s.below, watcher: watcher, seal: s, rest: rest}
	}
	return rest
}

// tended is a store of which nothing is found but how it is set up and how to compact it, which
// tells of no keys; nil where it has neither.
func tended(below driver.Store) driver.Store {
	diagnoser, diagnoses := driver.As[driver.Diagnoser](below)
	compactor, compacts := driver.As[driver.Compactor](below)
	switch {
	case diagnoses && compacts:
		return struct {
			driver.Store
			driver.Diagnoser
			driver.Compactor
		}{below, diagnoser, compactor}
	case diagnoses:
		return struct {
			driver.Store
			driver.Diagnoser
		}{below, diagnoser}
	case compacts:
		return struct {
			driver.Store
			driver.Compactor
		}{below, compactor}
	}
	return nil
}

// watching is a store below that tells what has changed for those above.
type watching struct {
	driver.Store
	watcher driver.Watcher
	seal    *Store
	rest    driver.Store // what else may be found; nil: nothing
}

// Unwrap returns the store of which other interfaces may be found.
func (w *watching) Unwrap() driver.Store { return w.rest }

// Watch implements [driver.Watcher]: a change of keys that are digests is one of any key, and
// where other keys open entries, any of them has changed.
func (w *watching) Watch(ctx context.Context, begun func(), changed func(driver.Change)) error {
	watches, own := &w.seal.watches, &watch{changed}
	defer watches.end(own)
	return w.watcher.Watch(ctx, func() { watches.begin(own, begun) }, func(c driver.Change) {
		if c.Keys != nil && w.seal.mayDigest(c.Table) {
			c.Keys = nil
		}
		watches.mu.Lock()
		defer watches.mu.Unlock()
		changed(c)
	})
}

// mayDigest reports whether keys of a table may be digests.
func (s *Store) mayDigest(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	sh := s.tables[name]
	return sh == nil || sh.digests.Load()
}

// watches are those that go on. Their lock is held while one is told.
type watches struct {
	mu  sync.Mutex
	all map[*watch]bool
}

type watch struct{ changed func(driver.Change) }

func (w *watches) begin(one *watch, begun func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.all == nil {
		w.all = make(map[*watch]bool)
	}
	w.all[one] = true
	begun()
}

func (w *watches) end(one *watch) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.all, one)
}

// tellAll tells that anything may have changed.
func (w *watches) tellAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for one := range w.all {
		one.changed(driver.Change{})
	}
}
