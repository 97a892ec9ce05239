package dynamodb

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/endpointcache/endpointcache/internal/parallel"
)

// DynamoDB's limits of one request.
const (
	maxBatchGet   = 100
	maxBatchWrite = 25
)

// each calls do with 0 to n-1, several at once, and returns the first error, after
// which none is begun any more.
func (s *Store) each(n int, do func(i int) error) error {
	var next atomic.Int64
	var failed atomic.Bool
	return parallel.Do(max(1, min(n, s.opts.Parallel)), func(int) error {
		for !failed.Load() {
			i := int(next.Add(1)) - 1
			if i >= n {
				return nil
			}
			if err := do(i); err != nil {
				failed.Store(true)
				return err
			}
		}
		return nil
	})
}

// getItems calls each with the items of these keys that are there, which are 100 at
// most and differ. What DynamoDB leaves out it is asked for again.
func (t *table) getItems(ctx context.Context, keys []item, p projection, consistent bool, each func(item) error) error {
	var left stalls
	for len(keys) > 0 {
		out, err := t.store.client.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{
			RequestItems: map[string]types.KeysAndAttributes{t.name: {
				Keys:                     keys,
				ConsistentRead:           &consistent,
				ProjectionExpression:     aws.String(p.expression),
				ExpressionAttributeNames: p.names,
			}},
		})
		if err != nil {
			return err
		}
		for _, it := range out.Responses[t.name] {
			if err := each(it); err != nil {
				return err
			}
		}
		rest := out.UnprocessedKeys[t.name].Keys
		if err := left.wait(ctx, len(keys), len(rest)); err != nil {
			return err
		}
		keys = rest
	}
	return nil
}

// write puts and removes items, 25 at most, of which no two have one key. What
// DynamoDB leaves undone is sent again.
func (t *table) write(ctx context.Context, requests []types.WriteRequest) error {
	var left stalls
	for len(requests) > 0 {
		out, err := t.store.client.BatchWriteItem(ctx, &dynamodb.BatchWriteItemInput{
			RequestItems: map[string][]types.WriteRequest{t.name: requests},
		})
		if err != nil {
			return err
		}
		rest := out.UnprocessedItems[t.name]
		if err := left.wait(ctx, len(requests), len(rest)); err != nil {
			return err
		}
		requests = rest
	}
	return nil
}

// removal is an item that is to be removed if a condition holds.
type removal struct {
	place     place
	condition condition
}

// removeReturning removes items, 25 at most, which differ, where their conditions hold, and
// calls each with those that it has removed. It is a request of PartiQL, as no other tells
// of more than one item what it has removed.
func (t *table) removeReturning(ctx context.Context, removals []removal, each func(item) error) error {
	requests := make([]types.BatchStatementRequest, len(removals))
	for i, r := range removals {
		requests[i] = types.BatchStatementRequest{
			Statement:  aws.String(t.deleteText + r.condition.partiQL + " RETURNING ALL OLD *"),
			Parameters: append([]types.AttributeValue{&text{Value: r.place.partition}, &text{Value: r.place.key}}, r.condition.values...),
		}
	}
	return t.execute(ctx, requests, func(_ int, removed item) error {
		if len(removed) == 0 {
			return nil // it was not there
		}
		return each(removed)
	})
}

// execute runs statements, 25 at most, each about another item, and calls done with the
// numbers of those whose condition holds, and what they return.
func (t *table) execute(ctx context.Context, requests []types.BatchStatementRequest, done func(i int, returned item) error) error {
	numbers := make([]int, len(requests))
	for i := range numbers {
		numbers[i] = i
	}
	var left stalls
	for len(requests) > 0 {
		out, err := t.store.client.BatchExecuteStatement(ctx, &dynamodb.BatchExecuteStatementInput{Statements: requests}, t.store.once)
		if err != nil {
			return err
		}
		if len(out.Responses) != len(requests) {
			return fmt.Errorf("%d statements have %d answers", len(requests), len(out.Responses))
		}
		var rest []types.BatchStatementRequest
		var restNumbers []int
		for i, answer := range out.Responses {
			switch {
			case answer.Error == nil:
				if err := done(numbers[i], answer.Item); err != nil {
					return err
				}
			case slices.Contains(refused, answer.Error.Code):
			case slices.Contains(throttled, answer.Error.Code):
				rest, restNumbers = append(rest, requests[i]), append(restNumbers, numbers[i])
			default:
				return statementError(answer.Error)
			}
		}
		if err := left.wait(ctx, len(requests), len(rest)); err != nil {
			return err
		}
		requests, numbers = rest, restNumbers
	}
	return nil
}

const (
	firstPause = 25 * time.Millisecond
	maxPause   = 5 * time.Second
	maxStalls  = 12 // requests one after the other of which nothing is done
)

// pause is how long to wait after so many attempts without success: at random, as
// others do the same.
func pause(attempt int) time.Duration { return rand.N(min(maxPause, firstPause<<min(attempt, 20))) }

// stalls counts requests of which DynamoDB has done nothing.
type stalls int

// wait pauses before what is left of a request is sent again, longer each time that
// nothing was done. In the end that is an error.
func (s *stalls) wait(ctx context.Context, sent, left int) error {
	switch {
	case left == 0:
		return nil
	case left < sent:
		*s = 0
	case *s == maxStalls:
		return fmt.Errorf("DynamoDB leaves %d items unprocessed: they are more than the table's or the account's throughput", left)
	default:
		*s++
	}
	timer := time.NewTimer(pause(int(*s)))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
