package postgres_test

import (
	"context"
	"net/url"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/goleak"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/drivertest"
	"github.com/endpointcache/endpointcache/internal/testenv"
	"github.com/endpointcache/endpointcache/internal/tracktest"
	"github.com/endpointcache/endpointcache/postgres"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func serverURL(tb testing.TB) string {
	tb.Helper()
	return testenv.URL(tb, "POSTGRES_TEST_URL")
}

// poolerURL is of a PgBouncer that gives each transaction a connection.
func poolerURL(tb testing.TB) string {
	tb.Helper()
	return testenv.URL(tb, "PGBOUNCER_TEST_URL")
}

// newSchema returns the name of a schema that the test has for itself.
func newSchema(tb testing.TB) string {
	tb.Helper()
	schema := tracktest.NewName()
	url := serverURL(tb)
	tb.Cleanup(func() {
		ctx := context.Background()
		c, err := pgx.Connect(ctx, url)
		if err != nil {
			tb.Error(err)
			return
		}
		defer c.Close(ctx)
		if _, err := c.Exec(ctx, "DROP SCHEMA IF EXISTS "+schema+" CASCADE"); err != nil {
			tb.Error(err)
		}
	})
	return schema
}

// newDatabase returns the name of a database that the test has for itself.
func newDatabase(tb testing.TB, options string) string {
	tb.Helper()
	c, name := connect(tb), tracktest.NewName()
	if _, err := c.Exec(tb.Context(), "CREATE DATABASE "+name+" TEMPLATE template0 "+options); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if _, err := c.Exec(context.Background(), "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			tb.Error(err)
		}
	})
	return name
}

// open opens a store, which is closed when the test ends.
func open(tb testing.TB, url string, opts *postgres.Options) *postgres.Store {
	tb.Helper()
	return tracktest.Opened[*postgres.Store](tb)(postgres.Open(context.Background(), url, opts))
}

// newPool is a pool of the caller's own in a mode of running queries.
func newPool(tb testing.TB, mode pgx.QueryExecMode, settings ...func(*pgxpool.Config)) *pgxpool.Pool {
	tb.Helper()
	config, err := pgxpool.ParseConfig(serverURL(tb))
	if err != nil {
		tb.Fatal(err)
	}
	config.ConnConfig.DefaultQueryExecMode = mode
	for _, set := range settings {
		set(config)
	}
	pool, err := pgxpool.NewWithConfig(context.Background(), config)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(pool.Close)
	return pool
}

// connect is a connection beside the store's.
func connect(tb testing.TB) *pgx.Conn {
	tb.Helper()
	c, err := pgx.Connect(context.Background(), serverURL(tb))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { c.Close(context.Background()) })
	return c
}

var (
	tracks       = tracktest.Spec
	track        = tracktest.Entry
	trackEntries = tracktest.Entries
	now          = tracktest.Now
	openTable    = tracktest.Table
)

// harness opens each store in a schema of its own.
func harness(open func(tb testing.TB, o *postgres.Options) *postgres.Store, opts postgres.Options) drivertest.Harness {
	return drivertest.At(newSchema, func(tb testing.TB, schema string) driver.Store {
		o := opts
		o.Schema = schema
		return open(tb, &o)
	})
}

// harnesses are the ways to open a store.
func harnesses() map[string]drivertest.Harness {
	at := func(url func(testing.TB) string) func(testing.TB, *postgres.Options) *postgres.Store {
		return func(tb testing.TB, o *postgres.Options) *postgres.Store { return open(tb, url(tb), o) }
	}
	on := func(mode pgx.QueryExecMode, settings ...func(*pgxpool.Config)) func(testing.TB, *postgres.Options) *postgres.Store {
		return func(tb testing.TB, o *postgres.Options) *postgres.Store {
			s, err := postgres.New(context.Background(), newPool(tb, mode, settings...), o)
			if err != nil {
				tb.Fatal(err)
			}
			return s
		}
	}
	all := func(p postgres.PayloadType) map[string]postgres.TableOptions {
		return map[string]postgres.TableOptions{"tracks": {Payload: p}}
	}
	serializable := func(c *pgxpool.Config) {
		c.ConnConfig.RuntimeParams["default_transaction_isolation"] = "serializable"
	}
	return map[string]drivertest.Harness{
		"default":                           harness(at(serverURL), postgres.Options{}),
		"PgBouncer, JSONB, unlogged tables": harness(at(poolerURL), postgres.Options{NoPrepare: true, Tables: all(postgres.JSONB), Unlogged: true}),
		"the caller's pool, serializable, without prepared statements, text": harness(
			on(pgx.QueryExecModeExec, serializable), postgres.Options{TablePrefix: `cache "one" `, Tables: all(postgres.Text)}),
	}
}

func TestConformance(t *testing.T) {
	for name, h := range harnesses() {
		t.Run(name, func(t *testing.T) {
			if name != "default" {
				drivertest.RunTopics(t, h, whatSettingsChange...)
			} else {
				drivertest.Run(t, h)
			}
		})
	}
}

// whatSettingsChange are the topics that the protocol, the isolation, the names and the
// types of columns can fail: those that send keys and values, and that meet others.
var whatSettingsChange = []string{"Names", "Keys", "Values", "PutIf", "Delete", "Watch", "Concurrent"}

func Benchmark(b *testing.B) { drivertest.Bench(b, harnesses()["default"]) }

// withParameter is the server's URL with one more parameter of its sessions.
func withParameter(tb testing.TB, name, value string) string {
	tb.Helper()
	u, err := url.Parse(serverURL(tb))
	if err != nil {
		tb.Skip("the server's address is no URL")
	}
	query := u.Query()
	query.Set(name, value)
	u.RawQuery = query.Encode()
	return u.String()
}
