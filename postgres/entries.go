package postgres

import (
	"context"
	"iter"

	"github.com/endpointcache/endpointcache/driver"
)

// A page of an iteration ends after so many rows or so many bytes of payload.
const (
	maxPage      = 500
	maxPageBytes = 4 << 20
)

// Entries reads the table in pages of its keys' order. Each page is a statement
// of its own: nothing is held while the caller's body runs.
func (t *table) Entries(ctx context.Context, sel driver.Selection) iter.Seq2[driver.Entry, error] {
	return t.entries(ctx, "iterate over", sel.Parts, scope{Filter: sel.Filter})
}

// entries is Entries for a scope, as part of an operation.
func (t *table) entries(ctx context.Context, op string, parts driver.Parts, s scope) iter.Seq2[driver.Entry, error] {
	return func(yield func(driver.Entry, error) bool) {
		p := pages{scope: s, parts: parts}
		p.leading, _ = t.keyTexts.stored(s.Leading)
		for more := true; more; {
			err := t.store.run(ctx, op, t.spec.Name, func() (err error) {
				more, err = t.nextPage(ctx, &p)
				return err
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

// pages are where an iteration is. Keys are as they stand in the table.
type pages struct {
	scope   scope
	parts   driver.Parts
	entries []driver.Entry
	after   driver.Key // the last of the page before, or nil
	leading driver.Key // what the keys begin with
	last    driver.Key // the last such key in the table when the iteration began
}

// nextPage reads the next page and reports whether there may be more.
func (t *table) nextPage(ctx context.Context, p *pages) (more bool, err error) {
	after := p.after
	err = t.store.with(ctx, repeatable, func(c *conn) error {
		p.entries, p.after = p.entries[:0], after
		if p.last == nil {
			// Rows that are added behind it are left out: a body that adds
			// some would never come to an end.
			if err := t.readLast(ctx, c, p); err != nil || p.last == nil {
				return err
			}
		}
		more, err = t.readPage(ctx, c, p)
		return err
	})
	return more, err
}

func (t *table) readLast(ctx context.Context, c *conn, p *pages) error {
	args := newArguments(0)
	defer args.free()
	args.keyValues(p.leading)
	_, err := c.query(ctx, t.selecting(opLast, 0, p.scope), args, func(row [][]byte) error {
		last, err := t.readStoredKey(row[1:])
		if last.HasPrefix(p.leading) { // otherwise it is one before those
			p.last = last
		}
		return err
	})
	return err
}

func (t *table) readPage(ctx context.Context, c *conn, p *pages) (more bool, err error) {
	args := newArguments(0)
	defer args.free()
	// The last key and the one before the page have the leading values.
	args.keyValues(p.last)
	op := opPageNext
	if p.after == nil {
		op = opPageFirst
		args.keyValues(p.leading)
	} else {
		args.keyValues(p.after)
	}
	t.filter(args, p.scope.Filter)
	size := 0
	_, err = c.query(ctx, t.selecting(op, p.parts, p.scope), args, func(row [][]byte) (err error) {
		var e driver.Entry
		if p.after, err = t.readKeyed(row, p.parts, &e); err != nil {
			return err
		}
		size += len(e.Payload)
		p.entries = append(p.entries, e)
		return nil
	})
	return len(p.entries) == maxPage || size >= maxPageBytes, err
}

// readKeyed reads an entry with its key, which it also returns as it stands in the
// table.
func (t *table) readKeyed(row [][]byte, parts driver.Parts, e *driver.Entry) (stored driver.Key, err error) {
	n := len(t.spec.Key)
	if stored, err = t.readStoredKey(row[1 : 1+n]); err != nil {
		return nil, err
	}
	if e.Key, err = t.readKey(row[0], stored); err != nil {
		return nil, err
	}
	return stored, t.read(row[1+n:], parts, e)
}

// readStoredKey reads a key as it stands in the table.
func (t *table) readStoredKey(row [][]byte) (driver.Key, error) {
	key := make(driver.Key, len(t.spec.Key))
	for i, column := range t.spec.Key {
		switch column.Kind {
		case driver.String:
			key[i] = string(row[i])
		case driver.Int:
			n, err := readInt64(row[i])
			if err != nil {
				return nil, err
			}
			key[i] = n
		case driver.Bool:
			if len(row[i]) != 1 {
				return nil, errRowType
			}
			key[i] = row[i][0] != 0
		}
	}
	return key, nil
}

// readKey returns the key that stands in the table as stored, or as whole where
// that is not nil.
func (t *table) readKey(whole []byte, stored driver.Key) (driver.Key, error) {
	if whole != nil {
		return parseKey(t.spec, whole)
	}
	key, copied := stored, false
	for i, v := range stored {
		s, ok := v.(string)
		if !ok || s == "" || s[0] != '\\' {
			continue
		}
		if !copied {
			key, copied = append(driver.Key(nil), stored...), true
		}
		text, err := unescape([]byte(s))
		if err != nil {
			return nil, err
		}
		key[i] = text
	}
	return key, nil
}
