package filesystem_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/endpointcache/endpointcache/driver"
)

// descriptors is how many this process has of files in a folder, removed ones included.
func descriptors(t *testing.T, folder string) (n int) {
	t.Helper()
	const all = "/proc/self/fd"
	fds, err := os.ReadDir(all)
	if err != nil {
		t.Skip(err)
	}
	for _, fd := range fds {
		if path, err := os.Readlink(filepath.Join(all, fd.Name())); err == nil && strings.HasPrefix(path, folder) {
			n++
		}
	}
	return n
}

func TestFoldersThatAreGoneAreClosed(t *testing.T) {
	const times = 100
	_, store, table, e, _ := reporting(t)
	put := func(table driver.Table) {
		if err := table.Put(t.Context(), []driver.Entry{e}); err != nil {
			t.Fatal(err)
		}
	}
	want := descriptors(t, store.Path())
	for range times {
		if err := os.RemoveAll(store.Path()); err != nil {
			t.Fatal(err)
		}
		put(table)
	}
	if have := descriptors(t, store.Path()); have != want {
		t.Errorf("%d descriptors after %d removals, want %d", have, times, want)
	}
	for range times {
		if err := store.DropTable(t.Context(), "tracks"); err != nil {
			t.Fatal(err)
		}
		put(openTracks(t, store))
	}
	if have := descriptors(t, store.Path()); have != want {
		t.Errorf("%d descriptors after %d drops, want %d", have, times, want)
	}
	if err := store.Close(); err != nil {
		t.Error(err)
	}
	if have := descriptors(t, store.Path()); have != 0 {
		t.Errorf("%d descriptors after Close", have)
	}
}

// An operation ends on the folder that it has begun on, which is closed with it.
func TestAFolderIsRemovedDuringARead(t *testing.T) {
	_, store, table, e, _ := reporting(t)
	other := track("b", 2, 2)
	want := descriptors(t, store.Path())
	var found []int
	err := table.Get(t.Context(), []driver.Key{e.Key, other.Key}, everything, func(i int, _ driver.Entry) {
		found = append(found, i)
		if err := os.RemoveAll(store.Path()); err != nil {
			t.Error(err)
		}
		if err := table.Put(t.Context(), []driver.Entry{other}); err != nil {
			t.Error(err)
		}
	})
	if err != nil || len(found) != 1 || found[0] != 0 {
		t.Errorf("found %d, %v", found, err)
	}
	if _, ok := get(t, table, other.Key); !ok {
		t.Error("what was put is not read")
	}
	if have := descriptors(t, store.Path()); have != want {
		t.Errorf("%d descriptors, want %d", have, want)
	}
}
