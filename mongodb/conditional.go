package mongodb

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/endpointcache/endpointcache/driver"
)

// PutIf saves chunks of entries by commands that replace what the condition allows, and
// insert what then seems to be missing: where the document is there, its _id refuses
// that. What was refused is looked at, and sent again where it changed meanwhile.
func (t *table) PutIf(ctx context.Context, entries []driver.Entry, c driver.Condition) (stored []bool, err error) {
	err = t.store.run(ctx, "save to", t.spec.Name, func() error {
		if err := c.Validate(); err != nil {
			return err
		}
		items, err := t.items(entries)
		if err != nil {
			return err
		}
		stored = make([]bool, len(entries))
		for len(items) > 0 {
			chunk := nextChunk(items, maxPut)
			err := t.store.write(ctx, func() error { return t.putChunkIf(ctx, chunk, c, stored) })
			if err != nil {
				return err
			}
			items = items[len(chunk):]
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return stored, nil
}

func (t *table) putChunkIf(ctx context.Context, items []item, c driver.Condition, stored []bool) (err error) {
	if c.If == driver.IfUnchanged {
		return t.replaceChunk(ctx, items, c, stored)
	}
	for tries := 0; len(items) > 0; tries++ {
		if tries > maxConflicts {
			return fmt.Errorf("%d entries were changed by others again and again", len(items))
		}
		if tries > 0 {
			if err := wait(ctx, rand.N(time.Duration(tries)*5*time.Millisecond)); err != nil {
				return err
			}
		}
		if tries > 0 || t.store.ferret != nil {
			if items, err = t.allowed(ctx, items, c); err != nil || len(items) == 0 {
				return err
			}
		}
		var left []item
		for len(items) > 0 {
			some := items[:min(len(items), t.store.maxPut())]
			refused, err := t.tryPutIf(ctx, some, c)
			if err != nil {
				return err
			}
			for i, it := range some {
				if stored[it.number] = !refused[i]; refused[i] {
					left = append(left, it)
				}
			}
			items = items[len(some):]
		}
		if c.If == driver.IfAbsent && t.store.ferret == nil {
			return nil // what was refused is there
		}
		items = left
	}
	return nil
}

// tryPutIf reports which of the items were refused, because their documents are there.
func (t *table) tryPutIf(ctx context.Context, items []item, c driver.Condition) (refused []bool, err error) {
	models, upsert := make([]mongo.WriteModel, len(items)), true
	for i := range items {
		doc := bson.Raw(t.appendEntry(make([]byte, 0, items[i].size), items[i].id, items[i].entry))
		if c.If == driver.IfAbsent {
			models[i] = &mongo.InsertOneModel{Document: doc}
		} else {
			models[i] = &mongo.ReplaceOneModel{Filter: t.store.replaceable(items[i], c), Replacement: doc, Upsert: &upsert}
		}
	}
	refused = make([]bool, len(items))
	result, err := t.docs.BulkWrite(ctx, models, options.BulkWrite().SetOrdered(false))
	var failure mongo.BulkWriteException
	switch {
	case err == nil && !result.Acknowledged:
		return nil, errUnacknowledged
	case err == nil:
		return refused, nil
	case !errors.As(err, &failure) || failure.WriteConcernError != nil || len(failure.WriteErrors) == 0:
		return nil, err
	}
	for _, e := range failure.WriteErrors {
		i := slices.Index(models, e.Request)
		if e.Code != codeDuplicateKey || i < 0 {
			return nil, err
		}
		refused[i] = true
	}
	return t.store.withRest(refused), nil
}

// replaceable is the query for the document that an item may replace.
func (s *Store) replaceable(it item, c driver.Condition) bson.Raw {
	if s.ferret != nil {
		return withID(it.id, driver.Filter{}) // it was asked for its document just now
	}
	switch c.If {
	case driver.IfNotLive:
		return notGreater(it.id, fieldExpiresUS, c.Now)
	case driver.IfUnchanged:
		return seen(it.id, it.entry.CachedAt)
	default:
		return notGreater(it.id, fieldCachedUS, it.entry.CachedAt)
	}
}

// notGreater is the query for a document whose field is not after an instant, or is no instant at all.
func notGreater(id, field string, t time.Time) bson.Raw {
	start, b := begin(nil)
	b = appendString(b, fieldID, id)
	condition, b := beginDocument(b, field)
	not, b := beginDocument(b, "$not")
	return end(end(end(appendInt64(b, "$gt", t.UnixMicro()), not), condition), start)
}

// fieldPut tells which of several calls has replaced a document. A renewal leaves it.
const fieldPut = "_put"

// replaceChunk replaces documents by items of the same time. The server answers how many
// it has found. Where they are not all, those are asked for that this call has marked; one
// of them that was replaced or deleted since counts as left alone.
func (t *table) replaceChunk(ctx context.Context, items []item, c driver.Condition, stored []bool) (err error) {
	if t.store.ferret != nil {
		if items, err = t.allowed(ctx, items, c); err != nil {
			return err
		}
	}
	mark := bson.NewObjectID()
	numbers := make(map[string]int, len(items))
	matched := int64(0)
	for some := range slices.Chunk(items, t.store.maxPut()) {
		models := make([]mongo.WriteModel, len(some))
		for i, it := range some {
			numbers[it.id] = it.number
			doc := t.appendEntry(make([]byte, 0, it.size), it.id, it.entry)
			doc = end(appendObjectID(doc[:len(doc)-1], fieldPut, mark), 0)
			models[i] = &mongo.ReplaceOneModel{Filter: t.store.replaceable(it, c), Replacement: bson.Raw(doc)}
		}
		result, err := t.docs.BulkWrite(ctx, models, options.BulkWrite().SetOrdered(false))
		switch {
		case err != nil:
			return err
		case !result.Acknowledged:
			return errUnacknowledged
		}
		matched += result.MatchedCount
	}
	switch {
	case matched == 0:
		return nil
	case matched == int64(len(items)) || t.store.ferret != nil:
		for _, it := range items {
			stored[it.number] = true
		}
		return nil
	}
	return repeat(ctx, func() error { return t.findMarked(ctx, fieldPut, mark, numbers, stored) })
}

// allowed are those of the items that may be saved where the documents are that are
// there.
func (t *table) allowed(ctx context.Context, items []item, c driver.Condition) ([]item, error) {
	keys := make([]driver.Key, len(items))
	for i := range items {
		keys[i] = items[i].entry.Key
	}
	refused := slices.Repeat([]bool{c.If == driver.IfUnchanged}, len(items))
	err := repeat(ctx, func() error {
		w := newWanted(keys)
		return t.getChunk(ctx, w.ids, w, driver.Selection{Parts: driver.Meta}, func(i int, old driver.Entry) {
			refused[i] = !c.Allows(old, *items[i].entry)
		})
	})
	if err != nil {
		return nil, err
	}
	var left []item
	for i := range items {
		if !refused[i] {
			left = append(left, items[i])
		}
	}
	return left, nil
}

// fieldRenewal tells which of several calls has renewed a document last.
const fieldRenewal = "_renewal"

// Renew sends chunks of updates that leave other documents alone. The server answers how
// many it has found. Where they are not all, those are asked for that this call has
// marked; one of them that was replaced since counts as left alone.
func (t *table) Renew(ctx context.Context, renewals []driver.Renewal) (renewed []bool, err error) {
	err = t.store.run(ctx, "renew in", t.spec.Name, func() error {
		for i := range renewals {
			if n := len(renewals[i].Header); n > maxDocument {
				return fmt.Errorf("%w: its headers have %d bytes, MongoDB can hold %d", driver.ErrTooLarge, n, maxDocument)
			}
		}
		renewed = make([]bool, len(renewals))
		for from := 0; from < len(renewals); {
			to, size := from+1, len(renewals[from].Header)
			for to < len(renewals) && to-from < maxPut && size+len(renewals[to].Header) <= maxPutBytes {
				size += len(renewals[to].Header)
				to++
			}
			err := t.store.write(ctx, func() error { return t.renewChunk(ctx, renewals[from:to], renewed[from:to]) })
			if err != nil {
				return err
			}
			from = to
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return renewed, nil
}

func (t *table) renewChunk(ctx context.Context, renewals []driver.Renewal, renewed []bool) error {
	if t.store.ferret != nil {
		return t.renewSeen(ctx, renewals, renewed)
	}
	mark := bson.NewObjectID()
	ids := make(map[string]int, len(renewals))
	models := make([]mongo.WriteModel, len(renewals))
	for i := range renewals {
		id := documentID(renewals[i].Key)
		ids[id] = i
		models[i] = &mongo.UpdateOneModel{Filter: seen(id, renewals[i].Seen), Update: renewal(&renewals[i], mark)}
	}
	result, err := t.docs.BulkWrite(ctx, models, options.BulkWrite().SetOrdered(false))
	switch {
	case err != nil:
		return err
	case !result.Acknowledged:
		return errUnacknowledged
	case result.MatchedCount == 0:
		return nil
	case result.MatchedCount == int64(len(renewals)):
		for i := range renewed {
			renewed[i] = true
		}
		return nil
	}
	return repeat(ctx, func() error { return t.findMarked(ctx, fieldRenewal, mark, ids, renewed) })
}

// findMarked finds which of the documents with these ids have the mark in a field.
func (t *table) findMarked(ctx context.Context, field string, mark bson.ObjectID, ids map[string]int, marked []bool) error {
	all := make([]string, 0, len(ids))
	for id := range ids {
		all = append(all, id)
	}
	slices.Sort(all)
	start, b := begin(nil)
	query := end(appendObjectID(t.store.appendIDs(b, all), field, mark), start)
	cursor, err := t.search(ctx, query, t.find(0, false, len(all)).SetProjection(onlyID))
	if err != nil {
		return err
	}
	defer cursor.close(ctx)
	for cursor.Next(ctx) {
		id, err := idOf(cursor.Current)
		if err != nil {
			return err
		}
		if i, ok := ids[string(id)]; ok {
			marked[i] = true
		}
	}
	return cursor.Err()
}

// seen is the query for a document that is of an instant.
func seen(id string, cachedAt time.Time) bson.Raw {
	start, b := begin(nil)
	return end(appendInt64(appendString(b, fieldID, id), fieldCachedUS, cachedAt.UnixMicro()), start)
}

// renewal is the update that renews a document.
func renewal(r *driver.Renewal, mark bson.ObjectID) bson.Raw {
	start, b := begin(nil)
	set, b := beginDocument(b, "$set")
	b = appendDate(b, fieldCachedAt, r.CachedAt)
	if !r.ExpiresAt.IsZero() {
		b = appendDate(b, fieldExpiresAt, r.ExpiresAt)
	}
	b = appendInt64(b, fieldCachedUS, r.CachedAt.UnixMicro())
	b = appendInt64(b, fieldExpiresUS, expiry(r.ExpiresAt))
	b = appendInt64(b, fieldUsedUS, r.CachedAt.UnixMicro())
	b = appendInt64(b, fieldMetaSum, int64(r.MetaSum))
	b = appendText(b, fieldHeaders, r.Header, isText(r.Header))
	b = end(appendObjectID(b, fieldRenewal, mark), set)
	if r.ExpiresAt.IsZero() {
		unset, d := beginDocument(b, "$unset")
		b = end(appendString(d, fieldExpiresAt, ""), unset)
	}
	return end(b, start)
}
