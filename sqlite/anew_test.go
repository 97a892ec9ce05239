package sqlite_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/sqlite"
)

// log is what a store says, for many goroutines.
type log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *log) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// quiet are options that log nowhere.
func quiet(o sqlite.Options) *sqlite.Options {
	o.Logger = slog.New(slog.DiscardHandler)
	return &o
}

// openTracks opens a file and its table.
func openTracks(t *testing.T, path string, o *sqlite.Options) (*sqlite.Store, driver.Table) {
	t.Helper()
	store := must(t)(sqlite.Open(t.Context(), path, o))
	t.Cleanup(func() { store.Close() })
	table, err := store.OpenTable(t.Context(), tracks)
	if err != nil {
		t.Fatal(err)
	}
	return store, table
}

func put(t *testing.T, table driver.Table, entries ...driver.Entry) {
	t.Helper()
	if err := table.Put(t.Context(), entries); err != nil {
		t.Fatal(err)
	}
}

func count(t *testing.T, table driver.Table) int {
	t.Helper()
	n, err := table.Count(t.Context(), driver.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// many are entries that fill some hundred pages.
func many(n int) []driver.Entry {
	entries := make([]driver.Entry, n)
	for i := range entries {
		entries[i] = track("many", i)
		entries[i].Payload = bytes.Repeat([]byte{byte(i)}, 2_000)
	}
	return entries
}

func noWindows(t *testing.T) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("an open file can be neither removed nor renamed")
	}
}

// What is saved after a file was removed or replaced is in the one at its path.
func TestAFileThatIsRemovedOrReplacedWhileItIsOpen(t *testing.T) {
	noWindows(t)
	for name, change := range map[string]func(path string) error{
		"removed": os.Remove,
		"removed with its log": func(path string) error {
			for _, suffix := range []string{"", "-wal", "-shm"} {
				if err := os.Remove(path + suffix); err != nil {
					return err
				}
			}
			return nil
		},
		"removed with its folder": func(path string) error { return os.RemoveAll(filepath.Dir(path)) },
		"renamed":                 func(path string) error { return os.Rename(path, path+".old") },
		"replaced": func(path string) error {
			if err := os.WriteFile(path+".new", nil, 0o600); err != nil {
				return err
			}
			return os.Rename(path+".new", path)
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			path := filepath.Join(t.TempDir(), "app", "music.db")
			var said log
			store, table := openTracks(t, path, &sqlite.Options{Logger: said.logger()})
			put(t, table, track("before", 1))
			if err := change(path); err != nil {
				t.Fatal(err)
			}
			put(t, table, track("after", 2))
			_, other := openTracks(t, path, quiet(sqlite.Options{}))
			if n := count(t, other); n != 1 {
				t.Errorf("another store sees %d entries, want the one that was saved afterwards", n)
			}
			put(t, other, track("other", 3))
			if n := count(t, table); n != 2 {
				t.Errorf("the store sees %d entries, want 2", n)
			}
			if !strings.Contains(said.String(), "removed or replaced") {
				t.Errorf("the log says %q", said.String())
			}
			if err := store.Close(); err != nil {
				t.Error(err)
			}
			if deleted, err := other.Delete(ctx, []driver.Key{track("after", 2).Key}); deleted != 1 || err != nil {
				t.Errorf("%d entries deleted, %v", deleted, err)
			}
		})
	}
}

// A table that was dropped is not made again where the file is begun anew.
func TestADroppedTableStaysDroppedInAnotherFile(t *testing.T) {
	noWindows(t)
	path := filepath.Join(t.TempDir(), "music.db")
	store, table := openTracks(t, path, quiet(sqlite.Options{}))
	dropped := driver.TableSpec{Name: "dropped", Key: []driver.Column{{Name: "id", Kind: driver.String}}}
	if _, err := store.OpenTable(t.Context(), dropped); err != nil {
		t.Fatal(err)
	}
	if err := store.DropTable(t.Context(), dropped.Name); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	put(t, table, track("after", 1))
	specs, err := store.Tables(t.Context())
	if err != nil || len(specs) != 1 {
		t.Errorf("the tables are %v, %v", specs, err)
	}
}

