package dynamodb

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/endpointcache/endpointcache/driver"
)

// expiryIndex has each entry without its payload, by its expiry. What has no expiry,
// such as the parts of a payload, is not in it.
const expiryIndex = "by_expiry"

// indexQuery asks the index for the entries of a partition that the filter selects.
func (t *table) indexQuery(partition string, f driver.Filter) *dynamodb.QueryInput {
	names := map[string]string{"#p": t.store.codec.partition}
	values := item{":p": &text{Value: partition}}
	condition := "#p=:p"
	if c := newCondition(f); c.expression != nil {
		condition += " AND " + *c.expression
		values[":now"] = c.values[0]
	}
	return &dynamodb.QueryInput{
		TableName:                 &t.name,
		IndexName:                 aws.String(expiryIndex),
		ConsistentRead:            aws.Bool(t.consistent()),
		KeyConditionExpression:    &condition,
		ExpressionAttributeNames:  names,
		ExpressionAttributeValues: values,
	}
}

// Count reads the index, all partitions at once, or by leading values the entries' keys.
func (t *table) Count(ctx context.Context, f driver.Filter) (int, error) {
	var n atomic.Int64
	err := t.store.run(ctx, "count", t.spec.Name, func() error {
		return t.store.each(buckets, func(i int) error {
			for _, query := range t.filterQueries(t.partitions.entries[i], f) {
				query.Select = types.SelectCount
				err := t.pages(ctx, query, func(page *dynamodb.QueryOutput) error {
					n.Add(int64(page.Count))
					return nil
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
	})
	if err != nil {
		return 0, err
	}
	return int(n.Load()), nil
}

func (t *table) pages(ctx context.Context, query *dynamodb.QueryInput, each func(*dynamodb.QueryOutput) error) error {
	for pages := dynamodb.NewQueryPaginator(t.store.client, query); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		if err := each(page); err != nil {
			return err
		}
	}
	return nil
}

// Clear finds entries as Count does and removes those that are still as the filter wants
// them, 25 in a request.
func (t *table) Clear(ctx context.Context, f driver.Filter) (int, error) {
	var cleared atomic.Int64
	start := time.Now()
	err := t.store.run(ctx, "clear", t.spec.Name, func() error {
		err := t.store.each(buckets, func(i int) error {
			n, err := t.clearPartition(ctx, t.partitions.entries[i], f)
			cleared.Add(int64(n))
			return err
		})
		if err != nil || f.State != driver.All || len(f.Leading) > 0 {
			return err
		}
		return t.removeOrphans(ctx, start)
	})
	if err != nil {
		return 0, err
	}
	return int(cleared.Load()), nil
}

func (t *table) clearPartition(ctx context.Context, partition string, f driver.Filter) (cleared int, err error) {
	for _, query := range t.filterQueries(partition, f) {
		n, err := t.clearFound(ctx, partition, query, f)
		cleared += n
		if err != nil {
			return cleared, err
		}
	}
	return cleared, nil
}

// clearFound removes those of the entries that a query finds which the filter still selects.
func (t *table) clearFound(ctx context.Context, partition string, query *dynamodb.QueryInput, f driver.Filter) (cleared int, err error) {
	sortKey := t.store.codec.sortKey
	query.ConsistentRead = aws.Bool(true)
	query.ProjectionExpression = aws.String("#k")
	query.ExpressionAttributeNames["#k"] = sortKey
	still := newCondition(f)
	err = t.pages(ctx, query, func(page *dynamodb.QueryOutput) error {
		for chunk := range slices.Chunk(page.Items, maxBatchWrite) {
			places := make([]place, len(chunk))
			for i, it := range chunk {
				places[i] = place{partition, stringOf(it[sortKey])}
			}
			n, err := t.removeChunk(ctx, places, still)
			cleared += n
			if err != nil {
				return err
			}
		}
		return nil
	})
	return cleared, err
}
