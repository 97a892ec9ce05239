package mongodb

import (
	"context"
	"errors"
	"fmt"
	"math"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/endpointcache/endpointcache/driver"
)

// A save sends this much in one command.
const (
	maxPut      = 1_000    // documents
	maxPutBytes = 16 << 20 // a message may have 48 MB
)

// item is an entry that is saved.
type item struct {
	id     string
	number int // of the entry among those of the call
	entry  *driver.Entry
	size   int // of its document
}

func (t *table) Put(ctx context.Context, entries []driver.Entry) error {
	return t.store.run(ctx, "save to", t.spec.Name, func() error {
		items, err := t.items(entries)
		if err != nil {
			return err
		}
		for len(items) > 0 {
			chunk := nextChunk(items, t.store.maxPut())
			if err := t.putChunk(ctx, chunk); err != nil {
				return err
			}
			items = items[len(chunk):]
		}
		return nil
	})
}

// items are the entries, the last one of each key. It is an error where MongoDB cannot
// hold one of them; nothing was sent by then.
func (t *table) items(entries []driver.Entry) ([]item, error) {
	items := make([]item, 0, len(entries))
	places := make(map[string]int, len(entries))
	for i := range entries {
		e := &entries[i]
		it := item{documentID(e.Key), i, e, 0}
		it.size = t.documentSize(it.id, e)
		switch {
		case it.size > maxDocument:
			return nil, fmt.Errorf("%w: its document has %d bytes, MongoDB can hold %d", driver.ErrTooLarge, it.size, maxDocument)
		case e.Status < math.MinInt32 || e.Status > math.MaxInt32:
			return nil, fmt.Errorf("status %d is too large for a 32-bit integer", e.Status)
		}
		if place, twice := places[it.id]; twice {
			items[place] = it
			continue
		}
		places[it.id] = len(items)
		items = append(items, it)
	}
	return items, nil
}

// nextChunk returns the items that the next command saves, at least one and so many
// at most.
func nextChunk(items []item, most int) []item {
	n, size := 0, 0
	for n < min(len(items), most) && (n == 0 || size+items[n].size <= maxPutBytes) {
		size += items[n].size
		n++
	}
	return items[:n]
}

// putChunk replaces documents or inserts them. Two calls that insert the same one at once
// may be in each other's way; those that were not saved are then sent again.
func (t *table) putChunk(ctx context.Context, items []item) error {
	models := make([]mongo.WriteModel, len(items))
	replacements := make([]mongo.ReplaceOneModel, len(items))
	size, upsert := 0, true
	for i := range items {
		size += items[i].size
	}
	buffer := make([]byte, 0, size)
	for i := range items {
		from := len(buffer)
		buffer = t.appendEntry(buffer, items[i].id, items[i].entry)
		replacements[i] = mongo.ReplaceOneModel{
			Filter:      withID(items[i].id, driver.Filter{}),
			Replacement: bson.Raw(buffer[from:len(buffer):len(buffer)]),
			Upsert:      &upsert,
		}
		models[i] = &replacements[i]
	}
	unordered := options.BulkWrite().SetOrdered(false)
	return repeat(ctx, func() error {
		return t.store.write(ctx, func() error {
			result, err := t.docs.BulkWrite(ctx, models, unordered)
			if err == nil && !result.Acknowledged {
				return errUnacknowledged
			}
			models = t.store.unsaved(models, err)
			return err
		})
	})
}

// unsaved are those of the models that a bulk write with this error has not saved. It is
// all of them where the error is about all.
func (s *Store) unsaved(models []mongo.WriteModel, err error) []mongo.WriteModel {
	var failure mongo.BulkWriteException
	if s.ferret != nil || !errors.As(err, &failure) || failure.WriteConcernError != nil {
		return models
	}
	failed := make([]mongo.WriteModel, len(failure.WriteErrors))
	for i, e := range failure.WriteErrors {
		failed[i] = e.Request
	}
	return failed
}
