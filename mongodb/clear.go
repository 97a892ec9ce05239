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
	err = t.store.run(ctx, "clear", t.spec.Name, func() error {
		for {
			var ids []string
			err := repeat(ctx, func() (err error) {
				ids, err = t.selectIDs(ctx, f)
				return err
			})
			if err != nil || len(ids) == 0 {
				return err
			}
			n, err := t.remove(ctx, ids, f)
			if err != nil {
				return err
			}
			cleared += n
			if len(ids) < maxClear {
				return nil
			}
		}
	})
	if err != nil {
		return 0, err
	}
	return cleared, nil
}

// selectIDs returns the ids of up to maxClear documents.
func (t *table) selectIDs(ctx context.Context, f driver.Filter) ([]string, error) {
	o := t.find(0, false, maxClear).SetLimit(maxClear).SetProjection(onlyID)
	if len(f.Leading) > 0 {
		o.SetHint(indexOfIDs)
	}
	cursor, err := t.search(ctx, t.selected(f), o)
	if err != nil {
		return nil, err
	}
	defer cursor.close(ctx)
	var ids []string
	for cursor.Next(ctx) {
		id, err := idOf(cursor.Current)
		if err != nil {
			return nil, err
		}
		ids = append(ids, string(id))
	}
	return ids, cursor.Err()
}

var onlyID = bson.D{{Key: fieldID, Value: 1}}
