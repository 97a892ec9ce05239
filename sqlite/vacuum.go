package sqlite

import (
	"context"
	"fmt"
	"time"
)

// SQLite keeps pages that are no longer used for what will be written. Upkeep gives
// them back to the disk where they are many.
const (
	stepPages = 256      // of an incremental vacuum: a megabyte, a few milliseconds
	hastyStep = 2 << 10  // pages, where nobody is in the way or everybody waits for it: what of them fits the cache is not written to the log
	fewPages  = 64       // are not worth it
	leastRest = 4        // a vacuum's step is followed by a rest of so many times its time
	cheapFull = 64 << 20 // bytes in use up to which a whole file may be rewritten at once
)

// space is how a file's pages are used.
type space struct {
	pages, free int64
	pageSize    int64
	incremental bool // it can be cut in small steps
}

func (c *conn) space(ctx context.Context) (space, error) {
	var sp space
	var mode int64
	for _, q := range []struct {
		pragma string
		to     *int64
	}{{"page_count", &sp.pages}, {"freelist_count", &sp.free}, {"page_size", &sp.pageSize}, {"auto_vacuum", &mode}} {
		s, err := c.prepare(ctx, stmtKey{text: "PRAGMA " + q.pragma})
		if err != nil {
			return sp, err
		}
		if *q.to, err = c.int64(ctx, s); err != nil {
			return sp, err
		}
	}
	sp.incremental = mode == 2
	return sp, nil
}

// wastes reports whether so much of the file is not used that it should be cut. What is
// left of free pages spares the next writes the growing of the file.
func (sp space) wastes() bool {
	used := sp.pages - sp.free
	if sp.incremental {
		return sp.free > fewPages && sp.free > used/4
	}
	return sp.free > fewPages && sp.free > used && used*sp.pageSize <= cheapFull
}

// surplus is how many free pages a vacuum removes.
func (sp space) surplus() int64 { return sp.free - (sp.pages-sp.free)/8 }

// toShrink is how many bytes a vacuum adds to the log, at most, about: of each page that it
// moves, and of one that leads to it.
func (sp space) toShrink() int64 {
	const others = 16 // of the free list, and the first
	return (2*min(sp.surplus(), sp.pages-sp.free) + others) * sp.pageSize
}

func (f *file) space(ctx context.Context) (sp space, err error) {
	err = f.readers.with(ctx, func(c *conn) (err error) {
		sp, err = c.space(ctx)
		return err
	})
	return sp, err
}

func (u *upkeep) shrinkInSteps(ctx context.Context) error { return u.shrink(ctx, true) }

// shrink gives unused pages back in steps, between which others write, with a rest or
// without. A file of before there were such steps is rewritten once, which makes it one
// that has them.
func (u *upkeep) shrink(ctx context.Context, rest bool) error {
	sp, err := u.file.space(ctx)
	if err != nil || !sp.wastes() {
		return err
	}
	u.owesCut.Store(true)
	if !sp.incremental {
		return u.commits.alone(ctx, func(c *conn) error { return c.rewrite(ctx) })
	}
	return u.giveBack(ctx, sp.surplus(), rest)
}

// rewrite writes the whole file anew, as one that can be cut in steps.
func (c *conn) rewrite(ctx context.Context) error {
	if err := c.pragma(ctx, "PRAGMA auto_vacuum=INCREMENTAL"); err != nil {
		return err
	}
	s, err := c.prepare(ctx, stmtKey{text: "VACUUM"})
	if err != nil {
		return err
	}
	_, err = c.execute(ctx, s, true)
	return err
}

// giveBack gives so many unused pages back.
func (u *upkeep) giveBack(ctx context.Context, left int64, rest bool) error {
	step := int64(stepPages)
	if !rest {
		step = hastyStep
	}
	for ; left > 0; left -= step {
		began := time.Now()
		err := u.commits.alone(ctx, func(c *conn) error {
			return c.pragma(ctx, fmt.Sprintf("PRAGMA incremental_vacuum(%d)", min(left, step)))
		})
		if err != nil {
			return err
		}
		if u.file.logIsLong() {
			if err := u.cut(ctx); err != nil {
				return err // it would only become longer
			}
		}
		if rest && !sleep(ctx, leastRest*time.Since(began)) {
			return ctx.Err()
		}
	}
	return nil
}

// sleep reports whether ctx has let it sleep so long.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
