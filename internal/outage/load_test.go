package outage

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"sync"
	"sync/atomic"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/waitfor"
)

const (
	workers = 6
	batch   = 40
	size    = 2 << 10
)

// load is work on a table that goes on whatever happens. Each of its workers has
// keys of its own, and saves them in versions that rise, all at once.
type load struct {
	*world
	timeout time.Duration // of each call
	stopped atomic.Bool
	ended   sync.WaitGroup
	workers [workers]worker

	mu       sync.Mutex
	examples map[string]int // what the calls that failed said
}

// worker is what one worker knows.
type worker struct {
	tried     int // the version of the last save
	confirmed int // that of the last save that succeeded

	mu        sync.Mutex
	succeeded time.Time // when a call succeeded last
	failed    time.Time
	calls     int
}

func (w *world) startLoad(timeout time.Duration) *load {
	l := &load{world: w, timeout: timeout, examples: make(map[string]int)}
	for owner := range workers {
		l.ended.Go(func() {
			for !l.stopped.Load() {
				l.step(owner)
			}
		})
	}
	return l
}

// step saves the next version and reads what is there.
func (l *load) step(owner int) {
	me := &l.workers[owner]
	me.tried++
	err := inTime(l.timeout, func(ctx context.Context) error {
		return l.table.Put(ctx, entries(owner, batch, me.tried, size))
	})
	if err == nil {
		me.confirmed = me.tried
	}
	l.note(me, "save", err)

	var found map[int]int
	err = inTime(l.timeout, func(ctx context.Context) (err error) {
		found, err = versions(ctx, l.table, owner, batch, size)
		return err
	})
	if err == nil {
		err = me.compare(found)
	}
	l.note(me, "get", err)

	other := (owner + 1) % workers
	l.note(me, "get one", inTime(l.timeout, func(ctx context.Context) error {
		_, err := versions(ctx, l.table, other, 1, size)
		return err
	}))
}

// compare holds what was found to what the worker knows of its keys.
func (me *worker) compare(found map[int]int) error {
	if me.confirmed > 0 && len(found) != batch {
		return wrongError{fmt.Errorf("of %d keys that were saved, %d are there", batch, len(found))}
	}
	for i, version := range found {
		if version < me.confirmed || version > me.tried {
			return wrongError{fmt.Errorf("entry %d has version %d: %d was saved, %d tried", i, version, me.confirmed, me.tried)}
		}
	}
	return nil
}

var ports = regexp.MustCompile(`127\.0\.0\.1:\d+`)

func (l *load) note(me *worker, call string, err error) {
	me.mu.Lock()
	me.calls++
	if err == nil {
		me.succeeded = time.Now()
	} else {
		me.failed = time.Now()
	}
	me.mu.Unlock()
	if err == nil {
		return
	}
	l.mu.Lock()
	l.examples[call+": "+ports.ReplaceAllString(err.Error(), "…")]++
	l.mu.Unlock()
	if errors.As(err, new(wrongError)) {
		l.Errorf("%s: %v", call, err)
	}
	time.Sleep(5 * time.Millisecond) // as callers do, and to leave the processors to others
}

// await waits until all workers have had a success after the instant.
func (l *load) await(after time.Time, timeout time.Duration) bool {
	for deadline := after.Add(timeout); ; time.Sleep(5 * time.Millisecond) {
		n := 0
		for i := range l.workers {
			me := &l.workers[i]
			me.mu.Lock()
			if me.succeeded.After(after) {
				n++
			}
			me.mu.Unlock()
		}
		if n == workers {
			return true
		}
		if time.Now().After(deadline) {
			return false
		}
	}
}

// expectBack checks that all workers go on by themselves soon after now, and then
// without failures.
func (l *load) expectBack(within time.Duration) {
	l.Helper()
	const quiet = 300 * time.Millisecond
	over := time.Now()
	if !l.await(over, within) {
		l.Errorf("%v after the end of the failure not all work goes on", within)
		return
	}
	l.Logf("work goes on after %v", time.Since(over).Round(time.Millisecond))
	time.Sleep(quiet)
	waitfor.True(l, "calls do not fail any more", func() bool { return !l.failedSince(time.Now().Add(-quiet)) })
}

func (l *load) failedSince(instant time.Time) bool {
	for i := range l.workers {
		me := &l.workers[i]
		me.mu.Lock()
		failed := me.failed.After(instant)
		me.mu.Unlock()
		if failed {
			return true
		}
	}
	return false
}

// stop ends the load and checks what it has left in the table.
func (l *load) stop() {
	l.Helper()
	l.stopped.Store(true)
	l.ended.Wait()
	calls := 0
	for owner := range l.workers {
		me := &l.workers[owner]
		calls += me.calls
		found, err := versions(l.Context(), l.direct, owner, batch, size)
		if err == nil {
			err = me.compare(found)
		}
		if err != nil {
			l.Errorf("in the end: %v", err)
		}
	}
	seen := 0
	for e, err := range l.direct.Entries(l.Context(), driver.Selection{Parts: everything}) {
		if err != nil {
			l.Fatal(err)
		}
		if err := check(e.Key, e, size); err != nil {
			l.Errorf("in the end: %v", err)
		}
		seen++
	}
	l.Logf("%d calls, %d entries", calls, seen)
	for text, n := range l.examples {
		l.Logf("%d times %s", n, text)
	}
}