// Reads notice it, too, within about a second.
func TestReadersNoticeThatTheFileIsAnotherOne(t *testing.T) {
	noWindows(t)
	path := filepath.Join(t.TempDir(), "music.db")
	_, table := openTracks(t, path, quiet(sqlite.Options{}))
	put(t, table, track("before", 1))
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	waitfor.True(t, "the entry is gone", func() bool { return count(t, table) == 0 })
}

// Many callers meet one removal; whatever they have saved since is there.
func TestManyCallersWhileTheFileIsRemoved(t *testing.T) {
	noWindows(t)
	path := filepath.Join(t.TempDir(), "music.db")
	var tables []driver.Table
	for range 2 {
		_, table := openTracks(t, path, quiet(sqlite.Options{}))
		tables = append(tables, table)
	}
	for round := range 5 {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		var wait sync.WaitGroup
		for i := range 16 {
			wait.Go(func() {
				if err := tables[i%2].Put(t.Context(), []driver.Entry{track("w", 100*round+i)}); err != nil {
					t.Error(err)
				}
			})
		}
		wait.Wait()
		for i, table := range tables {
			waitfor.True(t, "every entry is seen", func() bool { return count(t, table) == 16 })
			_ = i
		}
	}
}

var asideName = regexp.MustCompile(`^music\.db\.damaged-\d{8}T\d{6}Z(-\d+)?$`)

// aside are the files that were set aside in the folder of path, without those beside them.
func aside(t *testing.T, path string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if asideName.MatchString(e.Name()) {
			names = append(names, filepath.Join(filepath.Dir(path), e.Name()))
		}
	}
	return names
}

func TestAFileThatIsNoDatabaseIsSetAsideIfTheOptionSaysSo(t *testing.T) {
	for name, content := range map[string]string{
		"long":  strings.Repeat("this is a letter, not a database\n", 500),
		"short": "hello",
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "music.db")
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			var said log
			_, table := openTracks(t, path, &sqlite.Options{Damaged: sqlite.DamagedSetAside, Logger: said.logger()})
			put(t, table, track("w", 1))
			names := aside(t, path)
			if len(names) != 1 {
				t.Fatalf("%q were set aside", names)
			}
			if kept, err := os.ReadFile(names[0]); err != nil || string(kept) != content {
				t.Errorf("what was set aside has changed: %v", err)
			}
			if !strings.Contains(said.String(), "set aside") || !strings.Contains(said.String(), names[0]) {
				t.Errorf("the log says %q", said.String())
			}
		})
	}
}

