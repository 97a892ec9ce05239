package mongodb

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/readonly"
)

// record is the document of a table in the collection of tables. That of a table that was
// dropped stays, and says so: a program that has it open may go on saving to it, so that its
// collection may be there again.
type record struct {
	Collection string   `bson:"_id"`
	Prefix     string   `bson:"prefix"`
	Table      string   `bson:"table"`
	Key        []column `bson:"key"`
	Dropped    bool     `bson:"dropped,omitempty"`
}

type column struct {
	Name string `bson:"name"`
	Kind string `bson:"kind"`
}

// OpenTable implements [driver.Store].
func (s *Store) OpenTable(ctx context.Context, spec driver.TableSpec) (driver.Table, error) {
	t := s.table(spec)
	err := s.run(ctx, "open table", spec.Name, func() error {
		return repeat(ctx, func() error {
			found, err := t.isRecorded(ctx)
			if err != nil {
				return err
			}
			if s.opts.ReadOnly {
				if !found {
					return readonly.ErrNoTable
				}
				return nil
			}
			if !found {
				if err := t.register(ctx); err != nil {
					return err
				}
			}
			return t.createIndexes(ctx, found)
		})
	})
	if err != nil {
		return nil, err
	}
	if s.opts.ReadOnly {
		return readonly.Table(kind, spec.Name, t), nil
	}
	return t, nil
}

func (s *Store) table(spec driver.TableSpec) *table {
	spec.Key = slices.Clone(spec.Key)
	t := &table{store: s, spec: spec, docs: s.db.Collection(collectionName(s.opts.Prefix, spec.Name))}
	for _, c := range spec.Key {
		t.fields = append(t.fields, fieldName(c.Name))
	}
	t.measure()
	return t
}

// recorded looks for the record of a table. Another one of that name is a SchemaError.
func (t *table) recorded(ctx context.Context) (r record, found bool, err error) {
	err = t.store.tables().FindOne(ctx, withID(t.docs.Name(), driver.Filter{})).Decode(&r)
	switch {
	case errors.Is(err, mongo.ErrNoDocuments):
		return r, false, nil
	case err != nil:
		return r, false, err
	case r.Table != t.spec.Name || r.Prefix != t.store.opts.Prefix:
		return r, false, t.schemaError(fmt.Sprintf("the collection %q of the table %q of stores with the prefix %q", r.Collection, r.Table, r.Prefix))
	}
	return r, true, nil
}

// isRecorded reports whether the table has a record, and is not dropped. One of another key
// is a SchemaError.
func (t *table) isRecorded(ctx context.Context) (bool, error) {
	r, found, err := t.recorded(ctx)
	if err != nil || !found || r.Dropped {
		return false, err
	}
	var key []string
	for _, c := range r.Key {
		key = append(key, c.Name+" "+c.Kind)
	}
	if have := strings.Join(key, ", "); have != t.spec.KeyString() {
		return false, t.schemaError("key (" + have + ")")
	}
	return true, nil
}

// register records a table that is not there yet. A collection without a record is
// another program's.
func (t *table) register(ctx context.Context) error {
	r := record{Collection: t.docs.Name(), Prefix: t.store.opts.Prefix, Table: t.spec.Name}
	for _, c := range t.spec.Key {
		r.Key = append(r.Key, column{c.Name, c.Kind.String()})
	}
	old, found, err := t.recorded(ctx)
	if err == nil && !found {
		switch there, err := t.exists(ctx); {
		case err != nil:
			return err
		case !there:
			_, err := t.store.tables().InsertOne(ctx, r)
			return err // where others were faster, it is looked for again
		}
		// Another process may have recorded and created it meanwhile.
		if old, found, err = t.recorded(ctx); err == nil && !found {
			return t.foreignError()
		}
	}
	if err != nil {
		return err
	}
	if old.Dropped {
		return t.registerAgain(ctx, r)
	}
	_, err = t.isRecorded(ctx)
	return err
}

// registerAgain records a table that was dropped, after it has removed what others have
// saved to it since. Where another program has recorded it meanwhile, that one's key is
// looked at.
func (t *table) registerAgain(ctx context.Context, r record) error {
	if err := t.docs.Drop(ctx); err != nil {
		return err
	}
	dropped := bson.D{{Key: fieldID, Value: r.Collection}, {Key: "dropped", Value: true}}
	result, err := t.store.tables().ReplaceOne(ctx, dropped, r)
	if err == nil && result.MatchedCount == 0 {
		_, err = t.isRecorded(ctx)
	}
	return err
}

func (t *table) exists(ctx context.Context) (bool, error) {
	there, err := t.store.db.ListCollectionNames(ctx, bson.D{{Key: "name", Value: t.docs.Name()}})
	return len(there) > 0, err
}

func (t *table) foreignError() error {
	return t.schemaError(fmt.Sprintf("the collection %q, which is no repository's", t.docs.Name()))
}

func (s *Store) tables() *mongo.Collection { return s.db.Collection(collectionOfTables) }

func (t *table) schemaError(have string) error {
	want := "a repository's table"
	if len(t.spec.Key) > 0 {
		want = "key (" + t.spec.KeyString() + ")"
	}
	return &driver.SchemaError{Table: t.spec.Name, Want: want, Have: have}
}

// createIndexes makes the collection and its indexes, where they are absent. A user
// who may not do so can use those that are there.
func (t *table) createIndexes(ctx context.Context, found bool) error {
	indexes := []mongo.IndexModel{{Keys: bson.D{{Key: fieldExpiresUS, Value: 1}}}}
	if t.store.ttl {
		seconds := int32(t.store.opts.KeepExpired / time.Second)
		indexes = append(indexes, mongo.IndexModel{
			Keys:    bson.D{{Key: fieldExpiresAt, Value: 1}},
			Options: options.Index().SetExpireAfterSeconds(seconds),
		})
	}
	_, err := t.docs.Indexes().CreateMany(ctx, indexes)
	switch {
	case found && hasCode(err, codeUnauthorized):
		return nil
	case t.store.ttl && hasCode(err, codeIndexOptions):
		return t.changeTTL(ctx)
	}
	return err
}

// changeTTL changes how long the collection keeps what has expired.
func (t *table) changeTTL(ctx context.Context) error {
	err := t.store.db.RunCommand(ctx, bson.D{
		{Key: "collMod", Value: t.docs.Name()},
		{Key: "index", Value: bson.D{
			{Key: "keyPattern", Value: bson.D{{Key: fieldExpiresAt, Value: 1}}},
			{Key: "expireAfterSeconds", Value: int64(t.store.opts.KeepExpired / time.Second)},
		}},
	}).Err()
	if err != nil {
		return fmt.Errorf("the collection's KeepExpired is another, and cannot be changed: %w", err)
	}
	return nil
}
