package sqlite

import (
	"context"
	sqldriver "database/sql/driver"
	"errors"
	"fmt"
	"io"

	"github.com/endpointcache/endpointcache/driver"
)

// conn is a connection below database/sql with its prepared statements. Its
// owner is one goroutine at a time.
//
// Statements run without the caller's context: for that, a driver starts a
// goroutine for each, which costs more than a short statement itself. The
// context is asked between statements.
type conn struct {
	sqldriver.Conn
	stmts map[stmtKey]*stmt
	size  int               // of all stmts, in keys or rows that they are for
	row   []sqldriver.Value // the row being read
	file  *identity         // the file of the store that it is open on; nil for others
}

// stmtKey tells the statements of a connection apart without their text, which
// is long where it is for many keys.
type stmtKey struct {
	text  string // the whole of a statement that belongs to no table
	table *table
	op    op
	sel   driver.Parts
	state driver.State
	rows  int

	condition driver.Precondition // of a put
	leading   int                 // how many of the key's values are given
	where     terms

	// Of a page in an order:
	order      driver.Order
	descending bool
	sorts      bool // few entries, instead of going by the order's index
	behind     behind
}

// maxStmts bounds the prepared statements of one connection, by size: one for a
// chunk of 512 keys takes some 100 KiB.
const maxStmts = 16 << 10

// preparedStmt is what a driver's statement can do; those for SQLite all can.
type preparedStmt interface {
	sqldriver.Stmt
	sqldriver.StmtExecContext
	sqldriver.StmtQueryContext
}

type stmt struct {
	preparedStmt
	args []sqldriver.NamedValue
}

func (c *conn) Close() error {
	c.closeStmts()
	return c.Conn.Close()
}

func (c *conn) closeStmts() {
	for _, s := range c.stmts {
		s.Close()
	}
	clear(c.stmts)
	c.size = 0
}

// prepare returns the statement that key stands for. A new one may have to wait
// for the lock to read the schema.
func (c *conn) prepare(ctx context.Context, key stmtKey) (*stmt, error) {
	if s, ok := c.stmts[key]; ok {
		return s, nil
	}
	text := key.text
	if text == "" {
		text = key.table.text(key)
	}
	inner, err := c.prepareText(ctx, text)
	if resultCode(err) == codeError && key.table != nil {
		// SQLite goes by an old schema while a lock keeps it from looking at the file's.
		if err = c.pragma(ctx, "SELECT count(*) FROM main.sqlite_master"); err == nil {
			inner, err = c.prepareText(ctx, text)
		}
	}
	if err != nil {
		return nil, err
	}
	size := stmtSize(key)
	if c.size+size > maxStmts {
		c.closeStmts()
	}
	c.size += size
	if c.stmts == nil {
		c.stmts = make(map[stmtKey]*stmt)
	}
	prepared, ok := inner.(preparedStmt)
	if !ok {
		return nil, errors.Join(fmt.Errorf("the driver's %T takes no context", inner), inner.Close())
	}
	s := &stmt{preparedStmt: prepared}
	c.stmts[key] = s
	return s, nil
}

func (c *conn) prepareText(ctx context.Context, text string) (inner sqldriver.Stmt, err error) {
	err = retryBusy(ctx, func() (err error) {
		inner, err = c.Conn.Prepare(text)
		return err
	})
	return inner, err
}

// forget closes the statement that key stands for: SQLite keeps what was bound
// last until it is bound again.
func (c *conn) forget(key stmtKey) error {
	s, ok := c.stmts[key]
	if !ok {
		return nil
	}
	delete(c.stmts, key)
	c.size -= stmtSize(key)
	return s.Close()
}

func stmtSize(key stmtKey) int { return 16 + key.rows }

// bind adds an argument to the next execution of s.
func (s *stmt) bind(v sqldriver.Value) {
	s.args = append(s.args, sqldriver.NamedValue{Ordinal: len(s.args) + 1, Value: v})
}

