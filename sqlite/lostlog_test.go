package sqlite_test

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/sqlite"
)

// holdLog opens a file as a program does that has it open and does nothing, and then removes
// its log, which has entries. It returns the program's connection.
func holdLog(t *testing.T, path string) *sql.DB {
	t.Helper()
	store, table := openTracks(t, path, quiet(sqlite.Options{}))
	idle := openDB(t, path)
	put(t, table, many(30)...)
	wantRows(t, idle, 30)
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path + "-wal"); err != nil {
		t.Fatal(err)
	}
	return idle
}

func wantRows(t *testing.T, db *sql.DB, want int) {
	t.Helper()
	n := 0
	if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM tracks").Scan(&n); err != nil || n != want {
		t.Errorf("%d rows, %v; want %d", n, err, want)
	}
}

// While a program is idle that has the log open, others cannot know what is in it.
func TestTheLogIsRemovedThatAnIdleProgramHasOpen(t *testing.T) {
	noWindows(t)
	path := filepath.Join(t.TempDir(), "music.db")
	idle := holdLog(t, path)
	if s, err := sqlite.Open(t.Context(), path, quiet(sqlite.Options{})); err == nil || !strings.Contains(err.Error(), "log was removed") {
		t.Fatalf("%v, %v", s, err)
	}
	wantRows(t, idle, 30)
	if err := idle.Close(); err != nil {
		t.Fatal(err)
	}
	_, table := openTracks(t, path, quiet(sqlite.Options{}))
	if n := count(t, table); n != 30 {
		t.Errorf("%d entries, want 30", n)
	}
	wantIntact(t, path)
}

// The option that lets a damaged file be set aside lets others go on without what is in the log.
func TestAFileIsSetAsideWhoseLogAnIdleProgramHas(t *testing.T) {
	noWindows(t)
	path := filepath.Join(t.TempDir(), "music.db")
	holdLog(t, path)
	_, table := openTracks(t, path, quiet(sqlite.Options{Damaged: sqlite.DamagedSetAside}))
	put(t, table, track("after", 1))
	if n := count(t, table); n != 1 {
		t.Errorf("%d entries, want 1", n)
	}
	if names := aside(t, path); len(names) != 1 {
		t.Errorf("%q were set aside", names)
	}
}

// A store that has the log open puts it into the file, also when others have begun an empty
// one, and another program is idle.
func TestTheLogIsKeptByAStoreThatHasItOpen(t *testing.T) {
	noWindows(t)
	path := filepath.Join(t.TempDir(), "music.db")
	_, table := openTracks(t, path, quiet(sqlite.Options{}))
	idle := openDB(t, path)
	put(t, table, many(30)...)
	wantRows(t, idle, 30)
	if err := os.Remove(path + "-wal"); err != nil {
		t.Fatal(err)
	}
	if f, err := os.Create(path + "-wal"); err != nil || f.Close() != nil { // as SQLite begins one
		t.Fatal(err)
	}
	put(t, table, track("after", 1))
	_, other := openTracks(t, path, quiet(sqlite.Options{}))
	for _, table := range []driver.Table{table, other} {
		if n := count(t, table); n != 31 {
			t.Errorf("%d entries, want 31", n)
		}
	}
	wantIntact(t, path)
}

// Open waits until a store that has the log open does something.
func TestOpenWaitsForTheLog(t *testing.T) {
	noWindows(t)
	path := filepath.Join(t.TempDir(), "music.db")
	_, table := openTracks(t, path, quiet(sqlite.Options{}))
	put(t, table, many(30)...)
	if err := os.Remove(path + "-wal"); err != nil {
		t.Fatal(err)
	}
	opened := make(chan error)
	go func() {
		s, err := sqlite.Open(context.WithoutCancel(t.Context()), path, quiet(sqlite.Options{}))
		if err == nil {
			err = s.Close()
		}
		opened <- err
	}()
	put(t, table, track("after", 1))
	if err := <-opened; err != nil {
		t.Error(err)
	}
	if n := count(t, table); n != 31 {
		t.Errorf("%d entries, want 31", n)
	}
}

// A log that was emptied is nowhere any more.
func TestTheLogIsEmptied(t *testing.T) {
	noWindows(t)
	for name, c := range map[string]struct {
		damaged sqlite.Damaged
		err     string
	}{
		"fail":      {sqlite.DamagedFail, "log was removed or emptied"},
		"set aside": {sqlite.DamagedSetAside, ""},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "music.db")
			_, table := openTracks(t, path, quiet(sqlite.Options{Damaged: c.damaged}))
			put(t, table, many(30)...)
			if err := os.Truncate(path+"-wal", 0); err != nil {
				t.Fatal(err)
			}
			_, err := table.Count(t.Context(), driver.Filter{})
			if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
				t.Errorf("the error is %v", err)
			}
		})
	}
}
