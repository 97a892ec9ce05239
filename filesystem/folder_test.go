package filesystem_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/endpointcache/endpointcache/driver"
)

// Whatever stands in the place of a folder, nothing outside of the table's is changed.
func TestALinkAboveLeadsNoWriterOut(t *testing.T) {
	_, _, table, e, path := reporting(t)
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.Rename(filepath.Dir(path), outside); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Dir(path)); err != nil {
		t.Skip(err)
	}
	before := tree(t, outside)
	if err := table.Put(t.Context(), []driver.Entry{e}); err == nil {
		t.Error("put: no error")
	}
	if n, err := table.Delete(t.Context(), []driver.Key{e.Key}); n != 0 || err != nil {
		t.Errorf("delete: %d, %v", n, err)
	}
	if _, ok, err := table.Pop(t.Context(), e.Key, driver.Filter{}); ok || err != nil {
		t.Errorf("pop: %v, %v", ok, err)
	}
	if n, err := table.Clear(t.Context(), driver.Filter{}); n != 0 || err != nil {
		t.Errorf("clear: %d, %v", n, err)
	}
	if after := tree(t, outside); after != before {
		t.Errorf("outside there is %q now, before %q", after, before)
	}
}

func TestAFolderThatIsRemovedIsMadeAgain(t *testing.T) {
	_, store, table, e, path := reporting(t)
	for _, gone := range []string{filepath.Dir(path), filepath.Join(store.Path(), "tracks"), store.Path()} {
		if err := os.RemoveAll(gone); err != nil {
			t.Fatal(err)
		}
		if _, ok := get(t, table, e.Key); ok {
			t.Error("an entry was read that is gone")
		}
		if n := count(t, table); n != 0 {
			t.Errorf("count is %d", n)
		}
		if n, err := table.Delete(t.Context(), []driver.Key{e.Key, {"b", int64(2)}}); n != 0 || err != nil {
			t.Errorf("delete: %d, %v", n, err)
		}
		if _, ok, err := table.Pop(t.Context(), e.Key, driver.Filter{}); ok || err != nil {
			t.Errorf("pop: %v, %v", ok, err)
		}
		if n, err := table.Clear(t.Context(), driver.Filter{}); n != 0 || err != nil {
			t.Errorf("clear: %d, %v", n, err)
		}
		if err := table.Put(t.Context(), []driver.Entry{e}); err != nil {
			t.Fatalf("put after %s was removed: %v", gone, err)
		}
		if got, ok := get(t, table, e.Key); !ok || !whole(got) {
			t.Errorf("after %s was removed: what was put is not read", gone)
		}
		if got, ok := get(t, openTracks(t, open(t, store.Path(), nil)), e.Key); !ok || !whole(got) {
			t.Errorf("after %s was removed: another store does not read what was put", gone)
		}
	}
}

// A folder that was removed and is another table's now leaves the old table without
// anything to write to.
func TestATableWhoseFolderHasBecomeAnotherTables(t *testing.T) {
	_, store, table, e, _ := reporting(t)
	if err := os.RemoveAll(filepath.Join(store.Path(), "tracks")); err != nil {
		t.Fatal(err)
	}
	spec := tracks
	spec.Key = spec.Key[:1]
	other, err := store.OpenTable(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	if err := table.Put(t.Context(), []driver.Entry{e}); !errors.Is(err, driver.ErrSchema) {
		t.Errorf("put: %v", err)
	}
	one := track("a", 1, 1)
	one.Key = one.Key[:1]
	if err := other.Put(t.Context(), []driver.Entry{one}); err != nil {
		t.Error(err)
	}
	if n := count(t, other); n != 1 {
		t.Errorf("count is %d", n)
	}
	if err := store.Close(); err != nil {
		t.Error(err)
	}
}
