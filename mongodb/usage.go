package mongodb

import (
	"context"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/endpointcache/endpointcache/driver"
)

// sizeIndex tells what the sizes come to without the documents, and which lack one.
var sizeIndex = bson.D{{Key: fieldSize, Value: 1}}

// Use sends one command for each chunk of keys.
func (t *table) Use(ctx context.Context, keys []driver.Key, at time.Time) error {
	return t.store.run(ctx, "use of", t.spec.Name, func() error {
		ids := make([]string, len(keys))
		for i, k := range keys {
			ids[i] = documentID(k)
		}
		slices.Sort(ids)
		for chunk := range slices.Chunk(slices.Compact(ids), t.store.maxUse()) {
			err := repeat(ctx, func() error {
				return t.store.write(ctx, func() error { return t.useChunk(ctx, chunk, at) })
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func (t *table) useChunk(ctx context.Context, ids []string, at time.Time) error {
	start, b := begin(nil)
	b = appendTimes(t.store.appendIDs(b, ids), fieldCachedUS, time.Time{}, at)
	used, b := beginDocument(b, fieldUsedUS)
	later, b := beginDocument(b, "$not") // documents of an earlier version have none
	query := bson.Raw(end(end(end(appendInt64(b, "$gte", at.UnixMicro()), later), used), start))
	result, err := t.docs.UpdateMany(ctx, query, usage(at))
	if err == nil && !result.Acknowledged {
		err = errUnacknowledged
	}
	return err
}

// usage is the update that records a use.
func usage(at time.Time) bson.Raw {
	start, b := begin(nil)
	set, b := beginDocument(b, "$set")
	return end(end(appendInt64(b, fieldUsedUS, at.UnixMicro()), set), start)
}

// Size adds up what the index tells.
func (t *table) Size(ctx context.Context) (size driver.Size, err error) {
	err = t.store.run(ctx, "size of", t.spec.Name, func() error {
		hint, err := t.upgrade(ctx)
		if err != nil {
			return err
		}
		return repeat(ctx, func() (err error) {
			size, err = t.sum(ctx, hint)
			return err
		})
	})
	if err != nil {
		return driver.Size{}, err
	}
	return size, nil
}

func (t *table) sum(ctx context.Context, hint bson.D) (size driver.Size, err error) {
	o := options.Aggregate()
	if hint != nil {
		o.SetHint(hint)
	}
	cursor, err := t.docs.Aggregate(ctx, bson.A{bson.D{{Key: "$group", Value: bson.D{
		{Key: fieldID, Value: nil},
		{Key: "bytes", Value: bson.D{{Key: "$sum", Value: "$" + fieldSize}}},
		{Key: "entries", Value: bson.D{{Key: "$sum", Value: 1}}},
	}}}}, o)
	if err != nil {
		return size, err
	}
	found := documents{Cursor: cursor}
	defer found.close(ctx)
	if cursor.Next(ctx) {
		entries, err := readInt(cursor.Current.Lookup("entries"))
		if err != nil {
			return size, err
		}
		size.Entries = int(entries)
		if size.Bytes, err = readInt(cursor.Current.Lookup("bytes")); err != nil {
			return size, err
		}
	}
	if err := cursor.Err(); err != nil || t.store.ferret == nil {
		return size, err
	}
	entries, err := t.docs.CountDocuments(ctx, bson.D{})
	size.Entries = int(entries)
	return size, err
}

// prepareIndex makes an index where it is absent, which takes long once, and returns it as
// a hint. A user who may not do so goes without, and the hint is nil, and so does a store that
// may only be read: the server knows by itself which of those that are there it can use.
func (t *table) prepareIndex(ctx context.Context, keys bson.D) (hint bson.D, err error) {
	if t.store.opts.ReadOnly {
		return nil, nil
	}
	err = repeat(ctx, func() error {
		_, err := t.docs.Indexes().CreateOne(ctx, mongo.IndexModel{Keys: keys})
		return err
	})
	switch {
	case hasCode(err, codeUnauthorized):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return keys, nil
}

// maxUpgrade is how many documents are read and changed at a time.
const maxUpgrade = 50

// upgrade adds to documents what those of an earlier version lack: their size, for which it
// has to read them, and when they were used. It returns the index of sizes as a hint, in
// which one search tells that there are none, or none any more.
func (t *table) upgrade(ctx context.Context) (hint bson.D, err error) {
	if hint, err = t.prepareIndex(ctx, sizeIndex); err != nil {
		return nil, err
	}
	if t.store.opts.ReadOnly {
		return hint, nil
	}
	for found := maxUpgrade; found == maxUpgrade; {
		err := repeat(ctx, func() error {
			return t.store.write(ctx, func() (err error) {
				found, err = t.upgradeSome(ctx)
				return err
			})
		})
		if err != nil {
			return nil, err
		}
	}
	return hint, nil
}

// upgradeSome leaves documents alone that were replaced since it has read them.
func (t *table) upgradeSome(ctx context.Context) (found int, err error) {
	start, b := begin(nil)
	condition, b := beginDocument(b, fieldID)
	b = end(appendString(b, "$gte", ""), condition) // other programs make ids that are no texts
	old := bson.Raw(end(appendAbsent(b, fieldSize), start))
	cursor, err := t.search(ctx, old, t.find(driver.Payload|driver.Meta, false, maxUpgrade).SetLimit(maxUpgrade))
	if err != nil {
		return 0, err
	}
	defer cursor.close(ctx)
	var models []mongo.WriteModel
	for cursor.Next(ctx) {
		id, err := idOf(cursor.Current)
		if err != nil {
			return 0, err
		}
		e, err := t.read(cursor.Current, false)
		if err != nil {
			return 0, err
		}
		if e.MetaSum == driver.WrongSum {
			continue
		}
		models = append(models, sizing(string(id), e.CachedAt, len(cursor.Current)))
	}
	if err := cursor.Err(); err != nil || len(models) == 0 {
		return 0, err
	}
	_, err = t.docs.BulkWrite(ctx, models, options.BulkWrite().SetOrdered(false))
	return len(models), err
}

// sizing is the update of one of them.
func sizing(id string, cachedAt time.Time, size int) *mongo.UpdateOneModel {
	start, b := begin(nil)
	b = appendInt64(appendString(b, fieldID, id), fieldCachedUS, cachedAt.UnixMicro())
	filter := bson.Raw(end(appendAbsent(b, fieldSize), start))
	start, b = begin(nil)
	set, b := beginDocument(b, "$set")
	b = end(appendInt64(b, fieldSize, int64(size)), set)
	later, b := beginDocument(b, "$max") // it may have been used since
	b = end(appendInt64(b, fieldUsedUS, cachedAt.UnixMicro()), later)
	return &mongo.UpdateOneModel{Filter: filter, Update: bson.Raw(end(b, start))}
}
