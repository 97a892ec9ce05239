package dynamodb

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/endpointcache/endpointcache/driver"
)

type table struct {
	store       *Store
	spec        driver.TableSpec
	name        string // in DynamoDB
	partitions  partitions
	projections projections
	deleteText  string // of a statement that removes an item
	columnNames int    // bytes of the key columns' names
}

var _ driver.Table = (*table)(nil)

func newTable(s *Store, spec driver.TableSpec) *table {
	t := &table{
		store: s, spec: driver.TableSpec{Name: spec.Name, Key: slices.Clone(spec.Key)}, name: s.opts.tableName(spec.Name),
		partitions: newPartitions(s.opts.base(spec.Name)), projections: newProjections(&s.codec),
	}
	t.deleteText = "DELETE FROM " + quote(t.name) + " WHERE " + quote(s.codec.partition) + "=? AND " + quote(s.codec.sortKey) + "=?"
	for _, c := range spec.Key {
		t.columnNames += len(c.Name)
	}
	return t
}

// consistent is whether reads see what was committed.
func (t *table) consistent() bool { return !t.store.opts.EventualReads }

// condition is what a filter asks of an item's expiry, in DynamoDB's two languages.
type condition struct {
	partiQL    string // to add to a WHERE clause
	expression *string
	values     []types.AttributeValue
}

func newCondition(f driver.Filter) condition {
	comparison := ""
	switch f.State {
	case driver.All:
		return condition{}
	case driver.Live:
		comparison = attrExpiresAt + ">"
	case driver.Expired:
		comparison = attrExpiresAt + "<="
	}
	return condition{
		partiQL:    " AND " + comparison + "?",
		expression: aws.String(comparison + ":now"),
		values:     []types.AttributeValue{&text{Value: timeText(f.Now)}},
	}
}

// named are the values of the expression.
func (c condition) named() item {
	if len(c.values) == 0 {
		return nil
	}
	return item{":now": c.values[0]}
}

func (t *table) Delete(ctx context.Context, keys []driver.Key) (deleted int, err error) {
	err = t.store.run(ctx, "delete from", t.spec.Name, func() (err error) {
		removals := t.removals(keys)
		if len(removals) == 1 {
			old, err := t.remove(ctx, removals[0])
			if err == nil && old != nil {
				deleted = 1
				err = t.removeParts(ctx, []item{old})
			}
			return err
		}
		deleted, err = t.removeAll(ctx, removals)
		return err
	})
	if err != nil {
		return 0, err
	}
	return deleted, nil
}

// removals are those of the entries of the keys, each once.
func (t *table) removals(keys []driver.Key) []removal {
	removals := make([]removal, 0, len(keys))
	seen := make(map[string]struct{}, len(keys))
	for _, k := range keys {
		p := t.place(k)
		if _, ok := seen[p.key]; !ok {
			seen[p.key] = struct{}{}
			removals = append(removals, removal{place: p})
		}
	}
	return removals
}

// removeAll removes different items where their conditions hold, with the parts of their
// payloads, and returns how many there were.
func (t *table) removeAll(ctx context.Context, removals []removal) (int, error) {
	var removed atomic.Int64
	chunks := slices.Collect(slices.Chunk(removals, maxBatchWrite))
	err := t.store.each(len(chunks), func(i int) error {
		n, err := t.removeChunk(ctx, chunks[i])
		removed.Add(int64(n))
		return err
	})
	return int(removed.Load()), err
}

func (t *table) removeChunk(ctx context.Context, removals []removal) (removed int, err error) {
	var split []item
	err = t.removeReturning(ctx, removals, func(old item) error {
		removed++
		if old[attrGeneration] != nil {
			split = append(split, old)
		}
		return nil
	})
	return removed, errors.Join(err, t.removeParts(ctx, split))
}

// remove removes an item if the condition holds, and returns it, or nil.
func (t *table) remove(ctx context.Context, r removal) (item, error) {
	c := r.condition
	if c.expression == nil {
		// Without any, DynamoDB Local may return an item to two callers.
		c.expression = aws.String("attribute_exists(" + attrExpiresAt + ")")
	}
	out, err := t.store.client.DeleteItem(ctx, &dynamodb.DeleteItemInput{
		TableName:                 &t.name,
		Key:                       t.store.codec.key(r.place),
		ConditionExpression:       c.expression,
		ExpressionAttributeValues: c.named(),
		ReturnValues:              types.ReturnValueAllOld,
	}, t.store.once)
	var failed *types.ConditionalCheckFailedException
	if errors.As(err, &failed) {
		return nil, nil
	}
	if err != nil || len(out.Attributes) == 0 {
		return nil, err
	}
	return out.Attributes, nil
}

// Pop takes the entry's item first: the call that has it has the parts of its payload too.
// If these are missing, the entry was being replaced, and the new one is taken.
func (t *table) Pop(ctx context.Context, key driver.Key, f driver.Filter) (e driver.Entry, ok bool, err error) {
	err = t.store.run(ctx, "pop from", t.spec.Name, func() error {
		for !ok && key.HasPrefix(f.Leading) {
			old, err := t.remove(ctx, removal{t.place(key), newCondition(f)})
			if err != nil || old == nil {
				return err
			}
			if e, ok, err = t.popped(ctx, old); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return driver.Entry{}, false, err
	}
	return e, ok, nil
}

// popped returns the entry of an item that has been removed, and removes the parts of its
// payload. ok is false if some are missing.
func (t *table) popped(ctx context.Context, old item) (e driver.Entry, ok bool, err error) {
	r := t.read(old, driver.Payload|driver.Meta)
	if r.generation == "" {
		return r.whole(), true, nil
	}
	_, err = t.readParts(ctx, []record{r}, true, func(r record) error {
		e, ok = r.entry, true
		return nil
	})
	return e, ok, errors.Join(err, t.removeParts(ctx, []item{old}))
}
