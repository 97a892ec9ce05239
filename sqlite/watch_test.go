package sqlite_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/tracktest"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/sqlite"
)

// Whoever reads when it is told, and only then, comes to see all that another process writes.
func TestAWatchIsToldWhatAnotherProcessWrites(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shared.db")
	for name, o := range map[string]*sqlite.Options{"to write": nil, "to read": {ReadOnly: true}} {
		t.Run(name, func(t *testing.T) {
			_, own := openTracks(t, path, nil) // so that there is a table
			if _, err := own.Clear(t.Context(), driver.Filter{}); err != nil {
				t.Fatal(err)
			}
			store, table := openTracks(t, path, o)
			w := tracktest.Watch(t, store)
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				cmd := exec.CommandContext(t.Context(), os.Args[0])
				cmd.Env = append(os.Environ(), pathVariable+"="+path, writerVariable+"=other")
				if out, err := cmd.CombinedOutput(); cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != -1 {
					t.Errorf("the process was not killed: %v\n%s", err, out)
				}
			}()
			waitfor.True(t, "the last entries are seen", func() bool {
				return len(w.Forget()) > 0 && count(t, table) == 2*savesOfEach
			})
			waitfor.Receive(t, "the end of the process", ended)
		})
	}
}

// A watch that told of them would empty what stands before the store with each save.
func TestAWatchIsNotToldOfOwnWrites(t *testing.T) {
	path := filepath.Join(t.TempDir(), "music.db")
	store, table := openTracks(t, path, nil)
	w := tracktest.Watch(t, store)
	for i := range 50 {
		put(t, table, track("own", i))
		put(t, table, many(20)...)
		if _, err := table.Delete(t.Context(), []driver.Key{track("own", i).Key}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := table.Clear(t.Context(), driver.Filter{}); err != nil {
		t.Fatal(err)
	}
	if err := store.DropTable(t.Context(), tracks.Name); err != nil {
		t.Fatal(err)
	}
	if _, err := store.OpenTable(t.Context(), tracks); err != nil {
		t.Fatal(err)
	}
	_, other := openTracks(t, path, nil)
	put(t, other, track("other", 1))
	waitfor.True(t, "the other's change is told", func() bool { return w.Tells(tracks.Name, track("other", 1).Key) })
	if n := len(w.Forget()); n != 1 {
		t.Errorf("%d changes were told, want the other's", n)
	}
}

// What takes the place of a file holds other entries.
func TestAWatchIsToldOfAnotherFile(t *testing.T) {
	noWindows(t)
	for name, change := range map[string]func(path, other string) error{
		"removed":  func(path, _ string) error { return os.Remove(path) },
		"replaced": func(path, other string) error { return os.Rename(other, path) },
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			path, other := filepath.Join(folder, "music.db"), filepath.Join(folder, "other.db")
			replacing, table := openTracks(t, other, nil)
			put(t, table, track("new", 1))
			if err := replacing.Close(); err != nil {
				t.Fatal(err)
			}
			store, table := openTracks(t, path, quiet(sqlite.Options{}))
			put(t, table, track("old", 1), track("old", 2))
			w := tracktest.Watch(t, store)
			if err := change(path, other); err != nil {
				t.Fatal(err)
			}
			w.Told(t, tracks.Name, track("old", 1).Key)
			want := map[string]int{"removed": 0, "replaced": 1}[name]
			if n := count(t, table); n != want {
				t.Errorf("when it is told, there are %d entries, want %d", n, want)
			}
			w.Forget()
			_, another := openTracks(t, path, nil)
			put(t, another, track("another", 1))
			w.Told(t, tracks.Name, track("another", 1).Key)
		})
	}
}

// Where a file is gone that may only be read, there is nothing to go on with.
func TestAWatchOfAReadOnlyFileEndsWithIt(t *testing.T) {
	noWindows(t)
	path := filepath.Join(t.TempDir(), "music.db")
	oneTrack(t, path)
	store := must(t)(sqlite.Open(t.Context(), path, quiet(sqlite.Options{ReadOnly: true})))
	defer store.Close()
	w := tracktest.Watch(t, store)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := w.Err(t); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Watch = %v, want %v", err, os.ErrNotExist)
	}
}

// Which of the caller's connections has committed, the store does not know.
func TestTheCallersDatabaseCannotBeWatched(t *testing.T) {
	store := must(t)(sqlite.New(t.Context(), openDB(t, filepath.Join(t.TempDir(), "own.db")), nil))
	defer store.Close()
	err := store.Watch(t.Context(), func() { t.Error("it begins") }, func(driver.Change) {})
	var op *driver.OpError
	if !errors.Is(err, errors.ErrUnsupported) || !errors.As(err, &op) {
		t.Errorf("Watch = %v, want %v", err, errors.ErrUnsupported)
	}
}

// Nobody else can change a database in memory.
func TestAWatchOfADatabaseInMemory(t *testing.T) {
	store := must(t)(sqlite.OpenMemory(t.Context(), nil))
	w := tracktest.Watch(t, store)
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if err := w.Err(t); !errors.Is(err, driver.ErrClosed) {
		t.Errorf("Watch = %v, want %v", err, driver.ErrClosed)
	}
}

// BenchmarkWatched is what a watch costs who writes.
func BenchmarkWatched(b *testing.B) {
	for name, watched := range map[string]bool{"no": false, "yes": true} {
		b.Run(name, func(b *testing.B) {
			store := must(b)(sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "music.db"), nil))
			defer store.Close()
			table, err := store.OpenTable(b.Context(), tracks)
			if err != nil {
				b.Fatal(err)
			}
			if watched {
				tracktest.Watch(b, store)
			}
			for i := 0; b.Loop(); i++ {
				if err := table.Put(context.Background(), []driver.Entry{track("a", i), track("b", i)}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
