package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	json "github.com/go-json-experiment/json/v1"
	"github.com/jackc/pgx/v5"

	"github.com/endpointcache/endpointcache/internal/testserver"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/postgres"
	"github.com/endpointcache/endpointcache/repository"
)

// errSkipped is why a line is not measured.
type errSkipped struct{ error }

// server is a PostgreSQL database with the dataset in three schemas: one to read
// from, and one for each side to write to.
type server struct {
	url   string
	admin *pgx.Conn // neither side's
	stop  func() error
}

const readSchema = "bench_read"

func (s side) schema() string { return [...]string{"bench_library", "bench_hand"}[s] }

// postgresServer fills the server when the first line needs it.
func (d *dataset) postgresServer(ctx context.Context) (*server, error) {
	if d.server != nil {
		return d.server, nil
	}
	s := &server{url: os.Getenv("POSTGRES_TEST_URL"), stop: func() error { return nil }}
	if s.url == "" {
		started, err := testserver.StartPostgres(ctx, &testserver.Options{Durable: true})
		if err != nil {
			return nil, errSkipped{fmt.Errorf("no PostgreSQL: %w", err)}
		}
		s.url, s.stop = started.URL(), started.Stop
	}
	var err error
	if s.admin, err = pgx.Connect(ctx, s.url); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	d.server = s
	for _, schema := range []string{readSchema, ours.schema(), theirs.schema()} {
		if err := s.fill(ctx, d, schema); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *server) close() error {
	ctx := context.Background()
	var errs []error
	for _, schema := range []string{readSchema, ours.schema(), theirs.schema()} {
		errs = append(errs, s.do(ctx, "DROP SCHEMA IF EXISTS "+schema+" CASCADE"))
	}
	return errors.Join(append(errs, s.admin.Close(ctx), s.stop())...)
}

// do runs statements that answer with nothing.
func (s *server) do(ctx context.Context, texts ...string) error {
	for _, text := range texts {
		if _, err := s.admin.Exec(ctx, text); err != nil {
			return fmt.Errorf("%s: %w", text, err)
		}
	}
	return nil
}

// fill lets the library make the table and copies the rows into it.
func (s *server) fill(ctx context.Context, d *dataset, schema string) error {
	if err := s.do(ctx, "DROP SCHEMA IF EXISTS "+schema+" CASCADE"); err != nil {
		return err
	}
	store, err := postgres.Open(ctx, s.url, &postgres.Options{Schema: schema})
	if err != nil {
		return err
	}
	_, err = newRepository(ctx, store, payload.Bytes())
	if err := errors.Join(err, store.Close()); err != nil {
		return err
	}
	if err := s.copyRows(ctx, schema, d.rows, d.row); err != nil {
		return err
	}
	return s.settle(ctx, schema)
}

var columnsInOrder = []string{"id", "market", "disc", "number", "status", "cached_at", "expires_at", "name", "headers", "payload"}

func (s *server) copyRows(ctx context.Context, schema string, n int, row func(i int) row) error {
	now := time.Now()
	_, err := s.admin.CopyFrom(ctx, pgx.Identifier{schema, "tracks"}, columnsInOrder, pgx.CopyFromSlice(n, func(i int) ([]any, error) {
		r := row(i)
		expires := expiry(now)
		if r.expired {
			expires = now.Add(-time.Hour)
		}
		k := r.key
		return []any{k.ID, k.Market, k.Disc, k.Number, http.StatusOK, now, expires, r.name, r.headers, r.payload}, nil
	}))
	return err
}

// settle leaves nothing of earlier writes to be done by the next one.
func (s *server) settle(ctx context.Context, schema string) error {
	return s.do(ctx, "VACUUM (ANALYZE) "+schema+".tracks", "CHECKPOINT")
}

// openPostgres opens the library on a schema and a connection of the hand-written
// side, for as long as the contest lasts.
func openPostgres[V any](ctx context.Context, d *dataset, c *contest, schema [2]string, handler payload.Handler[V]) (*repository.ResponseRepository[Key, V], *byPgx, error) {
	s, err := d.postgresServer(ctx)
	if err != nil {
		return nil, nil, err
	}
	store, err := postgres.Open(ctx, s.url, &postgres.Options{Schema: schema[ours]})
	if err != nil {
		return nil, nil, err
	}
	c.onClose(store.Close)
	repo, err := newRepository(ctx, store, handler)
	if err != nil {
		return nil, nil, err
	}
	conn, err := pgx.Connect(ctx, s.url)
	if err != nil {
		return nil, nil, err
	}
	c.onClose(func() error { return conn.Close(context.Background()) })
	return repo, newByPgx(conn, schema[theirs]), nil
}

var reads = [2]string{readSchema, readSchema}
var writes = [2]string{ours.schema(), theirs.schema()}

func postgresGet(ctx context.Context, d *dataset, c *contest) error {
	repo, hand, err := openPostgres(ctx, d, c, reads, payload.Bytes())
	if err != nil {
		return err
	}
	compareGets(d, c, 1, sameBytes,
		func(_ int, k *Key) ([]byte, error) { return found(repo.GetRaw(ctx, *k)) },
		func(_ int, k *Key) ([]byte, error) { return hand.payload(ctx, k) })
	return nil
}

func postgresGetTyped(ctx context.Context, d *dataset, c *contest) error {
	repo, hand, err := openPostgres(ctx, d, c, reads, payload.JSON[Track]())
	if err != nil {
		return err
	}
	compareGets(d, c, 1, sameTrack,
		func(_ int, k *Key) (Track, error) { return found(repo.Get(ctx, *k)) },
		func(_ int, k *Key) (t Track, err error) {
			b, err := hand.payload(ctx, k)
			if err != nil {
				return t, err
			}
			return t, json.Unmarshal(b, &t)
		})
	return nil
}

func postgresGetMany(n int) func(context.Context, *dataset, *contest) error {
	return func(ctx context.Context, d *dataset, c *contest) error {
		repo, hand, err := openPostgres(ctx, d, c, reads, payload.Bytes())
		if err != nil {
			return err
		}
		compareBulk(d, c, n, sameBytes,
			func(keys []Key) (map[Key][]byte, error) { return repo.GetManyRaw(ctx, keys) },
			func(keys []Key) ([][]byte, error) { return hand.payloads(ctx, keys) })
		return nil
	}
}

// postgresManyOrSingles compares the library with itself.
func postgresManyOrSingles(ctx context.Context, d *dataset, c *contest) error {
	repo, _, err := openPostgres(ctx, d, c, reads, payload.Bytes())
	if err != nil {
		return err
	}
	compareBulk(d, c, 1_000, sameBytes,
		func(keys []Key) (map[Key][]byte, error) { return repo.GetManyRaw(ctx, keys) },
		func(keys []Key) ([][]byte, error) {
			payloads := make([][]byte, len(keys))
			for i, k := range keys {
				if payloads[i], err = found(repo.GetRaw(ctx, k)); err != nil {
					return nil, err
				}
			}
			return payloads, nil
		})
	return nil
}

func postgresSave(n int) func(context.Context, *dataset, *contest) error {
	return func(ctx context.Context, d *dataset, c *contest) error {
		repo, hand, err := openPostgres(ctx, d, c, writes, payload.Bytes())
		if err != nil {
			return err
		}
		rows := newRows(d.rows, n)
		keys := keysOf(rows)
		entries, err := entriesOf(rows)
		if err != nil {
			return err
		}
		c.ops = n
		c.restore = func(s side) error {
			if _, err := d.server.hand(s).delete(ctx, keys); err != nil {
				return err
			}
			return d.server.settle(ctx, s.schema())
		}
		c.run[ours] = func(int) error { return repo.SaveEntries(ctx, entries) }
		c.run[theirs] = func(int) error { return hand.save(ctx, rows) }
		c.verify = func(int) error { return d.server.check(ctx, rows, len(rows), d.rows+n) }
		return nil
	}
}

func postgresDelete(n int) func(context.Context, *dataset, *contest) error {
	return func(ctx context.Context, d *dataset, c *contest) error {
		repo, hand, err := openPostgres(ctx, d, c, writes, payload.Bytes())
		if err != nil {
			return err
		}
		keys := d.some(n, 0)
		rows := d.rowsAt(d.places[:len(keys)])
		for _, s := range []side{ours, theirs} { // as it was before other lines
			if err := d.server.fill(ctx, d, s.schema()); err != nil {
				return err
			}
		}
		removed := func(n int, err error) error {
			if err == nil && n != len(keys) {
				err = fmt.Errorf("%d rows removed, want %d", n, len(keys))
			}
			return err
		}
		c.ops = len(keys)
		c.restore = func(s side) error {
			if n, err := d.server.count(ctx, s, nil); err != nil || n == d.rows {
				return err
			}
			if err := d.server.copyRows(ctx, s.schema(), len(rows), func(i int) row { return rows[i] }); err != nil {
				return err
			}
			return d.server.settle(ctx, s.schema())
		}
		c.run[ours] = func(int) error { return removed(repo.DeleteMany(ctx, keys)) }
		c.run[theirs] = func(int) error { return removed(hand.delete(ctx, keys)) }
		c.verify = func(int) error { return d.server.check(ctx, rows, 0, d.rows-len(rows)) }
		return nil
	}
}

func keysOf(rows []row) []Key {
	keys := make([]Key, len(rows))
	for i, r := range rows {
		keys[i] = r.key
	}
	return keys
}

func (s *server) hand(of side) *byPgx {
	return newByPgx(s.admin, of.schema())
}

// check compares how many of the rows both sides have, as they should be, and how
// many rows in all.
func (s *server) check(ctx context.Context, rows []row, want, total int) error {
	for _, of := range []side{ours, theirs} {
		found, err := s.count(ctx, of, rows)
		if err != nil {
			return err
		}
		all, err := s.count(ctx, of, nil)
		if err != nil {
			return err
		}
		if found != want || all != total {
			return fmt.Errorf("%v: there are %d of the rows, want %d, and %d in all, want %d", of, found, want, all, total)
		}
	}
	return nil
}

// count tells how many of the rows there are as they should be, or of all.
func (s *server) count(ctx context.Context, of side, rows []row) (n int, err error) {
	if rows == nil {
		err = s.admin.QueryRow(ctx, "SELECT count(*) FROM "+of.schema()+".tracks").Scan(&n)
		return n, err
	}
	a := arraysOf(keysOf(rows))
	for _, r := range rows {
		a.names, a.headers, a.payloads = append(a.names, r.name), append(a.headers, r.headers), append(a.payloads, r.payload)
	}
	err = s.admin.QueryRow(ctx, `SELECT count(*) FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::jsonb[], $7::bytea[])
		AS k(id, market, disc, number, name, headers, payload) JOIN `+of.schema()+`.tracks AS t USING (id, market, disc, number)
		WHERE t.name = k.name AND t.headers = k.headers AND t.payload = k.payload AND t.status = 200`,
		a.ids, a.markets, a.discs, a.numbers, a.names, a.headers, a.payloads).Scan(&n)
	return n, err
}

// byPgx is the hand-written side: a connection of pgx, which prepares a statement
// when it is first used.
type byPgx struct {
	conn                     *pgx.Conn
	get, many, remove, store string
}

func newByPgx(conn *pgx.Conn, schema string) *byPgx {
	in := func(text string) string { return strings.Replace(text, "tracks ", schema+".tracks ", 1) }
	return &byPgx{conn, in(getText), in(manyText), in(deleteText), in(saveText)}
}

const (
	getText = `SELECT payload FROM tracks WHERE id = $1 AND market = $2 AND disc = $3 AND number = $4 AND expires_at > $5`

	manyText = `SELECT k.i, t.payload FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[]) WITH ORDINALITY AS k(id, market, disc, number, i)
		JOIN tracks AS t USING (id, market, disc, number) WHERE t.expires_at > $5`

	deleteText = `DELETE FROM tracks AS t USING unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[]) AS k(id, market, disc, number)
		WHERE t.id = k.id AND t.market = k.market AND t.disc = k.disc AND t.number = k.number`

	saveText = `INSERT INTO tracks (id, market, disc, number, status, cached_at, expires_at, name, headers, payload)
		SELECT id, market, disc, number, 200, $5, $6, name, headers, payload
		FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $7::text[], $8::jsonb[], $9::bytea[]) AS k(id, market, disc, number, name, headers, payload)
		ON CONFLICT (id, market, disc, number) DO UPDATE SET status = excluded.status, cached_at = excluded.cached_at,
		expires_at = excluded.expires_at, name = excluded.name, headers = excluded.headers, payload = excluded.payload`

	saveChunk = 500 // rows: what an array makes of 1 MiB stays in the server's memory
)

// arrays are the columns of many rows.
type arrays struct {
	ids, markets   []string
	discs, numbers []int64
	names, headers []string
	payloads       [][]byte
}

func arraysOf(keys []Key) arrays {
	n := len(keys)
	a := arrays{ids: make([]string, n), markets: make([]string, n), discs: make([]int64, n), numbers: make([]int64, n)}
	for i, k := range keys {
		a.ids[i], a.markets[i], a.discs[i], a.numbers[i] = k.ID, k.Market, int64(k.Disc), int64(k.Number)
	}
	return a
}

func (h *byPgx) payload(ctx context.Context, k *Key) (b []byte, err error) {
	err = h.conn.QueryRow(ctx, h.get, k.ID, k.Market, k.Disc, k.Number, time.Now()).Scan(&b)
	return b, err
}

func (h *byPgx) payloads(ctx context.Context, keys []Key) ([][]byte, error) {
	a := arraysOf(keys)
	rows, err := h.conn.Query(ctx, h.many, a.ids, a.markets, a.discs, a.numbers, time.Now())
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	payloads := make([][]byte, len(keys))
	for rows.Next() {
		var i int64
		var b []byte
		if err := rows.Scan(&i, &b); err != nil {
			return nil, err
		}
		payloads[i-1] = b
	}
	return payloads, rows.Err()
}

func (h *byPgx) delete(ctx context.Context, keys []Key) (int, error) {
	a := arraysOf(keys)
	tag, err := h.conn.Exec(ctx, h.remove, a.ids, a.markets, a.discs, a.numbers)
	return int(tag.RowsAffected()), err
}

// save sends a chunk of rows in a statement, all of them in one transaction and
// one round trip, in the order of the primary key.
func (h *byPgx) save(ctx context.Context, rows []row) error {
	rows = slices.Clone(rows)
	slices.SortFunc(rows, func(a, b row) int { return cmp.Compare(a.key.ID, b.key.ID) })
	now := time.Now()
	var batch pgx.Batch
	for chunk := range slices.Chunk(rows, saveChunk) {
		a := arraysOf(keysOf(chunk))
		for _, r := range chunk {
			a.names, a.headers, a.payloads = append(a.names, r.name), append(a.headers, r.headers), append(a.payloads, r.payload)
		}
		batch.Queue(h.store, a.ids, a.markets, a.discs, a.numbers, now, expiry(now), a.names, a.headers, a.payloads)
	}
	return h.conn.SendBatch(ctx, &batch).Close()
}
