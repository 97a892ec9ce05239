package dynamodb_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go/middleware"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/dynamodb"
)

// requests counts what is sent to the server, by the names of the operations.
type requests struct {
	mu sync.Mutex
	n  map[string]int
}

func (r *requests) add(operation string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.n == nil {
		r.n = make(map[string]int)
	}
	r.n[operation]++
}

// take returns the counts and begins anew.
func (r *requests) take() map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.n
	r.n = nil
	return n
}

// count is a setting of a client.
func (r *requests) count(o *awsdynamodb.Options) {
	o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
		return stack.Finalize.Add(middleware.FinalizeMiddlewareFunc("count", func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
			r.add(middleware.GetOperationName(ctx))
			return next.HandleFinalize(ctx, in)
		}), middleware.After)
	})
}

// around is a setting of a client: each call of its operations goes through do, which
// may change what is sent and what is answered.
func around(do func(input any, send func(input any) (any, error)) (any, error)) func(*awsdynamodb.Options) {
	return func(o *awsdynamodb.Options) {
		o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
			return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("around", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (out middleware.InitializeOutput, meta middleware.Metadata, err error) {
				out.Result, err = do(in.Parameters, func(input any) (any, error) {
					in.Parameters = input
					var inner middleware.InitializeOutput
					var err error
					inner, meta, err = next.HandleInitialize(ctx, in)
					return inner.Result, err
				})
				return out, meta, err
			}), middleware.After)
		})
	}
}

// A service that is asked for too much does a part of each request and hands the rest
// back: here two of three, and every fourth time nothing.
func overloaded() func(*awsdynamodb.Options) {
	var mu sync.Mutex
	calls := 0
	return around(func(input any, send func(any) (any, error)) (any, error) {
		mu.Lock()
		calls++
		share := 3
		if calls%4 == 0 {
			share = 0
		}
		mu.Unlock()
		cut := func(n int) int {
			if share == 0 {
				return 0
			}
			return (2*n + 2) / share
		}
		switch in := input.(type) {
		case *awsdynamodb.BatchWriteItemInput:
			for table, all := range in.RequestItems {
				n := cut(len(all))
				rest := map[string][]types.WriteRequest{table: all[n:]}
				if n == 0 {
					return &awsdynamodb.BatchWriteItemOutput{UnprocessedItems: rest}, nil
				}
				out, err := send(&awsdynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{table: all[:n]}})
				if err == nil && n < len(all) {
					out.(*awsdynamodb.BatchWriteItemOutput).UnprocessedItems = rest
				}
				return out, err
			}
		case *awsdynamodb.BatchGetItemInput:
			for table, all := range in.RequestItems {
				n := cut(len(all.Keys))
				rest := all
				rest.Keys = all.Keys[n:]
				if n == 0 {
					return &awsdynamodb.BatchGetItemOutput{UnprocessedKeys: map[string]types.KeysAndAttributes{table: rest}}, nil
				}
				all.Keys = all.Keys[:n]
				out, err := send(&awsdynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{table: all}})
				if err == nil && len(rest.Keys) > 0 {
					out.(*awsdynamodb.BatchGetItemOutput).UnprocessedKeys = map[string]types.KeysAndAttributes{table: rest}
				}
				return out, err
			}
		case *awsdynamodb.BatchExecuteStatementInput:
			n := cut(len(in.Statements))
			out := &awsdynamodb.BatchExecuteStatementOutput{}
			if n > 0 {
				sent, err := send(&awsdynamodb.BatchExecuteStatementInput{Statements: in.Statements[:n]})
				if err != nil {
					return sent, err
				}
				out = sent.(*awsdynamodb.BatchExecuteStatementOutput)
			}
			for range in.Statements[n:] {
				out.Responses = append(out.Responses, types.BatchStatementResponse{Error: &types.BatchStatementError{Code: types.BatchStatementErrorCodeEnumThrottlingError}})
			}
			return out, nil
		}
		return send(input)
	})
}

func TestWhatIsLeftUndoneIsDoneInTheEnd(t *testing.T) {
	table := openTable(t, with(t, newClient(t, overloaded()), &dynamodb.Options{Table: newName(t)}))
	entries, keys := trackEntries(400)
	put(t, table, entries...)
	if n, err := table.Count(t.Context(), driver.Filter{}); err != nil || n != len(entries) {
		t.Errorf("count is %d, want %d: %v", n, len(entries), err)
	}
	found := get(t, table, keys...)
	for i, e := range entries {
		if string(found[i].Payload) != string(e.Payload) {
			t.Fatalf("entry %d is %+v", i, found[i])
		}
	}
	if n, err := table.Delete(t.Context(), append(keys[:150:150], driver.Key{"absent", "", int64(0), false})); err != nil || n != 150 {
		t.Errorf("delete removed %d: %v", n, err)
	}
	if n, err := table.Clear(t.Context(), driver.Filter{}); err != nil || n != 250 {
		t.Errorf("clear removed %d: %v", n, err)
	}
	large := track(1)
	large.Payload = noise(3 * dynamodb.PartSize)
	put(t, table, large, track(2))
	if got := get(t, table, large.Key)[0]; string(got.Payload) != string(large.Payload) {
		t.Errorf("a large payload has %d bytes", len(got.Payload))
	}
}

