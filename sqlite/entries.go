package sqlite

import (
	"context"
	sqldriver "database/sql/driver"
	"errors"
	"iter"
	"math"
	"slices"

	"github.com/endpointcache/endpointcache/driver"
)

// A page of an iteration ends after so many rows or so many bytes of payload.
const (
	maxPage      = 500
	maxPageBytes = 4 << 20
)

// Entries reads the table in pages of its row order. A row keeps its number when
// it is overwritten, and one that is added gets a higher one than any before. By
// values that keys begin with it reads them in the order of the keys, which the index of
// the primary key has. Each page is a read of its own: nothing is held while the
// caller's body runs.
func (t *table) Entries(ctx context.Context, sel driver.Selection) iter.Seq2[driver.Entry, error] {
	return func(yield func(driver.Entry, error) bool) {
		for e, err := range t.rows(ctx, "iterate over", sel) {
			if (err != nil || e.Key != nil) && !yield(e, err) {
				return
			}
		}
	}
}

// Examine implements [driver.Examiner]. It tells of rows whose keys are of other types than
// the columns', which are the entries of no key.
func (s *Store) Examine(ctx context.Context, spec driver.TableSpec, sel driver.Selection) iter.Seq2[driver.Examined, error] {
	t := &table{store: s, spec: spec, names: newNames(spec)}
	return func(yield func(driver.Examined, error) bool) {
		for e, err := range t.rows(ctx, "examine", sel) {
			found := driver.Examined{Entry: e}
			if err == nil && e.Key == nil {
				found.Fault = errKeyType
			}
			if !yield(found, err) {
				return
			}
		}
	}
}

var errKeyType = errors.New("a row has a key of other types than were saved: no request finds it")

// rows yields the rows that are selected, those whose keys cannot be read without them.
func (t *table) rows(ctx context.Context, op string, sel driver.Selection) iter.Seq2[driver.Entry, error] {
	return func(yield func(driver.Entry, error) bool) {
		p := pages{next: math.MinInt64}
		for more := true; more; {
			err := t.store.run(ctx, op, t.spec.Name, func() error {
				return t.store.readers.with(ctx, func(c *conn) (err error) {
					more, err = t.nextPage(ctx, c, &p, sel)
					return err
				})
			})
			if err != nil {
				yield(driver.Entry{}, err)
				return
			}
			for i := range p.entries {
				if !yield(p.entries[i], nil) {
					return
				}
				p.entries[i] = driver.Entry{} // the body may be large
			}
		}
	}
}

// pages are where an iteration is.
type pages struct {
	entries []driver.Entry
	begun   bool
	last    int64      // the table's last row when the iteration began
	next    int64      // the row at which the next page begins
	after   driver.Key // the last key of the page before
}

func (t *table) lastRow(ctx context.Context, c *conn) (int64, error) {
	s, err := c.prepare(ctx, stmtKey{table: t, op: opLast})
	if err != nil {
		return 0, err
	}
	return c.int64(ctx, s)
}

// nextPage reads the next page and reports whether there may be more.
func (t *table) nextPage(ctx context.Context, c *conn, p *pages, sel driver.Selection) (more bool, err error) {
	if !p.begun {
		// Rows that are added from now on are left out: a body that adds
		// some would never come to an end.
		if p.last, err = t.lastRow(ctx, c); err != nil {
			return false, err
		}
		p.begun = true
	}
	s, err := t.preparePage(ctx, c, p, sel)
	if err != nil {
		return false, err
	}
	p.entries = p.entries[:0]
	bytes := 0
	err = t.queryEntries(ctx, c, s, sel.Parts, func(number int64, e driver.Entry) bool {
		p.entries = append(p.entries, e)
		bytes += len(e.Payload)
		if len(p.entries) < maxPage && bytes < maxPageBytes {
			return true
		}
		if byKey(sel) {
			p.after, more = slices.Clone(e.Key), len(sel.Leading) < len(t.spec.Key)
		} else {
			p.next, more = number+1, number < p.last
		}
		return false
	})
	return more, err
}

// queryEntries runs s with its bound arguments and calls each for every entry, with the
// number of its row, until it returns false. The entry has no Key where that cannot be read.
func (t *table) queryEntries(ctx context.Context, c *conn, s *stmt, parts driver.Parts, each func(number int64, e driver.Entry) bool) error {
	n := len(t.spec.Key)
	return c.queryLong(ctx, s, 1+n+len(t.names.columns[parts]), func(row []sqldriver.Value) bool {
		e := driver.Entry{Key: t.key(row[1 : 1+n])}
		scan(row[1+n:], parts, &e)
		number, _ := row[0].(int64)
		return each(number, e)
	})
}

// key is the key that a row holds, nil where a value is of another type than was saved.
func (t *table) key(row []sqldriver.Value) driver.Key {
	key := make(driver.Key, len(row))
	for i, column := range t.spec.Key {
		var ok bool
		if key[i], ok = keyValue(column.Kind, row[i]); !ok {
			return nil
		}
	}
	return key
}

// byKey reports whether the index of the primary key has together what is selected.
func byKey(sel driver.Selection) bool { return len(sel.Leading) > 0 || sel.Where.Prefix != "" }

// preparePage returns the statement for the next page with its arguments bound.
func (t *table) preparePage(ctx context.Context, c *conn, p *pages, sel driver.Selection) (*stmt, error) {
	key := stmtKey{op: opPage, sel: sel.Parts}
	if byKey(sel) {
		key.op = opKeyPage
		if p.after != nil {
			key.behind = behindKey
		}
	}
	s, err := t.prepareFilter(ctx, c, key, sel.Filter)
	if err != nil {
		return nil, err
	}
	switch {
	case key.op == opPage:
		s.bind(p.next)
	case p.after != nil:
		s.bindKey(p.after[len(sel.Leading):])
	}
	s.bind(p.last)
	return s, nil
}

// keyValue is a key column's value as the driver of the package knows it. What it returns as
// it came needs no memory.
func keyValue(kind driver.Kind, v sqldriver.Value) (value driver.Value, ok bool) {
	switch n := v.(type) {
	case string:
		return v, kind == driver.String
	case int64:
		if kind == driver.Bool {
			return n != 0, true
		}
		return v, kind == driver.Int
	case bool:
		return v, kind == driver.Bool
	}
	return nil, false
}
