// Package filelock locks files among processes, by locks that end with the process that
// has them: flock on Unix, LockFileEx on Windows. Solaris, AIX, Plan 9 and WebAssembly
// have neither; there, nobody waits.
package filelock

import (
	"context"
	"os"
	"time"
)

// The waits for a lock of another process grow from the shorter to the longer.
const (
	shortWait = 20 * time.Microsecond
	longWait  = 5 * time.Millisecond
)

// Lock waits for the lock of a file as long as ctx lets it. Closing the file unlocks it.
// Of two openings of one file in a process, one waits for the other.
func Lock(ctx context.Context, f *os.File) error {
	for wait := shortWait; ; wait = min(2*wait, longWait) {
		if locked, err := Try(f); err != nil || locked {
			return err
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}