// damage overwrites what the file has behind the first pages. The log is in the file already.
func damage(t *testing.T, path string) {
	t.Helper()
	db := openDB(t, path)
	if _, err := db.ExecContext(t.Context(), "PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	const page = 4096
	if _, err := f.WriteAt(bytes.Repeat([]byte{0xa5}, int(info.Size())-4*page), 4*page); err != nil {
		t.Fatal(err)
	}
	keepOpen = append(keepOpen, f)
}

// keepOpen are files that this process has opened a second time: closing one ends the locks
// of all its connections to it.
var keepOpen []*os.File

// Every operation meets the damage first, once.
func TestDamageIsMetWhileTheFileIsOpen(t *testing.T) {
	noWindows(t)
	entries := many(400)
	keys := make([]driver.Key, len(entries))
	for i, e := range entries {
		keys[i] = e.Key
	}
	for name, operation := range map[string]func(ctx context.Context, table driver.Table) error{
		"get": func(ctx context.Context, table driver.Table) error {
			return table.Get(ctx, keys[300:301], driver.Selection{Parts: driver.Payload}, func(int, driver.Entry) {})
		},
		"get many": func(ctx context.Context, table driver.Table) error {
			return table.Get(ctx, keys, driver.Selection{Parts: driver.Payload}, func(int, driver.Entry) {})
		},
		"put": func(ctx context.Context, table driver.Table) error { return table.Put(ctx, entries) },
		"delete": func(ctx context.Context, table driver.Table) error {
			_, err := table.Delete(ctx, keys)
			return err
		},
		"clear": func(ctx context.Context, table driver.Table) error {
			_, err := table.Clear(ctx, driver.Filter{Leading: driver.Key{"many"}})
			return err
		},
		"entries": func(ctx context.Context, table driver.Table) error {
			for _, err := range table.Entries(ctx, driver.Selection{Parts: driver.Payload}) {
				if err != nil {
					return err
				}
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "music.db")
			_, table := openTracks(t, path, quiet(sqlite.Options{Damaged: sqlite.DamagedSetAside}))
			put(t, table, entries...)
			// A process that does not know: its connections are on the old file.
			_, other := openTracks(t, path, quiet(sqlite.Options{}))
			if n := count(t, other); n != len(entries) {
				t.Fatalf("%d entries", n)
			}
			damage(t, path)
			if err := operation(t.Context(), table); err != nil {
				t.Fatal(err)
			}
			if names := aside(t, path); len(names) != 1 {
				t.Fatalf("%q were set aside", names)
			}
			put(t, table, track("after", 1))
			put(t, other, track("other", 2))
			for _, key := range []driver.Key{track("after", 1).Key, track("other", 2).Key} {
				for _, table := range []driver.Table{table, other} {
					found := false
					err := table.Get(t.Context(), []driver.Key{key}, driver.Selection{}, func(int, driver.Entry) { found = true })
					if err != nil || !found {
						t.Errorf("%q is found: %v, %v", []driver.Value(key), found, err)
					}
				}
			}
		})
	}
}

// Without the option nothing is set aside: operations that meet the damage fail, except that
// a table can be cleared, and used again.
func TestADamagedTableCanBeCleared(t *testing.T) {
	noWindows(t)
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "music.db")
	store, table := openTracks(t, path, quiet(sqlite.Options{}))
	put(t, table, many(400)...)
	damage(t, path)
	if err := table.Put(ctx, many(400)); err == nil || !strings.Contains(err.Error(), "malformed") {
		t.Fatalf("the error is %v", err)
	}
	if _, err := table.Clear(ctx, driver.Filter{}); err != nil {
		t.Fatal(err)
	}
	if n := count(t, table); n != 0 {
		t.Errorf("%d entries after a clear", n)
	}
	put(t, table, many(100)...)
	if n := count(t, table); n != 100 {
		t.Errorf("%d entries, want 100", n)
	}
	if err := store.Close(); err != nil {
		t.Error(err)
	}
	_, table = openTracks(t, path, quiet(sqlite.Options{}))
	if n := count(t, table); n != 100 {
		t.Errorf("%d entries of a file that was opened again, want 100", n)
	}
	if names := aside(t, path); len(names) > 0 {
		t.Errorf("%q were set aside", names)
	}
}

// endingContext is done after its error was asked for so many times.
type endingContext struct {
	context.Context
	asked int
}

func (c *endingContext) Err() error {
	if c.asked--; c.asked < 0 {
		return context.Canceled
	}
	return nil
}

// A damaged table that was not cleared to the end, as the context was done, is there
// nevertheless.
func TestAClearOfADamagedTableThatIsCancelled(t *testing.T) {
	noWindows(t)
	for asked := range 100 {
		path := filepath.Join(t.TempDir(), "music.db")
		store, table := openTracks(t, path, quiet(sqlite.Options{}))
		put(t, table, many(400)...)
		damage(t, path)
		_, err := table.Clear(&endingContext{t.Context(), asked}, driver.Filter{})
		if perr := table.Put(t.Context(), many(400)); perr != nil && !strings.Contains(perr.Error(), "malformed") {
			t.Errorf("a put after the context was done when it was asked %d times: %v", asked+1, perr)
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
		if err == nil {
			return
		}
	}
	t.Error("the context was always done")
}
