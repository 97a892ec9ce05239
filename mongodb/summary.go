package mongodb

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/endpointcache/endpointcache/driver"
)

// Summarize implements [driver.Summarizer]. FerretDB does not know what it asks for.
func (s *Store) Summarize(ctx context.Context, spec driver.TableSpec, now time.Time) (sum driver.Summary, err error) {
	err = s.run(ctx, "summarize", spec.Name, func() error {
		if s.ferret != nil {
			return fmt.Errorf("%w by FerretDB", errors.ErrUnsupported)
		}
		return repeat(ctx, func() (err error) {
			sum, err = s.table(spec).summarize(ctx, now)
			return err
		})
	})
	if err != nil {
		return driver.Summary{}, err
	}
	return sum, nil
}

func (t *table) summarize(ctx context.Context, now time.Time) (sum driver.Summary, err error) {
	when := func(condition bson.D) bson.D {
		return bson.D{{Key: "$sum", Value: bson.D{{Key: "$cond", Value: bson.A{condition, 1, 0}}}}}
	}
	cursor, err := t.docs.Aggregate(ctx, bson.A{bson.D{{Key: "$group", Value: bson.D{
		{Key: fieldID, Value: nil},
		{Key: "entries", Value: bson.D{{Key: "$sum", Value: 1}}},
		// Documents of an earlier version do not tell their sizes.
		{Key: "bytes", Value: bson.D{{Key: "$sum", Value: bson.D{{Key: "$ifNull", Value: bson.A{"$" + fieldSize, bson.D{{Key: "$bsonSize", Value: "$$ROOT"}}}}}}}},
		{Key: "live", Value: when(bson.D{{Key: "$gt", Value: bson.A{"$" + fieldExpiresUS, now.UnixMicro()}}})},
		{Key: "absent", Value: when(bson.D{{Key: "$in", Value: bson.A{"$" + fieldStatus, bson.A{404, 410}}}})},
		{Key: "oldest", Value: bson.D{{Key: "$min", Value: "$" + fieldCachedUS}}},
		{Key: "newest", Value: bson.D{{Key: "$max", Value: "$" + fieldCachedUS}}},
	}}}})
	if err != nil {
		return sum, err
	}
	found := documents{Cursor: cursor}
	defer found.close(ctx)
	if !cursor.Next(ctx) {
		return sum, cursor.Err()
	}
	number := func(name string) (n int64) {
		read, readErr := readInt(cursor.Current.Lookup(name))
		err = errors.Join(err, readErr)
		return read
	}
	sum.Entries, sum.Bytes = int(number("entries")), number("bytes")
	sum.Live, sum.Absent = int(number("live")), int(number("absent"))
	sum.Oldest, sum.Newest = time.UnixMicro(number("oldest")).UTC(), time.UnixMicro(number("newest")).UTC()
	return sum, err
}
