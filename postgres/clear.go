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
		if f.State == driver.Expired && (scope{Filter: f}).simple() {
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
//
// A batch begins where the one before has ended: the index still has the removed
// rows as long as some transaction may see them, and to read them again each time
// would take the longer the more there are. At the end it looks from the beginning
// for what was left.
func (t *table) clearExpired(ctx context.Context, f driver.Filter) (cleared int, left bool, err error) {
	for from := int64(minusInfinity); ; {
		deleted, seen, last, err := t.clearExpiredBatch(ctx, f, from)
		if err != nil {
			return cleared, false, err
		}
		cleared += deleted
		switch first := from == minusInfinity; {
		case first && deleted == 0:
			return cleared, seen > 0, nil
		case first && deleted == seen && seen < maxClear:
			return cleared, false, nil
		case seen < maxClear:
			from = minusInfinity
		default:
			from = last
		}
	}
}

// clearExpiredBatch removes up to maxClear rows that have expired at an instant or
// after it. It returns how many it removed and saw, and when the last has expired.
func (t *table) clearExpiredBatch(ctx context.Context, f driver.Filter, from int64) (deleted, seen int, last int64, err error) {
	args := newArguments(0)
	defer args.free()
	args.now(f)
	args.int64(from)
	args.int64(maxClear)
	err = t.store.with(ctx, once, func(c *conn) error {
		deleted, seen, last = 0, 0, from
		_, err := t.changeAlone(ctx, c, maxClear, nil, t.statement(opClearExpired, 0, f.State), args, func(row [][]byte) (err error) {
			if deleted, seen, err = readCounts(row); err == nil && seen > 0 {
				last, err = readInt64(row[2])
			}
			return err
		})
		return err
	})
	return deleted, seen, last, err
}

// readCounts reads how many rows a batch has removed and seen.
func readCounts(row [][]byte) (deleted, seen int, err error) {
	d, err := readInt64(row[0])
	if err != nil {
		return 0, 0, err
	}
	s, err := readInt64(row[1])
	return int(d), int(s), err
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

// clearBatch removes up to maxClear rows in the order of keys and returns how many
// it removed and saw. It begins after the key that is given and sets it to the last
// one.
func (t *table) clearBatch(ctx context.Context, op op, f driver.Filter, key *driver.Key) (deleted, seen int, err error) {
	args := newArguments(0)
	defer args.free()
	args.int64(maxClear)
	leading, _ := t.keyTexts.stored(f.Leading)
	args.keyValues(leading)
	args.keyValues(*key)
	t.filter(args, f)
	err = t.store.with(ctx, once, func(c *conn) error {
		deleted, seen = 0, 0
		_, err := t.changeAlone(ctx, c, maxClear, nil, t.selecting(op, 0, scope{Filter: f}), args, func(row [][]byte) (err error) {
			if deleted, seen, err = readCounts(row); err == nil {
				*key, err = t.readStoredKey(row[2:])
			}
			return err
		})
		return err
	})
	return deleted, seen, err
}
