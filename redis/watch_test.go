package redis_test

import (
	"context"
	"errors"
	"testing"

	"github.com/redis/rueidis"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/drivertest"
	"github.com/endpointcache/endpointcache/internal/testserver"
	"github.com/endpointcache/endpointcache/internal/tracktest"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/redis"
)

// The suite's cluster is used in RESP2, in which nothing is told.
func TestWatchOfACluster(t *testing.T) {
	drivertest.RunTopics(t, harness(clusterURL, open, redis.Options{}), "Watch")
}

func TestWatchOfTablesWithBuckets(t *testing.T) {
	drivertest.RunTopics(t, harness(serverURL, openNew(), redis.Options{Buckets: 7}), "Watch")
}

func TestWatchNeedsRESP3(t *testing.T) {
	for name, s := range map[string]*redis.Store{
		"of the store":  open(t, serverURL(t)+"?protocol=2", nil),
		"of the caller": openNew(func(o *rueidis.ClientOption) { o.AlwaysRESP2 = true })(t, serverURL(t), nil),
	} {
		waitfor.End(t, "Watch returns", func() {
			err := s.Watch(t.Context(), func() { t.Error("it begins") }, func(driver.Change) {})
			if !errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("with a client %s: %v, want %v", name, err, errors.ErrUnsupported)
			}
		})
	}
}

// A user that may not ask to be told, as of a server that does not know how.
func TestWatchThatIsRefused(t *testing.T) {
	t.Parallel() // with servers of its own
	own := testserver.OwnRedis(t, nil)
	s := open(t, own.URL(), nil)
	c := newClient(t, own.URL())
	if err := c.Do(t.Context(), c.B().Arbitrary("ACL", "SETUSER", "default", "-client").Build()).Error(); err != nil {
		t.Fatal(err)
	}
	waitfor.End(t, "Watch returns", func() {
		err := s.Watch(t.Context(), func() { t.Error("it begins") }, func(driver.Change) {})
		if !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("Watch = %v, want %v", err, errors.ErrUnsupported)
		}
	})
}

// Whatever other programs do with the keys is told, too.
func TestChangesByOtherPrograms(t *testing.T) {
	t.Parallel() // with servers of its own
	own := testserver.OwnRedis(t, nil)
	s := open(t, own.URL(), nil)
	put(t, openTable(t, s), track(1), track(2))
	w := tracktest.Watch(t, s)
	c := newClient(t, own.URL())
	do := func(args ...string) {
		t.Helper()
		if err := c.Do(t.Context(), c.B().Arbitrary(args...).Build()).Error(); err != nil {
			t.Fatal(err)
		}
	}
	const name = "endpointcache:{tracks:0}:id-000001:DE:1:false"
	do("PEXPIRE", name, "1")
	w.Told(t, "tracks", track(1).Key)
	if w.Tells("tracks", track(2).Key) {
		t.Error("another entry is told")
	}
	// Keys that are none of the table's are any of its entries.
	w.Forget()
	do("SET", "endpointcache:{tracks:0}:id-000001:DE:one:false", "")
	w.Told(t, "tracks", track(2).Key)
	w.Forget()
	do("FLUSHDB")
	w.Told(t, "albums", track(3).Key)
	w.Forget()
	do("SET", "endpointcache:other", "")
	do("SET", "endpointcacher:{tracks:0}:id-000001:DE:1:false", "")
	do("ZADD", "endpointcache:{tracks:0}", "1", "a")
	put(t, openTable(t, s), track(4)) // the description is told as a change of the table
	w.Told(t, "tracks", track(4).Key)
	if changes := w.Forget(); len(changes) > 2 {
		t.Errorf("what is no entry is told: %v", changes)
	}
}

// wantLost waits for the end of a Watch because its connections are lost.
func wantLost(t *testing.T, w *tracktest.Watched) {
	t.Helper()
	if err := w.Err(t); err == nil || errors.Is(err, context.Canceled) || errors.Is(err, driver.ErrClosed) {
		t.Errorf("Watch = %v, want that of a connection", err)
	}
}

