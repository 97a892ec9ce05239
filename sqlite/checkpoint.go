package sqlite

import (
	"context"
	sqldriver "database/sql/driver"
	"errors"
	"fmt"
	"time"
)

// SQLite writes what is in the log into the file when a commit finds more than
// autoCheckpoint pages there, and then begins the log from its start, if no reader is in
// its way. Where several processes read, one always is, and the log would grow without
// end. From truncateAbove bytes on, upkeep has a checkpoint wait for readers.
const (
	autoCheckpoint = 4000     // pages: 16 MiB
	truncateAbove  = 20 << 20 // bytes
	maxLog         = 64 << 20 // bytes
)

// readersWait is how long a checkpoint may keep writers waiting for readers that
// are in its way. Its next attempt comes later, and later each time.
const (
	readersWait = 25 * time.Millisecond
	firstRetry  = 200 * time.Millisecond
	lastRetry   = 5 * time.Second
)

// logSize is the size of the write-ahead log.
func (f *file) logSize() int64 { return sizeOf(f.path + "-wal") }

// errInTheWay means that other users of the file kept a checkpoint from its end.
var errInTheWay = errors.New("others use the log")

// cut writes the log into the file, which becomes as short as its pages, and empties
// the log.
func (u *upkeep) cut(ctx context.Context) error {
	if u.file.mode != inWAL {
		return nil
	}
	// Most of the work is done without a writer having to wait.
	err := u.file.readers.with(ctx, func(c *conn) error { return c.checkpoint(ctx, "PASSIVE") })
	if err != nil {
		return err
	}
	return u.commits.alone(ctx, func(c *conn) error {
		return errors.Join(
			c.pragma(ctx, fmt.Sprintf("PRAGMA busy_timeout=%d", readersWait.Milliseconds())),
			c.checkpoint(ctx, "TRUNCATE"),
			c.pragma(ctx, fmt.Sprintf("PRAGMA busy_timeout=%d", busyTimeout.Milliseconds())),
		)
	})
}

// checkpoint does a checkpoint; where somebody is in its way, it returns [errInTheWay].
func (c *conn) checkpoint(ctx context.Context, mode string) error {
	s, err := c.prepare(ctx, stmtKey{text: "PRAGMA wal_checkpoint(" + mode + ")"})
	if err != nil {
		return err
	}
	busy := false
	err = c.query(ctx, s, 3, func(row []sqldriver.Value) bool {
		busy = row[0] != int64(0)
		return true
	})
	if err == nil && busy {
		return errInTheWay
	}
	return err
}
