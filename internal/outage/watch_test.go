package outage

import (
	"context"
	"errors"
	"testing"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/testserver"
	"github.com/endpointcache/endpointcache/internal/tracktest"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/postgres"
)

// A Watch ends with its server, and another one can begin when that is back.
func TestAServerThatIsRestartedEndsWatch(t *testing.T) {
	t.Parallel()
	server := testserver.OwnPostgres(t, nil)
	open := func() *postgres.Store {
		return tracktest.Opened[*postgres.Store](t)(postgres.Open(t.Context(), server.URL(), nil))
	}
	s, table := open(), tracktest.Table(t, open())
	watched := tracktest.Watch(t, s)
	if err := errors.Join(server.Kill(), server.Restart(t.Context())); err != nil {
		t.Fatal(err)
	}
	if err := watched.Err(t); err == nil || errors.Is(err, context.Canceled) || errors.Is(err, driver.ErrClosed) {
		t.Errorf("Watch = %v, want that of a connection", err)
	}
	again := tracktest.Watch(t, s)
	entry := tracktest.Entry(2)
	waitfor.True(t, "a put succeeds", func() bool { return table.Put(t.Context(), []driver.Entry{entry}) == nil })
	again.Told(t, "tracks", entry.Key)
}
