package sqlite

import (
	"context"
	sqldriver "database/sql/driver"
	"math/bits"
	"slices"
	"sync/atomic"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/parallel"
)

type table struct {
	store *Store
	spec  driver.TableSpec
	names names
}

var _ driver.PromptTable = (*table)(nil)

// GetsPromptly implements driver.PromptTable: readers do not wait for writers, and
// where another process has locked the file, they look at their context again and
// again.
func (t *table) GetsPromptly() {}

// minPerReader is how many keys are worth another reader.
const minPerReader = 64

func (t *table) Get(ctx context.Context, keys []driver.Key, sel driver.Selection, visit func(int, driver.Entry)) error {
	return t.store.get(ctx, "get from", t.spec.Name, func() error {
		keys, visit := sel.Narrow(keys, visit)
		switch len(keys) {
		case 0:
			return nil
		case 1:
			return t.store.readers.with(ctx, func(c *conn) error { return t.getOne(ctx, c, keys[0], sel, visit) })
		}
		return t.getMany(ctx, keys, sel, visit)
	})
}

// getMany gets a chunk of keys in a statement, and several chunks at once where
// there are many. Readers take the next chunk when they have done one, so that
// they end together.
func (t *table) getMany(ctx context.Context, keys []driver.Key, sel driver.Selection, visit func(int, driver.Entry)) error {
	readers := min(t.store.shares, 1+(len(keys)-1)/minPerReader)
	chunk := min(t.maxKeys(0), (len(keys)+readers-1)/readers)
	var taken atomic.Int64
	return parallel.Do(readers, func(int) error {
		return t.store.readers.with(ctx, func(c *conn) error {
			for {
				end := int(taken.Add(int64(chunk)))
				first := end - chunk
				if first >= len(keys) {
					return nil
				}
				if err := ctx.Err(); err != nil {
					return err
				}
				if err := t.getChunk(ctx, c, keys[first:min(end, len(keys))], first, sel, visit); err != nil {
					return err
				}
			}
		})
	})
}

func (t *table) getOne(ctx context.Context, c *conn, key driver.Key, sel driver.Selection, visit func(int, driver.Entry)) error {
	s, err := c.prepare(ctx, stmtKey{table: t, op: opGet, sel: sel.Parts, state: sel.State})
	if err != nil {
		return err
	}
	s.bindKey(key)
	return t.visitRows(ctx, c, s, 0, 1, sel, visit)
}

func (t *table) getChunk(ctx context.Context, c *conn, keys []driver.Key, first int, sel driver.Selection, visit func(int, driver.Entry)) error {
	s, err := t.prepareChunk(ctx, c, stmtKey{op: opGetAll, sel: sel.Parts, state: sel.State}, keys)
	if err != nil {
		return err
	}
	return t.visitRows(ctx, c, s, first, len(keys), sel, visit)
}

// visitRows visits the entries that s finds, at most so many, whose indices are
// counted from the first.
func (t *table) visitRows(ctx context.Context, c *conn, s *stmt, first, most int, sel driver.Selection, visit func(int, driver.Entry)) error {
	s.bindNow(sel.Filter)
	return c.query(ctx, s, 1+len(t.names.columns[sel.Parts]), func(row []sqldriver.Value) bool {
		var e driver.Entry
		scan(row[1:], sel.Parts, &e)
		i, _ := row[0].(int64)
		visit(first+int(i), e)
		most--
		return most > 0
	})
}

// prepareChunk returns the statement for a chunk of keys with the keys bound. So
// that few statements serve all sizes, it takes the next power of two and the
// keys too many are NULL, which nothing equals.
func (t *table) prepareChunk(ctx context.Context, c *conn, key stmtKey, keys []driver.Key) (*stmt, error) {
	key.table = t
	key.rows = min(1<<bits.Len(uint(len(keys)-1)), t.maxKeys(0))
	s, err := c.prepare(ctx, key)
	if err != nil {
		return nil, err
	}
	for _, k := range keys {
		s.bindKey(k)
	}
	for range (key.rows - len(keys)) * len(t.spec.Key) {
		s.bind(nil)
	}
	return s, nil
}

// maxKeys is how many keys fit a statement in which each comes with so many more
// parameters.
func (t *table) maxKeys(more int) int {
	return min(maxChunk, (maxVars-1)/(len(t.spec.Key)+more))
}

// maxPut is the most rows of one insert. More are no faster.
const maxPut = 16

// maxKept is how many bytes of payload a statement may go on holding.
const maxKept = 1 << 20

// entrySize is about what an entry takes besides its payload.
const entrySize = 256

