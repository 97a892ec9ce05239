package store_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/testserver"
	"github.com/endpointcache/endpointcache/internal/testserver/places"
	"github.com/endpointcache/endpointcache/internal/tracktest"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/store"
	"github.com/endpointcache/endpointcache/tier"
)

// ownServer is a server that a test may kill.
type ownServer interface {
	URL() string
	Kill() error
	Restart(context.Context) error
}

// version is the first track, whose payload tells the version.
func version(v int) driver.Entry {
	e := tracktest.Entry(1)
	e.Payload = fmt.Append(nil, v)
	return e
}

// payloadIn is the payload of the first track in a table, "" where it is absent.
func payloadIn(ctx context.Context, table driver.Table) (payload string, err error) {
	err = table.Get(ctx, []driver.Key{tracktest.Entry(1).Key}, driver.Selection{Parts: driver.Payload}, func(_ int, e driver.Entry) {
		payload = string(e.Payload)
	})
	return payload, err
}

// awaitHeld waits until a store has such a payload in memory.
func awaitHeld(t *testing.T, s *tier.Store, table driver.Table, payload string) {
	t.Helper()
	waitfor.True(t, fmt.Sprintf("%q is held", payload), func() bool {
		before := s.Stats().Hits
		got, err := payloadIn(t.Context(), table)
		return err == nil && got == payload && s.Stats().Hits > before
	})
}

// openTier opens a store by its URL, and memory over it.
func openTier(t *testing.T, url, name string) (*tier.Store, driver.Table) {
	t.Helper()
	s := tracktest.Opened[*tier.Store](t)(tier.New(openStore(t, url, name), nil))
	return s, tracktest.Table(t, s)
}

func openStore(t *testing.T, url, name string) driver.Store {
	t.Helper()
	s, err := store.Open(t.Context(), url, &store.Options{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Memory over a store that has lost its server, and may have missed changes, serves nothing old.
func TestMemoryOverALostServer(t *testing.T) {
	for kind, start := range map[string]func() ownServer{
		"redis":    func() ownServer { return testserver.OwnRedis(t, nil) },
		"postgres": func() ownServer { return testserver.OwnPostgres(t, nil) },
	} {
		t.Run(kind, func(t *testing.T) {
			own, name := start(), tracktest.NewName()
			s, table := openTier(t, own.URL(), name)
			below := tracktest.Table(t, tracktest.Opened[driver.Store](t)(openStore(t, own.URL(), name), nil))
			waitfor.True(t, "the store is watched", func() bool { return s.Stats().Watching })
			tracktest.Put(t, below, version(1))
			awaitHeld(t, s, table, "1")
			if err := errors.Join(own.Kill(), own.Restart(t.Context())); err != nil {
				t.Fatal(err)
			}
			waitfor.True(t, "the server answers", func() bool { return below.Put(t.Context(), []driver.Entry{version(2)}) == nil })
			waitfor.True(t, "the loss is seen", func() bool { return s.Stats().Resyncs > 0 })
			waitfor.True(t, "what has changed meanwhile is read", func() bool {
				got, err := payloadIn(t.Context(), table)
				if err == nil && got != "2" {
					t.Fatalf("%q is served", got)
				}
				return err == nil
			})
			waitfor.True(t, "the store is watched again", func() bool { return s.Stats().Watching })
			awaitHeld(t, s, table, "2")
			tracktest.Put(t, below, version(3))
			awaitHeld(t, s, table, "3")
		})
	}
}

// A server that cannot tell of changes has entries live no longer than the traits say.
func TestMemoryOverAServerThatTellsNothing(t *testing.T) {
	name := tracktest.NewName()
	s, table := openTier(t, places.Lasting["redis"](t, name)+"?protocol=2", name)
	awaitHeld(t, s, table, "")
	tracktest.Put(t, tracktest.Table(t, s.Unwrap()), version(1))
	awaitHeld(t, s, table, "1")
	if s.Stats().Watching {
		t.Error("it watches")
	}
}
