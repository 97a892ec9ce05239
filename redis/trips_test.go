package redis_test

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/redis"
)

// trips counts how often a connection begins to send after it has received, and the most
// bytes that it has sent meanwhile.
type trips struct {
	net.Conn
	c         *counter
	receiving atomic.Bool
	sent      atomic.Int64
}

type counter struct{ trips, most, received atomic.Int64 }

func (c *trips) Write(b []byte) (int, error) {
	if c.receiving.CompareAndSwap(true, false) {
		c.sent.Store(0)
		c.c.trips.Add(1)
	}
	if sent := c.sent.Add(int64(len(b))); sent > c.c.most.Load() {
		c.c.most.Store(sent)
	}
	return c.Conn.Write(b)
}

func (c *trips) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.receiving.Store(true)
	}
	c.c.received.Add(int64(n))
	return n, err
}

// counted opens a store whose round trips are counted.
func counted(t *testing.T, opts *redis.Options) (driver.Table, *counter) {
	t.Helper()
	var c counter
	client := newClient(t, serverURL(t), func(o *rueidis.ClientOption) {
		o.PipelineMultiplex = -1 // one connection
		o.DialCtxFn = func(ctx context.Context, address string, dialer *net.Dialer, _ *tls.Config) (net.Conn, error) {
			inner, err := dialer.DialContext(ctx, "tcp", address)
			return &trips{Conn: inner, c: &c}, err
		}
	})
	s, err := redis.New(t.Context(), client, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return openTable(t, s), &c
}

// wantTrips fails the test unless one of some tries of an operation takes few round trips. The
// first may be the one that loads a script, and on a busy machine the server may have answered
// a part of what is sent before the rest is.
func (c *counter) wantTrips(t *testing.T, name string, most int64, tries int, do func() error) {
	t.Helper()
	for range tries {
		c.trips.Store(0)
		if err := do(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if c.trips.Load() <= most {
			return
		}
	}
	t.Errorf("%s took %d round trips, want %d at most", name, c.trips.Load(), most)
}

func TestBulkTakesFewRoundTrips(t *testing.T) {
	ctx := context.Background() // one that can be cancelled is waited for in another way
	entries, keys := trackEntries(3_000)
	for name, buckets := range map[string]int{"one bucket": 1, "eight buckets": 8} {
		t.Run(name, func(t *testing.T) {
			table, c := counted(t, &redis.Options{Prefix: newPrefix(t, serverURL(t)), Buckets: buckets})
			get := func(n int, parts driver.Parts) func() error {
				return func() error {
					return table.Get(ctx, keys[:n], driver.Selection{Parts: parts}, func(int, driver.Entry) {})
				}
			}
			put := func(n int) func() error { return func() error { return table.Put(ctx, entries[:n]) } }
			putIf := func(n int) func() error {
				return func() error {
					_, err := table.PutIf(ctx, entries[:n], driver.Condition{If: driver.IfNewer})
					return err
				}
			}
			putIfUnchanged := func(n int) func() error {
				return func() error {
					stored, err := table.PutIf(ctx, entries[:n], driver.Condition{If: driver.IfUnchanged})
					if slices.Contains(stored, false) {
						t.Errorf("of %d entries not all were stored", n)
					}
					return err
				}
			}
			renew := func(n int) func() error {
				return func() error {
					renewed, err := table.Renew(ctx, renewals(entries[:n], 0))
					if slices.Contains(renewed, false) {
						t.Errorf("of %d entries not all were renewed", n)
					}
					return err
				}
			}
			remove := func(n int) func() error {
				return func() error {
					_, err := table.Delete(ctx, keys[:n])
					return err
				}
			}
			use := func(n int) func() error { return func() error { return table.Use(ctx, keys[:n], time.Now().UTC()) } }
			iterate := func() error {
				for _, err := range table.Entries(ctx, everything) {
					if err != nil {
						return err
					}
				}
				return nil
			}
			for _, op := range []struct {
				name string
				most int64
				do   func() error
			}{
				{"put 1", 1, put(1)}, {"put 1000", 1, put(1_000)}, {"put 3000", 3, put(3_000)},
				{"get 1", 1, get(1, driver.Payload)}, {"get 1000", 1, get(1_000, driver.Payload)}, {"get 3000", 3, get(3_000, driver.Payload)},
				{"get 1000 statuses", 1, get(1_000, 0)}, {"get 1000 headers", 1, get(1_000, driver.Meta)},
				{"put 1 if newer", 1, putIf(1)}, {"put 1000 if newer", 1, putIf(1_000)}, {"put 3000 if newer", 3, putIf(3_000)},
				{"put 1 if unchanged", 1, putIfUnchanged(1)}, {"put 3000 if unchanged", 3, putIfUnchanged(3_000)},
				{"renew 1", 1, renew(1)}, {"renew 1000", 1, renew(1_000)}, {"renew 3000", 3, renew(3_000)},
				{"use 1", 1, use(1)}, {"use 1000", int64(buckets), use(1_000)}, {"use 3000", int64(3 * buckets), use(3_000)},
				{"get 1000 usages", 1, get(1_000, driver.Usage)},
				{"pop", 1, func() error {
					_, _, err := table.Pop(ctx, keys[2_999], driver.Filter{})
					return err
				}},
				{"count", 1, func() error {
					_, err := table.Count(ctx, driver.Filter{State: driver.Live, Now: now})
					return err
				}},
				// Pages of 1000 places, and of more and more entries. Scripts of several buckets
				// are sent at the same time, but not always as one.
				{"iterate", int64(4*buckets + 14), iterate},
				{"clear nothing", int64(buckets), func() error {
					_, err := table.Clear(ctx, driver.Filter{State: driver.Expired, Now: now})
					return err
				}},
				{"delete 1", 1, remove(1)}, {"delete 1000", 1, remove(1_000)}, {"delete 3000", 3, remove(3_000)},
				{"put 3000 again", 3, put(3_000)},
				{"clear", int64(8 * buckets), func() error {
					_, err := table.Clear(ctx, driver.Filter{})
					return err
				}},
			} {
				tries := 5
				if op.name == "clear" {
					tries = 1 // there is nothing left then
				}
				c.wantTrips(t, op.name, op.most, tries, op.do)
			}
		})
	}
}

// Large entries are sent some at a time, and not read where they are not wanted.
func TestChunksAreBoundedByBytes(t *testing.T) {
	ctx := context.Background()
	table, c := counted(t, &redis.Options{Prefix: newPrefix(t, serverURL(t))})
	entries, keys := trackEntries(50)
	for i := range entries {
		entries[i].Payload = make([]byte, 1<<20)
	}
	c.most.Store(0)
	if err := table.Put(ctx, entries); err != nil {
		t.Fatal(err)
	}
	if n := c.most.Load(); n > 5<<20 {
		t.Errorf("%d bytes were sent at once", n)
	}
	c.received.Store(0)
	c.most.Store(0)
	if renewed, err := table.Renew(ctx, renewals(entries, 1)); err != nil || slices.Contains(renewed, false) {
		t.Errorf("renew reports %v, %v", renewed, err)
	}
	if sent, got := c.most.Load(), c.received.Load(); sent > 1<<16 || got > 1<<16 {
		t.Errorf("renewals have sent %d bytes and received %d", sent, got)
	}
	c.received.Store(0)
	n := 0
	for _, parts := range []driver.Parts{0, driver.Meta} {
		if err := table.Get(ctx, keys, driver.Selection{Parts: parts}, func(int, driver.Entry) { n++ }); err != nil {
			t.Fatal(err)
		}
		for _, err := range table.Entries(ctx, driver.Selection{Parts: parts}) {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
	}
	if got := c.received.Load(); n != 4*len(keys) || got > 1<<20 {
		t.Errorf("%d bytes were received for %d entries without payloads", got, n)
	}
}

// Headers longer than what is read at first.
func TestLongHeadersWithoutPayload(t *testing.T) {
	table, c := counted(t, &redis.Options{Prefix: newPrefix(t, serverURL(t))})
	var keys []driver.Key
	for i := range 40 {
		e := track(i)
		e.Name = string(make([]byte, 100*i))
		keys = append(keys, e.Key)
		put(t, table, e)
	}
	lengths := map[int]int{}
	c.wantTrips(t, "get", 2, 5, func() error {
		return table.Get(context.Background(), keys, driver.Selection{Parts: driver.Meta}, func(i int, e driver.Entry) { lengths[i] = len(e.Name) })
	})
	for i := range keys {
		if n, ok := lengths[i]; !ok || n != 100*i {
			t.Errorf("name %d has %d bytes, want %d", i, n, 100*i)
		}
	}
}

// A loop that saves what it meets comes to an end, also where it lets it expire earlier,
// which has it met again.
func TestAnIterationThatSavesEntriesEnds(t *testing.T) {
	const n = 3_000
	for name, tt := range map[string]struct {
		step time.Duration
		most int
	}{"later": {time.Millisecond, n}, "earlier": {-time.Millisecond, n + n/2}} {
		t.Run(name, func(t *testing.T) {
			table := openTable(t, open(t, serverURL(t), &redis.Options{Prefix: newPrefix(t, serverURL(t))}))
			entries, _ := trackEntries(n)
			put(t, table, entries...)
			yielded, different := 0, map[string]bool{}
			for e, err := range table.Entries(t.Context(), everything) {
				if err != nil {
					t.Fatal(err)
				}
				if yielded++; yielded > tt.most {
					t.Fatal("it goes on and on")
				}
				different[e.Name] = true
				if e.Key[3] == true { // every other one, so that they fill a page
					e.CachedAt = time.Now().UTC().Truncate(time.Microsecond)
					e.ExpiresAt = e.ExpiresAt.Add(time.Duration(yielded) * tt.step)
					put(t, table, e)
				}
			}
			if len(different) != n {
				t.Errorf("%d entries were yielded, want %d", len(different), n)
			}
		})
	}
}

// A page begins below the last place of the one before, also where that is gone, and many
// entries expire at one instant.
func TestAnIterationOverEntriesThatAreDeleted(t *testing.T) {
	s := open(t, serverURL(t), &redis.Options{Prefix: newPrefix(t, serverURL(t))})
	table, err := s.OpenTable(t.Context(), driver.TableSpec{Name: "bytes", Key: tracks.Key[:1]})
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	const n = 5_000
	var entries []driver.Entry
	for i := range n {
		e := track(i)
		id := binary.BigEndian.AppendUint32(nil, uint32(i))
		for range r.IntN(4) {
			id = append(id, byte(r.IntN(256)))
		}
		r.Shuffle(len(id), func(i, j int) { id[i], id[j] = id[j], id[i] })
		e.Key = driver.Key{string(id) + "-" + strconv.Itoa(i)}
		entries = append(entries, e)
	}
	put(t, table, entries...)
	seen := 0
	var keys []driver.Key
	for e, err := range table.Entries(t.Context(), driver.Selection{}) {
		if err != nil {
			t.Fatal(err)
		}
		seen++
		if keys = append(keys, e.Key); len(keys) == 50 {
			if deleted, err := table.Delete(t.Context(), keys); err != nil || deleted != 50 {
				t.Fatalf("%d deleted, %v", deleted, err)
			}
			keys = nil
		}
	}
	if seen != n || count(t, table, driver.Filter{}) != 0 {
		t.Errorf("%d of %d entries were yielded", seen, n)
	}
}
