package mongodb

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/endpointcache/endpointcache/driver"
)

// Tables implements [driver.Store]: it lists those of stores with the same prefix.
func (s *Store) Tables(ctx context.Context) (specs []driver.TableSpec, err error) {
	err = s.run(ctx, "list tables", "", func() error {
		return repeat(ctx, func() error {
			cursor, err := s.tables().Find(ctx, bson.D{{Key: "prefix", Value: s.opts.Prefix}})
			if err != nil {
				return err
			}
			var records []record
			if err := cursor.All(ctx, &records); err != nil {
				return err
			}
			specs = nil
			for _, r := range records {
				if r.Dropped {
					continue
				}
				spec, err := r.spec()
				if err != nil {
					return err
				}
				specs = append(specs, spec)
			}
			slices.SortFunc(specs, func(a, b driver.TableSpec) int { return cmp.Compare(a.Name, b.Name) })
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	return specs, nil
}

// find reports an error where no table is recorded.
func (s *Store) find(ctx context.Context) error {
	err := repeat(ctx, func() error {
		query := bson.D{{Key: "prefix", Value: s.opts.Prefix}, {Key: "dropped", Value: bson.D{{Key: "$ne", Value: true}}}}
		return s.tables().FindOne(ctx, query).Err()
	})
	if errors.Is(err, mongo.ErrNoDocuments) {
		err = fmt.Errorf("%w in the database %q with the prefix %q", driver.ErrAbsent, s.db.Name(), s.opts.Prefix)
	}
	return err
}

func (r *record) spec() (driver.TableSpec, error) {
	spec := driver.TableSpec{Name: r.Table}
	for _, c := range r.Key {
		kind := driver.String
		for kind.String() != c.Kind {
			if kind++; kind > driver.Bool {
				return spec, fmt.Errorf("the table %q has the key column %q of an unknown kind %q", r.Table, c.Name, c.Kind)
			}
		}
		spec.Key = append(spec.Key, driver.Column{Name: c.Name, Kind: kind})
	}
	return spec, nil
}

// DropTable implements [driver.Store]. What another program saves that still has the table
// open is removed when the table is opened again.
func (s *Store) DropTable(ctx context.Context, name string) error {
	t := s.table(driver.TableSpec{Name: name})
	return s.run(ctx, "drop table", name, func() error {
		if s.opts.ReadOnly {
			return driver.ErrReadOnly
		}
		return repeat(ctx, func() error {
			_, found, err := t.recorded(ctx)
			if err != nil {
				return err
			}
			if !found {
				there, err := t.exists(ctx)
				if err == nil && there {
					err = t.foreignError()
				}
				return err
			}
			update := bson.D{{Key: "$set", Value: bson.D{{Key: "dropped", Value: true}}}}
			if _, err := s.tables().UpdateOne(ctx, withID(t.docs.Name(), driver.Filter{}), update); err != nil {
				return err
			}
			return t.docs.Drop(ctx)
		})
	})
}
