package sqlite_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/sqlite"
)

// entriesOf are entries whose payloads tell who has saved them.
func entriesOf(writer string, n int) []driver.Entry {
	entries := make([]driver.Entry, n)
	for i := range entries {
		entries[i] = track(writer, i)
		entries[i].Payload = bytes.Repeat([]byte(writer), 500)
	}
	return entries
}

// wantIntact has SQLite look at every page of a file.
func wantIntact(t *testing.T, path string) {
	t.Helper()
	var said string
	if err := openDB(t, path).QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&said); err != nil || said != "ok" {
		t.Errorf("the file is %q, %v", said, err)
	}
}

// What the old file has in its log is not written into the one that replaced it.
func TestTheLogOfAReplacedFileIsNotTheNewOnes(t *testing.T) {
	noWindows(t)
	folder := t.TempDir()
	path, other := filepath.Join(folder, "music.db"), filepath.Join(folder, "other.db")
	store, table := openTracks(t, other, quiet(sqlite.Options{}))
	put(t, table, entriesOf("new", 1_000)...)
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	var tables []driver.Table
	for range 2 {
		_, table := openTracks(t, path, quiet(sqlite.Options{Damaged: sqlite.DamagedSetAside}))
		put(t, table, entriesOf("old", 500)...)
		tables = append(tables, table)
	}
	if err := os.Rename(other, path); err != nil {
		t.Fatal(err)
	}
	for i, table := range tables {
		put(t, table, track("after", i))
	}
	for _, table := range tables {
		if n := count(t, table); n != 1_002 {
			t.Errorf("%d entries, want those of the new file and two more", n)
		}
	}
	wantIntact(t, path)
	if names := aside(t, path); len(names) > 0 {
		t.Errorf("%q were set aside", names)
	}
}

// A damaged file takes the place of one that was removed.
func TestADamagedFileTakesTheFilesPlace(t *testing.T) {
	noWindows(t)
	path := filepath.Join(t.TempDir(), "music.db")
	_, table := openTracks(t, path, quiet(sqlite.Options{Damaged: sqlite.DamagedSetAside}))
	put(t, table, track("before", 1))
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(path + suffix); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(path, bytes.Repeat([]byte("z"), 5_000), 0o600); err != nil {
		t.Fatal(err)
	}
	put(t, table, track("after", 1))
	if n := count(t, table); n != 1 {
		t.Errorf("%d entries, want 1", n)
	}
	if names := aside(t, path); len(names) != 1 {
		t.Errorf("%q were set aside", names)
	}
}

// Without its log, a file has less than was saved. Stores that have the log open put
// it into the file before they begin another.
func TestTheLogAloneIsRemoved(t *testing.T) {
	noWindows(t)
	path := filepath.Join(t.TempDir(), "music.db")
	var tables []driver.Table
	for range 2 {
		_, table := openTracks(t, path, quiet(sqlite.Options{}))
		tables = append(tables, table)
	}
	put(t, tables[0], many(30)...)
	if err := os.Remove(path + "-wal"); err != nil {
		t.Fatal(err)
	}
	for i, table := range tables {
		put(t, table, track("after", i))
	}
	_, other := openTracks(t, path, quiet(sqlite.Options{}))
	for _, table := range append(tables, other) {
		if n := count(t, table); n != 32 {
			t.Errorf("%d entries, want 32", n)
		}
	}
	wantIntact(t, path)
}

// A file that somebody has emptied cannot be begun while another program has it open.
func TestAFileThatIsEmptiedWhileItIsOpen(t *testing.T) {
	noWindows(t)
	path := filepath.Join(t.TempDir(), "music.db")
	oneTrack(t, path)
	var n int
	if err := openDB(t, path).QueryRowContext(t.Context(), "SELECT count(*) FROM tracks").Scan(&n); err != nil || n != 1 {
		t.Fatal(n, err)
	}
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	if s, err := sqlite.Open(t.Context(), path, quiet(sqlite.Options{})); err == nil || !strings.Contains(err.Error(), "emptied") {
		t.Fatalf("%v, %v", s, err)
	}
	_, other := openTracks(t, path, quiet(sqlite.Options{Damaged: sqlite.DamagedSetAside}))
	put(t, other, track("after", 1))
	if n := count(t, other); n != 1 {
		t.Errorf("%d entries, want 1", n)
	}
}
