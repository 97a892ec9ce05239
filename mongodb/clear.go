package mongodb

import (
	"context"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/endpointcache/endpointcache/driver"
)

// maxClear is how many documents are removed by one command.
const maxClear = 5_000

// Clear removes documents in batches, so that none takes long: it finds their ids, and
// removes those of them that the filter still selects.
func (t *table) Clear(ctx context.Context, f driver.Filter) (cleared int, err error) {
	err = t.store.run(ctx, "clear", t.spec.Name, func() (err error) {
		if !decides(f) {
			cleared, err = t.clearSeen(ctx, f)
			return err
		}
		query, more := t.selected(f), true
		for more {
			var ids []string
			foreign := false
			err := repeat(ctx, func() (err error) {
				ids, foreign, err = t.selectIDs(ctx, f, query)
				return err
			})
			if err != nil {
				return err
			}
			if more = len(ids) == maxClear; foreign { // they stay, and are not to be met again
				query, more = t.selectedAfter(f, "", ""), true
			}
			if len(ids) == 0 {
				continue
			}
			n, err := t.remove(ctx, len(ids), t.store.withIDs(ids, f))
			if err != nil {
				return err
			}
			cleared += n
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return cleared, nil
}

// clearSeen removes what a filter selects that the server cannot decide: it looks at the
// documents, and removes those that it has found to be selected if they still have one of
// the names that were.
func (t *table) clearSeen(ctx context.Context, f driver.Filter) (cleared int, err error) {
	var ids, names []string
	size := 0
	remove := func() error {
		if len(ids) == 0 {
			return nil
		}
		query := t.store.withIDs(ids, f)
		if f.Where.NamePrefix != "" {
			query = t.store.withNames(ids, names, f)
		}
		n, err := t.remove(ctx, len(ids), query)
		cleared += n
		ids, names, size = ids[:0], names[:0], 0
		return err
	}
	for e, err := range t.iterate(ctx, driver.Selection{Filter: f}, at) {
		if err != nil {
			return cleared, err
		}
		ids, names = append(ids, documentID(e.Key)), append(names, e.Name)
		if size += maxID + len(e.Name); len(ids) == maxClear || size > maxPageBytes {
			if err := remove(); err != nil {
				return cleared, err
			}
		}
	}
	return cleared, remove()
}

// selectIDs returns the ids of up to maxClear documents that a query finds for a filter, and whether there
// are some of other programs among these, which have no such ids.
func (t *table) selectIDs(ctx context.Context, f driver.Filter, query bson.Raw) (ids []string, foreign bool, err error) {
	o := t.find(0, false, maxClear).SetLimit(maxClear).SetProjection(onlyID)
	if isByKey(f) {
		o.SetHint(indexOfIDs)
	}
	cursor, err := t.search(ctx, query, o)
	if err != nil {
		return nil, false, err
	}
	defer cursor.close(ctx)
	for cursor.Next(ctx) {
		if id, err := idOf(cursor.Current); err == nil {
			ids = append(ids, string(id))
		} else {
			foreign = true
		}
	}
	return ids, foreign, cursor.Err()
}

var onlyID = bson.D{{Key: fieldID, Value: 1}}
