package sqlite

import (
	"context"
	sqldriver "database/sql/driver"
	"errors"
	"time"
)

// SQLite by itself writes the log into the file after a commit that finds it long, and begins
// it from its start when no reader is in the way. Where several processes read, one
// always is: the log would grow without end. So upkeep does it, for all processes that
// use the package, and waits for readers. No caller's commit pays for it.
const (
	longLog = 16 << 20 // bytes from which on the log is cut
	hugeLog = 20 << 20 // bytes from which on upkeep lets the writers of its process wait for that
	fullLog = 40 << 20 // bytes from which on each writer does it before it writes
	stays   = 96 << 20 // bytes to which it only grows because of a reader

	shortLog = 512 << 10 // bytes up to which it is never too long

	fewLogged = 1000 // pages that may be left to write while writers wait
)

// How long a checkpoint waits for others: for readers that have begun before
// the log's end, while writers go on, or while all writers wait; for another checkpoint, while
// writers wait that would make a huge log longer; and until its next attempt, which comes
// later and later where a reader stays.
const (
	readersEnd  = 10 * time.Millisecond
	readersWait = 500 * time.Millisecond
	writersWait = 5 * time.Second
	firstRetry  = 50 * time.Millisecond
	pinnedRetry = 400 * time.Millisecond
	lastRetry   = 5 * time.Second
)

// Errors of a checkpoint that did not come to its end.
var (
	errAnotherDoes = errors.New("another process writes the log into the file")
	errPinned      = errors.New("a reader needs what is in the log")
	errNoRoom      = errors.New("the disk has no room for what is in the log")
)

// logSize is the size of the write-ahead log in bytes.
func (f *file) logSize() int64 { return sizeOf(f.path + "-wal") }

// logIsLong reports whether upkeep is to cut the log.
func (f *file) logIsLong() bool { return f.logExceeds(longLog, 4) }

// logIsFull reports whether the log is to be cut before anything else is written to it.
func (f *file) logIsFull() bool { return f.logExceeds(fullLog, 2) }

// logExceeds reports whether the log is longer than a limit, or on a disk that is nearly full
// than a part of what is free: there has to be room in the file for what is in the log.
func (f *file) logExceeds(limit, part int64) bool {
	size := f.logSize()
	if size <= shortLog || size > limit {
		return size > limit
	}
	free, known := f.free()
	return known && size > max(shortLog, free/part)
}

// cut writes the log into the file, which becomes as short as its pages, and empties
// the log.
func (u *upkeep) cut(ctx context.Context) error {
	if u.file.mode != inWAL {
		return nil
	}
	if size := u.file.logSize(); size < hugeLog || size > stays {
		// Most of the work is done without a writer having to wait.
		err := u.file.readers.with(ctx, func(c *conn) error {
			if err := u.file.fits(ctx, c); err != nil {
				return err
			}
			return c.catchUp(ctx)
		})
		if err != nil && (!errors.Is(err, errAnotherDoes) || u.file.logSize() < hugeLog) {
			return err
		}
	}
	wait := time.Duration(0)
	if u.file.logSize() >= hugeLog {
		wait = writersWait // others would make it longer meanwhile
	}
	return u.commits.alone(ctx, func(c *conn) error { return u.empty(ctx, c, wait, 0) })
}

// empty cuts the log with the connection that writes. It waits as long as it is told for
// another process that does so, and for readers.
func (u *upkeep) empty(ctx context.Context, c *conn, another, readers time.Duration) error {
	if err := u.file.fits(ctx, c); err != nil {
		return err
	}
	for began := time.Now(); ; {
		err := c.truncate(ctx)
		waited := time.Since(began)
		if (!errors.Is(err, errAnotherDoes) || waited >= another) && (!errors.Is(err, errPinned) || waited >= readers) {
			return err
		}
		if err := waitBusy(ctx); err != nil {
			return err
		}
		u.commits.watch.lookIfDue(ctx, c)
	}
}

// holdBack is called before a writer begins. Where the log is so long that upkeep, here and in
// other processes, cannot keep up with the writers, the writer cuts it. It waits a little for
// readers; if one stays, the log may grow until it ends. The error is the context's.
func (u *upkeep) holdBack(ctx context.Context, c *conn) error {
	if !u.long.Load() || u.file.mode != inWAL || time.Now().Before(u.pinned) || !u.file.logIsFull() {
		return nil
	}
	another, readers := writersWait, readersWait
	if !u.pinned.IsZero() {
		readers = 0 // that one has been waited for
	}
	if u.file.logSize() < hugeLog { // of a full disk
		another = readers
	}
	err := u.empty(ctx, c, another, readers)
	u.pinned = time.Time{}
	if errors.Is(err, errPinned) || errors.Is(err, errAnotherDoes) && another == readers {
		u.pinned = time.Now().Add(firstRetry)
	}
	return ctx.Err() // of other errors, upkeep takes care
}

// catchUp writes the log into the file as far as it went when the call began.
func (c *conn) catchUp(ctx context.Context) error {
	end := int64(0)
	for range 3 {
		p, err := c.checkpoint(ctx, "PASSIVE")
		switch {
		case err != nil:
			return err
		case p.blocked:
			return errAnotherDoes
		}
		if end == 0 {
			end = p.pages
		}
		if p.written >= end {
			return nil
		}
		if !sleep(ctx, readersEnd) {
			return ctx.Err()
		}
	}
	return errPinned
}

// truncate does the rest, and empties the log, with writers waiting for it. It does not begin
// where a reader would keep it from its end.
func (c *conn) truncate(ctx context.Context) error {
	p, err := c.checkpoint(ctx, "PASSIVE")
	switch {
	case err != nil:
		return err
	case p.blocked:
		return errAnotherDoes
	case p.pages-p.written > fewLogged:
		return errPinned
	}
	p, err = c.checkpoint(ctx, "TRUNCATE")
	if err == nil && p.blocked {
		return errAnotherDoes // or a reader or writer, for a moment
	}
	return err
}

// progress is what a checkpoint has done.
type progress struct {
	blocked bool  // by others
	pages   int64 // in the log
	written int64 // of these, to the file
}

func (c *conn) checkpoint(ctx context.Context, mode string) (p progress, err error) {
	s, err := c.prepare(ctx, stmtKey{text: "PRAGMA wal_checkpoint(" + mode + ")"})
	if err != nil {
		return p, err
	}
	err = c.query(ctx, s, 3, func(row []sqldriver.Value) bool {
		p.blocked = row[0] != int64(0)
		p.pages, _ = row[1].(int64)
		p.written, _ = row[2].(int64)
		return true
	})
	return p, err
}
