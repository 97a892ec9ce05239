package filesystem_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/filesystem"
)

// Only folders of tables are listed and dropped.
func TestFoldersThatAreNoTables(t *testing.T) {
	_, store, _, _, _ := reporting(t)
	for path, content := range map[string]string{
		"notes/README": "mine", "foreign/table.json": "{}", "text/table.json": "no JSON",
		"newer/table.json":   `{"endpointcache":2,"table":"newer","key":[{"name":"id","kind":"string"}]}`,
		"another/table.json": `{"endpointcache":1,"table":"tracks","key":[{"name":"id","kind":"string"}]}`,
		"odd/table.json":     `{"endpointcache":1,"table":"odd","key":[{"name":"id","kind":"float"}]}`,
		"file":               "mine",
	} {
		path = filepath.Join(store.Path(), path)
		os.MkdirAll(filepath.Dir(path), 0o700)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	names := []string{"notes", "foreign", "text", "newer", "another", "odd", "file"}
	if err := os.Symlink(filepath.Join(store.Path(), "tracks"), filepath.Join(store.Path(), "link")); err == nil {
		names = append(names, "link")
	}
	specs, err := store.Tables(t.Context())
	if err != nil || len(specs) != 1 || specs[0].Name != "tracks" || !slices.Equal(specs[0].Key, tracks.Key) {
		t.Errorf("the tables are %v, %v", specs, err)
	}
	for _, name := range names {
		if err := store.DropTable(t.Context(), name); !errors.Is(err, driver.ErrSchema) {
			t.Errorf("drop %s: %v, want a SchemaError", name, err)
		}
		if _, err := os.Lstat(filepath.Join(store.Path(), name)); err != nil {
			t.Errorf("%s is gone: %v", name, err)
		}
	}
}

// A drop leaves nothing of the table, and does not remove the files of others: then the table
// is empty, and can be dropped when they are gone.
func TestADropLeavesTheFilesOfOthers(t *testing.T) {
	_, store, table, e, path := reporting(t)
	for _, foreign := range []string{filepath.Join(store.Path(), "tracks", "README"), filepath.Join(filepath.Dir(path), "notes.txt")} {
		if err := table.Put(t.Context(), []driver.Entry{e}); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(foreign, []byte("mine"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := store.DropTable(t.Context(), "tracks"); err == nil {
			t.Errorf("%s: no error", foreign)
		} else {
			t.Log(err)
		}
		if _, err := os.Stat(foreign); err != nil {
			t.Errorf("it is gone: %v", err)
		}
		if n := count(t, table); n != 0 {
			t.Errorf("%d entries are left", n)
		}
		if specs, err := store.Tables(t.Context()); err != nil || len(specs) != 1 {
			t.Errorf("the tables are %v, %v", specs, err)
		}
		if err := os.Remove(foreign); err != nil {
			t.Fatal(err)
		}
	}
	if err := table.Put(t.Context(), []driver.Entry{e}); err != nil {
		t.Fatal(err)
	}
	if err := store.DropTable(t.Context(), "tracks"); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(store.Path()); err != nil || len(left) > 0 {
		t.Errorf("there are left %v, %v", left, err)
	}
	// The table that is open on it is made anew by a save.
	if _, ok := get(t, table, e.Key); ok {
		t.Error("an entry is read from a table that was dropped")
	}
	if err := table.Put(t.Context(), []driver.Entry{e}); err != nil {
		t.Error(err)
	}
	if n := count(t, openTracks(t, store)); n != 1 {
		t.Errorf("%d entries, want 1", n)
	}
}

// A process may die while it drops a table. What it leaves goes with the next drop, and
// when the store is opened.
func TestAnUnfinishedDrop(t *testing.T) {
	_, store, _, _, _ := reporting(t)
	dropped := filepath.Join(store.Path(), ".dropped-ABCDEFGHIJKLMNOPQRSTUVW234")
	foreign := filepath.Join(store.Path(), ".dropped-notes")
	root, err := os.OpenRoot(store.Path())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for name, sweep := range map[string]func() error{
		"drop": func() error { return store.DropTable(t.Context(), "none") },
		"open": func() error { return open(t, store.Path(), nil).Close() },
		"new": func() error {
			s, err := filesystem.New(t.Context(), root, nil)
			if err != nil {
				return err
			}
			return s.Close()
		},
	} {
		for _, folder := range []string{filepath.Join(dropped, "3a"), foreign} {
			if err := os.MkdirAll(folder, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(folder, "file"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := sweep(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if _, err := os.Lstat(dropped); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: what a drop has left is there: %v", name, err)
		}
		if _, err := os.Lstat(filepath.Join(foreign, "file")); err != nil {
			t.Errorf("%s: what is no table's is gone: %v", name, err)
		}
	}
	if specs, err := store.Tables(t.Context()); err != nil || len(specs) != 1 {
		t.Errorf("the tables are %v, %v", specs, err)
	}
	unfinished := filepath.Join(store.Path(), "albums")
	if err := os.Mkdir(unfinished, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(unfinished, "lock-0"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := store.DropTable(t.Context(), "albums"); err != nil {
		t.Errorf("a table whose removal was not finished: %v", err)
	}
}
