package sqlite

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/endpointcache/endpointcache/driver"
)

// committer gives the writes of callers that wait at the same time one
// transaction: its commit costs more than a small write. There is no goroutine:
// a caller that gets the turn writes for all whose writes are queued then.
type committer struct {
	pool     *pool
	readOnly bool
	turn     chan struct{} // holds an element while a caller has the turn
	watch    *watch

	// before is called with the connection before each turn's writes, unless it is nil.
	before func(ctx context.Context, c *conn) error

	// committed is called after each commit of about so many bytes, unless it is nil. Its
	// error is that of the writes, which are done nevertheless.
	committed func(c *conn, size int) error

	mu    sync.Mutex
	queue []*write
}

// write is a caller's part of a transaction.
type write struct {
	ctx    context.Context
	size   int  // how many bytes it writes, about
	single bool // it is one statement, which needs no transaction around it
	do     func(*conn) error

	done chan struct{} // closed when err is the outcome
	err  error
}

// maxShared is how many bytes are written in one shared transaction, about: what
// a caller may have to wait for that others write.
const maxShared = 4 << 20

func newCommitter(p *pool, w *watch) *committer {
	return &committer{pool: p, turn: make(chan struct{}, 1), watch: w}
}

// panicError is a write's panic on its way to its caller.
type panicError struct{ value any }

func (e *panicError) Error() string { return fmt.Sprint("panic: ", e.value) }

// write does a write and returns when it is committed, or not done at all. do
// may be called more than once, after what it did was rolled back.
func (c *committer) write(ctx context.Context, size int, do func(*conn) error) error {
	return c.enqueue(&write{ctx: ctx, size: size, do: do})
}

// writeOne is write for what is a single statement if single is true.
func (c *committer) writeOne(ctx context.Context, size int, single bool, do func(*conn) error) error {
	return c.enqueue(&write{ctx: ctx, size: size, single: single, do: do})
}

func (c *committer) enqueue(w *write) error {
	if c.readOnly {
		return driver.ErrReadOnly
	}
	w.done = make(chan struct{})
	err := c.wait(w)
	var panicked *panicError
	if errors.As(err, &panicked) {
		panic(panicked.value)
	}
	return err
}

func (c *committer) wait(w *write) error {
	c.mu.Lock()
	c.queue = append(c.queue, w)
	c.mu.Unlock()
	for {
		select {
		case <-w.done:
			return w.err
		case <-w.ctx.Done():
			if c.withdraw(w) {
				return w.ctx.Err()
			}
			<-w.done // it is being written
			return w.err
		case c.turn <- struct{}{}:
			err := c.takeTurn(w)
			<-c.turn
			if err != nil && c.withdraw(w) {
				return err
			}
		}
	}
}

// takeTurn writes what is queued, unless w was done by another's turn. Its error
// is one of opening a transaction, which has changed nothing.
func (c *committer) takeTurn(w *write) error {
	select {
	case <-w.done:
		return nil
	default:
	}
	return c.pool.with(w.ctx, func(conn *conn) error {
		c.watch.lookIfDue(w.ctx, conn)
		if c.before != nil {
			if err := c.before(w.ctx, conn); err != nil {
				return err
			}
		}
		if alone := c.takeSingle(); alone != nil {
			// It saves the statements that begin and commit.
			err := alone.ctx.Err()
			if err == nil {
				err = alone.run(conn)
			}
			if err == nil {
				err = c.check(conn, alone.size)
			}
			alone.finish(err)
			return nil
		}
		if err := begin(w.ctx, conn); err != nil {
			return err
		}
		// What others have committed while it waited is not to be hidden by what may be a
		// long transaction. If there is an error, the next look meets it, too.
		_ = c.watch.look(w.ctx, conn)
		c.commit(conn, c.take())
		return nil
	})
}

// commit ends the transaction that is open with the writes of a group. Where one
// of them fails, nothing of the group stays, and each is tried by itself.
func (c *committer) commit(conn *conn, group []*write) {
	err := writeAll(conn, group)
	written := err == nil
	if written {
		err = c.check(conn, totalSize(group))
	}
	if written || len(group) == 1 {
		for _, w := range group {
			w.finish(err)
		}
		return
	}
	for _, w := range group {
		err := begin(w.ctx, conn)
		if err == nil {
			err = writeAll(conn, []*write{w})
		}
		if err == nil {
			err = c.check(conn, w.size)
		}
		w.finish(err)
	}
}

func (c *committer) check(conn *conn, size int) error {
	if c.committed == nil {
		return nil
	}
	return c.committed(conn, size)
}

// alone lends the connection that writes for something that is no write of a caller, when it
// is its turn.
func (c *committer) alone(ctx context.Context, do func(*conn) error) error {
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
		return c.pool.with(ctx, func(conn *conn) error {
			c.watch.lookIfDue(ctx, conn)
			return do(conn)
		})
	case <-ctx.Done():
		return ctx.Err()
	}
}

// aloneIfFree is alone, unless somebody has the turn.
func (c *committer) aloneIfFree(ctx context.Context, do func(*conn) error) error {
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
		return c.pool.with(ctx, do)
	default:
		return nil
	}
}

// writeAll does the writes in the open transaction and ends it.
func writeAll(conn *conn, group []*write) error {
	var err error
	for _, w := range group {
		if err = w.ctx.Err(); err == nil {
			err = w.run(conn)
		}
		if err != nil {
			break
		}
	}
	return end(group[0].ctx, conn, err)
}

// end commits the open transaction, or rolls it back where err is one.
func end(ctx context.Context, conn *conn, err error) error {
	if err == nil {
		// Outside WAL mode, readers can keep a commit waiting.
		err = conn.exec(ctx, "COMMIT")
	}
	if err != nil {
		// SQLite may have rolled back already: the error is of no use.
		_ = conn.exec(context.Background(), "ROLLBACK")
	}
	return err
}

func begin(ctx context.Context, conn *conn) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return conn.exec(ctx, "BEGIN IMMEDIATE")
}

func totalSize(group []*write) (size int) {
	for _, w := range group {
		size += w.size
	}
	return size
}

// take removes from the queue what fits one transaction, at least one write.
func (c *committer) take() []*write {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, size := 0, 0
	for n < len(c.queue) && (n == 0 || size+c.queue[n].size <= maxShared) {
		size += c.queue[n].size
		n++
	}
	group := c.queue[:n:n]
	c.queue = c.queue[n:]
	return group
}

// takeSingle removes the only write from the queue if it needs no transaction.
func (c *committer) takeSingle() *write {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) != 1 || !c.queue[0].single {
		return nil
	}
	w := c.queue[0]
	c.queue = nil
	return w
}

// withdraw takes w from the queue and reports whether it still was there.
func (c *committer) withdraw(w *write) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, queued := range c.queue {
		if queued == w {
			// A copy: a group that was taken shares the array.
			c.queue = slices.Concat(c.queue[:i], c.queue[i+1:])
			return true
		}
	}
	return false
}

// run is do, with a panic for an error: the panic is its caller's, not that of the caller
// which has the turn.
func (w *write) run(conn *conn) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &panicError{p}
		}
	}()
	return w.do(conn)
}

func (w *write) finish(err error) {
	w.err = err
	close(w.done)
}
