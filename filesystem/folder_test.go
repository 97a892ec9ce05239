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

// What is saved after a folder was removed, or moved to a trash, is where the next program
// looks for it, whoever else has made the folder again.
func TestNothingIsSavedToAFolderThatIsGone(t *testing.T) {
	for what, remove := range map[string]func(path string) error{
		"removed": os.RemoveAll,
		"moved":   func(path string) error { return os.Rename(path, filepath.Join(t.TempDir(), "trash")) },
	} {
		for _, inside := range []string{"", "tracks", filepath.Join("tracks", "tmp")} {
			for _, again := range []bool{false, true} {
				_, store, table, e, _ := reporting(t)
				spec := tracks
				spec.Name = "albums"
				albums, err := store.OpenTable(t.Context(), spec)
				if err != nil {
					t.Fatal(err)
				}
				if what == "moved" {
					promptly(t)
				}
				if err := remove(filepath.Join(store.Path(), inside)); err != nil {
					t.Fatal(err)
				}
				other := track("b", 2, 2)
				if again {
					if err := openTracks(t, open(t, store.Path(), nil)).Put(t.Context(), []driver.Entry{other}); err != nil {
						t.Fatal(err)
					}
				}
				for _, table := range []driver.Table{table, albums} {
					if err := table.Put(t.Context(), []driver.Entry{e}); err != nil {
						t.Fatalf("put after %q was %s: %v", inside, what, err)
					}
				}
				if removed, err := table.Delete(t.Context(), []driver.Key{e.Key}); removed != 1 || err != nil {
					t.Errorf("delete after %q was %s: %d, %v", inside, what, removed, err)
				}
				if stored, err := table.PutIf(t.Context(), []driver.Entry{e}, driver.Condition{If: driver.IfAbsent}); err != nil || !stored[0] {
					t.Errorf("conditional put after %q was %s: %v, %v", inside, what, stored, err)
				}
				if err := store.Close(); err != nil {
					t.Error(err)
				}
				next := open(t, store.Path(), nil)
				if got, ok := get(t, openTracks(t, next), e.Key); !ok || !whole(got) {
					t.Errorf("after %q was %s, what was put is not there", inside, what)
				}
				if _, ok := get(t, openTracks(t, next), other.Key); ok != again {
					t.Errorf("after %q was %s, what another has put is there: %v", inside, what, ok)
				}
				if next, err := next.OpenTable(t.Context(), spec); err != nil {
					t.Error(err)
				} else if _, ok := get(t, next, e.Key); !ok {
					t.Errorf("after %q was %s, what was put to another table is not there", inside, what)
				}
			}
		}
	}
}

// Saves go on while somebody removes the folder again and again: what is acknowledged
// after the last time is there.
func TestAFolderIsRemovedDuringSaves(t *testing.T) {
	_, store, table, _, _ := reporting(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 50 {
			os.RemoveAll(filepath.Join(store.Path(), "tracks")) // which others may fill meanwhile
		}
	}()
	for removing := true; removing; {
		select {
		case <-done:
			removing = false
		default:
		}
		err := table.Put(t.Context(), []driver.Entry{track("a", 1, 1)})
		if err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, driver.ErrSchema) {
			t.Fatal(err)
		}
	}
	if err := os.RemoveAll(store.Path()); err != nil {
		t.Fatal(err)
	}
	entries := make([]driver.Entry, 100)
	for i := range entries {
		entries[i] = track("b", i, i)
	}
	if err := table.Put(t.Context(), entries); err != nil {
		t.Fatal(err)
	}
	if n := count(t, openTracks(t, open(t, store.Path(), nil))); n != len(entries) {
		t.Errorf("%d entries are there, want %d", n, len(entries))
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