func (t *table) Put(ctx context.Context, entries []driver.Entry) error {
	return t.store.run(ctx, "save to", t.spec.Name, func() error {
		if len(entries) == 0 {
			return nil
		}
		return t.store.commits.writeOne(ctx, putSize(entries), len(entries) == 1, func(c *conn) error {
			return t.put(ctx, c, entries)
		})
	})
}

// putSize is about how many bytes a put of these entries writes.
func putSize(entries []driver.Entry) int {
	size := 0
	for i := range entries {
		size += entrySize + len(entries[i].Payload)
	}
	return size
}

func (t *table) put(ctx context.Context, c *conn, entries []driver.Entry) error {
	order := keyOrder(len(entries), func(i int) driver.Key { return entries[i].Key })
	largest := min(maxPut, t.maxKeys(len(putColumns)))
	for len(order) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := min(largest, 1<<(bits.Len(uint(len(order)))-1)) // a power of two: few statements
		key := stmtKey{table: t, op: opPut, rows: n}
		s, err := c.prepare(ctx, key)
		if err != nil {
			return err
		}
		bytes := 0
		for _, i := range order[:n] {
			s.bindEntry(&entries[i])
			bytes += len(entries[i].Payload)
		}
		if _, err := c.execute(ctx, s, false); err != nil {
			return err
		}
		if bytes > maxKept {
			if err := c.forget(key); err != nil {
				return err
			}
		}
		order = order[n:]
	}
	return nil
}

func (t *table) Pop(ctx context.Context, key driver.Key, f driver.Filter) (e driver.Entry, ok bool, err error) {
	sel := driver.Selection{Filter: f, Parts: driver.Payload | driver.Meta}
	err = t.store.run(ctx, "pop from", t.spec.Name, func() error {
		if !key.HasPrefix(f.Leading) {
			return nil
		}
		return t.store.commits.write(ctx, entrySize, func(c *conn) error {
			e, ok = driver.Entry{}, false
			s, err := c.prepare(ctx, stmtKey{table: t, op: opPop, sel: sel.Parts, state: sel.State})
			if err != nil {
				return err
			}
			s.bindKey(key)
			return t.visitRows(ctx, c, s, 0, 2, sel, func(_ int, found driver.Entry) { e, ok = found, true })
		})
	})
	if err != nil {
		return driver.Entry{}, false, err
	}
	return e, ok, nil
}

func (t *table) Delete(ctx context.Context, keys []driver.Key) (deleted int, err error) {
	err = t.store.run(ctx, "delete from", t.spec.Name, func() error {
		if len(keys) == 0 {
			return nil
		}
		return t.store.commits.writeOne(ctx, entrySize*len(keys), len(keys) == 1, func(c *conn) (err error) {
			deleted, err = t.delete(ctx, c, keys)
			return err
		})
	})
	if err != nil {
		return 0, err
	}
	return deleted, nil
}

func (t *table) delete(ctx context.Context, c *conn, keys []driver.Key) (deleted int, err error) {
	keys = inOrder(keys)
	for len(keys) > 0 {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		n := min(len(keys), t.maxKeys(0))
		s, err := t.prepareChunk(ctx, c, stmtKey{op: opDelete}, keys[:n])
		if err != nil {
			return 0, err
		}
		affected, err := c.execute(ctx, s, false)
		if err != nil {
			return 0, err
		}
		deleted += affected
		keys = keys[n:]
	}
	return deleted, nil
}

func (t *table) Count(ctx context.Context, f driver.Filter) (n int, err error) {
	err = t.store.run(ctx, "count", t.spec.Name, func() error {
		return t.store.readers.with(ctx, func(c *conn) error {
			s, err := t.prepareFilter(ctx, c, stmtKey{op: opCount}, f)
			if err != nil {
				return err
			}
			count, err := c.int64(ctx, s)
			n = int(count)
			return err
		})
	})
	return n, err
}

