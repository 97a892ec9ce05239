package postgres

import (
	"context"
	"fmt"
	"strconv"

	"github.com/endpointcache/endpointcache/driver"
)

var _ driver.Compactor = (*Store)(nil)

// Compact implements [driver.Compactor]. It has the server VACUUM and ANALYZE the tables, one after the
// other: the space of deleted entries can be used again, and what is free at a table's end is given
// back. Nobody waits for it. Of tables that belong to others, the server leaves out those that the
// user may not VACUUM.
func (s *Store) Compact(ctx context.Context) (freed int64, err error) {
	err = s.run(ctx, "compact", "", func() error {
		if s.opts.ReadOnly {
			return driver.ErrReadOnly
		}
		return s.with(ctx, repeatable, func(c *conn) error {
			d := diagnosis{store: s, conn: c}
			names, _, err := d.ours(ctx)
			if err != nil {
				return err
			}
			freed = 0
			for _, name := range names {
				n, err := c.vacuum(ctx, quote(s.opts.Schema)+"."+quote(name))
				freed += n
				if err != nil {
					return err
				}
			}
			return nil
		})
	})
	if err != nil {
		return 0, err
	}
	return max(0, freed), nil
}

// vacuum is one statement by itself, as it cannot be part of a transaction.
func (c *conn) vacuum(ctx context.Context, table string) (freed int64, err error) {
	before, err := c.sizeOf(ctx, table)
	if err != nil || before < 0 {
		return 0, err
	}
	err = c.script(ctx, "VACUUM (ANALYZE) "+table)
	switch sqlState(err) {
	case stateReadOnly:
		return 0, fmt.Errorf("%w: %w", driver.ErrReadOnly, err) // a standby
	case stateNoTable:
		return 0, nil // it was dropped meanwhile
	}
	if err != nil {
		return 0, err
	}
	after, err := c.sizeOf(ctx, table)
	return before - max(after, 0), err
}

const stateReadOnly = "25006"

// sizeOf is how many bytes a table takes with its indexes, or less than 0 where there is none.
func (c *conn) sizeOf(ctx context.Context, table string) (int64, error) {
	row, err := c.text(ctx, "SELECT coalesce(pg_catalog.pg_total_relation_size(to_regclass($1)), -1)", table)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(row[0], 10, 64)
}
