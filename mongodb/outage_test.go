package mongodb_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/testserver"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/mongodb"
)

// operations are all of a table that may be done twice.
func operations(ctx context.Context, s driver.Store, table driver.Table, entries []driver.Entry, keys []driver.Key) map[string]func() error {
	return map[string]func() error{
		"put":     func() error { return table.Put(ctx, entries) },
		"put one": func() error { return table.Put(ctx, entries[:1]) },
		"get": func() error {
			return table.Get(ctx, keys, driver.Selection{Parts: driver.Payload}, func(int, driver.Entry) {})
		},
		"get one": func() error {
			return table.Get(ctx, keys[:1], driver.Selection{Parts: driver.Payload}, func(int, driver.Entry) {})
		},
		"count": func() error {
			_, err := table.Count(ctx, driver.Filter{})
			return err
		},
		"iterate": func() error {
			for _, err := range table.Entries(ctx, driver.Selection{}) {
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

// The server is killed and comes back. Whoever comes after that notices nothing, though
// the connections of before are lost; whoever comes meanwhile gets an error when its
// time is over, and what was saved is there.
func TestAServerThatComesBack(t *testing.T) {
	t.Parallel() // with servers of its own
	server := testserver.OwnMongoDB(t, nil)
	s := open(t, server.URL(), nil)
	table := openTracks(t, s)
	entries, keys := trackEntries(200)
	if err := table.Put(t.Context(), entries); err != nil {
		t.Fatal(err)
	}
	kills := 0
	for name, op := range operations(t.Context(), s, table, entries, keys) {
		if kills++; testing.Short() && kills > 3 { // any three
			break
		}
		if err := op(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := server.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if err := op(); err != nil {
				t.Errorf("%s after a restart: %v", name, err)
			}
		}
	}
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	limited, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	waitfor.End(t, "a put without a server ends with its context", func() {
		if err := table.Put(limited, entries); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("put without a server: %v", err)
		}
	})
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n, err := table.Count(t.Context(), driver.Filter{}); err != nil || n != len(entries) {
		t.Errorf("%d entries are there, want %d, %v", n, len(entries), err)
	}
	if n, err := table.Delete(t.Context(), keys); err != nil || n != len(entries) {
		t.Errorf("delete removed %d, %v", n, err)
	}
}

// silent is a connection that stops answering.
type silent struct {
	net.Conn
	asleep *atomic.Bool
}

func (c *silent) Read(b []byte) (int, error) {
	for {
		n, err := c.Conn.Read(b)
		if err != nil || !c.asleep.Load() {
			return n, err
		}
	}
}

type silentDialer struct{ asleep atomic.Bool }

func (d *silentDialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	inner, err := new(net.Dialer).DialContext(ctx, network, address)
	return &silent{inner, &d.asleep}, err
}

// A call ends with its context though the server does not answer, and its connection
// is nobody else's problem.
func TestCallsEndWithTheirContext(t *testing.T) {
	var dialer silentDialer
	client := newClient(t, serverURL(t), func(o *options.ClientOptions) { o.SetDialer(&dialer) })
	s, err := mongodb.New(t.Context(), client.Database(newDatabase(t)), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	table := openTracks(t, s)
	entries, keys := trackEntries(100)
	for _, name := range []string{"put", "get", "iterate"} {
		dialer.asleep.Store(true)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		waitfor.End(t, name+" ends with its context", func() {
			if err := operations(ctx, s, table, entries, keys)[name](); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: %v", name, err)
			}
		})
		cancel()
		dialer.asleep.Store(false)
		if err := table.Put(t.Context(), entries); err != nil {
			t.Errorf("after %s: %v", name, err)
		}
	}
	if n, err := table.Count(t.Context(), driver.Filter{}); err != nil || n != len(entries) {
		t.Errorf("%d entries, %v", n, err)
	}
}

// Many who insert the same documents at once: those who were too late try again.
func TestSavesOfTheSameEntriesSucceed(t *testing.T) {
	name := newDatabase(t)
	openTracks(t, open(t, serverURL(t), &mongodb.Options{Database: name}))
	entries, _ := trackEntries(60)
	var wait sync.WaitGroup
	for range 6 { // processes
		table := openTracks(t, open(t, serverURL(t), &mongodb.Options{Database: name}))
		wait.Add(1)
		go func() {
			defer wait.Done()
			if err := table.Put(t.Context(), entries); err != nil {
				t.Error(err)
			}
		}()
	}
	wait.Wait()
}

// Close has something to tell the server, but does not wait for one that is away.
func TestCloseWithoutAServer(t *testing.T) {
	t.Parallel() // with servers of its own
	server := testserver.OwnMongoDB(t, nil)
	s := open(t, server.URL(), nil)
	entries, _ := trackEntries(1)
	if err := openTracks(t, s).Put(t.Context(), entries); err != nil {
		t.Fatal(err)
	}
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	waitfor.End(t, "Close returns", func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
}

// The server is killed in the midst of saves. Those that have succeeded are there, and
// the store goes on by itself.
func TestWhatWasSavedIsThereAfterACrash(t *testing.T) {
	t.Parallel() // with servers of its own
	server := testserver.OwnMongoDB(t, nil)
	s := open(t, server.URL(), nil)
	table := openTracks(t, s)
	entries, keys := trackEntries(2_000)
	const batch, savers = 10, 4
	var next atomic.Int64
	var mu sync.Mutex
	var saved []driver.Key
	halfway := make(chan struct{})
	var wait sync.WaitGroup
	for range savers {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for {
				end := int(next.Add(batch))
				if end > len(entries) {
					return
				}
				if err := table.Put(t.Context(), entries[end-batch:end]); err == nil {
					mu.Lock()
					saved = append(saved, keys[end-batch:end]...)
					mu.Unlock()
				}
				if end == len(entries)/2 {
					close(halfway)
				}
			}
		}()
	}
	<-halfway
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	wait.Wait()
	if len(saved) < len(entries)/2 {
		t.Errorf("%d entries were saved of %d", len(saved), len(entries))
	}
	found := 0
	err := table.Get(t.Context(), saved, driver.Selection{}, func(int, driver.Entry) { found++ })
	if err != nil || found != len(saved) {
		t.Errorf("%d entries are there of %d that were saved, %v", found, len(saved), err)
	}
}
