package sqlite

import (
	"context"
	sqldriver "database/sql/driver"
	"errors"
	"fmt"
	"sync"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/gate"
	"github.com/endpointcache/endpointcache/internal/polling"
)

var _ driver.Watcher = (*Store)(nil)

// Watch implements [driver.Watcher]. Its changes tell neither tables nor keys, and are also
// told where others have recorded uses. A store that [New] has made cannot watch the
// caller's database: Watch returns [errors.ErrUnsupported].
func (s *Store) Watch(ctx context.Context, begun func(), changed func(driver.Change)) error {
	return &driver.OpError{Store: kind, Op: "watch", Err: s.watchFile(ctx, begun, changed)}
}

func (s *Store) watchFile(ctx context.Context, begun func(), changed func(driver.Change)) error {
	if err := gate.Usable(ctx); err != nil {
		return err
	}
	if s.writer.db != nil {
		return fmt.Errorf("%w: the database is the caller's, with its connections", errors.ErrUnsupported)
	}
	defer s.watch.leave()
	return s.watch.watchers.Watch(ctx, func(first bool) error {
		return s.gate.Do(ctx, func() error {
			return s.guard(ctx, true, func() error { return s.lookForChanges(ctx, first) })
		})
	}, begun, changed)
}

// lookForChanges looks whether somebody else has committed, unless somebody has just done so.
// Who has the turn to write does it, too.
func (s *Store) lookForChanges(ctx context.Context, first bool) error {
	look := func(c *conn) error { return s.watch.look(ctx, c) }
	switch {
	case s.file == nil: // in memory, which nobody else can reach
		return nil
	case !first && !s.watch.watchers.Due():
		return nil
	case !s.file.current.Load().isAt(s.file.path):
		return errMoved
	case s.file.mode.readOnly():
		return s.watch.lookApart(ctx, s.file)
	case first:
		return s.commits.alone(ctx, look)
	default:
		return s.commits.aloneIfFree(ctx, look)
	}
}

// watch finds out what other connections than the one that writes have committed: SQLite tells
// a connection a number, which these commits change, and its own do not, see
// https://sqlite.org/pragma.html#pragma_data_version.
type watch struct {
	watchers polling.Watchers

	mu     sync.Mutex
	conn   *conn // whose number it is
	number int64
	apart  *conn // of a store that does not write; nil until it is needed
}

// look asks a connection, which is the same one as long as the file is, and tells the
// watchers of a number that is not the last one. It costs nothing where there are none.
func (w *watch) look(ctx context.Context, c *conn) error {
	if !w.watchers.Any() {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ask(ctx, c)
}

// lookIfDue looks for who has the turn, and so keeps others from it. If there is an error, the
// next look meets it, too.
func (w *watch) lookIfDue(ctx context.Context, c *conn) {
	if w.watchers.Any() && w.watchers.Due() {
		_ = w.look(ctx, c)
	}
}

// lookApart is look for a store without a connection that writes.
func (w *watch) lookApart(ctx context.Context, f *file) (err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.apart != nil && w.apart.file != f.current.Load() {
		w.closeApart()
	}
	if w.apart == nil {
		if w.apart, err = f.connectReader(ctx); err != nil {
			return err
		}
	}
	return w.ask(ctx, w.apart)
}

func (w *watch) ask(ctx context.Context, c *conn) error {
	s, err := c.prepare(ctx, stmtKey{text: "PRAGMA data_version"})
	if err != nil {
		return err
	}
	number := int64(0)
	err = c.query(ctx, s, 1, func(row []sqldriver.Value) bool {
		number, _ = row[0].(int64)
		return false
	})
	if err != nil {
		return err
	}
	w.watchers.Looked()
	if c != w.conn || number != w.number {
		w.conn, w.number = c, number
		w.watchers.Tell()
	}
	return nil
}

// leave is called where a Watch has ended.
func (w *watch) leave() {
	if !w.watchers.Any() {
		w.close()
	}
}

func (w *watch) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closeApart()
}

func (w *watch) closeApart() {
	if w.apart != nil {
		_ = w.apart.Close() // it has only read
		w.apart = nil
	}
}
