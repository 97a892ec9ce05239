package main

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/mattn/go-sqlite3"
)

// hand is the hand-written side's connection: the driver's own, without
// database/sql.
type hand struct{ conn driver.Conn }

// The settings of the library's connections, see sqlite/file.go. This side leaves the log to
// SQLite, and waits longer: the library works on its file by itself, too.
var (
	pragmas       = []string{"busy_timeout=10000", "cache_size=-16384"}
	readerPragmas = append(pragmas[:2:2], "query_only=ON")
	writerPragmas = append(pragmas[:2:2], "journal_mode=WAL", "synchronous=NORMAL", "wal_autocheckpoint=4000", "journal_size_limit=67108864")
)

func openHand(path string, pragmas []string) (*hand, error) {
	conn, err := new(sqlite3.SQLiteDriver).Open("file://" + path)
	if err != nil {
		return nil, err
	}
	h := &hand{conn}
	for _, p := range pragmas {
		if _, err := h.number("PRAGMA " + p); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
	}
	return h, nil
}

func (h *hand) close() error { return h.conn.Close() }

// number runs a statement once and returns the number that it answers with, if
// it does.
func (h *hand) number(text string) (int64, error) {
	s, err := h.prepare(text, 0, 1)
	if err != nil {
		return 0, err
	}
	var n int64
	err = s.each(func(row []driver.Value) { n, _ = row[0].(int64) })
	return n, errors.Join(err, s.close())
}

// statement is a prepared statement with room for its arguments and its row,
// which are used again for each execution.
type statement struct {
	inner interface {
		driver.Stmt
		driver.StmtExecContext
		driver.StmtQueryContext
	}
	args []driver.NamedValue
	row  []driver.Value
}

func (h *hand) prepare(text string, args, columns int) (*statement, error) {
	inner, err := h.conn.Prepare(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", text, err)
	}
	s := &statement{
		inner: inner.(*sqlite3.SQLiteStmt),
		args:  make([]driver.NamedValue, args),
		row:   make([]driver.Value, columns),
	}
	for i := range s.args {
		s.args[i].Ordinal = i + 1
	}
	return s, nil
}

func (s *statement) close() error { return s.inner.Close() }

// bind sets arguments from the i-th on.
func (s *statement) bind(i int, values ...driver.Value) {
	for j, v := range values {
		s.args[i+j].Value = v
	}
}

func (s *statement) bindKey(i int, k *Key) {
	s.bind(i, k.ID, k.Market, int64(k.Disc), int64(k.Number))
}

// one returns the only row that there can be, or nil, and reads no further.
func (s *statement) one() (_ []driver.Value, err error) {
	rows, err := s.inner.QueryContext(context.Background(), s.args)
	if err != nil {
		return nil, err
	}
	switch err := rows.Next(s.row); err {
	case nil:
		return s.row, rows.Close()
	case io.EOF:
		return nil, rows.Close()
	default:
		return nil, errors.Join(err, rows.Close())
	}
}

// each calls f for every row.
func (s *statement) each(f func(row []driver.Value)) error {
	rows, err := s.inner.QueryContext(context.Background(), s.args)
	if err != nil {
		return err
	}
	for err = rows.Next(s.row); err == nil; err = rows.Next(s.row) {
		f(s.row)
	}
	if err == io.EOF {
		err = nil
	}
	return errors.Join(err, rows.Close())
}

// exec returns how many rows the statement has changed.
func (s *statement) exec() (int, error) {
	result, err := s.inner.ExecContext(context.Background(), s.args)
	if err != nil {
		return 0, err
	}
	n, err := result.RowsAffected()
	return int(n), err
}

const (
	keyColumns = `id, market, disc, number`
	keyEquals  = `id = ? AND market = ? AND disc = ? AND number = ?`
	keyArgs    = 4
	live       = `+expires_us > ?`
)

// reader is a connection with the statement of a get.
type reader struct {
	*hand
	get *statement
}

func openReader(path string) (*reader, error) {
	h, err := openHand(path, readerPragmas)
	if err != nil {
		return nil, err
	}
	get, err := h.prepare(`SELECT payload FROM tracks WHERE `+keyEquals+` AND `+live, keyArgs+1, 1)
	if err != nil {
		return nil, errors.Join(err, h.close())
	}
	return &reader{h, get}, nil
}

func (r *reader) close() error { return errors.Join(r.get.close(), r.hand.close()) }

// payload is a hand-written get.
func (r *reader) payload(k *Key) ([]byte, error) {
	r.get.bindKey(0, k)
	r.get.bind(keyArgs, time.Now().UnixMicro())
	row, err := r.get.one()
	if err != nil {
		return nil, err
	}
	if row == nil {
		return nil, errMissing
	}
	return row[0].([]byte), nil
}

var errMissing = errors.New("a key has no live row")

// writer is a connection with the statements of saves and deletes, and those that
// put a table back as it was.
type writer struct {
	*hand
	begin, commit, upsert, insert, remove, expired, read *statement
}

