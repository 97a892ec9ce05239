package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"sync"
	"time"
)

// isDamage reports whether SQLite finds the file damaged, or no database.
func isDamage(err error) bool {
	if err == nil {
		return false
	}
	code := resultCode(err)
	return code == codeCorrupt || code == codeNotADatabase
}

// isUnusable reports whether a file cannot be used as it is, damaged or not.
func isUnusable(err error) bool {
	return isDamage(err) || errors.Is(err, errEmptied) || isLogLost(err)
}

// isLogLost reports whether the log that a connection has opened lacks what the file's users
// have committed: those that have opened the log before may still have it.
func isLogLost(err error) bool {
	return errors.Is(err, errLogLost) || err != nil && extendedCode(err) == codeShortRead
}

// describe says what SQLite means by an I/O error without a cause.
func describe(err error) error {
	if isLogLost(err) && !errors.Is(err, errLogLost) {
		return fmt.Errorf("%w: %w", errLogLost, err)
	}
	return err
}

// checkLog returns errLogLost where a connection has begun an empty log, while the file's users have
// another one, with what they have committed: nothing that it writes would be found.
func (c *conn) checkLog(ctx context.Context, path string) error {
	if sizeOf(path+"-wal") > 0 {
		return nil
	}
	p, err := c.checkpoint(ctx, "PASSIVE")
	if err == nil && p.pages > 0 && sizeOf(path+"-wal") == 0 {
		err = errLogLost
	}
	return err
}

// setAside renames the file and what SQLite keeps beside it. The connections stay open
// meanwhile: none of them, here or in other processes, can be the last, which
// would remove the log at the path when it is closed.
func (f *file) setAside(ctx context.Context, cause error) error {
	if runtime.GOOS == "windows" { // where an open file cannot be renamed
		f.readers.reset()
		f.writer.reset()
		f.readers.drain(ctx)
		f.writer.drain(ctx)
	}
	base := f.path + ".damaged-" + time.Now().UTC().Format("20060102T150405Z")
	aside := base
	for n := 2; ; n++ {
		if there, err := exists(aside); err != nil {
			return err
		} else if !there {
			break
		}
		aside = fmt.Sprintf("%s-%d", base, n)
	}
	for _, suffix := range append([]string{""}, beside...) {
		if err := os.Rename(f.path+suffix, aside+suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	f.opts.Logger.WarnContext(ctx, "endpointcache: a damaged SQLite file was set aside and begun anew",
		"path", f.path, "aside", aside, "error", cause)
	return nil
}

// tables are those that were opened, by name.
type tables struct {
	mu    sync.Mutex
	named map[string]*table
}

func (ts *tables) add(t *table) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if ts.named == nil {
		ts.named = make(map[string]*table)
	}
	ts.named[t.spec.Name] = t
}

// remove forgets a table that was dropped.
func (ts *tables) remove(name string) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	delete(ts.named, name)
}

// create creates the tables where they are absent, all or none.
func (ts *tables) create(ctx context.Context, p *pool) error {
	ts.mu.Lock()
	opened := make([]*table, 0, len(ts.named))
	for _, t := range ts.named {
		opened = append(opened, t)
	}
	ts.mu.Unlock()
	return p.with(ctx, func(c *conn) (err error) {
		if err := begin(ctx, c); err != nil {
			return err
		}
		for _, t := range opened {
			if err = errors.Join(err, t.ensure(ctx, c)); err != nil {
				break
			}
		}
		return end(ctx, c, err)
	})
}

// clearDamaged removes all entries of a table whose pages are damaged, so that SQLite cannot
// walk over them to free them: the file forgets the table, is rewritten without what
// nothing leads to any more, and gets a new one. How many entries there were, nobody may
// know; then it returns 0.
func (t *table) clearDamaged(ctx context.Context) (cleared int, err error) {
	err = t.store.commits.alone(ctx, func(c *conn) error {
		if s, err := c.prepare(ctx, stmtKey{table: t, op: opCount}); err == nil {
			n, _ := c.int64(ctx, s)
			cleared = int(n)
		}
		if err := begin(ctx, c); err != nil {
			return err
		}
		if err := end(ctx, c, c.forgetTable(ctx, t.spec.Name)); err != nil {
			return errors.Join(err, c.pragma(ctx, "PRAGMA writable_schema=RESET"))
		}
		// Until there is a table again, no operation on it succeeds, whoever does it.
		return t.makeAgain(context.WithoutCancel(ctx), c)
	})
	return cleared, err
}

// makeAgain makes a table that the file has forgotten. Each step waits for other users of the file
// for itself: to rewrite a large one may take longer than any of them is waited for.
func (t *table) makeAgain(ctx context.Context, c *conn) error {
	// The connection reads the schema again, which has no such table now.
	if err := c.pragma(ctx, "PRAGMA writable_schema=RESET"); err != nil {
		return err
	}
	vacuumed := patiently(ctx, func(ctx context.Context) error { return c.pragma(ctx, "VACUUM") })
	if isDamage(vacuumed) {
		vacuumed = nil // that of other tables is theirs
	}
	// Also where there was no room to rewrite the file, the table has to be there.
	return errors.Join(vacuumed, patiently(ctx, func(ctx context.Context) error {
		if err := begin(ctx, c); err != nil {
			return err
		}
		return end(ctx, c, t.ensure(ctx, c))
	}))
}

// patiently does a step that waits for other writers as long as these may take.
func patiently(ctx context.Context, step func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, writersWait)
	defer cancel()
	return step(ctx)
}

// forgetTable deletes a table and its indexes from the schema.
func (c *conn) forgetTable(ctx context.Context, name string) error {
	c.closeStmts() // they know the table
	if err := c.pragma(ctx, "PRAGMA writable_schema=ON"); err != nil {
		return err
	}
	s, err := c.prepare(ctx, stmtKey{text: "DELETE FROM main.sqlite_master WHERE tbl_name = ?"})
	if err != nil {
		return err
	}
	s.bind(name)
	_, err = c.execute(ctx, s, false)
	return err
}
