package redis_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/testserver"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/redis"
)

// operations are all operations of a table of tracks.
func operations(ctx context.Context, s *redis.Store, table driver.Table) map[string]func() error {
	entries, keys := trackEntries(1_500)
	return map[string]func() error{
		"put":     func() error { return table.Put(ctx, entries) },
		"put one": func() error { return table.Put(ctx, entries[:1]) },
		"put if newer": func() error {
			_, err := table.PutIf(ctx, entries, driver.Condition{If: driver.IfNewer})
			return err
		},
		"put one if newer": func() error {
			_, err := table.PutIf(ctx, entries[:1], driver.Condition{If: driver.IfNewer})
			return err
		},
		"renew": func() error {
			_, err := table.Renew(ctx, renewals(entries, 1))
			return err
		},
		"get":     func() error { return table.Get(ctx, keys, everything, func(int, driver.Entry) {}) },
		"get one": func() error { return table.Get(ctx, keys[:1], everything, func(int, driver.Entry) {}) },
		"delete": func() error {
			_, err := table.Delete(ctx, keys)
			return err
		},
		"pop": func() error {
			_, _, err := table.Pop(ctx, keys[0], driver.Filter{})
			return err
		},
		"count": func() error {
			_, err := table.Count(ctx, driver.Filter{})
			return err
		},
		"clear": func() error {
			_, err := table.Clear(ctx, driver.Filter{})
			return err
		},
		"iterate": func() error {
			for _, err := range table.Entries(ctx, everything) {
				if err != nil {
					return err
				}
			}
			return nil
		},
		"open table": func() error {
			_, err := s.OpenTable(ctx, tracks)
			return err
		},
	}
}

// The server closes all connections, as it does with those that were idle for long. No
// call notices, whether its context can be cancelled or not.
func TestLostConnectionsFailNoCall(t *testing.T) {
	t.Parallel() // with servers of its own
	own := testserver.OwnRedis(t, nil)
	c := newClient(t, own.URL())
	for mode, ctx := range map[string]context.Context{"background": context.Background(), "cancellable": t.Context()} {
		s := open(t, own.URL(), nil)
		table := openTable(t, s)
		for name, op := range operations(ctx, s, table) {
			if err := op(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(60 * time.Millisecond)
			if err := c.Do(t.Context(), c.B().Arbitrary("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes").Build()).Error(); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				if err := op(); err != nil {
					t.Errorf("%s, %s: %v", mode, name, err)
				}
			}
		}
	}
}