// nothingDone is a service that never does what it is asked in batches.
func nothingDone(calls *requests) func(*awsdynamodb.Options) {
	return around(func(input any, send func(any) (any, error)) (any, error) {
		switch in := input.(type) {
		case *awsdynamodb.BatchWriteItemInput:
			calls.add("write")
			return &awsdynamodb.BatchWriteItemOutput{UnprocessedItems: in.RequestItems}, nil
		case *awsdynamodb.BatchGetItemInput:
			calls.add("get")
			return &awsdynamodb.BatchGetItemOutput{UnprocessedKeys: in.RequestItems}, nil
		}
		return send(input)
	})
}

func TestWhatIsNeverDoneIsAnError(t *testing.T) {
	var calls requests
	table := openTable(t, with(t, newClient(t, nothingDone(&calls)), &dynamodb.Options{Table: newName(t)}))
	entries, _ := trackEntries(2)
	synctest.Test(t, func(t *testing.T) { // it pauses for longer and longer
		err := table.Put(t.Context(), entries)
		if err == nil || !strings.Contains(err.Error(), "unprocessed") {
			t.Errorf("put: %v", err)
		}
	})
	if n := calls.take()["write"]; n != dynamodb.MaxStalls+1 {
		t.Errorf("it was tried %d times", n)
	}
}

func TestAPauseEndsWithItsContext(t *testing.T) {
	var calls requests
	ctx, cancel := context.WithCancel(t.Context())
	cancels := around(func(input any, send func(any) (any, error)) (any, error) {
		out, err := send(input)
		if _, ok := input.(*awsdynamodb.BatchGetItemInput); ok {
			cancel()
		}
		return out, err
	})
	table := openTable(t, with(t, newClient(t, cancels, nothingDone(&calls)), &dynamodb.Options{Table: newName(t)}))
	_, keys := trackEntries(200)
	if err := table.Get(ctx, keys, everything, func(int, driver.Entry) {}); !errors.Is(err, context.Canceled) {
		t.Errorf("get: %v", err)
	}
}

// A statement that fails for another reason is an error, and no miss.
func TestAStatementsErrorIsTheCalls(t *testing.T) {
	table := openTable(t, with(t, newClient(t, around(func(input any, send func(any) (any, error)) (any, error) {
		in, ok := input.(*awsdynamodb.BatchExecuteStatementInput)
		if !ok {
			return send(input)
		}
		out := &awsdynamodb.BatchExecuteStatementOutput{Responses: make([]types.BatchStatementResponse, len(in.Statements))}
		out.Responses[1].Error = &types.BatchStatementError{Code: types.BatchStatementErrorCodeEnumAccessDenied, Message: aws.String("not allowed")}
		return out, nil
	})), &dynamodb.Options{Table: newName(t)}))
	_, keys := trackEntries(2)
	if n, err := table.Delete(t.Context(), keys); n != 0 || err == nil || !strings.Contains(err.Error(), "not allowed") {
		t.Errorf("delete = %d, %v", n, err)
	}
}

