package dynamodb

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/endpointcache/endpointcache/driver"
)

// List reads all entries that are selected, without their payloads unless these are asked
// for: no index of DynamoDB has another order than that of expiries, which is one for each
// partition.
func (t *table) List(ctx context.Context, l driver.Listing) ([]driver.Entry, error) {
	page, err := l.Page(t.Entries(ctx, l.Selected()))
	var known *driver.OpError
	if err != nil && !errors.As(err, &known) {
		err = &driver.OpError{Store: kind, Op: "list", Table: t.spec.Name, Err: err}
	}
	return page, err
}

// Use updates the entries one by one, [Options.Parallel] at once.
func (t *table) Use(ctx context.Context, keys []driver.Key, at time.Time) error {
	return t.store.run(ctx, "use of", t.spec.Name, func() error {
		return t.store.each(len(keys), func(i int) error { return t.use(ctx, t.place(keys[i]), at) })
	})
}

func (t *table) use(ctx context.Context, p place, at time.Time) error {
	_, err := t.store.client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName:                 &t.name,
		Key:                       t.store.codec.key(p),
		UpdateExpression:          aws.String("SET #u=:u"),
		ConditionExpression:       aws.String(attrCachedAt + "<:t AND (attribute_not_exists(#u) OR #u<:u)"),
		ExpressionAttributeNames:  map[string]string{"#u": attrUsedUS},
		ExpressionAttributeValues: item{":u": microseconds(at), ":t": &text{Value: timeText(at)}},
	})
	var failed *types.ConditionalCheckFailedException
	if errors.As(err, &failed) {
		return nil // it was used later, or is not there
	}
	return err
}

// Size reads the index, all partitions at once.
func (t *table) Size(ctx context.Context) (driver.Size, error) {
	var entries, bytes atomic.Int64
	err := t.store.run(ctx, "size of", t.spec.Name, func() error {
		return t.store.each(buckets, func(i int) error {
			n, size, err := t.sizeOf(ctx, t.partitions.entries[i])
			entries.Add(n)
			bytes.Add(size)
			return err
		})
	})
	if err != nil {
		return driver.Size{}, err
	}
	return driver.Size{Entries: int(entries.Load()), Bytes: bytes.Load()}, nil
}

func (t *table) sizeOf(ctx context.Context, partition string) (entries, bytes int64, err error) {
	sortKey := t.store.codec.sortKey
	query := t.indexQuery(partition, driver.Filter{})
	project(query, newProjection(sortKey, attrSize))
	err = t.pages(ctx, query, func(page *dynamodb.QueryOutput) error {
		entries += int64(len(page.Items))
		var old []place
		for _, it := range page.Items {
			if it[attrSize] == nil {
				old = append(old, place{partition, stringOf(it[sortKey])})
				continue
			}
			size, err := intOf(it[attrSize])
			if err != nil {
				return err
			}
			bytes += size
		}
		for chunk := range slices.Chunk(old, maxBatchWrite) {
			size, err := t.upgrade(ctx, chunk)
			if err != nil {
				return err
			}
			bytes += size
		}
		return nil
	})
	return entries, bytes, err
}

// upgrade adds their sizes to items of an earlier version, for which it has to read them,
// and returns what they come to.
func (t *table) upgrade(ctx context.Context, places []place) (bytes int64, err error) {
	const parts = driver.Payload | driver.Meta
	c := &t.store.codec
	statement := aws.String("UPDATE " + quote(t.name) + " SET " + quote(attrSize) + "=? WHERE " + quote(c.partition) + "=? AND " +
		quote(c.sortKey) + "=? AND " + quote(attrCachedAt) + "=? AND " + quote(attrSize) + " IS MISSING")
	var requests []types.BatchStatementRequest
	err = t.getItems(ctx, t.keys(places), t.projections[1][parts], true, func(it item) error {
		r := t.read(it, parts)
		var err error
		if r.entry.Key, err = t.key(it); err != nil {
			return nil //nolint:nilerr // it is the entry of no key
		}
		size := t.oldSize(r)
		bytes += size
		requests = append(requests, types.BatchStatementRequest{Statement: statement, Parameters: []types.AttributeValue{
			&number{Value: strconv.FormatInt(size, 10)}, it[c.partition], it[c.sortKey], it[attrCachedAt],
		}})
		return nil
	})
	if err != nil || t.store.opts.ReadOnly {
		return bytes, err
	}
	return bytes, t.execute(ctx, requests, func(int, item) error { return nil })
}

// oldSize is about the size of an item that was saved without: of a payload that is split
// only the number of parts is known.
func (t *table) oldSize(r record) int64 {
	e := r.entry
	if r.generation == "" {
		e = r.whole()
	}
	size := t.size(row{place: r.place, entry: &e})
	return int64(size + len(e.Payload) + r.parts*partSize)
}
