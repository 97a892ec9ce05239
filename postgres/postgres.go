// Package postgres keeps responses in a PostgreSQL database, which programs on
// many machines can share, and which can be asked about them in SQL.
//
// A call has a connection of a pgx pool while it runs. Bulk operations send all
// their keys as arrays, a chunk at a time, so that a thousand keys take one round
// trip. Saves and deletes take row locks in the order of the keys: however many
// write the same entries at once, none blocks another for good.
//
// Nothing but [Store.Watch] depends on the state of a session, so a pooler such as
// PgBouncer may stand between; in its transaction mode, set [Options.NoPrepare].
//
// # Layout
//
// Each repository is a table of its name. Its primary key is made of the key's
// columns: strings are TEXT in the "C" collation, integers BIGINT, bools BOOLEAN.
// Beside them stand status, cached_at and expires_at (an entry that never expires
// has 'infinity'), name, headers (JSONB, or NULL for none) and payload, which is
// BYTEA unless [TableOptions] asks for TEXT or JSONB:
//
//	SELECT id, name, headers->'Content-Type'->>0 FROM tracks WHERE expires_at > now();
//
// Behind the payload stand _encoding (how it is written; empty: as it came), _payload_sum
// and _meta_sum (checksums of 32 bits, as signed integers), _used_at (when the entry was
// used last) and _size (about how many bytes it takes). To a table of an earlier version,
// which has none of these, OpenTable adds them.
//
// The first listing in an order makes an index for it, which stays: each order has one of
// its own. It holds up neither readers nor writers.
//
// A string that TEXT cannot hold (a zero byte, invalid UTF-8), or that begins
// with a backslash, stands as \x and its bytes in hexadecimal digits. One that is
// too long for an index stands as \sha256: and its digest; the column _key, which
// is NULL otherwise, then has the whole key. A name of more than 62 bytes is
// shortened to 63 that end with a digest.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/gate"
)

// Store is a schema of a PostgreSQL database. It implements [driver.Store].
type Store struct {
	pool    *pgxpool.Pool
	own     bool // Close closes the pool
	opts    Options
	prepare bool // statements are prepared once for each connection
	conns   int  // the most connections of the pool
	shares  int  // how many of them may share the work of one call

	gate       gate.Gate
	background background
	teller     teller
}

var _ driver.Store = (*Store)(nil)

// Open opens the database at url with a pool of connections of its own, which
// Close closes. The url is what pgx takes: "postgres://user:password@host/database"
// or "host=… dbname=…", with the settings of pgx and its pool as parameters, such
// as pool_max_conns. It connects once, so that an error is found here.
func Open(ctx context.Context, url string, opts *Options) (*Store, error) {
	o, err := opts.validate()
	if err == nil {
		err = gate.Usable(ctx)
	}
	if err != nil {
		return nil, openError(err)
	}
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, openError(parseError(err))
	}
	o.configure(config)
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, openError(err)
	}
	return newStore(ctx, pool, true, o)
}

// New returns a store on the caller's own pool, which Close leaves open. Its
// settings stay as they are; where its DefaultQueryExecMode is another than
// pgx.QueryExecModeCacheStatement, the store does not prepare statements either.
func New(ctx context.Context, pool *pgxpool.Pool, opts *Options) (*Store, error) {
	o, err := opts.validate()
	switch {
	case err != nil:
		return nil, openError(err)
	case pool == nil:
		return nil, openError(errors.New("the pool is nil"))
	case o.ApplicationName != "" || o.StatementTimeout != 0:
		return nil, openError(errors.New("ApplicationName and StatementTimeout are for Open: the caller's pool has settings of its own"))
	}
	return newStore(ctx, pool, false, o)
}

func newStore(ctx context.Context, pool *pgxpool.Pool, own bool, o Options) (*Store, error) {
	config := pool.Config()
	s := &Store{
		pool: pool, own: own, opts: o,
		prepare: !o.NoPrepare && config.ConnConfig.DefaultQueryExecMode == pgx.QueryExecModeCacheStatement,
		conns:   int(config.MaxConns),
		shares:  max(1, min(maxShares, runtime.GOMAXPROCS(0), int(config.MaxConns)/2)),
	}
	s.teller.init(o.Schema)
	err := s.ping(ctx)
	if err == nil && o.ReadOnly {
		err = s.find(ctx)
	}
	if err != nil {
		s.closePool()
		return nil, openError(err)
	}
	s.background.start(s)
	return s, nil
}

func openError(err error) error {
	return &driver.OpError{Store: kind, Op: "open", Err: err}
}

// parseError tells what is wrong with a url and nothing of the url itself: where
// it is malformed, nobody knows which part of it is the password.
func parseError(err error) error {
	reason := err.Error()
	reason = reason[strings.LastIndex(reason, "`: ")+1:]
	reason, _, _ = strings.Cut(strings.TrimPrefix(reason, ": "), " (")
	return fmt.Errorf("the url cannot be used: %s", reason)
}

// minVersion is the oldest server that has all that the statements use.
const minVersion = 120000

// ping proves that the server can be reached and takes any text as it is.
func (s *Store) ping(ctx context.Context) error {
	return s.with(ctx, repeatable, func(c *conn) error {
		row, err := c.text(ctx, "SELECT current_setting('server_encoding'), current_setting('server_version_num')::int < $1::int, current_setting('server_version'), current_setting('client_encoding')", fmt.Sprint(minVersion))
		switch {
		case err != nil:
			return err
		case row[0] != "UTF8":
			return fmt.Errorf("the database has the encoding %s: only UTF8 can hold any key", row[0])
		case row[1] == "t":
			return fmt.Errorf("the server has version %s: it is too old, 12 is needed", row[2])
		case row[3] != "UTF8":
			return fmt.Errorf("the pool's connections have the client_encoding %s: UTF8 is needed", row[3])
		}
		return nil
	})
}

// find reports an error where there is no table of a cache.
func (s *Store) find(ctx context.Context) error {
	return s.with(ctx, repeatable, func(c *conn) error {
		specs, err := s.tables(ctx, c)
		if err == nil && len(specs) == 0 {
			err = fmt.Errorf("%w in the schema %q", driver.ErrAbsent, s.opts.Schema)
		}
		return err
	})
}

// Traits implements [driver.Store].
func (s *Store) Traits() driver.Traits {
	return driver.Traits{Kind: kind, Vanishes: s.opts.ClearEvery > 0, ReadOnly: s.opts.ReadOnly}
}

const kind = "postgres"

// Close waits for running operations, ends the clearing in the background and
// closes the pool that the store has opened.
func (s *Store) Close() error {
	s.background.stop() // before: OnClear may be using the store
	return s.gate.Close(func() error {
		s.closePool()
		return nil
	})
}

func (s *Store) closePool() {
	if s.own {
		s.pool.Close()
	}
}

// run does one operation: not after Close, not with a context that is done,
// and with errors that tell what was tried.
func (s *Store) run(ctx context.Context, op, table string, do func() error) error {
	if err := s.gate.Do(ctx, do); err != nil {
		return &driver.OpError{Store: kind, Op: op, Table: table, Err: explain(ctx, err)}
	}
	return nil
}
