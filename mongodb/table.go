package mongodb

import (
	"context"
	"errors"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/endpointcache/endpointcache/driver"
)

type table struct {
	store  *Store
	spec   driver.TableSpec
	docs   *mongo.Collection
	fields []string // of the key's columns

	emptySize int // of a document whose texts are empty
}

var _ driver.Table = (*table)(nil)

// maxKeys is how many keys a command has. With the longest they are ten of the
// sixteen MiB that it may have.
const maxKeys = 10_000

func (t *table) Get(ctx context.Context, keys []driver.Key, sel driver.Selection, visit func(int, driver.Entry)) error {
	return t.store.run(ctx, "get from", t.spec.Name, func() error {
		keys, visit := sel.Narrow(keys, visit)
		w := newWanted(keys)
		slices.Sort(w.ids)
		for chunk := range slices.Chunk(w.ids, maxKeys) {
			if err := repeat(ctx, func() error { return t.getChunk(ctx, chunk, w, sel, visit) }); err != nil {
				return err
			}
		}
		return nil
	})
}

// getChunk asks for the documents whatever their expiry is, which is looked at here:
// to find an _id alone is what every server is fastest at.
func (t *table) getChunk(ctx context.Context, ids []string, w *wanted, sel driver.Selection, visit func(int, driver.Entry)) error {
	cursor, err := t.search(ctx, t.store.withIDs(ids, driver.Filter{}), t.find(sel.Parts, false, len(ids)))
	if err != nil {
		return err
	}
	defer cursor.close(ctx)
	for cursor.Next(ctx) {
		id, err := idOf(cursor.Current)
		if err != nil {
			return err
		}
		for i := w.take(id); i >= 0; i = w.same[i] {
			e, err := t.read(cursor.Current, false)
			if err != nil {
				return err
			}
			if sel.Match(e) {
				visit(i, e)
			}
		}
	}
	return cursor.Err()
}

// find are the options of a search for up to n documents, which come in one answer if
// they fit in it.
func (t *table) find(parts driver.Parts, withKey bool, n int) *options.FindOptionsBuilder {
	o := options.Find().SetBatchSize(t.store.batch(n))
	if p := t.projection(parts, withKey); p != nil {
		o.SetProjection(p)
	}
	return o
}

func (t *table) search(ctx context.Context, query bson.Raw, o *options.FindOptionsBuilder) (*documents, error) {
	cursor, err := t.docs.Find(ctx, query, o)
	if err != nil {
		return nil, err
	}
	return &documents{Cursor: cursor, ferret: t.store.ferret}, nil
}

// wanted are the keys of a bulk read by their ids.
type wanted struct {
	ids   []string       // each once
	first map[string]int // the first place of an id among the keys
	same  []int          // the next place of the same id, or -1
}

func newWanted(keys []driver.Key) *wanted {
	w := &wanted{ids: make([]string, 0, len(keys)), first: make(map[string]int, len(keys)), same: make([]int, len(keys))}
	for i, k := range keys {
		id := documentID(k)
		w.same[i] = -1
		if before, twice := w.first[id]; twice {
			w.same[i] = before
		} else {
			w.ids = append(w.ids, id)
		}
		w.first[id] = i
	}
	return w
}

// take returns the first place of an id, and -1 where it is not wanted or was taken
// before: a read may be done again.
func (w *wanted) take(id []byte) int {
	i, ok := w.first[string(id)]
	if !ok {
		return -1
	}
	delete(w.first, string(id))
	return i
}

func (t *table) Delete(ctx context.Context, keys []driver.Key) (deleted int, err error) {
	err = t.store.run(ctx, "delete from", t.spec.Name, func() error {
		ids := make([]string, len(keys))
		for i, k := range keys {
			ids[i] = documentID(k)
		}
		slices.Sort(ids)
		for chunk := range slices.Chunk(ids, maxKeys) {
			n, err := t.remove(ctx, len(chunk), t.store.withIDs(chunk, driver.Filter{}))
			if err != nil {
				return err
			}
			deleted += n
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return deleted, nil
}

// remove removes the documents of a query, which are so many at most.
func (t *table) remove(ctx context.Context, most int, query bson.Raw) (removed int, err error) {
	err = t.store.write(ctx, func() (err error) {
		var result *mongo.DeleteResult
		if most == 1 {
			result, err = t.docs.DeleteOne(ctx, query) // the driver can repeat it
		} else {
			result, err = t.docs.DeleteMany(ctx, query)
		}
		if err != nil {
			return err
		}
		if !result.Acknowledged {
			return errUnacknowledged
		}
		removed = int(result.DeletedCount)
		return nil
	})
	return removed, err
}

var errUnacknowledged = errors.New("the write concern is w=0: nobody would know what was saved")

func (t *table) Pop(ctx context.Context, key driver.Key, f driver.Filter) (e driver.Entry, ok bool, err error) {
	err = t.store.run(ctx, "pop from", t.spec.Name, func() error {
		if !key.HasPrefix(f.Leading) {
			return nil
		}
		var doc bson.Raw
		err := t.store.write(ctx, func() (err error) {
			doc, err = t.docs.FindOneAndDelete(ctx, withID(documentID(key), f)).Raw()
			return err
		})
		if errors.Is(err, mongo.ErrNoDocuments) {
			return nil
		}
		if err != nil {
			return err
		}
		e, err = t.read(doc, false)
		ok = err == nil
		return err
	})
	if err != nil {
		return driver.Entry{}, false, err
	}
	return e, ok, nil
}

// Count counts along an index where one tells all that the filter asks. It reads the
// documents, but for their payloads, where the server cannot decide.
func (t *table) Count(ctx context.Context, f driver.Filter) (n int, err error) {
	err = t.store.run(ctx, "count", t.spec.Name, func() error {
		if !decides(f) {
			for _, err := range t.iterate(ctx, driver.Selection{Filter: f}, at) {
				if err != nil {
					return err
				}
				n++
			}
			return nil
		}
		o := options.Count()
		if f.All() || isByKey(f) {
			o.SetHint(indexOfIDs)
		}
		return repeat(ctx, func() error {
			count, err := t.docs.CountDocuments(ctx, t.selected(f), o)
			n = int(count)
			return err
		})
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}
