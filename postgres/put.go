package postgres

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"math"
	"slices"
	"unicode/utf8"

	"github.com/endpointcache/endpointcache/driver"
)

// A save sends this much in one statement.
const (
	maxPut      = 1_000   // rows
	maxPutBytes = 1 << 20 // about
)

// maxEntry is what PostgreSQL can hold in its memory as one piece, less what it
// may add when it compresses it or sends it.
const maxEntry = 1<<30 - 1<<24

// rowSize are the bytes of a row beside what its size depends on.
const rowSize = 64

// row is an entry with its key as it stands in the table.
type row struct {
	key    driver.Key
	short  bool // a value of the key is shortened
	number int  // of the entry among those of the call
	size   int  // how many bytes it takes in the table and on its way, about
	entry  *driver.Entry
}

func (t *table) Put(ctx context.Context, entries []driver.Entry) error {
	return t.store.run(ctx, "save to", t.spec.Name, func() error {
		if len(entries) == 0 {
			return nil
		}
		rows, err := t.rows(entries)
		if err != nil {
			return err
		}
		return explainPut(t.store.with(ctx, repeatable, func(c *conn) error { return t.put(ctx, c, rows) }))
	})
}

// rows are the entries in the order of the primary key's index, one for a key.
func (t *table) rows(entries []driver.Entry) ([]row, error) {
	rows := make([]row, len(entries))
	for i := range entries {
		r := row{number: i, size: size(&entries[i]), entry: &entries[i]}
		r.key, r.short = t.keyTexts.stored(entries[i].Key)
		if r.size > maxEntry {
			return nil, fmt.Errorf("%w: it has %d bytes, PostgreSQL can hold %d", driver.ErrTooLarge, r.size, maxEntry)
		}
		if s := entries[i].Status; s < math.MinInt32 || s > math.MaxInt32 {
			return nil, fmt.Errorf("status %d is too large for an integer column", s)
		}
		rows[i] = r
	}
	slices.SortStableFunc(rows, func(a, b row) int { return driver.CompareKeys(a.key, b.key) })
	kept := rows[:0]
	for i := range rows {
		if i+1 < len(rows) && driver.CompareKeys(rows[i].key, rows[i+1].key) == 0 {
			continue // the later one wins
		}
		kept = append(kept, rows[i])
	}
	return kept, nil
}

// size is how many bytes the row of an entry takes, with those in the index of its key.
func size(e *driver.Entry) int {
	size := len(e.Payload) + len(e.Header) + 2*len(e.Name) + rowSize
	for _, v := range e.Key {
		if s, ok := v.(string); ok {
			size += 2 * len(s)
		}
	}
	return size
}

func (t *table) put(ctx context.Context, c *conn, rows []row) error {
	first, s := t.nextChunk(rows)
	if len(first) == len(rows) {
		args := t.putArguments(s, rows)
		defer args.free()
		_, err := t.changeAlone(ctx, c, len(rows), keysOf(rows), t.statement(s, 0, driver.All), args, noRow)
		return err
	}
	all := []*statement{t.statement(opPut, 0, driver.All), t.statement(opPutAll, 0, driver.All), t.statement(opPutShort, 0, driver.All)}
	_, err := t.change(ctx, c, t.store.teller.always, len(rows), keysOf(rows), all, func(tx *transaction) error {
		for len(rows) > 0 {
			chunk, s := t.nextChunk(rows)
			args := t.putArguments(s, chunk)
			err := tx.add(t.statement(s, 0, driver.All), args)
			args.free()
			if err != nil {
				return err
			}
			rows = rows[len(chunk):]
		}
		return nil
	})
	return err
}

// keysOf are the whole keys of rows.
func keysOf(rows []row) iter.Seq[driver.Key] {
	return func(yield func(driver.Key) bool) {
		for i := range rows {
			if !yield(rows[i].entry.Key) {
				return
			}
		}
	}
}

// nextChunk returns the rows that the next statement saves, at least one, and
// what kind of statement that is.
func (t *table) nextChunk(rows []row) ([]row, op) {
	n, size, short := 0, 0, false
	for n < min(len(rows), maxPut) && (n == 0 || size < maxPutBytes) {
		size += rows[n].size
		short = short || rows[n].short
		n++
	}
	switch {
	case short:
		return rows[:n], opPutShort
	case n == 1:
		return rows[:n], opPut
	default:
		return rows[:n], opPutAll
	}
}

// putArguments are the parameters of a statement that saves rows.
func (t *table) putArguments(s op, rows []row) *arguments {
	columns := entryColumns(t.payload)
	if s == opPut {
		args := newArguments(0)
		args.keyValues(rows[0].key)
		t.encode(&rows[0], func(int) values { return args })
		return args
	}
	if s == opPutShort {
		columns = append(columns, keyColumn)
	}
	n := len(t.spec.Key)
	args := newArguments(n + len(columns))
	column := func(i int) values { return &args.arrays[n+i] }
	for i := range rows {
		r := &rows[i]
		args.key(r.key)
		t.encode(r, column)
		switch {
		case r.short:
			column(len(columns) - 1).bytes(driver.AppendKey(nil, r.entry.Key))
		case s == opPutShort:
			column(len(columns) - 1).null()
		}
	}
	args.finish(t.types(columns))
	return args
}

// values take the value of a column: parameters of a statement, or an array.
type values interface {
	null()
	string(string)
	bytes([]byte)
	jsonb(string)
	int64(int64)
	int32(int32)
}

// encode adds the values of a row to its columns.
func (t *table) encode(r *row, column func(int) values) {
	e := r.entry
	column(0).int32(int32(e.Status))
	column(1).int64(timestamp(e.CachedAt))
	column(2).int64(expiry(e.ExpiresAt))
	column(3).string(escape(e.Name))
	if e.Header == "" {
		column(4).null()
	} else {
		column(4).jsonb(e.Header)
	}
	next := 7
	switch t.payload {
	case Text:
		if utf8.Valid(e.Payload) && bytes.IndexByte(e.Payload, 0) < 0 {
			column(5).bytes(e.Payload)
			column(6).null()
		} else {
			column(5).null()
			column(6).bytes(e.Payload)
		}
	case JSONB:
		if isJSONB(e.Payload) {
			column(5).jsonb(string(e.Payload))
		} else {
			column(5).null()
		}
		column(6).bytes(e.Payload)
	default:
		column(5).bytes(e.Payload)
		next = 6
	}
	column(next).string(e.Encoding)
	column(next + 1).int32(int32(e.PayloadSum))
	column(next + 2).int32(int32(e.MetaSum))
	column(next + 3).int64(timestamp(e.CachedAt))
	column(next + 4).int32(int32(r.size))
}

// Codes of text that a column of the type JSONB cannot hold.
var statesOfText = []string{"22P02", "22P05", "22021", "22003"}

// explainPut tells what the server does not: of all columns only the headers can
// hold what it has refused.
func explainPut(err error) error {
	if slices.Contains(statesOfText, sqlState(err)) {
		return fmt.Errorf("a header is no JSON that JSONB can hold: %w", err)
	}
	return err
}