func TestBulkTakesFewRequests(t *testing.T) {
	var sent requests
	client := newClient(t, sent.count)
	opts := &dynamodb.Options{Table: newName(t)}
	store := with(t, client, opts)
	table := openTable(t, store)
	entries, keys := trackEntries(1_000)
	medium := slices.Clone(entries[:100])
	for i := range medium {
		medium[i].Payload = noise(200 << 10)
	}
	ctx := t.Context()
	putIf := func(some []driver.Entry, precondition driver.Precondition) error {
		_, err := table.PutIf(ctx, some, driver.Condition{If: precondition})
		return err
	}
	for _, op := range []struct {
		name string
		want map[string]int
		do   func() error
	}{
		{"put 1", map[string]int{"PutItem": 1}, func() error { return table.Put(ctx, entries[:1]) }},
		{"put 1000", map[string]int{"BatchWriteItem": 40}, func() error { return table.Put(ctx, entries) }},
		{"put 1 if absent", map[string]int{"PutItem": 1}, func() error { return putIf(entries[:1], driver.IfAbsent) }},
		{"put 1000 if absent", map[string]int{"BatchExecuteStatement": 40}, func() error { return putIf(entries, driver.IfAbsent) }},
		{"put 1000 if newer", map[string]int{"PutItem": 1_000}, func() error { return putIf(entries, driver.IfNewer) }},
		{"put 1000 if unchanged", map[string]int{"PutItem": 1_000}, func() error { return putIf(entries, driver.IfUnchanged) }},
		{"renew 1", map[string]int{"BatchGetItem": 1, "BatchExecuteStatement": 1}, func() error { _, err := table.Renew(ctx, renewals(entries[:1], "")); return err }},
		{"renew 1000", map[string]int{"BatchGetItem": 40, "BatchExecuteStatement": 40}, func() error { _, err := table.Renew(ctx, renewals(entries, "")); return err }},
		{"get 1", map[string]int{"GetItem": 1}, func() error { return table.Get(ctx, keys[:1], everything, func(int, driver.Entry) {}) }},
		{"get 1000", map[string]int{"BatchGetItem": 10}, func() error { return table.Get(ctx, keys, everything, func(int, driver.Entry) {}) }},
		{"get 1000, each twice", map[string]int{"BatchGetItem": 10}, func() error {
			return table.Get(ctx, append(keys, keys...), everything, func(int, driver.Entry) {})
		}},
		{"count", map[string]int{"Query": 16}, func() error { _, err := table.Count(ctx, driver.Filter{}); return err }},
		{"iterate", map[string]int{"Query": 16}, func() error {
			for _, err := range table.Entries(ctx, everything) {
				if err != nil {
					return err
				}
			}
			return nil
		}},
		{"pop", map[string]int{"DeleteItem": 1}, func() error { _, _, err := table.Pop(ctx, keys[0], driver.Filter{}); return err }},
		{"delete 1", map[string]int{"DeleteItem": 1}, func() error { _, err := table.Delete(ctx, keys[1:2]); return err }},
		{"delete 1000", map[string]int{"BatchExecuteStatement": 40}, func() error { _, err := table.Delete(ctx, keys); return err }},
		{"put 100 of 200 KiB, 4 MiB at a time", map[string]int{"BatchWriteItem": 5}, func() error { return table.Put(ctx, medium) }},
		{"open", map[string]int{"GetItem": 1}, func() error { openTable(t, store); return nil }},
	} {
		sent.take()
		if err := op.do(); err != nil {
			t.Fatalf("%s: %v", op.name, err)
		}
		if got := sent.take(); fmt.Sprint(got) != fmt.Sprint(op.want) {
			t.Errorf("%s takes %v, want %v", op.name, got, op.want)
		}
	}
}

// Items that do not fit an answer are asked for again; the server itself does this.
func TestAnAnswerThatIsFullIsCompleted(t *testing.T) {
	var sent requests
	table := openTable(t, with(t, newClient(t, sent.count), &dynamodb.Options{Table: newName(t)}))
	entries, keys := trackEntries(90)
	for i := range entries {
		entries[i].Payload = noise(300 << 10)
	}
	put(t, table, entries...)
	sent.take()
	if n := len(get(t, table, keys...)); n != len(keys) {
		t.Errorf("%d of %d entries", n, len(keys))
	}
	if n := sent.take()["BatchGetItem"]; n < 2 || n > 4 {
		t.Errorf("27 MiB took %d requests", n)
	}
}

func TestReadsAreConsistentUnlessTheyNeedNotBe(t *testing.T) {
	for _, eventual := range []bool{false, true} {
		var consistent requests
		client := newClient(t, around(func(input any, send func(any) (any, error)) (any, error) {
			note := func(read *bool) { consistent.add(fmt.Sprint(aws.ToBool(read))) }
			switch in := input.(type) {
			case *awsdynamodb.GetItemInput:
				note(in.ConsistentRead)
			case *awsdynamodb.BatchGetItemInput:
				for _, keys := range in.RequestItems {
					note(keys.ConsistentRead)
				}
			case *awsdynamodb.QueryInput:
				note(in.ConsistentRead)
			}
			return send(input)
		}))
		table := openTable(t, with(t, client, &dynamodb.Options{Table: newName(t), EventualReads: eventual}))
		entries, keys := trackEntries(2)
		put(t, table, entries...)
		consistent.take()
		if n := len(get(t, table, keys...)) + len(get(t, table, keys[0])); n != 3 {
			t.Errorf("%d entries, want 3", n)
		}
		if n, err := table.Count(t.Context(), driver.Filter{}); err != nil || n != 2 {
			t.Errorf("count is %d: %v", n, err)
		}
		if got, want := consistent.take(), fmt.Sprint(map[bool]int{!eventual: 18}); fmt.Sprint(got) != want {
			t.Errorf("with EventualReads %t, consistent reads are %v, want %s", eventual, got, want)
		}
	}
}
