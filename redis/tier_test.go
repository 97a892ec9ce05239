package redis_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/testserver"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/redis"
	"github.com/endpointcache/endpointcache/tier"
)

// version is an entry of a track, whose payload tells the version.
func version(v int) driver.Entry {
	e := track(1)
	e.Payload = fmt.Append(nil, v)
	return e
}

// payloadIn is the payload of that entry in a table, "" where it is absent.
func payloadIn(t *testing.T, table driver.Table) (payload string) {
	t.Helper()
	err := table.Get(t.Context(), []driver.Key{track(1).Key}, driver.Selection{Parts: driver.Payload}, func(_ int, e driver.Entry) {
		payload = string(e.Payload)
	})
	if err != nil {
		t.Fatal(err)
	}
	return payload
}

// Memory over a store that has lost its server, and may have missed changes, serves nothing old.
func TestMemoryOverALostServer(t *testing.T) {
	t.Parallel() // with servers of its own
	own := testserver.OwnRedis(t, nil)
	other := open(t, own.URL(), nil)
	s, err := tier.New(open(t, own.URL(), nil), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	control := newClient(t, own.URL())
	for v, lose := range []func() error{
		func() error {
			return control.Do(t.Context(), control.B().Arbitrary("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes").Build()).Error()
		},
		func() error { return errors.Join(own.Kill(), own.Restart(t.Context())) },
	} {
		waitfor.True(t, "the store is watched", func() bool { return s.Stats().Watching })
		table, below := openTable(t, s), openTable(t, other)
		put(t, below, version(10*v))
		waitfor.True(t, "the entry is held", func() bool {
			before := s.Stats().Hits
			return payloadIn(t, table) == fmt.Sprint(10*v) && s.Stats().Hits > before
		})
		lost := s.Stats().Resyncs
		if err := lose(); err != nil {
			t.Fatal(err)
		}
		waitfor.True(t, "the server answers", func() bool { return below.Put(t.Context(), []driver.Entry{version(10*v + 1)}) == nil })
		waitfor.True(t, "the loss is seen", func() bool { return s.Stats().Resyncs > lost })
		waitfor.True(t, "what has changed meanwhile is read", func() bool {
			var got string
			err := table.Get(t.Context(), []driver.Key{track(1).Key}, driver.Selection{Parts: driver.Payload}, func(_ int, e driver.Entry) {
				got = string(e.Payload)
			})
			if err == nil && got != fmt.Sprint(10*v+1) {
				t.Fatalf("%q is served, want %d", got, 10*v+1)
			}
			return err == nil
		})
	}
}

// A server that cannot tell of changes has entries live no longer than the traits say.
func TestMemoryOverRESP2(t *testing.T) {
	s, err := tier.New(open(t, serverURL(t)+"?protocol=2", &redis.Options{Prefix: newPrefix(t, serverURL(t))}), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	table, below := openTable(t, s), openTable(t, s.Unwrap())
	waitfor.True(t, "entries are held", func() bool {
		before := s.Stats().Hits
		return payloadIn(t, table) == "" && s.Stats().Hits > before
	})
	put(t, below, version(1))
	waitfor.True(t, "what has changed is read", func() bool { return payloadIn(t, table) == "1" })
	if s.Stats().Watching {
		t.Error("it watches")
	}
}
