package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/endpointcache/endpointcache/driver"
)

// checkConn is how often a Watch that is told nothing asks whether its connection is alive.
const checkConn = time.Second

// Watch listens, on a connection of its own that is none of the pool's, to the notifications
// that other stores of the schema send while it does. It is not told what this store changes
// itself, nor what is changed by SQL, or by programs of an earlier version. It ends with an
// error when the connection is lost. Through a pooler, and on a replica, there is nothing to
// listen to: that is [errors.ErrUnsupported].
func (s *Store) Watch(ctx context.Context, begun func(), changed func(driver.Change)) error {
	err := s.gate.DoUntilClose(ctx, func(ctx context.Context) error {
		return explain(ctx, s.watch(ctx, begun, changed))
	})
	return &driver.OpError{Store: kind, Op: "watch", Err: err}
}

var _ driver.Watcher = (*Store)(nil)

func (s *Store) watch(ctx context.Context, begun func(), changed func(driver.Change)) error {
	if s.pool.Config().ConnConfig.OnNotification != nil {
		return fmt.Errorf("the pool's connections have an OnNotification of the caller: %w", errors.ErrUnsupported)
	}
	lent, err := s.acquire(ctx, func(*pgxpool.Conn) bool { return true })
	if err != nil {
		return err
	}
	c := &conn{Conn: lent.Hijack()}
	defer c.closeSoon()
	if err := s.listen(ctx, c); err != nil {
		return err
	}
	begun()
	for {
		n, err := c.notified(ctx)
		if err != nil {
			return err
		}
		if n == nil {
			continue
		}
		if c, ok := s.teller.read(n.Payload, s.opts.TablePrefix); ok {
			changed(c)
		}
	}
}

// listen returns when all that is changed from then on is told on c.
func (s *Store) listen(ctx context.Context, c *conn) error {
	row, err := c.text(ctx, "SELECT pg_catalog.pg_backend_pid(), pg_catalog.pg_is_in_recovery()")
	switch {
	case err != nil:
		return err
	case row[1] == "t":
		return fmt.Errorf("the server is a replica, which tells of no changes: %w", errors.ErrUnsupported)
	case row[0] != strconv.FormatUint(uint64(c.PgConn().PID()), 10):
		// It answers for another process than the one that the connection began with.
		return fmt.Errorf("a pooler stands between, and lets no notifications pass: %w", errors.ErrUnsupported)
	}
	t := &s.teller
	if err := c.script(ctx, "SET statement_timeout = 0; SET lock_timeout = 0; LISTEN "+quote(t.channel)); err != nil {
		return err
	}
	if err := c.script(ctx, fmt.Sprintf("SELECT pg_catalog.pg_advisory_lock_shared(%d)", t.watching)); err != nil {
		return err
	}
	if err := wait(ctx, quietOver); err != nil {
		return err
	}
	return c.script(ctx, fmt.Sprintf("SELECT pg_catalog.pg_advisory_lock(%[1]d); SELECT pg_catalog.pg_advisory_unlock(%[1]d)", t.changing))
}

// notified returns the next notification, or nil where there is none for checkConn.
func (c *conn) notified(ctx context.Context) (*pgconn.Notification, error) {
	limited, cancel := context.WithTimeout(ctx, checkConn)
	defer cancel()
	n, err := c.WaitForNotification(limited)
	switch {
	case err == nil:
		return n, nil
	case limited.Err() == nil || ctx.Err() != nil || c.IsClosed():
		return nil, fmt.Errorf("the connection is lost: %w", err)
	}
	limited, cancelPing := context.WithTimeout(ctx, pingTimeout)
	defer cancelPing()
	if err := c.Ping(limited); err != nil {
		return nil, fmt.Errorf("the connection is lost: %w", err)
	}
	return nil, nil
}

// closeSoon closes a connection whose server may not answer.
func (c *conn) closeSoon() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = c.Close(ctx)
}
