package postgres

import (
	"bytes"
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/parallel"
)

type table struct {
	store      *Store
	spec       driver.TableSpec
	names      names
	payload    PayloadType
	keyTexts   keyTexts
	indexes    indexes
	statements [int(ops) * allParts * allStates]atomic.Pointer[statement]
}

var _ driver.Table = (*table)(nil)

const (
	maxGet      = 1_000 // keys of one statement
	maxChange   = 5_000
	maxShares   = 4   // connections that share the work of one call
	minPerShare = 500 // keys that are worth another connection
)

func (t *table) Get(ctx context.Context, keys []driver.Key, sel driver.Selection, visit func(int, driver.Entry)) error {
	return t.store.run(ctx, "get from", t.spec.Name, func() error {
		keys, visit := sel.Narrow(keys, visit)
		switch len(keys) {
		case 0:
			return nil
		case 1:
			return t.getOne(ctx, keys[0], sel, visit)
		}
		return t.getMany(ctx, keys, sel, visit)
	})
}

func (t *table) getOne(ctx context.Context, key driver.Key, sel driver.Selection, visit func(int, driver.Entry)) error {
	args := newArguments(0)
	defer args.free()
	key, _ = t.keyTexts.stored(key)
	args.keyValues(key)
	args.now(sel.Filter)
	s := t.statement(opGet, sel.Parts, sel.State)
	var found *driver.Entry
	err := t.store.with(ctx, repeatable, func(c *conn) error {
		found = nil
		_, err := c.query(ctx, s, args, func(row [][]byte) error {
			found = new(driver.Entry)
			return t.read(row, sel.Parts, found)
		})
		return err
	})
	if err == nil && found != nil {
		visit(0, *found)
	}
	return err
}

// getMany gets a chunk of keys in a statement, and several chunks at once where
// there are many. Connections take the next chunk when they have done one, so
// that they end together.
func (t *table) getMany(ctx context.Context, keys []driver.Key, sel driver.Selection, visit func(int, driver.Entry)) error {
	shares := min(t.store.shares, 1+(len(keys)-1)/minPerShare)
	chunk := min(maxGet, (len(keys)+shares-1)/shares)
	var taken atomic.Int64
	return parallel.Do(shares, func(int) error {
		for {
			end := int(taken.Add(int64(chunk)))
			first := end - chunk
			if first >= len(keys) {
				return nil
			}
			if err := t.getChunk(ctx, keys[first:min(end, len(keys))], first, sel, visit); err != nil {
				return err
			}
		}
	})
}

func (t *table) getChunk(ctx context.Context, keys []driver.Key, first int, sel driver.Selection, visit func(int, driver.Entry)) error {
	args := newArguments(len(t.spec.Key))
	defer args.free()
	for _, k := range keys {
		k, _ = t.keyTexts.stored(k)
		args.key(k)
	}
	args.finish(t.types(nil))
	args.now(sel.Filter)
	s := t.statement(opGetAll, sel.Parts, sel.State)
	visited := make([]bool, len(keys)) // should it be done again
	return t.store.with(ctx, repeatable, func(c *conn) error {
		_, err := c.query(ctx, s, args, func(row [][]byte) error {
			number, err := readInt64(row[0])
			if err != nil || number < 1 || number > int64(len(keys)) {
				return errRowType
			}
			i := int(number) - 1
			if visited[i] {
				return nil
			}
			var e driver.Entry
			if err := t.read(row[1:], sel.Parts, &e); err != nil {
				return err
			}
			visited[i] = true
			visit(first+i, e)
			return nil
		})
		return err
	})
}

