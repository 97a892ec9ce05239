package seal_test

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/seal"
)

// held is a store whose puts wait, each until it is let go.
type held struct {
	driver.Store
	puts chan chan struct{} // of a put that has begun: closed to let it go
}

type heldTable struct {
	driver.Table
	puts chan chan struct{}
}

func (s held) OpenTable(ctx context.Context, spec driver.TableSpec) (driver.Table, error) {
	t, err := s.Store.OpenTable(ctx, spec)
	return heldTable{t, s.puts}, err
}

func (t heldTable) wait() {
	begun := make(chan struct{})
	t.puts <- begun
	<-begun
}

func (t heldTable) Put(ctx context.Context, entries []driver.Entry) error {
	t.wait()
	return t.Table.Put(ctx, entries)
}

func (t heldTable) PutIf(ctx context.Context, entries []driver.Entry, c driver.Condition) ([]bool, error) {
	t.wait()
	return t.Table.PutIf(ctx, entries, c)
}

// heldPut is a put of an entry that has begun, with the first key. end lets it go.
func heldPut(t *testing.T) (s *seal.Store, table driver.Table, below held, end func()) {
	t.Helper()
	below = held{newMemory(t), make(chan chan struct{})}
	s, err := seal.New(below, keys(t, 1), nil)
	check(t, err)
	t.Cleanup(func() { check(t, s.Close()) })
	table, err = s.OpenTable(t.Context(), spec)
	check(t, err)
	done := make(chan error, 1)
	go func() { done <- table.Put(t.Context(), []driver.Entry{entry(1, 1)}) }()
	put := waitfor.Receive(t, "a put begins", below.puts)
	return s, table, below, func() {
		t.Helper()
		close(put)
		check(t, waitfor.Receive(t, "the put ends", done))
	}
}

func TestResealWaitsForWhoHasBegunWithAnOlderKey(t *testing.T) {
	s, table, below, end := heldPut(t)
	check(t, s.SetKeys(keys(t, 2, 1)))
	resealed := make(chan int, 1)
	go func() {
		n, err := s.Reseal(t.Context())
		if err != nil {
			t.Error(err)
		}
		resealed <- n
	}()
	waitfor.True(t, "reseal waits", func() bool { return s.Waits(spec.Name) })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := table.Put(ctx, []driver.Entry{entry(2, 1)}); err == nil {
		t.Error("a put whose context is done waits with reseal")
	}
	end()
	close(waitfor.Receive(t, "the entry is sealed anew", below.puts))
	if n := waitfor.Receive(t, "reseal ends", resealed); n != 1 {
		t.Errorf("%d entries were sealed anew, want 1", n)
	}
	check(t, s.SetKeys(keys(t, 2)))
	if got := found(t, table, everything, entry(1, 1).Key); len(got) != 1 {
		t.Error("the entry is lost")
	}
}

// What was begun before a drop may be stored when the table is there again.
func TestResealWaitsForWritersOfATableThatIsNotThere(t *testing.T) {
	s, _, _, end := heldPut(t)
	check(t, s.DropTable(t.Context(), spec.Name))
	resealed := make(chan error, 1)
	go func() {
		_, err := s.Reseal(t.Context())
		resealed <- err
	}()
	waitfor.True(t, "reseal waits", func() bool { return s.Waits(spec.Name) })
	end()
	check(t, waitfor.Receive(t, "reseal ends", resealed))
}

// A renewal that leaves CachedAt as it is would not be noticed by a put that asks for it.
func TestResealUndoesNoRenewalOfThisProcess(t *testing.T) {
	s, table, below, end := heldPut(t)
	end()
	check(t, s.SetKeys(keys(t, 2, 1)))
	resealed := make(chan error, 1)
	go func() {
		_, err := s.Reseal(t.Context())
		resealed <- err
	}()
	put := waitfor.Receive(t, "the entry is sealed anew", below.puts)
	e := entry(1, 1)
	expires := e.ExpiresAt.Add(-time.Minute)
	renewed := make(chan error, 1)
	go func() {
		_, err := table.Renew(t.Context(), []driver.Renewal{{Key: e.Key, Seen: e.CachedAt, CachedAt: e.CachedAt, ExpiresAt: expires}})
		renewed <- err
	}()
	for range 1_000 {
		runtime.Gosched() // so that the renewal is done, if nothing holds it back
	}
	close(put)
	check(t, waitfor.Receive(t, "reseal ends", resealed))
	check(t, waitfor.Receive(t, "the renewal ends", renewed))
	if got := found(t, table, everything, e.Key)[0]; !got.ExpiresAt.Equal(expires) {
		t.Errorf("the entry expires at %v, want %v", got.ExpiresAt, expires)
	}
}
