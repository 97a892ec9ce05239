package postgres

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/endpointcache/endpointcache/driver"
)

// indexes are those that a table has for its listings so far.
type indexes struct {
	building chan struct{} // holds what one has who makes an index
	made     [driver.BySize + 1]bool
}

// listIndex is an index for listings.
type listIndex struct{ name, on string }

// listIndexes are those of an order. Columns and conditions are as in the statements.
func (t *table) listIndexes(o driver.Order) (all []listIndex) {
	keys, odd := strings.Join(t.names.keys, ", "), t.odd(o)
	sorted := "(" + strings.Join(t.sorted(o), ", ") + ")"
	switch o {
	case driver.ByKey:
	case driver.ByName:
		all = append(all, listIndex{t.names.index("by name"), sorted + " WHERE NOT " + odd})
		return append(all, listIndex{t.names.index("names"), "(" + keys + ") WHERE " + odd})
	case driver.ByExpiry:
		all = append(all, listIndex{t.names.index("by expires_at"), sorted})
	case driver.ByUsed: // with what bounds and the size of a table are reckoned by
		all = append(all, listIndex{t.names.index("by _used_at"), sorted + " INCLUDE (_size)"})
	default:
		all = append(all, listIndex{t.names.index("by " + orderColumns[o]), sorted})
	}
	if odd != "" {
		all = append(all, listIndex{t.names.index("keys"), "(" + keys + ") WHERE " + odd})
	}
	return all
}

// statesWithoutIndex are the codes of a server that will not make an index: a user without
// the right to, a replica, a partitioned table, and too many columns. Listings take longer
// then.
var statesWithoutIndex = []string{"42501", "25006", "0A000", "54011"}

// index makes the indexes of an order, unless they are there. A store that may only be read
// goes without.
func (t *table) index(ctx context.Context, o driver.Order) error {
	if t.store.opts.ReadOnly {
		return nil
	}
	select {
	case t.indexes.building <- struct{}{}:
		defer func() { <-t.indexes.building }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if t.indexes.made[o] {
		return nil
	}
	for _, index := range t.listIndexes(o) {
		if err := t.makeIndex(ctx, index); err != nil && !slices.Contains(statesWithoutIndex, sqlState(err)) {
			return err
		}
	}
	t.indexes.made[o] = true
	return nil
}

// How often it is looked whether another process has made an index.
const minLook, maxLook = 10 * time.Millisecond, 200 * time.Millisecond

// makeIndex makes an index, or waits until another process has made it. It holds up
// nobody who reads or writes, and takes as long as the transactions that are running.
//
// Processes that wait for one another's index in the server block each other for good,
// until it ends one of them. So they wait here; those that begin at the same instant
// begin again.
func (t *table) makeIndex(ctx context.Context, index listIndex) error {
	for look := minLook; ; look = min(2*look, maxLook) {
		var there, valid bool
		err := t.store.with(ctx, repeatable, func(c *conn) (err error) {
			if there, valid, err = t.findIndex(ctx, c, index); err != nil || valid {
				return err
			}
			if there {
				return t.dropLeftover(ctx, c, index)
			}
			return c.script(ctx, fmt.Sprintf("CREATE INDEX CONCURRENTLY IF NOT EXISTS %s ON %s %s", index.name, t.names.table, index.on))
		})
		switch {
		case valid && err == nil:
			return nil
		case err != nil && !slices.Contains(statesOfOthers, sqlState(err)):
			return err
		case err != nil:
			if err := wait(ctx, rand.N(look)); err != nil {
				return err
			}
		}
	}
}

// statesOfOthers are the codes of what another process was in the way of: a lock, and an
// index that both have begun.
var statesOfOthers = []string{"55P03", stateDeadlock, "23505", "42P07"}

// findIndex reports whether the index is there, and complete.
func (t *table) findIndex(ctx context.Context, c *conn, index listIndex) (there, valid bool, err error) {
	rows, err := c.texts(ctx, "SELECT indisvalid FROM pg_catalog.pg_index WHERE indexrelid = to_regclass($1)", quote(t.names.schema)+"."+index.name)
	if err != nil || len(rows) == 0 {
		return false, false, err
	}
	return true, rows[0][0] == "t", nil
}

// dropLeftover removes an index that somebody has not completed. Who is making it holds
// the lock.
func (t *table) dropLeftover(ctx context.Context, c *conn, index listIndex) error {
	tx, err := c.Begin(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback(ctx) }() // without effect after Commit
	if err := c.script(ctx, "LOCK TABLE "+t.names.table+" IN SHARE UPDATE EXCLUSIVE MODE NOWAIT"); err != nil {
		return err
	}
	there, valid, err := t.findIndex(ctx, c, index)
	if err != nil || !there || valid {
		return err
	}
	if err := c.script(ctx, "DROP INDEX "+quote(t.names.schema)+"."+index.name); err != nil {
		return err
	}
	return tx.Commit(ctx)
}
