package dynamodb

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/endpointcache/endpointcache/driver"
)

// MaxPayload is the largest payload in bytes. A larger one is driver.ErrTooLarge.
const MaxPayload = 64 << 20

const (
	partSize      = 384 << 10
	maxParts      = (MaxPayload + partSize - 1) / partSize
	partsPerRead  = 40 // an answer has 16 MiB
	partsPerWrite = 10 // of a request's 16 MB, which its text makes a third larger
)

// A save writes the parts of a payload before the entry's item, and must have written
// that within maxSave. What is older than orphanAge and belongs to no entry was left by
// a save that has ended before it came to that.
const (
	maxSave   = 30 * time.Minute
	orphanAge = 2 * maxSave
)

// partsOutlive is how much longer than their entry parts stay: DynamoDB removes what is
// past its ttl in no order, within a few days.
const partsOutlive = 7 * 24 * time.Hour

// newGeneration begins with the time, so that old ones come first.
func newGeneration(now time.Time) string {
	unique := make([]byte, 8)
	_, _ = rand.Read(unique) // which does not fail
	return generationTime(now) + hex.EncodeToString(unique)
}

func generationTime(now time.Time) string { return fmt.Sprintf("%016x", now.UnixMicro()) }

// part is where a part of a generation stands.
func (t *table) part(generation string, i int) place {
	digit := max(0, strings.IndexByte(hexDigits, generation[len(generation)-1]))
	return place{t.partitions.parts[digit], fmt.Sprintf("%s/%05d", generation, i)}
}

// split makes items of the parts of a payload.
func (t *table) split(e *driver.Entry, generation string, payload []byte) []types.WriteRequest {
	c := &t.store.codec
	var requests []types.WriteRequest
	for chunk := range slices.Chunk(payload, partSize) {
		it := c.key(t.part(generation, len(requests)))
		it[c.value] = &binary{Value: chunk}
		if ttl := c.ttlOf(e.ExpiresAt, partsOutlive); ttl != nil {
			it[attrTTL] = ttl
		}
		requests = append(requests, types.WriteRequest{PutRequest: &types.PutRequest{Item: it}})
	}
	return requests
}

// readParts reads the parts of payloads and delivers the entries that they complete.
// It returns those of which some are missing. Payloads are read together as far as they
// fit in an answer, and several requests are under way at once.
func (t *table) readParts(ctx context.Context, records []record, consistent bool, deliver func(record) error) (torn []record, err error) {
	groups := groupByParts(records)
	var mu sync.Mutex
	err = t.store.each(len(groups), func(i int) error {
		payloads, err := t.getParts(ctx, groups[i], consistent)
		if err != nil {
			return err
		}
		for _, r := range groups[i] {
			parts := payloads[r.generation]
			if slices.ContainsFunc(parts, func(part []byte) bool { return part == nil }) {
				mu.Lock()
				torn = append(torn, r)
				mu.Unlock()
				continue
			}
			r.entry.Payload = bytes.Join(parts, nil)
			r.entry = r.whole()
			if err := deliver(r); err != nil {
				return err
			}
		}
		return nil
	})
	return torn, err
}

func groupByParts(records []record) (groups [][]record) {
	first, parts := 0, 0
	for i, r := range records {
		if i > first && parts+r.parts > partsPerRead {
			groups = append(groups, records[first:i])
			first, parts = i, 0
		}
		parts += r.parts
	}
	return append(groups, records[first:])
}

// getParts returns the parts of payloads by their generations, nil for those that are
// missing.
func (t *table) getParts(ctx context.Context, records []record, consistent bool) (map[string][][]byte, error) {
	c := &t.store.codec
	type slot struct {
		generation string
		i          int
	}
	slots := make(map[string]slot) // by sort keys
	payloads := make(map[string][][]byte, len(records))
	var places []place
	for _, r := range records {
		payloads[r.generation] = make([][]byte, r.parts)
		for i := range r.parts {
			p := t.part(r.generation, i)
			slots[p.key] = slot{r.generation, i}
			places = append(places, p)
		}
	}
	wanted := newProjection(c.sortKey, c.value)
	for chunk := range slices.Chunk(places, partsPerRead) {
		err := t.getItems(ctx, t.keys(chunk), wanted, consistent, func(it item) error {
			value, ok := it[c.value].(*binary)
			s, known := slots[stringOf(it[c.sortKey])]
			if ok && known { // or it is missing
				payloads[s.generation][s.i] = value.Value
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return payloads, nil
}

// removeParts removes the parts of the payloads of items that have been removed or
// replaced, one request after the other: its callers have several under way.
func (t *table) removeParts(ctx context.Context, items []item) error {
	var places []place
	for _, it := range items {
		generation := stringOf(it[attrGeneration])
		parts, err := smallOf(it[attrParts], maxParts)
		if generation == "" || err != nil {
			continue // its payload is in the item
		}
		for i := range parts {
			places = append(places, t.part(generation, i))
		}
	}
	for chunk := range slices.Chunk(places, maxBatchWrite) {
		if err := t.write(ctx, t.deletions(chunk)); err != nil {
			return err
		}
	}
	return nil
}

func (t *table) deletions(places []place) []types.WriteRequest {
	requests := make([]types.WriteRequest, len(places))
	for i, p := range places {
		requests[i] = types.WriteRequest{DeleteRequest: &types.DeleteRequest{Key: t.store.codec.key(p)}}
	}
	return requests
}

// removeOrphans removes parts that belong to no entry, after all entries that were
// there at an instant have been removed.
func (t *table) removeOrphans(ctx context.Context, then time.Time) error {
	return t.store.each(buckets, func(i int) error {
		c := &t.store.codec
		pages := dynamodb.NewQueryPaginator(t.store.client, &dynamodb.QueryInput{
			TableName:                 &t.name,
			ConsistentRead:            aws.Bool(true),
			KeyConditionExpression:    aws.String("#0=:p AND #1<:k"),
			ProjectionExpression:      aws.String("#0,#1"),
			ExpressionAttributeNames:  newProjection(c.partition, c.sortKey).names,
			ExpressionAttributeValues: item{":p": &text{Value: t.partitions.parts[i]}, ":k": &text{Value: generationTime(then.Add(-orphanAge))}},
		})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return err
			}
			var places []place
			for _, it := range page.Items {
				places = append(places, place{t.partitions.parts[i], stringOf(it[c.sortKey])})
			}
			for chunk := range slices.Chunk(places, maxBatchWrite) {
				if err := t.write(ctx, t.deletions(chunk)); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

var errSlowSave = errors.New("the parts of a payload took too long to save")
