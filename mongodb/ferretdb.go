package mongodb

import (
	"context"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/endpointcache/endpointcache/driver"
)

// ferretDB is what differs with the first version of FerretDB:
//
//   - It looks for a document and changes it in two steps, so that two commands that
//     remove one may both be told that they have. So the store writes one command after another.
//   - For each document that a command replaces it holds one of its hundred connections
//     until the end, and waits for ever for one more.
//   - It stops at the first document of an unordered bulk write that fails.
//   - It reads the whole collection for all but one _id. So a page is long, and of many
//     keys it is told the smallest and the largest before it compares each. A document
//     that is to be changed on a condition is read first, and asked for by its _id.
//   - Of what is to be added up of documents it adds up the first number alone.
//   - Its answers have as many documents as were asked for, however large they are. So
//     it is asked for few, and then for as many more as seem to fit.
type ferretDB struct{ writing chan struct{} }

const (
	ferretPut    = 50 // documents that a command saves
	ferretPage   = 10_000
	ferretBatch  = 30 // documents of the first answer
	ferretWidest = 1_000
	ferretAnswer = 4 << 20 // bytes of the others, about
)

func newFerretDB() *ferretDB { return &ferretDB{make(chan struct{}, 1)} }

// write changes documents, and on FerretDB one after another.
func (s *Store) write(ctx context.Context, change func() error) error {
	if s.ferret == nil {
		return change()
	}
	select {
	case s.ferret.writing <- struct{}{}:
		defer func() { <-s.ferret.writing }()
		return change()
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Store) maxPut() int {
	if s.ferret == nil {
		return maxPut
	}
	return ferretPut
}

func (s *Store) maxUse() int {
	if s.ferret == nil {
		return maxKeys
	}
	return ferretPut
}

func (s *Store) maxPage() int {
	if s.ferret == nil {
		return maxPage
	}
	return ferretPage
}

// batch is how many of n documents an answer may have. MongoDB fills it up to 16 MB,
// and keeps a cursor for one that has as many as were asked for.
func (s *Store) batch(n int) int32 {
	if s.ferret == nil {
		return int32(n + 1)
	}
	return ferretBatch
}

// appendIDs appends the condition that an _id is one of several.
func (s *Store) appendIDs(b []byte, ids []string) []byte {
	condition, b := beginDocument(b, fieldID)
	if s.ferret != nil {
		b = appendString(b, "$gte", slices.Min(ids))
		b = appendString(b, "$lte", slices.Max(ids))
	}
	return end(appendStrings(b, "$in", ids), condition)
}

// documents are what a search finds.
type documents struct {
	*mongo.Cursor
	ferret  *ferretDB
	n, size int // that were read
}

// Next goes on to the next document.
func (d *documents) Next(ctx context.Context) bool {
	if d.ferret != nil && d.n > 0 && d.RemainingBatchLength() == 0 {
		d.SetBatchSize(int32(max(ferretBatch, min(ferretWidest, ferretAnswer/(d.size/d.n)))))
	}
	if !d.Cursor.Next(ctx) {
		return false
	}
	d.n++
	d.size += len(d.Current)
	return true
}

// close ends the search, on the server too where ctx is done: it would keep the cursor
// for minutes. Whether the search has failed is told by Err.
func (d *documents) close(ctx context.Context) {
	ctx, cancel := leaving(ctx)
	defer cancel()
	_ = d.Close(ctx)
}

// withRest are the documents that a command has refused, and on FerretDB those behind the
// first of them: it has not come to these.
func (s *Store) withRest(refused []bool) []bool {
	if first := slices.Index(refused, true); s.ferret != nil && first >= 0 {
		for i := first; i < len(refused); i++ {
			refused[i] = true
		}
	}
	return refused
}

// renewSeen renews those documents that it has just found to be the ones that are meant.
// No other command of this store writes in between.
func (t *table) renewSeen(ctx context.Context, renewals []driver.Renewal, renewed []bool) error {
	keys := make([]driver.Key, len(renewals))
	for i := range renewals {
		keys[i] = renewals[i].Key
	}
	err := repeat(ctx, func() error {
		w := newWanted(keys)
		return t.getChunk(ctx, w.ids, w, driver.Selection{Parts: driver.Meta}, func(i int, e driver.Entry) {
			renewed[i] = e.CachedAt.Equal(renewals[i].Seen)
		})
	})
	if err != nil {
		return err
	}
	var models []mongo.WriteModel
	for i := range renewals {
		if renewed[i] {
			filter := withID(documentID(keys[i]), driver.Filter{})
			models = append(models, &mongo.UpdateOneModel{Filter: filter, Update: renewal(&renewals[i], bson.NilObjectID)})
		}
	}
	for some := range slices.Chunk(models, ferretPut) {
		if _, err := t.docs.BulkWrite(ctx, some, options.BulkWrite().SetOrdered(false)); err != nil {
			return err
		}
	}
	return nil
}
