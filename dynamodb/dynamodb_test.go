package dynamodb_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"go.uber.org/goleak"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/drivertest"
	"github.com/endpointcache/endpointcache/dynamodb"
	"github.com/endpointcache/endpointcache/internal/testenv"
	"github.com/endpointcache/endpointcache/internal/tracktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func serverURL(tb testing.TB) string {
	tb.Helper()
	return testenv.URL(tb, "DYNAMODB_TEST_URL")
}

// newName is a name that nobody else uses, for tables, prefixes and namespaces. The
// tables whose names begin so are removed after the test.
func newName(tb testing.TB) string {
	tb.Helper()
	name := tracktest.NewName()
	client := newClient(tb)
	tb.Cleanup(func() {
		tables := awsdynamodb.NewListTablesPaginator(client, &awsdynamodb.ListTablesInput{ExclusiveStartTableName: &name})
		for tables.HasMorePages() {
			page, err := tables.NextPage(context.Background())
			if err != nil {
				tb.Error(err)
				return
			}
			for _, table := range page.TableNames {
				if !strings.HasPrefix(table, name) {
					return // they are in order
				}
				if _, err := client.DeleteTable(context.Background(), &awsdynamodb.DeleteTableInput{TableName: &table}); err != nil {
					tb.Error(err)
				}
			}
		}
	})
	return name
}

// newClient is a client of the caller's own, which talks to the tests' server.
func newClient(tb testing.TB, settings ...func(*awsdynamodb.Options)) *awsdynamodb.Client {
	tb.Helper()
	o, err := dynamodb.ParseURL(serverURL(tb))
	if err != nil {
		tb.Fatal(err)
	}
	client, closeIdle, err := dynamodb.NewClient(context.Background(), o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(closeIdle)
	return awsdynamodb.New(client.Options(), settings...)
}

// open opens a store, which is closed when the test ends.
func open(tb testing.TB, opts *dynamodb.Options) *dynamodb.Store {
	tb.Helper()
	return tracktest.Opened[*dynamodb.Store](tb)(dynamodb.Open(context.Background(), serverURL(tb), opts))
}

// with opens a store on a client of the caller's own.
func with(tb testing.TB, client *awsdynamodb.Client, opts *dynamodb.Options) *dynamodb.Store {
	tb.Helper()
	s, err := dynamodb.New(context.Background(), client, opts)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { s.Close() })
	return s
}

var (
	tracks       = tracktest.Spec
	track        = tracktest.Entry
	trackEntries = tracktest.Entries
	now          = tracktest.Now
	openTable    = tracktest.Table
	put          = tracktest.Put
)

var everything = driver.Selection{Parts: driver.Payload | driver.Meta}

// get returns the entries that are there, by the indices of their keys.
func get(tb testing.TB, table driver.Table, keys ...driver.Key) map[int]driver.Entry {
	tb.Helper()
	var mu sync.Mutex
	found := make(map[int]driver.Entry)
	err := table.Get(context.Background(), keys, everything, func(i int, e driver.Entry) {
		mu.Lock()
		defer mu.Unlock()
		found[i] = e
	})
	if err != nil {
		tb.Fatal(err)
	}
	return found
}

// harness opens each store on data of its own: apart sets what keeps it so.
func harness(apart func(o *dynamodb.Options, name string), open func(testing.TB, *dynamodb.Options) *dynamodb.Store, opts dynamodb.Options) drivertest.Harness {
	h := drivertest.At(newName, func(tb testing.TB, name string) driver.Store {
		o := opts
		apart(&o, name)
		return open(tb, &o)
	})
	h.MaxKey, h.MaxPayload = 128<<10, dynamodb.MaxPayload
	h.Many = 250 // several requests of each kind; DynamoDB Local is slow
	return h
}

func shared() drivertest.Harness {
	return harness(func(o *dynamodb.Options, name string) { o.Table = name }, open, dynamodb.Options{Namespace: "a cache"})
}

// separate has what differs in layout from shared.
func separate() drivertest.Harness {
	byNew := func(tb testing.TB, o *dynamodb.Options) *dynamodb.Store { return with(tb, newClient(tb), o) }
	return harness(func(o *dynamodb.Options, name string) { o.TablePrefix = name }, byNew, dynamodb.Options{
		NoTTL: true, CompressFrom: 1, Parallel: 2, PartitionAttribute: "part of", KeyAttribute: `the "key"`, ValueAttribute: "payload",
	})
}

func TestConformance(t *testing.T) {
	t.Run("one table for all", func(t *testing.T) { drivertest.Run(t, shared()) })
	t.Run("a table for each repository, the caller's client, all compressed, other attributes, no TTL", func(t *testing.T) {
		// Keys, states and conditions do not differ.
		drivertest.RunTopics(t, separate(), "Open", "Names", "Values", "Delete", "Parts", "Tables", "Usage")
	})
}

func Benchmark(b *testing.B) { drivertest.Bench(b, shared()) }
