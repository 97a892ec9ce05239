package sqlite

import (
	"context"
	sqldriver "database/sql/driver"
	"math/bits"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/ruined"
)

// PutIf puts a single entry by one statement. It stores more of them in a transaction
// that looks at what is there first. It has begun as a writer: nobody else writes in
// between.
func (t *table) PutIf(ctx context.Context, entries []driver.Entry, c driver.Condition) (stored []bool, err error) {
	err = t.store.run(ctx, "save to", t.spec.Name, func() error {
		if err := c.Validate(); err != nil || len(entries) == 0 {
			return err
		}
		single := len(entries) == 1
		return t.store.commits.writeOne(ctx, putSize(entries), single, func(conn *conn) (err error) {
			if single {
				stored, err = t.putOneIf(ctx, conn, &entries[0], c)
			} else {
				stored, err = t.putIf(ctx, conn, entries, c)
			}
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return stored, nil
}

func (t *table) putOneIf(ctx context.Context, conn *conn, e *driver.Entry, c driver.Condition) ([]bool, error) {
	key := stmtKey{table: t, op: opPut, rows: 1, condition: c.If}
	s, err := conn.prepare(ctx, key)
	if err != nil {
		return nil, err
	}
	s.bindEntry(e)
	if c.If == driver.IfNotLive {
		s.bind(c.Now.UnixMicro())
	}
	n, err := conn.execute(ctx, s, false)
	if err == nil && len(e.Payload) > maxKept {
		err = conn.forget(key)
	}
	return []bool{n == 1}, err
}

func (t *table) putIf(ctx context.Context, conn *conn, entries []driver.Entry, c driver.Condition) ([]bool, error) {
	keys := make([]driver.Key, len(entries))
	stored := make([]bool, len(entries))
	for i := range entries {
		keys[i], stored[i] = entries[i].Key, c.If != driver.IfUnchanged
	}
	err := t.times(ctx, conn, keys, func(i int, old driver.Entry) { stored[i] = c.Allows(old, entries[i]) })
	if err != nil {
		return nil, err
	}
	allowed := make([]driver.Entry, 0, len(entries))
	for i, e := range entries {
		if stored[i] {
			allowed = append(allowed, e)
		}
	}
	return stored, t.put(ctx, conn, allowed)
}

// Renew is like PutIf. It names no payload, but SQLite keeps a row in one piece, all of
// which it reads and writes.
func (t *table) Renew(ctx context.Context, renewals []driver.Renewal) (renewed []bool, err error) {
	err = t.store.run(ctx, "renew in", t.spec.Name, func() error {
		if len(renewals) == 0 {
			return nil
		}
		size := 0
		for i := range renewals {
			size += entrySize + len(renewals[i].Header)
		}
		single := len(renewals) == 1
		return t.store.commits.writeOne(ctx, size, single, func(conn *conn) (err error) {
			if single {
				var n int
				n, err = t.update(ctx, conn, renewals)
				renewed = []bool{n == 1}
			} else {
				renewed, err = t.renew(ctx, conn, renewals)
			}
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return renewed, nil
}

func (t *table) renew(ctx context.Context, conn *conn, renewals []driver.Renewal) ([]bool, error) {
	keys := make([]driver.Key, len(renewals))
	for i := range renewals {
		keys[i] = renewals[i].Key
	}
	renewed := make([]bool, len(renewals))
	err := t.times(ctx, conn, keys, func(i int, old driver.Entry) { renewed[i] = old.CachedAt.Equal(renewals[i].Seen) })
	if err != nil {
		return nil, err
	}
	seen := make([]driver.Renewal, 0, len(renewals))
	for i, r := range renewals {
		if renewed[i] {
			seen = append(seen, r)
		}
	}
	_, err = t.update(ctx, conn, seen)
	return renewed, err
}

// times visits the entries with these keys, of which it reads the times alone.
func (t *table) times(ctx context.Context, c *conn, keys []driver.Key, visit func(i int, e driver.Entry)) error {
	order := keyOrder(len(keys), func(i int) driver.Key { return keys[i] })
	for len(order) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		some := order[:min(len(order), t.maxKeys(0))]
		chunk := make([]driver.Key, len(some))
		for to, from := range some {
			chunk[to] = keys[from]
		}
		s, err := t.prepareChunk(ctx, c, stmtKey{op: opTimes}, chunk)
		if err != nil {
			return err
		}
		err = c.query(ctx, s, 3, func(row []sqldriver.Value) bool {
			i, _ := row[0].(int64)
			e := driver.Entry{CachedAt: ruined.At, ExpiresAt: ruined.At} // where they cannot be read
			if cached, ok := row[1].(int64); ok {
				e.CachedAt = time.UnixMicro(cached).UTC()
			}
			if expires, ok := row[2].(int64); ok {
				e.ExpiresAt = expiry(expires)
			}
			visit(some[i], e)
			return true
		})
		if err != nil {
			return err
		}
		order = order[len(some):]
	}
	return nil
}

// update changes the times and headers of the entries that are meant, and returns
// how many they are.
func (t *table) update(ctx context.Context, c *conn, renewals []driver.Renewal) (updated int, err error) {
	order := keyOrder(len(renewals), func(i int) driver.Key { return renewals[i].Key })
	largest := min(maxPut, t.maxKeys(1+len(renewColumns)))
	for len(order) > 0 {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		n := min(largest, 1<<(bits.Len(uint(len(order)))-1)) // as of a put
		key := stmtKey{table: t, op: opRenew, rows: n}
		s, err := c.prepare(ctx, key)
		if err != nil {
			return 0, err
		}
		bytes := 0
		for _, i := range order[:n] {
			r := &renewals[i]
			s.bindKey(r.Key)
			s.bind(r.Seen.UnixMicro())
			var cached sqldriver.Value = r.CachedAt.UnixMicro()
			s.bind(cached)
			s.bind(expiresUS(r.ExpiresAt))
			s.bind(cached) // when it is used
			s.bind(int64(r.MetaSum))
			s.bind(r.Header)
			bytes += len(r.Header)
		}
		changed, err := c.execute(ctx, s, false)
		if err != nil {
			return 0, err
		}
		updated += changed
		if bytes > maxKept {
			if err := c.forget(key); err != nil {
				return 0, err
			}
		}
		order = order[n:]
	}
	return updated, nil
}
