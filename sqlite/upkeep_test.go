package sqlite

import (
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
)

// What is committed while upkeep's goroutine ends is looked at: by it, or by another.
func TestAChangeWhileUpkeepEndsIsSeen(t *testing.T) {
	f := &file{path: filepath.Join(t.TempDir(), "absent.db")}
	for range 10_000 {
		u := newUpkeep(f, nil)
		u.cancel() // a new goroutine ends at once
		u.running.Store(true)
		var both sync.WaitGroup
		var ready atomic.Int32
		together := func(do func()) {
			both.Go(func() {
				for ready.Add(1); ready.Load() < 2; {
					continue
				}
				do()
			})
		}
		together(func() { u.end() })
		together(u.wake)
		both.Wait()
		if u.changed.Load() && !u.running.Load() {
			t.Fatal("nobody looks at the change")
		}
		u.ended.Wait()
	}
}
