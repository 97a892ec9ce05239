package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/gate"
)

// once and repeatable tell whether work may be done again of which it is not
// known whether the server has done it.
const (
	once       = false
	repeatable = true
)

const (
	maxConflicts = 10                    // how often work is done again that was in another's way
	maxIdle      = 50 * time.Millisecond // how long a connection is taken for alive
)

// lastUsed is where a connection keeps when a call has released it.
const lastUsed = "endpointcache last used"

// with lends a connection to do. What has failed without effect is done again:
// where a server that keeps transactions apart strictly has undone it, and, once,
// where the connection turns out to be lost and do is repeatable or nothing was
// sent. The connection for that has shown to be alive.
func (s *Store) with(ctx context.Context, repeatable bool, do func(*conn) error) error {
	lost := false
	for conflicts := 0; ; {
		closed, err := s.try(ctx, repeatable, lost, do)
		switch {
		case err == nil || ctx.Err() != nil:
			return err
		case isConflict(err) && conflicts < maxConflicts:
			conflicts++
			if err := wait(ctx, rand.N(time.Duration(conflicts)*10*time.Millisecond)); err != nil {
				return err
			}
		case closed && !lost && (repeatable || pgconn.SafeToRetry(err)):
			lost = true
		default:
			return err
		}
	}
}

// try reports whether do has failed and its connection is lost.
func (s *Store) try(ctx context.Context, repeatable, verify bool, do func(*conn) error) (closed bool, err error) {
	lent, err := s.acquire(ctx, func(c *pgxpool.Conn) bool { return verify || !repeatable && isIdle(c) })
	if err != nil {
		return false, err
	}
	defer lent.Release()
	c := lent.Conn()
	if err := do(&conn{c, s.prepare}); err != nil {
		return c.IsClosed(), err
	}
	used, ok := c.PgConn().CustomData()[lastUsed].(*time.Time)
	if !ok {
		used = new(time.Time)
		c.PgConn().CustomData()[lastUsed] = used
	}
	*used = time.Now()
	return false, nil
}

// acquire waits for a connection. Where verify tells so, the server has answered
// on it.
func (s *Store) acquire(ctx context.Context, verify func(*pgxpool.Conn) bool) (*pgxpool.Conn, error) {
	for tries := s.conns; ; tries-- {
		lent, err := s.pool.Acquire(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return nil, fmt.Errorf("waiting for a connection: %w", err)
			}
			return nil, err
		}
		if !verify(lent) {
			return lent, nil
		}
		if err = ping(ctx, lent); err == nil {
			return lent, nil
		}
		lent.Release() // a lost one is not lent again
		if tries <= 0 || ctx.Err() != nil {
			return nil, err
		}
	}
}

// ping does not wait for a lost connection as long as the system does, which may be a
// quarter of an hour.
func ping(ctx context.Context, c *pgxpool.Conn) error {
	limited, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	err := c.Ping(limited)
	if err != nil && limited.Err() != nil && ctx.Err() == nil {
		// The caller's deadline has not passed.
		return fmt.Errorf("the server has not answered for %v", pingTimeout)
	}
	return err
}

func isIdle(c *pgxpool.Conn) bool {
	used, ok := c.Conn().PgConn().CustomData()[lastUsed].(*time.Time)
	return !ok || time.Since(*used) > maxIdle
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// sqlState is the server's code for err, see
// https://www.postgresql.org/docs/current/errcodes-appendix.html, or empty.
func sqlState(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

const (
	stateSerialization = "40001"
	stateDeadlock      = "40P01"
	stateInternal      = "XX000"
	stateNoTable       = "42P01"
	stateNoStatement   = "26000"
	stateStatement     = "42P05" // is there already
	classLimit         = "54"
)

// catalogChanged is what a server says of a catalog that others have just changed, in all
// languages: they have completed an index, whose table is free a moment before that is
// committed, or have dropped a table that was found.
var catalogChanged = []string{"tuple concurrently ", "cache lookup failed for ", "could not open relation with OID "}

// isConflict reports whether the server has undone work because of another's.
func isConflict(err error) bool {
	switch sqlState(err) {
	case stateSerialization, stateDeadlock:
		return true
	case stateInternal:
		message := err.Error()
		return slices.ContainsFunc(catalogChanged, func(text string) bool { return strings.Contains(message, text) })
	}
	return false
}

// explain adds to err what a caller can act on.
func explain(ctx context.Context, err error) error {
	done := gate.Usable(ctx)
	state := sqlState(err)
	switch {
	case done != nil && !errors.Is(err, done):
		return fmt.Errorf("%w: %w", done, err)
	case strings.HasPrefix(state, classLimit):
		return fmt.Errorf("%w: %w", driver.ErrTooLarge, err)
	case state == stateNoStatement || state == stateStatement:
		return fmt.Errorf("a pooler seems to stand between, set NoPrepare: %w", err)
	}
	return err
}
