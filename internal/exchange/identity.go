package exchange

import (
	"context"
	"iter"

	"github.com/endpointcache/endpointcache/driver"
)

// CountIdentity counts the entries of an identity that are in that state.
func (t *Table) CountIdentity(ctx context.Context, identity string, state driver.State) (int, error) {
	return t.Count(ctx, t.filterIdentity(identity, state))
}

// EntriesIdentity yields the entries of an identity.
func (t *Table) EntriesIdentity(ctx context.Context, identity string, state driver.State) iter.Seq2[driver.Entry, error] {
	return t.Entries(ctx, driver.Selection{Filter: t.filterIdentity(identity, state), Parts: driver.Payload | driver.Meta})
}

// ClearIdentity removes the entries of an identity that are in that state, with their
// variants, and returns how many there were without these.
func (t *Table) ClearIdentity(ctx context.Context, identity string, state driver.State) (int, error) {
	n, err := t.Clear(ctx, t.filterIdentity(identity, state))
	if err != nil {
		return n, err
	}
	return n, t.clearVariants(ctx, identity, state)
}

func (t *Table) filterIdentity(identity string, state driver.State) driver.Filter {
	return driver.Filter{State: state, Now: instant(t.x.Now()), Leading: driver.Key{identity}}
}

// MoveIdentity gives the entries of one identity to another, and returns how many. Where the
// other one has an entry of the same key, the newer of both stays.
func (t *Table) MoveIdentity(ctx context.Context, from, to string) (int, error) {
	if from == to {
		return 0, nil
	}
	t.outdateAll(ctx) // what is under way would be saved for the old one
	moved, err := moveLeading(ctx, t.table, driver.Key{from}, driver.Key{to})
	if err != nil {
		return moved, err
	}
	return moved, t.moveVariants(ctx, from, to)
}

// The sizes of a step of a move: of entries, and of bytes.
const (
	movedAtOnce      = 500
	movedBytesAtOnce = 4 << 20
)

// moveLeading changes the first values of keys. An entry is deleted where it was after it
// has been stored where it is to be, so that a move which was interrupted can be repeated.
func moveLeading(ctx context.Context, table driver.Table, from, to driver.Key) (moved int, err error) {
	var entries []driver.Entry
	var old []driver.Key
	size := 0
	step := func() error {
		if len(entries) == 0 {
			return nil
		}
		if _, err := table.PutIf(ctx, entries, driver.Condition{If: driver.IfNewer}); err != nil {
			return err
		}
		n, err := table.Delete(ctx, old)
		moved += n
		entries, old, size = entries[:0], old[:0], 0
		return err
	}
	sel := driver.Selection{Filter: driver.Filter{Leading: from}, Parts: driver.Payload | driver.Meta}
	for e, err := range table.Entries(ctx, sel) {
		if err != nil {
			return moved, err
		}
		old = append(old, e.Key)
		e.Key = append(to[:len(to):len(to)], e.Key[len(from):]...)
		entries = append(entries, e)
		size += len(e.Payload)
		if len(entries) >= movedAtOnce || size >= movedBytesAtOnce {
			if err := step(); err != nil {
				return moved, err
			}
		}
	}
	return moved, step()
}
