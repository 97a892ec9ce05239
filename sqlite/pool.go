package sqlite

import (
	"context"
	"database/sql"
	sqldriver "database/sql/driver"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jackc/puddle/v2"
)

// pool lends connections: the store's own, or those of a caller's database.
// database/sql, which pools the latter, costs a fifth of a point get.
type pool struct {
	own          *puddle.Pool[*conn] // nil where db is set
	opened, lent atomic.Int32        // connections of own
	db           *sql.DB
}

// newPool returns a pool of at most size connections, which open opens when they
// are needed.
func newPool(size int, open func(context.Context) (*conn, error)) (*pool, error) {
	p := &pool{}
	var err error
	p.own, err = puddle.NewPool(&puddle.Config[*conn]{
		MaxSize: int32(size),
		Constructor: func(ctx context.Context) (*conn, error) {
			c, err := open(ctx)
			if err == nil {
				p.opened.Add(1)
			}
			return c, err
		},
		Destructor: func(c *conn) {
			_ = c.Close() // nothing is left to be written
			p.opened.Add(-1)
		},
	})
	return p, err
}

// connect opens a connection, on which it runs the pragmas.
func connect(ctx context.Context, dsn string, pragmas []string) (*conn, error) {
	inner, err := openConn(dsn)
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: inner}
	for _, pragma := range pragmas {
		if err := c.pragma(ctx, pragma); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	return c, nil
}

// with lends a connection to do. One of the store's own keeps its statements;
// those of a caller's connection live until do returns.
func (p *pool) with(ctx context.Context, do func(*conn) error) error {
	if p.db != nil {
		return withCallers(ctx, p.db, do)
	}
	lent, err := p.acquire(ctx)
	if err != nil {
		return err
	}
	p.lent.Add(1)
	defer p.lent.Add(-1)
	defer lent.Release()
	return do(lent.Value())
}

// acquire takes an idle connection where there is one. To wait for one, Acquire asks the
// context for its channel, which a deadline makes as costly as a point get.
func (p *pool) acquire(ctx context.Context) (*puddle.Resource[*conn], error) {
	if p.opened.Load() > p.lent.Load() && ctx.Err() == nil {
		lent, err := p.own.TryAcquire(ctx)
		if !errors.Is(err, puddle.ErrNotAvailable) {
			return lent, err
		}
	}
	return p.own.Acquire(ctx)
}

func withCallers(ctx context.Context, db *sql.DB, do func(*conn) error) error {
	var pooled *sql.Conn
	err := retryBusy(ctx, func() (err error) {
		pooled, err = db.Conn(ctx) // a new one may read the file
		return err
	})
	if err != nil {
		return err
	}
	var result error
	err = pooled.Raw(func(dc any) error {
		inner, ok := dc.(sqldriver.Conn)
		if !ok {
			return fmt.Errorf("%T is no connection of database/sql", dc)
		}
		c := &conn{Conn: inner}
		defer c.closeStmts()
		result = do(c)
		return nil
	})
	return errors.Join(err, result, pooled.Close())
}

// reset closes the store's own connections: those that are lent when they are given
// back. New ones take their place.
func (p *pool) reset() {
	if p.own != nil {
		p.own.Reset()
	}
}

// drain waits until all connections of a pool that was reset are closed, but not for long.
func (p *pool) drain(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	for p.opened.Load() > 0 && waitBusy(ctx) == nil {
		continue
	}
}

// close waits for the connections that are lent and closes the store's own.
func (p *pool) close() {
	if p.own != nil {
		p.own.Close()
	}
}
