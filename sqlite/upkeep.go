package sqlite

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// upkeep keeps a file small: it cuts the log, and gives the space of what was deleted back to
// the disk. Commits wake it. It has a goroutine while there may be something to do.
type upkeep struct {
	file    *file
	commits *committer

	changed atomic.Bool  // since the goroutine looked
	written atomic.Int64 // bytes, about, since the log's size was looked at
	long    atomic.Bool  // the log was, then
	urgent  chan struct{}

	mu      sync.Mutex
	running atomic.Bool // changed under mu
	closed  bool
	ctx     context.Context //nolint:containedctx // of the goroutine
	cancel  context.CancelFunc
	ended   sync.WaitGroup

	owesCut atomic.Bool // the file has been shortened, but not yet on the disk

	relieving chan struct{} // holds an element while somebody uses the reserve's room

	pinned time.Time // until when a writer that found a reader in the way does not try again; of who has the turn
}

// pause is how long upkeep lets changes gather before it looks at them.
const pause = time.Second

// lastWork is how long Close may take to give space back.
const lastWork = time.Second

// lookAtLog is after how many bytes of writes the log's size is looked at, unless it is long.
const lookAtLog = 512 << 10

// statementSize is how much the log grows by a write beside what is written, about: by some pages.
const statementSize = 16 << 10

func newUpkeep(f *file, c *committer) *upkeep {
	u := &upkeep{file: f, commits: c, urgent: make(chan struct{}, 1), relieving: make(chan struct{}, 1)}
	u.ctx, u.cancel = context.WithCancel(context.Background())
	return u
}

// committed is called after each commit of about so many bytes.
func (u *upkeep) committed(size int) {
	u.wake()
	if u.written.Add(int64(size)+statementSize) < lookAtLog && !u.long.Load() {
		return
	}
	u.written.Store(0)
	long := u.file.logIsLong()
	u.long.Store(long)
	u.keepReserve() // a disk can become full in less than upkeep's pause
	if long {
		select {
		case u.urgent <- struct{}{}:
		default: // it knows
		}
	}
}

// wake makes sure that the goroutine looks again.
func (u *upkeep) wake() {
	u.changed.Store(true)
	if u.running.Load() {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closed || u.running.Load() {
		return
	}
	u.running.Store(true)
	u.ended.Add(1)
	go u.run()
}

func (u *upkeep) run() {
	defer u.ended.Done()
	lookAt, logAt := time.Now().Add(pause), time.Now()
	retry := firstRetry
	for {
		next := lookAt
		long := u.file.logIsLong()
		if long && logAt.Before(next) {
			next = logAt
		}
		if !u.sleepUntil(next) {
			return
		}
		if long && !time.Now().Before(logAt) {
			err := u.guarded(u.cut)
			if errors.Is(err, errPinned) {
				retry = min(2*max(retry, pinnedRetry/2), lastRetry)
			} else {
				retry = firstRetry
			}
			logAt = time.Now()
			if err != nil {
				logAt = logAt.Add(retry)
			}
		}
		if time.Now().Before(lookAt) {
			continue
		}
		u.changed.Store(false)
		u.keepReserve()
		_ = u.guarded(u.shrinkInSteps)
		lookAt = time.Now().Add(pause)
		if u.idle() {
			return
		}
	}
}

// sleepUntil sleeps until a time, or less where the log has become long. It reports whether
// there is more to do: upkeep has not been stopped.
func (u *upkeep) sleepUntil(t time.Time) bool {
	timer := time.NewTimer(time.Until(t))
	defer timer.Stop()
	select {
	case <-u.ctx.Done():
		return false
	case <-u.urgent:
	case <-timer.C:
	}
	return true
}

// guarded does work. What fails is tried again after the next change; a
// file that is found damaged is replaced, as an operation of a caller would.
// One that was removed is not begun anew: perhaps nobody needs it any more.
func (u *upkeep) guarded(work func(context.Context) error) error {
	if _, err := os.Stat(u.file.path); errors.Is(err, fs.ErrNotExist) {
		return errMoved
	}
	return u.file.guard(u.ctx, true, func() error { return work(u.ctx) })
}

// idle ends the goroutine if there is nothing left that it may have to do.
func (u *upkeep) idle() bool {
	if u.owesCut.Load() {
		if err := u.guarded(u.cut); err == nil || errors.Is(err, errMoved) {
			u.owesCut.Store(false)
		}
	}
	if u.owesCut.Load() || u.file.logIsLong() {
		return false
	}
	return u.end()
}

// end lets the next change start another goroutine, unless there has been one already.
func (u *upkeep) end() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.running.Store(false)
	if u.changed.Load() { // by somebody who may have seen that the goroutine was running
		u.running.Store(true)
		return false
	}
	return true
}

// stop ends the goroutine and waits for it. If the file stays, what can be done in little time
// is done at once.
func (u *upkeep) stop(stays bool) {
	u.mu.Lock()
	u.closed = true
	u.mu.Unlock()
	u.cancel()
	u.ended.Wait()
	if !stays {
		_ = u.file.spendReserve()
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), lastWork)
	defer cancel()
	_ = u.shrink(ctx, false) // the next store on the file does it otherwise
	// Closing the last connection is a checkpoint. Where there is not enough room for it, it
	// takes all that there is: a clear needs the reserve then.
	u.spendFor(ctx, u.file.growth)
}
