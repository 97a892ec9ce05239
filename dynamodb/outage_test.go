package dynamodb_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/dynamodb"
	"github.com/endpointcache/endpointcache/internal/testserver"
	"github.com/endpointcache/endpointcache/internal/waitfor"
)

// A server that goes away and comes back: calls end with errors meanwhile, and work
// goes on with what was saved.
func TestAServerThatComesBack(t *testing.T) {
	t.Parallel() // it waits for its server most of the time
	server := testserver.OwnDynamoDB(t, &testserver.Options{Durable: true})
	s, err := dynamodb.Open(t.Context(), server.URL(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	table := openTable(t, s)
	entries, keys := trackEntries(25)
	put(t, table, entries...)
	kills := 2
	if testing.Short() {
		kills = 1
	}
	for range kills {
		if err := server.Kill(); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		for name, op := range map[string]func() error{
			"put":    func() error { return table.Put(ctx, entries) },
			"get":    func() error { return table.Get(ctx, keys, everything, func(int, driver.Entry) {}) },
			"delete": func() error { _, err := table.Delete(ctx, keys); return err },
			"count":  func() error { _, err := table.Count(ctx, driver.Filter{}); return err },
		} {
			if err := op(); err == nil {
				t.Errorf("%s without a server is no error", name)
			}
		}
		cancel()
		if err := server.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := len(get(t, table, keys...)); n != len(keys) {
			t.Errorf("%d entries, want %d", n, len(keys))
		}
		put(t, table, entries...)
	}
	if n, err := table.Delete(t.Context(), keys); err != nil || n != len(keys) {
		t.Errorf("delete removed %d: %v", n, err)
	}
}

// A call that is cancelled in the middle ends soon, and the store goes on.
func TestACancelInMidWork(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var calls atomic.Int64
	client := newClient(t, around(func(input any, send func(any) (any, error)) (any, error) {
		if calls.Add(1) == 20 {
			cancel()
		}
		return send(input)
	}))
	table := openTable(t, with(t, client, &dynamodb.Options{Table: newName(t)}))
	entries, keys := trackEntries(5_000)
	calls.Store(0)
	waitfor.End(t, "the put ends with its context", func() {
		if err := table.Put(ctx, entries); !errors.Is(err, context.Canceled) {
			t.Errorf("put: %v", err)
		}
	})
	calls.Store(100)
	put(t, table, entries[:100]...)
	if n := len(get(t, table, keys[:100]...)); n != 100 {
		t.Errorf("%d entries, want 100", n)
	}
}
