package outage

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/jackc/pgx/v5"
	"github.com/rs/zerolog"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/testserver"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/postgres"
)

// back is how soon work has to go on when a failure is over.
const back = waitfor.Limit

// world is a server and a store, with a network between them that can fail.
type world struct {
	*testing.T
	server  *testserver.Postgres
	network *toxiproxy.Proxy
	store   driver.Store
	table   driver.Table

	// direct is the same table by another way, which does not fail.
	direct driver.Table
}

var spec = driver.TableSpec{
	Name: "tracks",
	Key:  []driver.Column{{Name: "id", Kind: driver.String}, {Name: "page", Kind: driver.Int}},
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, server: testserver.OwnPostgres(t, nil)}
	server, err := url.Parse(w.server.URL())
	if err != nil {
		t.Fatal(err)
	}
	proxies := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	w.network = toxiproxy.NewProxy(proxies, "network", "127.0.0.1:0", server.Host)
	if err := w.network.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.network.Stop)

	through := *server
	through.Host = w.network.Listen
	through.RawQuery += "&pool_max_conns=8"
	w.store, w.table = w.open(through.String(), "through")
	_, w.direct = w.open(server.String(), "direct")
	return w
}

func (w *world) open(url, name string) (driver.Store, driver.Table) {
	w.Helper()
	store, err := postgres.Open(w.Context(), url, &postgres.Options{ApplicationName: name})
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { store.Close() })
	table, err := store.OpenTable(w.Context(), spec)
	if err != nil {
		w.Fatal(err)
	}
	return store, table
}

// toxic makes the network fail until heal: attributes are the JSON of the toxic's
// own, and directions are "upstream", to the server, and "downstream".
func (w *world) toxic(kind, attributes string, directions ...string) {
	w.Helper()
	for _, direction := range directions {
		text := fmt.Sprintf(`{"type":%q,"stream":%q,"attributes":%s}`, kind, direction, attributes)
		if _, err := w.network.Toxics.AddToxicJson(strings.NewReader(text)); err != nil {
			w.Fatal(err)
		}
	}
}

func (w *world) heal() { w.network.Toxics.ResetToxics(context.Background()) }

// terminate ends the server's side of all connections of the store, and returns
// how many those were.
func (w *world) terminate() int {
	w.Helper()
	return w.count("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'through'")
}

// count asks the server for a number on a connection of its own.
func (w *world) count(sql string) (n int) {
	w.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, w.server.URL())
	if err != nil {
		w.Fatal(err)
	}
	defer conn.Close(ctx)
	if err := conn.QueryRow(ctx, sql).Scan(&n); err != nil {
		w.Fatal(err)
	}
	return n
}

// times is how often something fails: n times, or half as often in the short form.
func times(n int) int {
	if testing.Short() {
		return n / 2
	}
	return n
}

// expectClosed closes the store and checks that it leaves no connection behind.
func (w *world) expectClosed() {
	w.Helper()
	if err := w.store.Close(); err != nil {
		w.Error(err)
	}
	waitfor.True(w, "the server has no connections of a store that is closed", func() bool {
		return w.count("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'through'") == 0
	})
}