func TestALostConnectionEndsWatch(t *testing.T) {
	t.Parallel() // with servers of its own
	own := testserver.OwnRedis(t, nil)
	s := open(t, own.URL(), nil)
	table := openTable(t, open(t, own.URL(), nil))
	for name, lose := range map[string]func() error{
		"closed by the server": func() error {
			c := newClient(t, own.URL())
			return c.Do(t.Context(), c.B().Arbitrary("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes").Build()).Error()
		},
		"of a server that is killed": func() error { return errors.Join(own.Kill(), own.Restart(t.Context())) },
		"to a server that hangs":     own.Suspend,
	} {
		t.Run(name, func(t *testing.T) {
			one, other := tracktest.Watch(t, s), tracktest.Watch(t, s)
			if err := lose(); err != nil {
				t.Fatal(err)
			}
			wantLost(t, one)
			wantLost(t, other)
			if err := own.Resume(); err != nil {
				t.Fatal(err)
			}
			waitfor.True(t, "the server answers", func() bool { return table.Put(t.Context(), []driver.Entry{track(1)}) == nil })
			again := tracktest.Watch(t, s)
			put(t, table, track(2))
			again.Told(t, "tracks", track(2).Key)
		})
	}
}

// Watch and Close end with a server that does not answer.
func TestWatchOfAServerThatHangs(t *testing.T) {
	t.Parallel() // with servers of its own
	own := testserver.OwnRedis(t, nil)
	s := open(t, own.URL(), nil)
	w := tracktest.Watch(t, s)
	if err := own.Suspend(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- s.Watch(ctx, func() { t.Error("it begins") }, func(driver.Change) {})
	}()
	cancel()
	if err := waitfor.Receive(t, "a Watch that cannot begin ends with its context", ended); !errors.Is(err, context.Canceled) {
		t.Errorf("Watch = %v", err)
	}
	waitfor.End(t, "the store is closed", func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := w.Err(t); !errors.Is(err, driver.ErrClosed) {
		t.Errorf("Watch = %v", err)
	}
	if err := own.Resume(); err != nil {
		t.Fatal(err)
	}
}

func TestANodeOfAClusterThatIsLostEndsWatch(t *testing.T) {
	t.Parallel() // with servers of its own
	own := testserver.OwnRedisCluster(t, nil)
	w := tracktest.Watch(t, open(t, own.URL(), nil))
	if err := own.Nodes[1].Kill(); err != nil {
		t.Fatal(err)
	}
	wantLost(t, w)
}

// What is read from a replica has changed when that tells so.
func TestReplicasOfAClusterTellOfChanges(t *testing.T) {
	t.Parallel() // with servers of its own
	own := testserver.OwnRedisClusterWithReplicas(t, nil)
	var client rueidis.Client
	waitfor.True(t, "a client knows the replicas", func() bool {
		client = newClient(t, own.URL())
		return len(client.Nodes()) == len(own.Nodes)
	})
	w := tracktest.Watch(t, tracktest.Opened[*redis.Store](t)(redis.New(t.Context(), client, nil)))
	table := openTable(t, open(t, own.URL(), nil))
	puts, told := 0, 0
	waitfor.True(t, "a node and its replica tell of the same change", func() bool {
		if told >= puts {
			puts++
			put(t, table, track(1))
		}
		for _, c := range w.Forget() {
			told += len(c.Keys)
		}
		return told > puts
	})
}

// The old master lives on, and tells of nothing.
func TestAFailoverEndsWatch(t *testing.T) {
	t.Parallel() // with servers of its own
	own := testserver.OwnRedisSentinel(t, nil)
	s := open(t, own.URL(), nil)
	w := tracktest.Watch(t, s)
	if err := own.Master.Suspend(); err != nil {
		t.Fatal(err)
	}
	wantLost(t, w)
	table := openTable(t, s)
	waitfor.True(t, "the replica is promoted", func() bool {
		return table.Put(t.Context(), []driver.Entry{track(1)}) == nil
	})
	w = tracktest.Watch(t, s)
	put(t, openTable(t, open(t, own.URL(), nil)), track(2))
	w.Told(t, "tracks", track(2).Key)
	if err := own.Master.Resume(); err != nil {
		t.Fatal(err)
	}
}
