package postgres

import (
	"context"

	"github.com/endpointcache/endpointcache/driver"
)

// maxClear is how many rows are removed in one transaction: what others may have
// to wait for.
const maxClear = 1_000

// Clear removes rows in batches, each committed by itself.
func (t *table) Clear(ctx context.Context, f driver.Filter) (cleared int, err error) {
	err = t.store.run(ctx, "clear", t.spec.Name, func() error {
		if f.State == driver.Expired {
			n, left, err := t.clearExpired(ctx, f)
			cleared += n
			if err != nil || !left {
				return err
			}
		}
		n, err := t.clearInOrder(ctx, f)
		cleared += n
		return err
	})
	if err != nil {
		return 0, err
	}
	return cleared, nil
}

// clearExpired removes expired rows by the index of expiries. It leaves alone
// those that others have locked, and reports whether there were some.
func (t *table) clearExpired(ctx context.Context, f driver.Filter) (cleared int, left bool, err error) {
	for {
		deleted, seen, err := t.clearBatch(ctx, opClearExpired, f, nil)
		if err != nil {
			return cleared, false, err
		}
		cleared += deleted
		switch {
		case deleted < seen && deleted == 0:
			return cleared, true, nil
		case deleted == seen && seen < maxClear:
			return cleared, false, nil
		}
	}
}

// clearInOrder removes rows in the order of their keys and waits for those that
// others have locked.
func (t *table) clearInOrder(ctx context.Context, f driver.Filter) (cleared int, err error) {
	var after driver.Key
	for {
		op := opClearFirst
		if after != nil {
			op = opClearNext
		}
		last := after
		deleted, locked, err := t.clearBatch(ctx, op, f, &last)
		if err != nil {
			return cleared, err
		}
		cleared += deleted
		switch {
		case deleted < locked: // some were replaced while they were waited for
		case locked < maxClear:
			return cleared, nil
		default:
			after = last
		}
	}
}

// clearBatch removes up to maxClear rows and returns how many it removed and saw.
// In the order of keys, it begins after the key that is given and sets it to the
// last one.
func (t *table) clearBatch(ctx context.Context, op op, f driver.Filter, key *driver.Key) (deleted, seen int, err error) {
	args := newArguments(0)
	defer args.free()
	if op == opClearExpired {
		args.now(f)
		args.int64(maxClear)
	} else {
		args.int64(maxClear)
		args.keyValues(*key)
		args.now(f)
	}
	err = t.store.with(ctx, once, func(c *conn) error {
		deleted, seen = 0, 0
		_, err := c.query(ctx, t.statement(op, 0, f.State), args, func(row [][]byte) error {
			d, err := readInt64(row[0])
			if err != nil {
				return err
			}
			s, err := readInt64(row[1])
			if err != nil {
				return err
			}
			deleted, seen = int(d), int(s)
			if key != nil {
				*key, err = t.readStoredKey(row[2:])
			}
			return err
		})
		return err
	})
	return deleted, seen, err
}