func (t *table) Clear(ctx context.Context, f driver.Filter) (cleared int, err error) {
	err = t.store.run(ctx, "clear", t.spec.Name, func() error {
		cleared, err = t.clear(ctx, f)
		if err != nil {
			cleared, err = t.clearAnyway(ctx, f.All(), err, func() (int, error) { return t.clear(ctx, f) })
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	return cleared, nil
}

// clear removes all at once, but for what has expired: there may be much of it that nobody
// waits for, and others can write between its transactions.
func (t *table) clear(ctx context.Context, f driver.Filter) (cleared int, err error) {
	if f.State != driver.Expired {
		return t.clearOnce(ctx, opClear, f)
	}
	for {
		n, err := t.clearOnce(ctx, opClearSome, f)
		cleared += n
		if err != nil || n < maxCleared {
			return cleared, err
		}
	}
}

func (t *table) clearOnce(ctx context.Context, op op, f driver.Filter) (cleared int, err error) {
	// The size gives it a transaction of its own, which its context can
	// end in the middle without harm to others.
	err = t.store.commits.write(ctx, maxShared+1, func(c *conn) error {
		s, err := t.prepareFilter(ctx, c, stmtKey{op: op}, f)
		if err != nil {
			return err
		}
		cleared, err = c.execute(ctx, s, true)
		return err
	})
	return cleared, err
}

func (s *stmt) bindKey(key driver.Key) {
	for _, v := range key {
		s.bind(v)
	}
}

func (s *stmt) bindNow(f driver.Filter) {
	if f.State != driver.All {
		s.bind(f.Now.UnixMicro())
	}
}

func (s *stmt) bindEntry(e *driver.Entry) {
	s.bindKey(e.Key)
	s.bind(int64(e.Status))
	var cached sqldriver.Value = e.CachedAt.UnixMicro()
	s.bind(cached)
	s.bind(expiresUS(e.ExpiresAt))
	s.bind(cached) // when it is used
	s.bind(int64(e.MetaSum))
	s.bind(int64(e.PayloadSum))
	if e.Encoding == "" {
		s.bind(nil)
	} else {
		s.bind(e.Encoding)
	}
	s.bind(e.Name)
	s.bind(e.Header)
	if e.Payload == nil {
		s.bind([]byte{})
	} else {
		s.bind(e.Payload)
	}
}

// expiresUS is how an expiry stands in expires_us, and expiry is the reverse.
func expiresUS(t time.Time) int64 {
	if t.IsZero() {
		return never
	}
	return t.UnixMicro()
}

func expiry(us int64) time.Time {
	if us == never {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// scan sets the parts of e from the columns that hold them. It does without a slice for
// each row. SQLite keeps values of any type in a column: those that another program has
// written of another type are left empty, and the sum of their part is wrong.
func scan(row []sqldriver.Value, parts driver.Parts, e *driver.Entry) {
	r := rowReader{row: row, ok: true}
	e.Status = int(r.int64())
	if parts&(driver.Meta|driver.Payload) != 0 {
		sums := r.int64()
		e.MetaSum, e.PayloadSum = uint32(sums>>32), uint32(sums)
	}
	known := r.ok
	if parts&driver.Meta != 0 {
		e.CachedAt = time.UnixMicro(r.int64()).UTC()
		e.ExpiresAt = expiry(r.int64())
		e.Name, e.Header = r.text(), r.text()
		if !r.ok {
			e.MetaSum, r.ok = driver.WrongSum, known
		}
	}
	if parts&driver.Usage != 0 {
		e.UsedAt = time.UnixMicro(r.int64()).UTC()
		e.Size = r.int64()
		r.ok = known
	}
	if parts&driver.Payload != 0 {
		e.Encoding = r.optionalText()
		e.Payload = r.bytes()
		if !r.ok {
			e.PayloadSum = driver.WrongSum
		}
	}
}

// rowReader takes the values of a row one after the other. Its ok is false after one of
// another type than was asked for.
type rowReader struct {
	row []sqldriver.Value
	ok  bool
}

func (r *rowReader) next() sqldriver.Value {
	v := r.row[0]
	r.row = r.row[1:]
	return v
}

func (r *rowReader) int64() int64 {
	v, ok := r.next().(int64)
	r.ok = r.ok && ok
	return v
}

func (r *rowReader) text() string {
	v, ok := r.next().(string)
	r.ok = r.ok && ok
	return v
}

// optionalText is text, or empty where there is NULL.
func (r *rowReader) optionalText() string {
	if r.row[0] == nil {
		r.next()
		return ""
	}
	return r.text()
}

func (r *rowReader) bytes() []byte {
	v, ok := r.next().([]byte)
	r.ok = r.ok && ok
	return v
}

// inOrder returns the keys in the order of the index.
func inOrder(keys []driver.Key) []driver.Key {
	sorted := make([]driver.Key, len(keys))
	for to, from := range keyOrder(len(keys), func(i int) driver.Key { return keys[i] }) {
		sorted[to] = keys[from]
	}
	return sorted
}

// keyOrder returns the indices of n keys in the order of the primary key's index:
// one page of it after the other is changed, each once. Equal keys stay in their
// order.
func keyOrder(n int, key func(i int) driver.Key) []int {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	if n < 2 {
		return order
	}
	slices.SortStableFunc(order, func(i, j int) int { return driver.CompareKeys(key(i), key(j)) })
	return order
}
