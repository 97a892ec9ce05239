package mongodb_test

import (
	"context"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.uber.org/goleak"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/drivertest"
	"github.com/endpointcache/endpointcache/internal/testenv"
	"github.com/endpointcache/endpointcache/internal/tracktest"
	"github.com/endpointcache/endpointcache/mongodb"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func serverURL(tb testing.TB) string {
	tb.Helper()
	return testenv.URL(tb, "MONGODB_TEST_URL")
}

// newClient is a client of the caller's own.
func newClient(tb testing.TB, url string, settings ...func(*options.ClientOptions)) *mongo.Client {
	tb.Helper()
	config := options.Client().ApplyURI(url)
	for _, set := range settings {
		set(config)
	}
	client, err := mongo.Connect(config)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { client.Disconnect(context.Background()) })
	return client
}

// newDatabase returns the name of a database that the test has for itself.
func newDatabase(tb testing.TB) string {
	tb.Helper()
	name := tracktest.NewName()
	client := newClient(tb, serverURL(tb))
	tb.Cleanup(func() {
		if err := client.Database(name).Drop(context.Background()); err != nil {
			tb.Error(err)
		}
	})
	return name
}

// open opens a store, which is closed when the test ends.
func open(tb testing.TB, url string, opts *mongodb.Options) *mongodb.Store {
	tb.Helper()
	return tracktest.Opened[*mongodb.Store](tb)(mongodb.Open(context.Background(), url, opts))
}

var (
	tracks       = tracktest.Spec
	track        = tracktest.Entry
	trackEntries = tracktest.Entries
	now          = tracktest.Now
	openTracks   = tracktest.Table
)

// harness opens each store in a database of its own.
func harness(open func(tb testing.TB, database string) *mongodb.Store) drivertest.Harness {
	h := drivertest.At(newDatabase, func(tb testing.TB, database string) driver.Store { return open(tb, database) })
	h.MaxPayload = 15 << 20
	return h
}

// ferretMany is enough for FerretDB, which reads the whole collection for most
// commands: more than a command puts, and twice more than two pages.
const ferretMany = 1_100

func defaultHarness() drivertest.Harness {
	return harness(func(tb testing.TB, database string) *mongodb.Store {
		return open(tb, serverURL(tb), &mongodb.Options{Database: database})
	})
}

func TestConformance(t *testing.T) {
	h := defaultHarness()
	if isFerretDB(t) {
		h.Many, h.Loose = ferretMany, true
	}
	drivertest.Run(t, h)
}

// Nothing but names, expiry and closing differs with these settings.
func TestConformanceOfTheCallersClient(t *testing.T) {
	h := harness(func(tb testing.TB, database string) *mongodb.Store {
		db := newClient(tb, serverURL(tb)).Database(database)
		s, err := mongodb.New(context.Background(), db, &mongodb.Options{Prefix: "cache.", KeepExpired: -1})
		if err != nil {
			tb.Fatal(err)
		}
		return s
	})
	if isFerretDB(t) {
		h.Many = ferretMany
	}
	drivertest.RunTopics(t, h, "Open", "Names", "Expiry", "Close")
}

func Benchmark(b *testing.B) { drivertest.Bench(b, defaultHarness()) }

// isFerretDB reports whether the server is one without TTL indexes.
func isFerretDB(tb testing.TB) bool {
	tb.Helper()
	info, err := newClient(tb, serverURL(tb)).Database("test").RunCommand(context.Background(), bson.D{{Key: "buildInfo", Value: 1}}).Raw()
	if err != nil {
		tb.Fatal(err)
	}
	return strings.Contains(info.String(), "ferretdbFeatures")
}