func (t *table) Delete(ctx context.Context, keys []driver.Key) (deleted int, err error) {
	err = t.store.run(ctx, "delete from", t.spec.Name, func() error {
		switch len(keys) {
		case 0:
			return nil
		case 1:
			deleted, err = t.changeOne(ctx, once, opDelete, keys[0], func(*arguments) {})
		default:
			deleted, err = t.changeMany(ctx, once, opDeleteAll, keys, func(*arguments) {})
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	return deleted, nil
}

// Use moves the payloads that are in one piece with their rows.
func (t *table) Use(ctx context.Context, keys []driver.Key, at time.Time) error {
	return t.store.run(ctx, "use of", t.spec.Name, func() (err error) {
		add := func(a *arguments) { a.int64(timestamp(at)) }
		switch len(keys) {
		case 0:
			return nil
		case 1:
			_, err = t.changeOne(ctx, repeatable, opUse, keys[0], add)
		default:
			_, err = t.changeMany(ctx, repeatable, opUseAll, keys, add)
		}
		return err
	})
}

// changeOne does with the row of a key what op does, whose parameters behind the key
// more adds. It returns how many rows there are.
func (t *table) changeOne(ctx context.Context, repeatable bool, op op, key driver.Key, more func(*arguments)) (changed int, err error) {
	args := newArguments(0)
	defer args.free()
	stored, _ := t.keyTexts.stored(key)
	args.keyValues(stored)
	more(args)
	s := t.statement(op, 0, driver.All)
	err = t.store.with(ctx, repeatable, func(c *conn) (err error) {
		if op == opUse { // which is no change
			changed, err = c.exec(ctx, s, args)
		} else {
			changed, err = t.changeAlone(ctx, c, 1, slices.Values([]driver.Key{key}), s, args, noRow)
		}
		return err
	})
	return changed, err
}

// changeMany is changeOne for many keys, in their order.
func (t *table) changeMany(ctx context.Context, repeatable bool, op op, keys []driver.Key, more func(*arguments)) (changed int, err error) {
	stored := make([]driver.Key, len(keys))
	for i, k := range keys {
		stored[i], _ = t.keyTexts.stored(k)
	}
	slices.SortFunc(stored, driver.CompareKeys)
	s := t.statement(op, 0, driver.All)
	types := t.types(nil)
	send := func(tx *transaction) error {
		if err := tx.add(planInOrder, new(arguments)); err != nil {
			return err
		}
		for chunk := range slices.Chunk(stored, maxChange) {
			args := newArguments(len(t.spec.Key))
			for _, k := range chunk {
				args.key(k)
			}
			args.finish(types)
			more(args)
			err := tx.add(s, args)
			args.free()
			if err != nil {
				return err
			}
		}
		return nil
	}
	err = t.store.with(ctx, repeatable, func(c *conn) (err error) {
		if op == opUseAll {
			changed, err = c.atOnce(ctx, []*statement{planInOrder}, send)
		} else {
			changed, err = t.change(ctx, c, t.store.teller.always, len(keys), slices.Values(keys), []*statement{planInOrder}, send)
		}
		return err
	})
	return changed, err
}

func (t *table) Pop(ctx context.Context, key driver.Key, f driver.Filter) (e driver.Entry, ok bool, err error) {
	const parts = driver.Payload | driver.Meta
	err = t.store.run(ctx, "pop from", t.spec.Name, func() error {
		if !key.HasPrefix(f.Leading) {
			return nil
		}
		args := newArguments(0)
		defer args.free()
		whole := key
		key, _ = t.keyTexts.stored(key)
		args.keyValues(key)
		args.now(f)
		return t.store.with(ctx, once, func(c *conn) error {
			e, ok = driver.Entry{}, false
			_, err := t.changeAlone(ctx, c, 1, slices.Values([]driver.Key{whole}), t.statement(opPop, parts, f.State), args, func(row [][]byte) error {
				ok = true
				return t.read(row, parts, &e)
			})
			return err
		})
	})
	if err != nil {
		return driver.Entry{}, false, err
	}
	return e, ok, nil
}

func (t *table) Count(ctx context.Context, f driver.Filter) (n int, err error) {
	err = t.store.run(ctx, "count", t.spec.Name, func() error {
		args := newArguments(0)
		defer args.free()
		leading, _ := t.keyTexts.stored(f.Leading)
		args.keyValues(leading)
		t.filter(args, f)
		return t.store.with(ctx, repeatable, func(c *conn) error {
			_, err := c.query(ctx, t.selecting(opCount, 0, scope{Filter: f}), args, func(row [][]byte) error {
				count, err := readInt64(row[0])
				n = int(count)
				return err
			})
			return err
		})
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}

func (t *table) Size(ctx context.Context) (size driver.Size, err error) {
	err = t.store.run(ctx, "size of", t.spec.Name, func() error {
		return t.store.with(ctx, repeatable, func(c *conn) error {
			_, err := c.query(ctx, t.statement(opSize, 0, driver.All), new(arguments), func(row [][]byte) error {
				entries, err := readInt64(row[0])
				if err != nil {
					return err
				}
				size.Entries = int(entries)
				size.Bytes, err = readInt64(row[1])
				return err
			})
			return err
		})
	})
	if err != nil {
		return driver.Size{}, err
	}
	return size, nil
}

// read sets the parts of e from the columns that hold them. It copies what the
// row lends.
func (t *table) read(row [][]byte, parts driver.Parts, e *driver.Entry) error {
	status, err := readInt32(row[0])
	if err != nil {
		return err
	}
	e.Status = int(status)
	row = row[1:]
	if parts&driver.Meta != 0 {
		if err := readMeta(row, e); err != nil {
			return err
		}
		row = row[5:]
	}
	if parts&driver.Payload != 0 {
		body := row[0]
		if t.payload == Text {
			if row = row[1:]; body == nil {
				body = row[0]
			}
		}
		if body == nil {
			return errRowType
		}
		sum, err := readInt32(row[2])
		if err != nil {
			return err
		}
		e.Payload, e.Encoding, e.PayloadSum = bytes.Clone(body), string(row[1]), uint32(sum)
		row = row[3:]
	}
	if parts&driver.Usage != 0 {
		if e.UsedAt, err = readTime(row[0]); err != nil {
			return err
		}
		size, err := readInt32(row[1])
		if err != nil {
			return err
		}
		e.Size = int64(size)
	}
	return nil
}

func readMeta(row [][]byte, e *driver.Entry) (err error) {
	if e.CachedAt, err = readTime(row[0]); err != nil {
		return err
	}
	if e.ExpiresAt, err = readTime(row[1]); err != nil {
		return err
	}
	if e.Name, err = unescape(row[2]); err != nil {
		return err
	}
	if header := row[3]; header != nil {
		if len(header) == 0 || header[0] != jsonbVersion {
			return errRowType
		}
		e.Header = string(header[1:])
	}
	sum, err := readInt32(row[4])
	e.MetaSum = uint32(sum)
	return err
}