// A server that is away: each call fails, soon and with its reason, and works again when
// the server does, with all that was saved before.
func TestAServerThatIsAway(t *testing.T) {
	t.Parallel() // with servers of its own
	own := testserver.OwnRedis(t, nil)
	s := open(t, own.URL(), nil)
	table := openTable(t, s)
	entries, keys := trackEntries(1_500)
	put(t, table, entries...)
	if err := own.Kill(); err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	for name, op := range operations(t.Context(), s, table) {
		wait.Go(func() {
			err := op()
			var opError *driver.OpError
			if !errors.As(err, &opError) || !strings.Contains(err.Error(), "refused") && !strings.Contains(err.Error(), "connection") {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	waitfor.End(t, "all calls fail", wait.Wait)
	if err := own.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := found(t, table, keys...); n != len(keys) {
		t.Errorf("%d of %d entries survived a crash", n, len(keys))
	}
	for name, op := range operations(t.Context(), s, table) {
		if err := op(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	put(t, table, entries...)
	wantConsistent(t, newClient(t, own.URL()), "endpointcache")
}

// A server that does not answer: calls end with their context, and the store works on.
func TestCallsEndWithTheirContext(t *testing.T) {
	t.Parallel() // with servers of its own
	own := testserver.OwnRedis(t, nil)
	s := open(t, own.URL(), nil)
	table := openTable(t, s)
	put(t, table, track(1))
	ends := map[error]func(context.Context) (context.Context, context.CancelFunc){
		context.DeadlineExceeded: func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, 50*time.Millisecond)
		},
		// The deadline is far away when the call is cancelled.
		context.Canceled: func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithTimeout(ctx, time.Hour)
			time.AfterFunc(50*time.Millisecond, cancel)
			return ctx, cancel
		},
	}
	for want, end := range ends {
		if err := own.Suspend(); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			ctx, cancel := end(t.Context())
			for name, op := range operations(ctx, s, table) {
				waitfor.End(t, name+" ends with its context", func() {
					if err := op(); !errors.Is(err, want) {
						t.Errorf("%s: %v, want %v", name, err, want)
					}
				})
			}
			cancel()
		}
		if err := own.Resume(); err != nil {
			t.Fatal(err)
		}
		waitfor.True(t, "the server answers again", func() bool {
			return table.Get(t.Context(), []driver.Key{track(1).Key}, everything, func(int, driver.Entry) {}) == nil
		})
	}
	for name, op := range operations(t.Context(), s, table) {
		if err := op(); err != nil {
			t.Errorf("afterwards, %s: %v", name, err)
		}
	}
}

// A server that was restarted, or told so, knows no scripts.
func TestScriptsAreLoadedAgain(t *testing.T) {
	t.Parallel() // with servers of its own
	own := testserver.OwnRedis(t, nil)
	s := open(t, own.URL(), &redis.Options{Buckets: 3})
	table := openTable(t, s)
	c := newClient(t, own.URL())
	for name, op := range operations(t.Context(), s, table) {
		if err := c.Do(t.Context(), c.B().ScriptFlush().Build()).Error(); err != nil {
			t.Fatal(err)
		}
		if err := op(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func configure(t *testing.T, c rueidis.Client, name, value string) {
	t.Helper()
	if err := c.Do(t.Context(), c.B().ConfigSet().ParameterValue().ParameterValue(name, value).Build()).Error(); err != nil {
		t.Fatal(err)
	}
}

// A save that the server has no memory for is an error that says so, and leaves all as
// it was.
func TestAServerWithoutMemory(t *testing.T) {
	t.Parallel() // with servers of its own
	own := testserver.OwnRedis(t, nil)
	table := openTable(t, open(t, own.URL(), nil))
	c := newClient(t, own.URL())
	entries, keys := trackEntries(100)
	put(t, table, entries[:50]...)
	configure(t, c, "maxmemory", "1")
	err := table.Put(t.Context(), entries)
	if err == nil || !strings.Contains(err.Error(), "maxmemory") || !strings.Contains(err.Error(), "OOM") {
		t.Errorf("put: %v", err)
	}
	if n := found(t, table, keys...); n != 50 {
		t.Errorf("%d entries, want 50", n)
	}
	if n, err := table.Delete(t.Context(), keys[:10]); err != nil || n != 10 {
		t.Errorf("a delete, which frees memory, removed %d: %v", n, err)
	}
	if n, err := table.Clear(t.Context(), driver.Filter{}); err != nil || n != 40 {
		t.Errorf("a clear removed %d: %v", n, err)
	}
	configure(t, c, "maxmemory", "0")
	put(t, table, entries...)
	if n := wantConsistent(t, c, "endpointcache"); n != 100 {
		t.Errorf("%d entries, want 100", n)
	}
}

// The server evicts what it likes, and the cache goes on.
func TestAServerThatEvicts(t *testing.T) {
	t.Parallel() // with servers of its own
	own := testserver.OwnRedis(t, nil)
	table := openTable(t, open(t, own.URL(), nil))
	c := newClient(t, own.URL())
	configure(t, c, "maxmemory-policy", "volatile-lru")
	configure(t, c, "maxmemory", "8mb")
	var keys []driver.Key
	for i := range 5_000 {
		e := track(i)
		e.Payload = make([]byte, 4_000)
		keys = append(keys, e.Key)
		put(t, table, e)
	}
	configure(t, c, "maxmemory", "0")
	left := found(t, table, keys...)
	if left == 0 || left == len(keys) {
		t.Fatalf("%d of %d entries are left", left, len(keys))
	}
	if n := yielded(t, table, everything); n != left {
		t.Errorf("%d entries are yielded, want %d", n, left)
	}
	if n := count(t, table, driver.Filter{}); n != left {
		t.Errorf("%d entries are counted after an iteration, want %d", n, left)
	}
	if n, err := table.Clear(t.Context(), driver.Filter{}); err != nil || n != left {
		t.Errorf("clear removed %d, %v, want %d", n, err, left)
	}
}

// A replica can be read from.
func TestAReplica(t *testing.T) {
	t.Parallel() // with servers of its own
	master, replica := testserver.OwnRedis(t, nil), testserver.OwnRedis(t, nil)
	table := openTable(t, open(t, master.URL(), nil))
	entries, keys := trackEntries(100)
	put(t, table, entries...)
	follow(t, replica, master)
	s := open(t, replica.URL(), nil)
	waitfor.True(t, "the replica has the data", func() bool {
		table, err := s.OpenTable(t.Context(), tracks)
		return err == nil && found(t, table, keys...) == 100
	})
	copied := openTable(t, s)
	if n := yielded(t, copied, everything); n != 100 || count(t, copied, driver.Filter{}) != 100 {
		t.Errorf("%d entries, want 100", n)
	}
	for name, op := range operations(t.Context(), s, copied) {
		err := op()
		switch name {
		case "put", "put one", "put if newer", "put one if newer", "renew", "delete", "pop", "clear":
			if err == nil || !strings.Contains(err.Error(), "the server is a replica") {
				t.Errorf("%s: %v", name, err)
			}
		default:
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}
