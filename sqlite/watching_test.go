package sqlite

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/tracktest"
	"github.com/endpointcache/endpointcache/internal/waitfor"
)

// openShared opens two stores on one file, and a table of the second.
func openShared(t *testing.T) (store, other *Store, table driver.Table) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "music.db")
	var stores [2]*Store
	for i := range stores {
		s, err := Open(t.Context(), path, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		stores[i] = s
	}
	table, err := stores[1].OpenTable(t.Context(), network)
	if err != nil {
		t.Fatal(err)
	}
	return stores[0], stores[1], table
}

func putOne(t *testing.T, table driver.Table, n int64) driver.Key {
	t.Helper()
	key := driver.Key{n}
	if err := table.Put(t.Context(), []driver.Entry{{Key: key, Status: 200}}); err != nil {
		t.Fatal(err)
	}
	return key
}

// While a store has the turn to write for long, the turn tells what was before.
func TestALongTransactionHidesNoChange(t *testing.T) {
	store, _, other := openShared(t)
	w := tracktest.Watch(t, store)
	store.commits.turn <- struct{}{}
	key := putOne(t, other, 1) // nobody sees it as long as the turn is taken
	began, done := make(chan struct{}), make(chan error, 1)
	writing, goOn := context.WithCancel(t.Context())
	defer goOn()
	go func() {
		done <- store.commits.write(t.Context(), 1, func(*conn) error {
			close(began)
			<-writing.Done()
			return nil
		})
	}()
	store.watch.watchers.Looked() // so that the turn does not begin with a look
	<-store.commits.turn
	waitfor.Receive(t, "the transaction begins", began)
	w.Told(t, network.Name, key)
	goOn()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestAWatchOnANetworkFileSystem(t *testing.T) {
	onNetwork(t)
	store, other, table := openShared(t)
	if mode := journalMode(t, store); mode != "delete" {
		t.Fatalf("the mode is %s", mode)
	}
	w, back := tracktest.Watch(t, store), tracktest.Watch(t, other)
	for i := range int64(20) {
		w.Told(t, network.Name, putOne(t, table, i))
		w.Forget()
	}
	if changes := back.Forget(); len(changes) > 0 {
		t.Errorf("its own changes are told: %v", changes)
	}
}

// A store that nobody watches is asked nothing.
func TestNobodyIsAskedWithoutAWatch(t *testing.T) {
	store, other, table := openShared(t)
	tracktest.Watch(t, store)
	putOne(t, table, 1)
	if other.watch.conn != nil {
		t.Error("a store that is not watched has looked for changes")
	}
}
