package postgres

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/endpointcache/endpointcache/driver"
)

// conditionalPuts are the statements that save rows on a condition.
var conditionalPuts = map[driver.Precondition]op{
	driver.IfAbsent: opPutIfAbsent, driver.IfNotLive: opPutIfNotLive, driver.IfNewer: opPutIfNewer,
	driver.IfUnchanged: opPutIfUnchanged,
}

// PutIf is not done again where it is not known whether the server has done it: the
// second time would find what the first one has stored.
func (t *table) PutIf(ctx context.Context, entries []driver.Entry, c driver.Condition) (stored []bool, err error) {
	err = t.store.run(ctx, "save to", t.spec.Name, func() error {
		if err := c.Validate(); err != nil || len(entries) == 0 {
			return err
		}
		rows, err := t.rows(entries)
		if err != nil {
			return err
		}
		return explainPut(t.store.with(ctx, once, func(conn *conn) (err error) {
			stored, err = t.putIf(ctx, conn, rows, c)
			return err
		}))
	})
	if err != nil {
		return nil, err
	}
	return stored, nil
}

// putIf reads the keys of the rows that were stored: a statement that inserts cannot
// tell their numbers.
func (t *table) putIf(ctx context.Context, c *conn, rows []row, cond driver.Condition) ([]bool, error) {
	numbers := make(map[string]int, len(rows))
	var encoded []byte
	for i := range rows {
		encoded = driver.AppendKey(encoded[:0], rows[i].key)
		numbers[string(encoded)] = rows[i].number
	}
	stored := make([]bool, len(rows))
	s := t.statement(conditionalPuts[cond.If], 0, driver.All)
	first := s
	if cond.If == driver.IfUnchanged { // it looks rows up, as a renewal does
		first = planInOrder
	}
	_, err := t.change(ctx, c, t.store.teller.ifStored, len(rows), keysOf(rows), []*statement{first}, func(tx *transaction) error {
		if first == planInOrder {
			if err := tx.add(planInOrder, new(arguments)); err != nil {
				return err
			}
		}
		for rest := rows; len(rest) > 0; {
			chunk, _ := t.nextChunk(rest)
			args := t.putArguments(opPutShort, chunk)
			if cond.If == driver.IfNotLive {
				args.int64(timestamp(cond.Now))
			}
			err := tx.read(s, args, func(row [][]byte) error {
				encoded = t.appendKey(encoded[:0], row)
				number, ok := numbers[string(encoded)]
				if !ok {
					return errRowType
				}
				stored[number] = true
				return nil
			})
			args.free()
			if err != nil {
				return err
			}
			rest = rest[len(chunk):]
		}
		return nil
	})
	return stored, err
}

// appendKey is [driver.AppendKey] for a key as the server has sent it.
func (t *table) appendKey(b []byte, row [][]byte) []byte {
	for i, c := range t.spec.Key {
		if c.Kind == driver.String {
			b = binary.AppendUvarint(b, uint64(len(row[i])))
		}
		b = append(b, row[i]...)
	}
	return b
}

// renewing is a renewal with its key as it stands in the table.
type renewing struct {
	key     driver.Key
	number  int
	renewal *driver.Renewal
}

// Renew is not done again where it is not known whether the server has done it. The
// payloads stay where they are, if they are not in one piece with their rows.
func (t *table) Renew(ctx context.Context, renewals []driver.Renewal) (renewed []bool, err error) {
	err = t.store.run(ctx, "renew in", t.spec.Name, func() error {
		if len(renewals) == 0 {
			return nil
		}
		all := make([]renewing, len(renewals))
		for i := range renewals {
			r := &renewals[i]
			if n := len(r.Header); n > maxEntry {
				return fmt.Errorf("%w: its headers have %d bytes, PostgreSQL can hold %d", driver.ErrTooLarge, n, maxEntry)
			}
			all[i] = renewing{number: i, renewal: r}
			all[i].key, _ = t.keyTexts.stored(r.Key)
		}
		slices.SortFunc(all, func(a, b renewing) int { return driver.CompareKeys(a.key, b.key) })
		return explainPut(t.store.with(ctx, once, func(c *conn) (err error) {
			if len(all) == 1 {
				renewed, err = t.renewOne(ctx, c, all[0])
			} else {
				renewed, err = t.renewMany(ctx, c, all)
			}
			return err
		}))
	})
	if err != nil {
		return nil, err
	}
	return renewed, nil
}

func (t *table) renewOne(ctx context.Context, c *conn, r renewing) ([]bool, error) {
	args := newArguments(0)
	defer args.free()
	args.keyValues(r.key)
	encodeRenewal(r.renewal, func(int) values { return args })
	n, err := t.changeAlone(ctx, c, 1, slices.Values([]driver.Key{r.renewal.Key}), t.statement(opRenew, 0, driver.All), args, noRow)
	return []bool{n == 1}, err
}

// renewMany changes rows in the order of their keys.
func (t *table) renewMany(ctx context.Context, c *conn, all []renewing) ([]bool, error) {
	renewed := make([]bool, len(all))
	s := t.statement(opRenewAll, 0, driver.All)
	n := len(t.spec.Key)
	types := t.types(renewColumns)
	keys := func(yield func(driver.Key) bool) {
		for _, r := range all {
			if !yield(r.renewal.Key) {
				return
			}
		}
	}
	_, err := t.change(ctx, c, t.store.teller.always, len(all), keys, []*statement{planInOrder}, func(tx *transaction) error {
		if err := tx.add(planInOrder, new(arguments)); err != nil {
			return err
		}
		for rest := all; len(rest) > 0; {
			chunk := nextRenewals(rest)
			args := newArguments(n + len(renewColumns))
			for _, r := range chunk {
				args.key(r.key)
				encodeRenewal(r.renewal, func(i int) values { return &args.arrays[n+i] })
			}
			args.finish(types)
			err := tx.read(s, args, func(row [][]byte) error {
				i, err := readInt64(row[0])
				if err != nil || i < 1 || i > int64(len(chunk)) {
					return errRowType
				}
				renewed[chunk[i-1].number] = true
				return nil
			})
			args.free()
			if err != nil {
				return err
			}
			rest = rest[len(chunk):]
		}
		return nil
	})
	return renewed, err
}

// nextRenewals are those of the next statement, at least one.
func nextRenewals(all []renewing) []renewing {
	n, size := 0, 0
	for n < min(len(all), maxPut) && (n == 0 || size < maxPutBytes) {
		size += len(all[n].renewal.Header)
		n++
	}
	return all[:n]
}

// encodeRenewal adds the values of a renewal to renewColumns.
func encodeRenewal(r *driver.Renewal, column func(int) values) {
	column(0).int64(timestamp(r.Seen))
	column(1).int64(timestamp(r.CachedAt))
	column(2).int64(expiry(r.ExpiresAt))
	if r.Header == "" {
		column(3).null()
	} else {
		column(3).jsonb(r.Header)
	}
	column(4).int32(int32(r.MetaSum))
}
