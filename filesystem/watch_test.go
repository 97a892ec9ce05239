package filesystem_test

import (
	"bufio"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/filesystem"
	"github.com/endpointcache/endpointcache/internal/tracktest"
	"github.com/endpointcache/endpointcache/internal/waitfor"
)

// Whoever reads when it is told, and only then, comes to see all that another process has
// written, wherever that was killed.
func TestAWatchIsToldWhatAKilledProcessHasWritten(t *testing.T) {
	folder := fastFolder(t)
	store := open(t, folder, nil)
	table, other := openTracks(t, store), openTracks(t, open(t, folder, nil))
	w := tracktest.Watch(t, store)
	for _, writer := range []string{"a", "b", "c"} {
		cmd, out := start(t, folder, "save", writer)
		lines := bufio.NewScanner(out)
		for lines.Scan() && lines.Text() != "15" {
			continue
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for lines.Scan() { // what it has told before
			continue
		}
		_ = cmd.Wait() // it was killed
		want, seen := count(t, other), 0
		waitfor.True(t, "the last entry is seen", func() bool {
			if len(w.Forget()) > 0 {
				seen = count(t, table)
			}
			return seen == want
		})
	}
}

// A watch that told of them would empty what stands before the store with each save.
func TestAWatchIsNotToldOfOwnChanges(t *testing.T) {
	folder := fastFolder(t)
	store, another := open(t, folder, nil), open(t, folder, nil)
	table, other := openTracks(t, store), openTracks(t, another)
	put := func(table driver.Table, e driver.Entry) {
		t.Helper()
		if err := table.Put(t.Context(), []driver.Entry{e}); err != nil {
			t.Fatal(err)
		}
	}
	put(other, track("other", 1, 1)) // it is a writer from now on
	w := tracktest.Watch(t, store)
	for i := range 50 {
		put(table, track("own", i, 1))
	}
	if _, err := table.Delete(t.Context(), []driver.Key{track("own", 1, 1).Key}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := table.Pop(t.Context(), track("own", 2, 1).Key, driver.Filter{}); err != nil {
		t.Fatal(err)
	}
	if _, err := table.Clear(t.Context(), driver.Filter{}); err != nil {
		t.Fatal(err)
	}
	if err := other.Use(t.Context(), []driver.Key{track("other", 1, 1).Key}, now.Add(1)); err != nil {
		t.Fatal(err)
	}
	put(other, track("other", 1, 2))
	w.Told(t, tracks.Name, track("other", 1, 2).Key)
	if n := len(w.Forget()); n != 1 {
		t.Errorf("%d changes were told, want the other's", n)
	}
}

// A watch leaves a folder away that somebody has removed, and goes on when a save has made
// it again.
func TestAWatchOfAFolderThatIsRemoved(t *testing.T) {
	folder := filepath.Join(fastFolder(t), "cache")
	store, another := open(t, folder, nil), open(t, folder, nil)
	table, other := openTracks(t, store), openTracks(t, another)
	if err := other.Put(t.Context(), []driver.Entry{track("a", 1, 1)}); err != nil {
		t.Fatal(err)
	}
	w := tracktest.Watch(t, store)
	if err := os.RemoveAll(folder); err != nil {
		t.Skip("a folder that is open cannot be removed here")
	}
	w.Told(t, tracks.Name, track("a", 1, 1).Key)
	if _, err := os.Lstat(folder); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder is there again: %v", err)
	}
	w.Forget()
	if err := other.Put(t.Context(), []driver.Entry{track("a", 2, 1)}); err != nil {
		t.Fatal(err)
	}
	w.Told(t, tracks.Name, track("a", 2, 1).Key)
	if err := table.Put(t.Context(), []driver.Entry{track("b", 1, 1)}); err != nil {
		t.Fatal(err)
	}
	if n := count(t, table); n != 2 {
		t.Errorf("%d entries, want 2", n)
	}
}

// What stands beside tables is none of the store's.
func TestAWatchPassesOverOtherFiles(t *testing.T) {
	folder := fastFolder(t)
	for _, path := range []string{"folder", "tmp", "pipe"} {
		if err := os.MkdirAll(filepath.Join(folder, path), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{"file", "folder/tmp"} {
		if err := os.WriteFile(filepath.Join(folder, path), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(".", filepath.Join(folder, "link")); err != nil {
		t.Log(err)
	}
	store := open(t, folder, nil)
	w := tracktest.Watch(t, store)
	other := openTracks(t, open(t, folder, &filesystem.Options{Sync: true}))
	if err := other.Put(t.Context(), []driver.Entry{track("a", 1, 1)}); err != nil {
		t.Fatal(err)
	}
	w.Told(t, tracks.Name, track("a", 1, 1).Key)
}
