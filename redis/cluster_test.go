package redis_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/drivertest"
	"github.com/endpointcache/endpointcache/internal/testserver"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/redis"
)

// nodeClient is a client of one node alone.
func nodeClient(t *testing.T, node *testserver.Redis) rueidis.Client {
	t.Helper()
	return newClient(t, node.URL(), func(o *rueidis.ClientOption) { o.ForceSingleClient = true })
}

// follow makes a server the replica of another.
func follow(t *testing.T, replica, master *testserver.Redis) {
	t.Helper()
	c := nodeClient(t, replica)
	u, err := url.Parse(master.URL())
	if err != nil {
		t.Fatal(err)
	}
	password, _ := u.User.Password()
	configure(t, c, "masterauth", password)
	if err := c.Do(t.Context(), c.B().Replicaof().Host(u.Hostname()).Port(port(t, master)).Build()).Error(); err != nil {
		t.Fatal(err)
	}
}

func port(t *testing.T, node *testserver.Redis) int64 {
	t.Helper()
	u, err := url.Parse(node.URL())
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.ParseInt(u.Port(), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// saver saves entries one after the other, and remembers those that were acknowledged.
type saver struct {
	table driver.Table

	mu     sync.Mutex
	next   int
	saved  []driver.Key
	errs   []error
	failed atomic.Int64
}

// run saves until stop is closed, some at a time in several goroutines.
func (s *saver) run(stop <-chan struct{}) {
	var wait sync.WaitGroup
	for range 8 {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for {
				select {
				case <-stop:
					return
				default:
				}
				s.save()
			}
		}()
	}
	wait.Wait()
}

func (s *saver) save() {
	s.mu.Lock()
	e := track(s.next)
	s.next++
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	err := s.table.Put(ctx, []driver.Entry{e})
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.failed.Add(1)
		s.errs = append(s.errs, err)
		return
	}
	s.saved = append(s.saved, e.Key)
}

func (s *saver) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.saved)
}

// A node of a cluster without replicas goes away during a load: what is on it fails with
// a reason, the rest goes on, and when it is back, all that was acknowledged is there.
func TestANodeThatGoesAwayDuringALoad(t *testing.T) {
	t.Parallel() // with servers of its own
	own := testserver.OwnRedisCluster(t, nil)
	s := open(t, own.URL(), nil)
	table := openTable(t, s)
	load := &saver{table: table}
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		load.run(stop)
	}()
	waitfor.True(t, "some are saved", func() bool { return load.count() > 300 })
	if err := own.Nodes[1].Kill(); err != nil {
		t.Fatal(err)
	}
	waitfor.True(t, "saves fail", func() bool { return load.failed.Load() > 0 })
	before := load.count()
	waitfor.True(t, "saves to other nodes go on", func() bool { return load.count() > before+20 })

	// A bulk that touches the node fails as a whole, soon.
	entries, keys := trackEntries(300)
	waitfor.End(t, "calls that touch the node end", func() {
		err := table.Get(t.Context(), keys, everything, func(int, driver.Entry) {})
		var opError *driver.OpError
		if !errors.As(err, &opError) {
			t.Errorf("get: %v", err)
		}
		if err := table.Put(t.Context(), entries); err == nil {
			t.Error("a put without the node is no error")
		}
	})
	if _, err := table.Count(t.Context(), driver.Filter{}); err == nil {
		t.Error("a count without the node is no error")
	}

	if err := own.Nodes[1].Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	waitfor.True(t, "the cluster recovers", func() bool { return table.Put(t.Context(), entries) == nil })
	close(stop)
	<-done
	kinds := map[string]int{}
	for _, err := range load.errs {
		kinds[err.Error()]++
	}
	t.Logf("%d saved, %d failed: %v", load.count(), load.failed.Load(), kinds)
	if n := found(t, table, load.saved...); n != len(load.saved) {
		t.Errorf("%d of %d acknowledged entries are there", n, len(load.saved))
	}
	wantConsistent(t, newClient(t, own.URL()), "endpointcache")
}