// take returns the bound arguments and a function that lets go of them.
func (s *stmt) take() (args []sqldriver.NamedValue, done func()) {
	return s.args, func() {
		clear(s.args)
		s.args = s.args[:0]
	}
}

// query runs s with its bound arguments and calls each for every row, which is
// valid during that call, until it returns false. It waits for its lock as long
// as ctx lets it.
func (c *conn) query(ctx context.Context, s *stmt, columns int, each func(row []sqldriver.Value) bool) error {
	return c.queryWithin(ctx, context.Background(), s, columns, each)
}

// queryLong is query for a statement that may look at many rows: ctx ends it also
// when it is running.
func (c *conn) queryLong(ctx context.Context, s *stmt, columns int, each func(row []sqldriver.Value) bool) error {
	return c.queryWithin(ctx, ctx, s, columns, each)
}

func (c *conn) queryWithin(ctx, running context.Context, s *stmt, columns int, each func(row []sqldriver.Value) bool) (err error) {
	args, done := s.take()
	defer done()
	if cap(c.row) < columns {
		c.row = make([]sqldriver.Value, columns)
	}
	row := c.row[:columns]
	rows, found, err := s.first(running, args, row)
	for isBusy(err) {
		if err = waitBusy(ctx); err != nil {
			return err
		}
		rows, found, err = s.first(running, args, row)
	}
	if err != nil {
		return err
	}
	defer func() { // also if each panics
		clear(row) // it may hold a large payload
		err = errors.Join(err, rows.Close())
	}()
	for found && each(row) {
		if found, err = next(rows, row); err != nil {
			return err
		}
	}
	return nil
}

// first runs s as far as its first row.
func (s *stmt) first(running context.Context, args []sqldriver.NamedValue, row []sqldriver.Value) (rows sqldriver.Rows, found bool, err error) {
	if rows, err = s.QueryContext(running, args); err != nil {
		return nil, false, err
	}
	if found, err = next(rows, row); err != nil {
		return nil, false, errors.Join(err, rows.Close())
	}
	return rows, found, nil
}

func next(rows sqldriver.Rows, row []sqldriver.Value) (found bool, err error) {
	err = rows.Next(row)
	if err == io.EOF { //nolint:errorlint // drivers return it as it is, and this is called for each row
		return false, nil
	}
	return err == nil, err
}

// execute runs s with its bound arguments and returns how many rows it changed.
// It waits for its lock as long as ctx lets it. Only where interruptible does
// ctx end it when it is running.
func (c *conn) execute(ctx context.Context, s *stmt, interruptible bool) (int, error) {
	args, done := s.take()
	defer done()
	running := context.Background()
	if interruptible {
		running = ctx
	}
	var result sqldriver.Result
	err := retryBusy(ctx, func() (err error) {
		result, err = s.ExecContext(running, args)
		return err
	})
	if err != nil {
		return 0, err
	}
	n, err := result.RowsAffected()
	return int(n), err
}

// pragma runs a statement to its end, of which it does not matter what it answers.
func (c *conn) pragma(ctx context.Context, text string) error {
	s, err := c.prepare(ctx, stmtKey{text: text})
	if err != nil {
		return err
	}
	return retryBusy(ctx, s.drain)
}

func (s *stmt) drain() (err error) {
	rows, err := s.QueryContext(context.Background(), nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	row := make([]sqldriver.Value, len(rows.Columns())) // there may be rows of no columns
	for found := true; found && err == nil; {
		found, err = next(rows, row)
	}
	return err
}

// exec runs a statement that answers with no rows.
func (c *conn) exec(ctx context.Context, text string) error {
	s, err := c.prepare(ctx, stmtKey{text: text})
	if err != nil {
		return err
	}
	_, err = c.execute(ctx, s, false)
	return err
}

// int64 runs a query that answers with one number, or with NULL, which is 0.
func (c *conn) int64(ctx context.Context, s *stmt) (int64, error) {
	var n int64
	err := c.queryLong(ctx, s, 1, func(row []sqldriver.Value) bool {
		n, _ = row[0].(int64)
		return false
	})
	return n, err
}
