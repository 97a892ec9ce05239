package sqlite

import (
	"context"
	sqldriver "database/sql/driver"
	"time"

	"github.com/endpointcache/endpointcache/driver"
)

// Use overwrites a number in each row. SQLite reads the row for that, but writes none of
// the pages on which a large payload goes on.
func (t *table) Use(ctx context.Context, keys []driver.Key, at time.Time) error {
	return t.store.run(ctx, "record uses in", t.spec.Name, func() error {
		if len(keys) == 0 {
			return nil
		}
		return t.store.commits.writeOne(ctx, entrySize*len(keys), len(keys) == 1, func(c *conn) error {
			return t.use(ctx, c, keys, at)
		})
	})
}

func (t *table) use(ctx context.Context, c *conn, keys []driver.Key, at time.Time) error {
	keys = inOrder(keys)
	for len(keys) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := min(len(keys), t.maxKeys(0))
		s, err := t.prepareChunk(ctx, c, stmtKey{op: opUse}, keys[:n])
		if err != nil {
			return err
		}
		s.bind(at.UnixMicro())
		s.bind(at.UnixMicro())
		if _, err := c.execute(ctx, s, false); err != nil {
			return err
		}
		keys = keys[n:]
	}
	return nil
}

// Size adds up lengths, which SQLite knows without reading what is so long. Where a
// listing has made an index that holds them, it reads that alone.
func (t *table) Size(ctx context.Context) (size driver.Size, err error) {
	err = t.store.run(ctx, "size of", t.spec.Name, func() error {
		return t.store.readers.with(ctx, func(c *conn) error {
			s, err := c.prepare(ctx, stmtKey{table: t, op: opSize})
			if err != nil {
				return err
			}
			return c.queryLong(ctx, s, 2, func(row []sqldriver.Value) bool {
				entries, _ := row[0].(int64)
				size.Entries = int(entries)
				size.Bytes, _ = row[1].(int64) // NULL where there is no entry
				return false
			})
		})
	})
	if err != nil {
		return driver.Size{}, err
	}
	return size, nil
}