// A replica takes the place of a node that goes away during a load.
func TestAReplicaTakesOverDuringALoad(t *testing.T) {
	t.Parallel() // with servers of its own
	own := testserver.OwnRedisClusterWithReplicas(t, nil)
	wantReadsFromReplicas(t, own)
	table := openTable(t, open(t, own.URL(), nil))
	load := &saver{table: table}
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		load.run(stop)
	}()
	waitfor.True(t, "some are saved", func() bool { return load.count() > 300 })
	if err := own.Nodes[0].Kill(); err != nil {
		t.Fatal(err)
	}
	entries, keys := trackEntries(500)
	waitfor.True(t, "a replica takes over", func() bool { return table.Put(t.Context(), entries) == nil })
	before := load.count()
	waitfor.True(t, "saves go on", func() bool { return load.count() > before+100 })
	close(stop)
	<-done
	if n := found(t, table, keys...); n != 500 {
		t.Errorf("%d of 500 entries are there", n)
	}
	t.Logf("%d saved, %d failed", load.count(), load.failed.Load())
}

// wantReadsFromReplicas fails the test unless a store works on a client that reads from
// replicas, which have later what was saved.
func wantReadsFromReplicas(t *testing.T, own *testserver.RedisCluster) {
	t.Helper()
	client := newClient(t, own.URL(), func(o *rueidis.ClientOption) {
		o.SendToReplicas = func(command rueidis.Completed) bool { return command.IsReadOnly() }
	})
	entries, keys := trackEntries(200)
	for i := range 10 {
		s, err := redis.New(t.Context(), client, &redis.Options{Prefix: "replicas-" + strconv.Itoa(i)})
		if err != nil {
			t.Fatal(err)
		}
		table := openTable(t, s)
		put(t, table, entries...)
		if n, err := table.Delete(t.Context(), keys[:50]); err != nil || n != 50 {
			t.Errorf("delete removed %d, %v, want 50", n, err)
		}
		if n, err := table.Clear(t.Context(), driver.Filter{}); err != nil || n != 150 {
			t.Errorf("clear removed %d, %v, want 150", n, err)
		}
		waitfor.True(t, "replicas remove what was removed", func() bool { return found(t, table, keys...) == 0 })
	}
}

// Sentinel lets a replica take the place of the server.
func TestSentinelPromotesAReplica(t *testing.T) {
	t.Parallel() // with servers of its own
	own := testserver.OwnRedisSentinel(t, nil)
	url := func(testing.TB) string { return own.URL() }
	drivertest.RunTopics(t, harness(url, open, redis.Options{}), "Put", "Delete", "Pop", "Clear", "Parts")
	table := openTable(t, open(t, own.URL(), nil))
	entries, keys := trackEntries(500)
	put(t, table, entries...)
	replica := nodeClient(t, own.Replica)
	waitfor.True(t, "the replica has everything", func() bool {
		n, err := replica.Do(t.Context(), replica.B().Dbsize().Build()).AsInt64()
		return err == nil && n == 502
	})
	if err := own.Master.Kill(); err != nil {
		t.Fatal(err)
	}
	waitfor.True(t, "the replica is promoted", func() bool { return table.Put(t.Context(), entries[:10]) == nil })
	if n := found(t, table, keys...); n != 500 {
		t.Errorf("%d of 500 entries are there", n)
	}
}