func openWriter(path string) (_ *writer, err error) {
	h, err := openHand(path, writerPragmas)
	if err != nil {
		return nil, err
	}
	w := &writer{hand: h}
	columns := keyColumns + `, status, cached_us, expires_us, name, headers, payload`
	for _, s := range []struct {
		to            **statement
		text          string
		args, columns int
	}{
		{&w.begin, `BEGIN IMMEDIATE`, 0, 0},
		{&w.commit, `COMMIT`, 0, 0},
		{&w.upsert, `INSERT INTO tracks (` + columns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (` + keyColumns + `) DO UPDATE SET
			status = excluded.status, cached_us = excluded.cached_us, expires_us = excluded.expires_us,
			name = excluded.name, headers = excluded.headers, payload = excluded.payload`, keyArgs + 6, 0},
		{&w.insert, `INSERT INTO tracks (` + columns + `, _rowid_) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, keyArgs + 7, 0},
		{&w.remove, `DELETE FROM tracks WHERE ` + keyEquals, keyArgs, 0},
		{&w.expired, `DELETE FROM tracks WHERE expires_us <= ?`, 1, 0},
		{&w.read, `SELECT status, name, headers, payload FROM tracks WHERE ` + keyEquals, keyArgs, 4},
	} {
		if *s.to, err = h.prepare(s.text, s.args, s.columns); err != nil {
			return nil, errors.Join(err, w.close())
		}
	}
	return w, nil
}

func (w *writer) close() error {
	var errs []error
	for _, s := range []*statement{w.begin, w.commit, w.upsert, w.insert, w.remove, w.expired, w.read} {
		if s != nil {
			errs = append(errs, s.close())
		}
	}
	return errors.Join(append(errs, w.hand.close())...)
}

func (w *writer) transaction(do func() error) error {
	if _, err := w.begin.exec(); err != nil {
		return err
	}
	if err := do(); err != nil {
		return err // the program ends
	}
	_, err := w.commit.exec()
	return err
}

// save is a hand-written save.
func (w *writer) save(r *row) error {
	now := time.Now()
	bindRow(w.upsert, r, now, expiry(now))
	_, err := w.upsert.exec()
	return err
}

// restore puts a row back to where it was.
func (w *writer) restore(r *row) error {
	now := time.Now()
	expires := expiry(now)
	if r.expired {
		expires = now.Add(-time.Hour)
	}
	bindRow(w.insert, r, now, expires)
	w.insert.bind(keyArgs+6, r.number)
	_, err := w.insert.exec()
	return err
}

func bindRow(s *statement, r *row, now, expires time.Time) {
	s.bindKey(0, &r.key)
	s.bind(keyArgs, int64(http.StatusOK), now.UnixMicro(), expires.UnixMicro(), r.name, r.headers, r.payload)
}

// delete is a hand-written delete. It returns how many rows were deleted.
func (w *writer) delete(k *Key) (int, error) {
	w.remove.bindKey(0, k)
	return w.remove.exec()
}

// check reads a row and reports how it differs from what it should be: r, or
// absent.
func (w *writer) check(r *row, absent bool) error {
	w.read.bindKey(0, &r.key)
	have, err := w.read.one()
	switch {
	case err != nil:
		return err
	case have == nil && absent:
		return nil
	case have == nil:
		return fmt.Errorf("the row of %+v is missing", r.key)
	case absent:
		return fmt.Errorf("the row of %+v is there", r.key)
	}
	want := fmt.Sprint(int64(http.StatusOK), r.name, r.headers, string(r.payload))
	if got := fmt.Sprint(have[0], have[1], have[2], string(have[3].([]byte))); got != want {
		return fmt.Errorf("the row of %+v is %s, want %s", r.key, got, want)
	}
	return nil
}

// checkpoint leaves nothing of the log for the next write to move. The small
// write behind it begins the log anew, which waits for the disk once.
func (w *writer) checkpoint() error {
	// The library may be doing the same.
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		busy, err := w.number("PRAGMA wal_checkpoint(RESTART)")
		if err != nil {
			return err
		}
		if busy == 0 {
			break
		}
		if time.Now().After(deadline) {
			return errors.New("the checkpoint was busy")
		}
	}
	_, err := w.number("PRAGMA user_version=1")
	return err
}

// chunkText is the statement that gets many rows by their keys. It numbers them.
func chunkText(keys int) string {
	var values strings.Builder
	for i := range keys {
		if i > 0 {
			values.WriteByte(',')
		}
		fmt.Fprintf(&values, "(%d,?,?,?,?)", i)
	}
	return `WITH k(i, id, market, disc, number) AS (VALUES ` + values.String() + `)
		SELECT k.i, t.payload FROM k CROSS JOIN tracks AS t
		WHERE t.id = k.id AND t.market = k.market AND t.disc = k.disc AND t.number = k.number AND +t.expires_us > ?`
}
