package postgres_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/postgres"
)

// The server ends all sessions, as it does when it is restarted. No call notices.
func TestLostConnectionsFailNoCall(t *testing.T) {
	t.Parallel() // it waits most of the time
	schema := newSchema(t)
	s := open(t, serverURL(t), &postgres.Options{Schema: schema, ApplicationName: schema})
	table := openTable(t, s)
	entries, keys := trackEntries(3_000)
	c := connect(t)
	for name, op := range map[string]func() error{
		"put":     func() error { return table.Put(t.Context(), entries) },
		"put one": func() error { return table.Put(t.Context(), entries[:1]) },
		"get": func() error {
			return table.Get(t.Context(), keys, driver.Selection{Parts: driver.Payload}, func(int, driver.Entry) {})
		},
		"get one": func() error {
			return table.Get(t.Context(), keys[:1], driver.Selection{Parts: driver.Payload}, func(int, driver.Entry) {})
		},
		"delete": func() error {
			_, err := table.Delete(t.Context(), keys)
			return err
		},
		"pop": func() error {
			_, _, err := table.Pop(t.Context(), keys[0], driver.Filter{})
			return err
		},
		"count": func() error {
			_, err := table.Count(t.Context(), driver.Filter{})
			return err
		},
		"clear": func() error {
			_, err := table.Clear(t.Context(), driver.Filter{State: driver.Expired, Now: now})
			return err
		},
		"iterate": func() error {
			for _, err := range table.Entries(t.Context(), driver.Selection{}) {
				if err != nil {
					return err
				}
			}
			return nil
		},
		"open table": func() error {
			_, err := s.OpenTable(t.Context(), tracks)
			return err
		},
	} {
		var filling sync.WaitGroup
		for range 4 { // fills the pool
			filling.Go(func() { _, _ = table.Count(t.Context(), driver.Filter{}) })
		}
		if err := op(); err != nil {
			t.Fatal(err)
		}
		filling.Wait()
		time.Sleep(100 * time.Millisecond) // an idle connection is looked at before it is used
		endSessions(t, c, schema)
		for range 5 {
			if err := op(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// endSessions ends the sessions that an application has at present, and waits until they
// are gone. It may have others by then.
func endSessions(t *testing.T, c *pgx.Conn, application string) {
	t.Helper()
	const those = " FROM pg_stat_activity WHERE application_name = $1 AND backend_start <= $2"
	var begun time.Time
	if err := c.QueryRow(t.Context(), "SELECT clock_timestamp()").Scan(&begun); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Exec(t.Context(), "SELECT pg_terminate_backend(pid)"+those, application, begun); err != nil {
		t.Fatal(err)
	}
	waitForNone(t, c, "the sessions end", "SELECT count(*)"+those, application, begun)
}

// waitForNone waits until a query counts nothing any more.
func waitForNone(t *testing.T, c *pgx.Conn, what, query string, args ...any) {
	t.Helper()
	waitfor.True(t, what, func() bool {
		var n int
		if err := c.QueryRow(t.Context(), query, args...).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n == 0
	})
}

// breaking is a connection that is lost once so much has been received.
type breaking struct {
	net.Conn
	left *atomic.Int64
}

func (c *breaking) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if left := c.left.Add(-int64(n)); left < 0 && left+int64(n) >= 0 {
		c.Conn.Close()
		return 0, errors.New("the connection is lost")
	}
	return n, err
}

// A connection that is lost amid the answer: what was visited is not visited again,
// what was saved is saved as a whole, and what is not known is an error.
func TestAConnectionThatIsLostAmidAnAnswer(t *testing.T) {
	var left atomic.Int64
	left.Store(1 << 40)
	pool := newPool(t, pgx.QueryExecModeCacheStatement, func(c *pgxpool.Config) {
		c.MaxConns = 1
		c.ConnConfig.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
			inner, err := new(net.Dialer).DialContext(ctx, network, address)
			return &breaking{Conn: inner, left: &left}, err
		}
	})
	s, err := postgres.New(t.Context(), pool, &postgres.Options{Schema: newSchema(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	table := openTable(t, s)
	entries, keys := trackEntries(1_000)
	for i := range entries {
		entries[i].Payload = make([]byte, 1_000)
	}
	if err := table.Put(t.Context(), entries); err != nil {
		t.Fatal(err)
	}
	for _, after := range []int64{0, 1, 100, 5_000, 500_000, 1_000_000} {
		visits := make([]int, len(keys))
		left.Store(after)
		err := table.Get(t.Context(), keys, driver.Selection{Parts: driver.Payload}, func(i int, _ driver.Entry) { visits[i]++ })
		if err != nil || left.Load() > 0 {
			t.Errorf("lost after %d bytes: %v, %d are left", after, err, left.Load())
		}
		for i, n := range visits {
			if n != 1 {
				t.Fatalf("lost after %d bytes: entry %d was visited %d times", after, i, n)
			}
		}
	}
	left.Store(0)
	if err := table.Put(t.Context(), entries); err != nil {
		t.Errorf("put: %v", err)
	}
	left.Store(200_000)
	n := 0
	for _, err := range table.Entries(t.Context(), driver.Selection{Parts: driver.Payload}) {
		if err != nil {
			t.Fatalf("iterate: %v", err)
		}
		n++
	}
	if n != len(entries) {
		t.Errorf("an iteration yields %d entries, want %d", n, len(entries))
	}
	left.Store(1 << 40)
	if _, err := table.Delete(t.Context(), keys[:1]); err != nil { // the connection is in use
		t.Fatal(err)
	}
	left.Store(0)
	if _, err := table.Delete(t.Context(), keys); err == nil {
		t.Error("a delete of which nobody knows what it removed is no error")
	}
	left.Store(1 << 40)
	if _, err := table.Count(t.Context(), driver.Filter{}); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// A call ends with its context, whatever it is waiting for.
func TestCallsEndWithTheirContext(t *testing.T) {
	schema := newSchema(t)
	pool := newPool(t, pgx.QueryExecModeCacheStatement, func(c *pgxpool.Config) { c.MaxConns = 1 })
	s, err := postgres.New(t.Context(), pool, &postgres.Options{Schema: schema})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	table := openTable(t, s)
	wantDeadline := func(phrase string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		waitfor.End(t, "a put ends with its context", func() {
			err := table.Put(ctx, []driver.Entry{track(1)})
			if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), phrase) {
				t.Errorf("put: %v, want one of %q", err, phrase)
			}
		})
	}
	held, err := pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	wantDeadline("waiting for a connection")
	held.Release()

	tx, err := connect(t).Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "LOCK TABLE "+schema+".tracks"); err != nil {
		t.Fatal(err)
	}
	wantDeadline("deadline exceeded")
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n, err := table.Count(t.Context(), driver.Filter{}); err != nil || n != 0 {
		t.Errorf("%d entries, %v", n, err)
	}
}

// No call needs a second connection while it has one.
func TestOneConnectionIsEnough(t *testing.T) {
	pool := newPool(t, pgx.QueryExecModeCacheStatement, func(c *pgxpool.Config) { c.MaxConns = 1 })
	s, err := postgres.New(t.Context(), pool, &postgres.Options{Schema: newSchema(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx, cancel := context.WithTimeout(t.Context(), waitfor.Limit)
	defer cancel()
	table := openTable(t, s)
	entries, keys := trackEntries(1_500)
	var wait sync.WaitGroup
	for g := range 4 {
		wait.Add(1)
		go func() {
			defer wait.Done()
			if err := table.Put(ctx, entries); err != nil {
				t.Errorf("put: %v", err)
			}
			for e, err := range table.Entries(ctx, driver.Selection{Parts: driver.Payload}) {
				if err != nil {
					t.Errorf("iterate: %v", err)
					break
				}
				if _, err := table.Delete(ctx, []driver.Key{e.Key}); err != nil {
					t.Errorf("delete: %v", err)
					break
				}
			}
			if err := table.Get(ctx, keys, driver.Selection{}, func(int, driver.Entry) {}); err != nil {
				t.Errorf("get: %v", err)
			}
			if _, err := table.Clear(ctx, driver.Filter{State: driver.State(g % 3), Now: now}); err != nil {
				t.Errorf("clear: %v", err)
			}
			if _, err := s.OpenTable(ctx, tracks); err != nil {
				t.Errorf("open table: %v", err)
			}
		}()
	}
	wait.Wait()
}