// Slots move from one node to another during a load of all operations. None fails.
func TestSlotsMoveDuringALoad(t *testing.T) {
	t.Parallel() // with servers of its own
	own := testserver.OwnRedisCluster(t, nil)
	s := open(t, own.URL(), nil)
	table := openTable(t, s)
	entries, keys := trackEntries(2_000)
	put(t, table, entries...)
	stop := make(chan struct{})
	var wait sync.WaitGroup
	for name, op := range map[string]func() error{
		"put":     func() error { return table.Put(t.Context(), entries) },
		"put one": func() error { return table.Put(t.Context(), entries[7:8]) },
		"get": func() error {
			n := 0
			err := table.Get(t.Context(), keys, everything, func(int, driver.Entry) { n++ })
			if err == nil && n < 1_990 {
				err = fmt.Errorf("%d entries, want 1990 at least", n)
			}
			return err
		},
		"delete": func() error {
			_, err := table.Delete(t.Context(), keys[:5])
			return err
		},
		"pop": func() error {
			_, _, err := table.Pop(t.Context(), keys[9], driver.Filter{})
			return err
		},
		"clear": func() error {
			_, err := table.Clear(t.Context(), driver.Filter{State: driver.Expired, Now: now})
			return err
		},
		"iterate": func() error {
			for _, err := range table.Entries(t.Context(), everything) {
				if err != nil {
					return err
				}
			}
			return nil
		},
	} {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := op(); err != nil {
					t.Errorf("%s: %v", name, err)
					return
				}
			}
		}()
	}
	nodes := make([]rueidis.Client, len(own.Nodes))
	for i, node := range own.Nodes {
		nodes[i] = nodeClient(t, node)
	}
	for bucket := range 8 {
		moveSlot(t, own, nodes, "tracks:"+strconv.Itoa(bucket))
	}
	close(stop)
	wait.Wait()
	put(t, table, entries...)
	if n := found(t, table, keys...); n != len(keys) || count(t, table, driver.Filter{}) != n {
		t.Errorf("%d of %d entries", n, len(keys))
	}
	wantConsistent(t, newClient(t, own.URL()), "endpointcache")
}

// moveSlot moves a tag's slot from its node to the next one, as redis-cli does it.
func moveSlot(t *testing.T, own *testserver.RedisCluster, nodes []rueidis.Client, tag string) {
	t.Helper()
	cluster := func(node int, args ...string) rueidis.RedisResult {
		t.Helper()
		result := nodes[node].Do(t.Context(), nodes[node].B().Arbitrary("CLUSTER").Args(args...).Build())
		if err := result.Error(); err != nil {
			t.Fatalf("CLUSTER %v: %v", args, err)
		}
		return result
	}
	id := func(node int) string {
		s, _ := cluster(node, "MYID").ToString()
		return s
	}
	n, err := cluster(0, "KEYSLOT", tag).AsInt64()
	if err != nil {
		t.Fatal(err)
	}
	slot := strconv.FormatInt(n, 10)
	from := int(n) * 3 / 16_384
	to := (from + 1) % 3
	if nodes[from].Do(t.Context(), nodes[from].B().Arbitrary("CLUSTER", "SETSLOT", slot, "MIGRATING").Args(id(to)).Build()).Error() != nil {
		return // it has another tag's slot, which was moved before
	}
	cluster(to, "SETSLOT", slot, "IMPORTING", id(from))
	u, err := url.Parse(own.Nodes[to].URL())
	if err != nil {
		t.Fatal(err)
	}
	password, _ := u.User.Password()
	waitfor.True(t, "the slot is empty", func() bool {
		keys, err := cluster(from, "GETKEYSINSLOT", slot, "10").AsStrSlice()
		if err != nil {
			t.Fatal(err)
		}
		if len(keys) == 0 {
			return true
		}
		c := nodes[from]
		args := append([]string{"127.0.0.1", u.Port(), "", "0", "60000", "AUTH", password, "KEYS"}, keys...)
		if err := c.Do(t.Context(), c.B().Arbitrary("MIGRATE").Args(args...).Build()).Error(); err != nil {
			t.Fatalf("MIGRATE: %v", err)
		}
		return false
	})
	for _, node := range []int{to, from, (to + 1) % 3} {
		cluster(node, "SETSLOT", slot, "NODE", id(to))
	}
}
