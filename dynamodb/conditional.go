package dynamodb

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/ruined"
)

// PutIf inserts entries that are to be absent 25 in a request. No request of DynamoDB
// replaces several items on a condition: with the other preconditions it sends one for
// each entry, [Options.Parallel] at once.
func (t *table) PutIf(ctx context.Context, entries []driver.Entry, c driver.Condition) (stored []bool, err error) {
	err = t.store.run(ctx, "save to", t.spec.Name, func() error {
		if err := c.Validate(); err != nil {
			return err
		}
		rows, err := t.rows(entries)
		if err != nil {
			return err
		}
		stored = make([]bool, len(entries))
		if c.If == driver.IfAbsent && len(rows) > 1 {
			chunks := chunkRows(rows)
			return t.store.each(len(chunks), func(i int) error { return t.insertChunk(ctx, chunks[i], stored) })
		}
		return t.store.each(len(rows), func(i int) (err error) {
			stored[rows[i].number], err = t.putRowIf(ctx, rows[i], c)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return stored, nil
}

// insertChunk inserts rows whose payloads fit, and then the others one by one.
func (t *table) insertChunk(ctx context.Context, rows []row, stored []bool) error {
	var fitting, split []row
	var requests []types.BatchStatementRequest
	for _, r := range rows {
		it, parts, err := t.fit(r, time.Now())
		if err != nil {
			return err
		}
		if parts != nil {
			split = append(split, r)
			continue
		}
		fitting = append(fitting, r)
		requests = append(requests, t.insertion(it))
	}
	err := t.execute(ctx, requests, func(i int, _ item) error {
		stored[fitting[i].number] = true
		return nil
	})
	if err != nil {
		return err
	}
	for _, r := range split {
		if stored[r.number], err = t.putRowIf(ctx, r, driver.Condition{If: driver.IfAbsent}); err != nil {
			return err
		}
	}
	return nil
}

// insertion is the statement that inserts an item, unless there is one.
func (t *table) insertion(it item) types.BatchStatementRequest {
	var names []string
	for name := range it {
		names = append(names, name)
	}
	slices.Sort(names)
	var r types.BatchStatementRequest
	for i, name := range names {
		names[i] = "'" + strings.ReplaceAll(name, "'", "''") + "':?"
		r.Parameters = append(r.Parameters, it[name])
	}
	r.Statement = aws.String("INSERT INTO " + quote(t.name) + " VALUE {" + strings.Join(names, ",") + "}")
	return r
}

// putRowIf saves a row if the condition holds, and reports whether it has. The parts of a
// payload that does not fit are written before, as of any save, unless the condition does
// not hold by then.
func (t *table) putRowIf(ctx context.Context, r row, c driver.Condition) (bool, error) {
	start := time.Now()
	it, parts, err := t.fit(r, start)
	if err != nil {
		return false, err
	}
	expression, value := putCondition(r.entry, c)
	put := &dynamodb.PutItemInput{TableName: &t.name, Item: it, ConditionExpression: &expression}
	if value != "" {
		put.ExpressionAttributeValues = item{":now": &text{Value: value}}
	}
	if c.If == driver.IfNotLive || c.If == driver.IfNewer {
		put.ReturnValuesOnConditionCheckFailure = types.ReturnValuesOnConditionCheckFailureAllOld
	}
	if parts != nil {
		if ok, err := t.allowed(ctx, r, c); err != nil || !ok {
			return false, err
		}
		for chunk := range slices.Chunk(parts, partsPerWrite) {
			if err := t.write(ctx, chunk); err != nil {
				return false, err
			}
		}
		if time.Since(start) > maxSave {
			return false, errSlowSave
		}
		put.ReturnValues = types.ReturnValueAllOld
	}
	out, err := t.store.client.PutItem(ctx, put, t.store.once)
	var failed *types.ConditionalCheckFailedException
	if errors.As(err, &failed) && hasNoTimes(failed.Item) {
		put.ConditionExpression = aws.String(attrCachedAt + "=:cached AND " + attrExpiresAt + "=:expires")
		put.ExpressionAttributeValues = item{":cached": failed.Item[attrCachedAt], ":expires": failed.Item[attrExpiresAt]}
		out, err = t.store.client.PutItem(ctx, put, t.store.once)
	}
	if errors.As(err, &failed) {
		return false, t.removeParts(ctx, []item{it})
	}
	if err != nil {
		return false, err
	}
	return true, t.removeParts(ctx, []item{out.Attributes})
}

// hasNoTimes reports whether an item, which has not been replaced, has texts that are no times, which are
// greater than times: it is as good as gone.
func hasNoTimes(it item) bool {
	if it[attrCachedAt] == nil || it[attrExpiresAt] == nil {
		return false
	}
	cached, err := timeOf(stringOf(it[attrCachedAt]))
	_, expires := timeOf(stringOf(it[attrExpiresAt]))
	return err != nil || cached.IsZero() || expires != nil
}

// putCondition is what c asks of the item that e is to replace, and what that is
// compared with.
func putCondition(e *driver.Entry, c driver.Condition) (expression, value string) {
	absent := "attribute_not_exists(" + attrExpiresAt + ")"
	switch c.If {
	case driver.IfNotLive:
		return absent + " OR NOT " + attrExpiresAt + ">:now", timeText(c.Now) // as is what is no text
	case driver.IfNewer:
		return absent + " OR NOT " + attrCachedAt + ">:now", timeText(e.CachedAt)
	case driver.IfUnchanged:
		return attrCachedAt + "=:now", timeText(e.CachedAt)
	default:
		return absent, ""
	}
}

// allowed reports whether the condition holds for a row.
func (t *table) allowed(ctx context.Context, r row, c driver.Condition) (ok bool, err error) {
	ok = c.If != driver.IfUnchanged
	err = t.getItems(ctx, t.keys([]place{r.place}), t.projections[0][driver.Meta], true, func(it item) error {
		old := t.read(it, driver.Meta).entry
		if old.MetaSum == driver.WrongSum {
			old.CachedAt, old.ExpiresAt = ruined.At, ruined.At
		}
		ok = c.Allows(old, *r.entry)
		return nil
	})
	return ok, err
}
