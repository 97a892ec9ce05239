package seal

import (
	"context"

	"github.com/endpointcache/endpointcache/driver"
)

// hide returns the store below as [driver.As] may find it. Where keys are digests, what it
// tells of keys would be wrong.
func (s *Store) hide() driver.Store {
	if s.opts.KeyColumn == nil {
		return s.below
	}
	if watcher, ok := driver.As[driver.Watcher](s.below); ok {
		return &watching{Store: s.below, watcher: watcher, seal: s}
	}
	return nil
}

// watching is a store below whose other interfaces are hidden.
type watching struct {
	driver.Store
	watcher driver.Watcher
	seal    *Store
}

// Watch implements [driver.Watcher]: a change of keys that are digests is one of any key.
func (w *watching) Watch(ctx context.Context, begun func(), changed func(driver.Change)) error {
	return w.watcher.Watch(ctx, begun, func(c driver.Change) {
		if c.Keys != nil && w.seal.mayDigest(c.Table) {
			c.Keys = nil
		}
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
