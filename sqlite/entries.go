package sqlite

import (
	"context"
	sqldriver "database/sql/driver"
	"errors"
	"iter"
	"math"

	"github.com/endpointcache/endpointcache/driver"
)

// A page of an iteration ends after so many rows or so many bytes of payload.
const (
	maxPage      = 500
	maxPageBytes = 4 << 20
)

// Entries reads the table in pages of its row order. A row keeps its number when
// it is overwritten, and one that is added gets a higher one than any before.
// Each page is a read of its own: nothing is held while the caller's body runs.
func (t *table) Entries(ctx context.Context, sel driver.Selection) iter.Seq2[driver.Entry, error] {
	return func(yield func(driver.Entry, error) bool) {
		var page []driver.Entry
		next, last := int64(math.MinInt64), int64(math.MaxInt64)
		for first := true; ; first = false {
			var more bool
			page = page[:0]
			err := t.store.run(ctx, "iterate over", t.spec.Name, func() error {
				return t.store.readers.with(ctx, func(c *conn) (err error) {
					if first {
						// Rows that are added from now on are left out: a
						// body that adds some would never come to an end.
						if last, err = t.lastRow(ctx, c); err != nil {
							return err
						}
					}
					page, next, more, err = t.page(ctx, c, page, next, last, sel)
					return err
				})
			})
			if err != nil {
				yield(driver.Entry{}, err)
				return
			}
			for i := range page {
				if !yield(page[i], nil) {
					return
				}
				page[i] = driver.Entry{} // the body may be large
			}
			if !more {
				return
			}
		}
	}
}

func (t *table) lastRow(ctx context.Context, c *conn) (int64, error) {
	s, err := c.prepare(ctx, stmtKey{table: t, op: opLast})
	if err != nil {
		return 0, err
	}
	return c.int64(ctx, s)
}

var errRowType = errors.New("a row holds values of other types than were saved")

// page appends the entries of the rows from next to last, up to a page's size.
// It returns the row at which the next page begins, if there is more.
func (t *table) page(ctx context.Context, c *conn, page []driver.Entry, next, last int64, sel driver.Selection) (_ []driver.Entry, _ int64, more bool, err error) {
	s, err := c.prepare(ctx, stmtKey{table: t, op: opPage, sel: sel.Parts, state: sel.State})
	if err != nil {
		return page, next, false, err
	}
	s.bind(next)
	s.bind(last)
	s.bindNow(sel.Filter)
	n := len(t.spec.Key)
	bytes := 0
	var rowErr error
	err = c.queryLong(ctx, s, 1+n+len(columns(sel.Parts)), func(row []sqldriver.Value) bool {
		e := driver.Entry{Key: make(driver.Key, n)}
		for i, column := range t.spec.Key {
			if e.Key[i], rowErr = keyValue(column.Kind, row[1+i]); rowErr != nil {
				return false
			}
		}
		if rowErr = scan(row[1+n:], sel.Parts, &e); rowErr != nil {
			return false
		}
		number, _ := row[0].(int64)
		page = append(page, e)
		bytes += len(e.Payload)
		more = (len(page) == maxPage || bytes >= maxPageBytes) && number < last
		next = number + 1 // number < last, so this does not overflow
		return !more
	})
	return page, next, more, errors.Join(rowErr, err)
}

// keyValue is a key column's value as the driver of the package knows it.
func keyValue(kind driver.Kind, v sqldriver.Value) (driver.Value, error) {
	switch v := v.(type) {
	case string:
		if kind == driver.String {
			return v, nil
		}
	case int64:
		if kind == driver.Int {
			return v, nil
		}
		if kind == driver.Bool {
			return v != 0, nil
		}
	case bool:
		if kind == driver.Bool {
			return v, nil
		}
	}
	return nil, errRowType
}
