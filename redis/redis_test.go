package redis_test

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/rueidis"
	"go.uber.org/goleak"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/drivertest"
	"github.com/endpointcache/endpointcache/internal/testenv"
	"github.com/endpointcache/endpointcache/internal/tracktest"
	"github.com/endpointcache/endpointcache/redis"
)

// TestMain looks for goroutines that were left. A client of a cluster closes what it has
// no use for after five seconds.
func TestMain(m *testing.M) {
	code := m.Run()
	if code == 0 {
		err := goleak.Find()
		for deadline := time.Now().Add(10 * time.Second); err != nil && time.Now().Before(deadline); {
			err = goleak.Find()
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

func serverURL(tb testing.TB) string {
	tb.Helper()
	return testenv.URL(tb, "REDIS_TEST_URL")
}

func clusterURL(tb testing.TB) string {
	tb.Helper()
	return testenv.URL(tb, "REDIS_CLUSTER_TEST_URL")
}

// newPrefix returns a prefix that the test has for itself on the server at url. What is
// under it is removed after the test.
func newPrefix(tb testing.TB, url string) string {
	tb.Helper()
	prefix := tracktest.NewName()
	tb.Cleanup(func() {
		c := newClient(tb, url)
		for _, key := range keysOf(tb, c, prefix+":*") {
			if err := c.Do(context.Background(), c.B().Unlink().Key(key).Build()).Error(); err != nil {
				tb.Error(err)
			}
		}
	})
	return prefix
}

// newClient is a client of the test's own.
func newClient(tb testing.TB, url string, settings ...func(*rueidis.ClientOption)) rueidis.Client {
	tb.Helper()
	option, err := rueidis.ParseURL(url)
	if err != nil {
		tb.Fatal(err)
	}
	option.DisableCache = true
	option.Sentinel.Password = option.Password
	for _, set := range settings {
		set(&option)
	}
	client, err := rueidis.NewClient(option)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(client.Close)
	return client
}

// keysOf returns all keys of all nodes that match a pattern.
func keysOf(tb testing.TB, c rueidis.Client, pattern string) (keys []string) {
	tb.Helper()
	for _, node := range c.Nodes() {
		for cursor := uint64(0); ; {
			entry, err := node.Do(context.Background(), node.B().Scan().Cursor(cursor).Match(pattern).Count(10_000).Build()).AsScanEntry()
			if err != nil {
				tb.Fatal(err)
			}
			keys = append(keys, entry.Elements...)
			if cursor = entry.Cursor; cursor == 0 {
				break
			}
		}
	}
	return keys
}

// open opens a store, which is closed when the test ends.
func open(tb testing.TB, url string, opts *redis.Options) *redis.Store {
	tb.Helper()
	return tracktest.Opened[*redis.Store](tb)(redis.Open(context.Background(), url, opts))
}

var (
	tracks       = tracktest.Spec
	track        = tracktest.Entry
	trackEntries = tracktest.Entries
	now          = tracktest.Now
	openTable    = tracktest.Table
	put          = tracktest.Put
)

func count(tb testing.TB, table driver.Table, f driver.Filter) int {
	tb.Helper()
	n, err := table.Count(context.Background(), f)
	if err != nil {
		tb.Fatal(err)
	}
	return n
}

var everything = driver.Selection{Parts: driver.Payload | driver.Meta}

// found returns how many of the keys a get finds.
func found(tb testing.TB, table driver.Table, keys ...driver.Key) int {
	tb.Helper()
	var n atomic.Int64
	if err := table.Get(context.Background(), keys, everything, func(int, driver.Entry) { n.Add(1) }); err != nil {
		tb.Fatal(err)
	}
	return int(n.Load())
}

// yielded returns how many entries an iteration yields.
func yielded(tb testing.TB, table driver.Table, sel driver.Selection) (n int) {
	tb.Helper()
	for _, err := range table.Entries(context.Background(), sel) {
		if err != nil {
			tb.Fatal(err)
		}
		n++
	}
	return n
}

// harness opens each store under a prefix of its own.
func harness(url func(testing.TB) string, open func(tb testing.TB, url string, o *redis.Options) *redis.Store, opts redis.Options) drivertest.Harness {
	return drivertest.At(
		func(tb testing.TB) string { return newPrefix(tb, url(tb)) },
		func(tb testing.TB, prefix string) driver.Store {
			o := opts
			o.Prefix = prefix
			return open(tb, url(tb), &o)
		})
}

// openNew opens a store on a client of the test's.
func openNew(settings ...func(*rueidis.ClientOption)) func(testing.TB, string, *redis.Options) *redis.Store {
	return func(tb testing.TB, url string, o *redis.Options) *redis.Store {
		s, err := redis.New(context.Background(), newClient(tb, url, settings...), o)
		if err != nil {
			tb.Fatal(err)
		}
		return s
	}
}

// oneServer is of stores that have a client of their own.
func oneServer() drivertest.Harness { return harness(serverURL, open, redis.Options{}) }

func TestConformance(t *testing.T) { drivertest.Run(t, oneServer()) }

// The client is the caller's, and speaks RESP2.
func TestConformanceOnACluster(t *testing.T) {
	resp2 := func(o *rueidis.ClientOption) { o.AlwaysRESP2 = true }
	drivertest.Run(t, harness(clusterURL, openNew(resp2), redis.Options{}))
}

// A table on one server may have several buckets.
func TestConformanceWithBuckets(t *testing.T) {
	drivertest.RunTopics(t, harness(serverURL, openNew(), redis.Options{Buckets: 7}),
		"Keys", "Put", "Delete", "Pop", "Expiry", "Clear", "Leading", "Where", "Usage", "Tables", "Parts", "Concurrent")
}

func Benchmark(b *testing.B) { drivertest.Bench(b, oneServer()) }
