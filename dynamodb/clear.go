package dynamodb

import (
	"context"
	"maps"
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
	query := &dynamodb.QueryInput{
		TableName:                 &t.name,
		IndexName:                 aws.String(expiryIndex),
		ConsistentRead:            aws.Bool(t.consistent()),
		KeyConditionExpression:    &condition,
		ExpressionAttributeNames:  names,
		ExpressionAttributeValues: values,
	}
	filterWhere(query, f.Where)
	return query
}

// Count reads the index, all partitions at once, or the entries where a filter asks for
// what the index does not have.
func (t *table) Count(ctx context.Context, f driver.Filter) (int, error) {
	var n atomic.Int64
	err := t.store.run(ctx, "count", t.spec.Name, func() error {
		return t.store.each(buckets, func(i int) error {
			for _, query := range t.filterQueries(t.partitions.entries[i], f) {
				found, err := t.countFound(ctx, query, f)
				if err != nil {
					return err
				}
				n.Add(int64(found))
			}
			return nil
		})
	})
	if err != nil {
		return 0, err
	}
	return int(n.Load()), nil
}

// countFound counts what a query finds and the filter selects.
func (t *table) countFound(ctx context.Context, query *dynamodb.QueryInput, f driver.Filter) (n int, err error) {
	if decides(f) {
		query.Select = types.SelectCount
		err = t.pages(ctx, query, func(page *dynamodb.QueryOutput) error {
			n += int(page.Count)
			return nil
		})
		return n, err
	}
	err = t.found(ctx, query, f, func(selected []item) error {
		n += len(selected)
		return nil
	})
	return n, err
}

// found calls each with the items of a query's pages that the filter selects, as far as it
// is about them.
func (t *table) found(ctx context.Context, query *dynamodb.QueryInput, f driver.Filter, each func([]item) error) error {
	if f.Where.IsZero() {
		c := &t.store.codec
		project(query, newProjection(c.partition, c.sortKey))
		return t.pages(ctx, query, func(page *dynamodb.QueryOutput) error { return each(page.Items) })
	}
	parts := f.Where.Parts()
	project(query, t.projections[1][parts])
	return t.pages(ctx, query, func(page *dynamodb.QueryOutput) error {
		var selected []item
		for _, it := range page.Items {
			r := t.read(it, parts)
			var err error
			if r.entry.Key, err = t.key(it); err == nil && selects(f, &r) {
				selected = append(selected, it)
			}
		}
		return each(selected)
	})
}

// project has a query return some attributes alone.
func project(query *dynamodb.QueryInput, wanted projection) {
	query.ProjectionExpression = aws.String(wanted.expression)
	maps.Copy(query.ExpressionAttributeNames, wanted.names)
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
func (t *table) Clear(ctx context.Context, f driver.Filter) (cleared int, err error) {
	err = t.store.run(ctx, "clear", t.spec.Name, func() (err error) {
		cleared, err = t.clear(ctx, f)
		return err
	})
	if err != nil {
		return 0, err
	}
	return cleared, nil
}

func (t *table) clear(ctx context.Context, f driver.Filter) (int, error) {
	var cleared atomic.Int64
	start := time.Now()
	err := t.store.each(buckets, func(i int) error {
		n, err := t.clearPartition(ctx, t.partitions.entries[i], f)
		cleared.Add(int64(n))
		return err
	})
	if err == nil && f.All() {
		err = t.removeOrphans(ctx, start)
	}
	return int(cleared.Load()), err
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
	err = t.found(ctx, query, f, func(selected []item) error {
		for chunk := range slices.Chunk(selected, maxBatchWrite) {
			removals := make([]removal, len(chunk))
			for i, it := range chunk {
				removals[i] = removal{place{partition, stringOf(it[sortKey])}, still(f, it)}
			}
			n, err := t.removeChunk(ctx, removals)
			cleared += n
			if err != nil {
				return err
			}
		}
		return nil
	})
	return cleared, err
}
