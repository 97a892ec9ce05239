package sqlite_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/sqlite"
)

func TestOpenTakesThePathAsGiven(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	folder := t.TempDir()
	for path, want := range map[string]string{
		filepath.Join(folder, "a", "b", "api.v1"):     filepath.Join(folder, "a", "b", "api.v1"),
		filepath.Join(folder, "a", "b", "api.v2"):     filepath.Join(folder, "a", "b", "api.v2"),
		filepath.Join(folder, "odd ?#%41&mode=ro.db"): filepath.Join(folder, "odd ?#%41&mode=ro.db"),
		filepath.Join(folder, "~"):                    filepath.Join(folder, "~"),
		filepath.Join(folder, "日本.db"):                filepath.Join(folder, "日本.db"),
		"~/.cache/music.db":                           filepath.Join(os.Getenv("HOME"), ".cache", "music.db"),
	} {
		store := must(t)(sqlite.Open(t.Context(), path, nil))
		if store.Path() != want {
			t.Errorf("Open(%q) opened %q, want %q", path, store.Path(), want)
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
		info, err := os.Stat(want)
		if err != nil {
			t.Error(err)
		} else if runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", want, info.Mode())
		}
		if left, _ := filepath.Glob(want + "-*"); len(left) > 0 {
			t.Errorf("a closed store left %q", left)
		}
	}
}

func TestOpenRefusesWhatIsNoDatabaseAndLeavesItAlone(t *testing.T) {
	for name, content := range map[string]string{
		"long":  strings.Repeat("this is a letter, not a database\n", 500),
		"short": "hello",
	} {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		store, err := sqlite.Open(t.Context(), path, nil)
		if err == nil {
			store.Close()
			t.Fatalf("%s: no error", name)
		}
		if !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "not a database") {
			t.Errorf("%s: the error does not tell the reason: %v", name, err)
		}
		if after, err := os.ReadFile(path); err != nil || string(after) != content {
			t.Errorf("%s: the file has changed: %v", name, err)
		}
	}
}

func TestOpenTellsWhyThereCanBeNoFile(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{
		"",
		":memory:",
		"file:x.db?mode=ro",
		folder,                        // a folder itself
		filepath.Join(file, "x.db"),   // below a file
		filepath.Join(folder, "\x00"), // no name at all
	} {
		if store, err := sqlite.Open(t.Context(), path, nil); err == nil {
			store.Close()
			t.Errorf("Open(%q) has no error", path)
		} else {
			t.Log(err)
		}
	}
}

func TestOpenInAReadOnlyFolder(t *testing.T) {
	folder := t.TempDir()
	if err := os.Chmod(folder, 0o500); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(folder, 0o700)
	if f, err := os.Create(filepath.Join(folder, "probe")); err == nil {
		f.Close()
		t.Skip("this user may write to a read-only folder")
	}
	_, err := sqlite.Open(t.Context(), filepath.Join(folder, "x.db"), nil)
	if !errors.Is(err, fs.ErrPermission) {
		t.Errorf("the error is not of permission: %v", err)
	}
}

func TestOpenChecksItsOptions(t *testing.T) {
	for _, opts := range []*sqlite.Options{{Readers: -1}, {Sync: 7}} {
		if _, err := sqlite.OpenMemory(t.Context(), opts); err == nil {
			t.Errorf("%+v is no error", *opts)
		}
	}
	if _, err := sqlite.New(t.Context(), nil, nil); err == nil {
		t.Error("a nil database is no error")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := sqlite.Open(ctx, filepath.Join(t.TempDir(), "x.db"), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled context: %v", err)
	}
}

func TestStoresInMemoryAreSeparate(t *testing.T) {
	ctx := t.Context()
	one, two := must(t)(sqlite.OpenMemory(ctx, nil)), must(t)(sqlite.OpenMemory(ctx, nil))
	defer one.Close()
	defer two.Close()
	first, err := one.OpenTable(ctx, tracks)
	if err != nil {
		t.Fatal(err)
	}
	second, err := two.OpenTable(ctx, tracks)
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Put(ctx, []driver.Entry{track("w", 1)}); err != nil {
		t.Fatal(err)
	}
	if n, err := second.Count(ctx, driver.Filter{}); err != nil || n != 0 {
		t.Errorf("another store has %d entries, %v", n, err)
	}
}

func TestTemporaryStoresAreUniqueAndRemoved(t *testing.T) {
	ctx := t.Context()
	one, two := must(t)(sqlite.OpenTemp(ctx, nil)), must(t)(sqlite.OpenTemp(ctx, nil))
	if one.Path() == two.Path() {
		t.Errorf("both are %s", one.Path())
	}
	for _, s := range []*sqlite.Store{one, two} {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if left, _ := filepath.Glob(s.Path() + "*"); len(left) > 0 {
			t.Errorf("a closed store left %q", left)
		}
	}
}

func TestTheCallersDatabaseStaysOpen(t *testing.T) {
	db := openDB(t, filepath.Join(t.TempDir(), "own.db"))
	if err := must(t)(sqlite.New(t.Context(), db, nil)).Close(); err != nil {
		t.Fatal(err)
	}
	if err := db.PingContext(t.Context()); err != nil {
		t.Errorf("the database was closed: %v", err)
	}
}

func TestATableOfTheCallersOwnIsLeftAlone(t *testing.T) {
	ctx := t.Context()
	db := openDB(t, filepath.Join(t.TempDir(), "own.db"))
	if _, err := db.ExecContext(ctx, `CREATE TABLE tracks (id TEXT PRIMARY KEY, title TEXT); INSERT INTO tracks VALUES ('a', 'A')`); err != nil {
		t.Fatal(err)
	}
	store := must(t)(sqlite.New(ctx, db, nil))
	defer store.Close()
	_, err := store.OpenTable(ctx, tracks)
	if !errors.Is(err, driver.ErrSchema) || !strings.Contains(err.Error(), "title") {
		t.Errorf("the error is %v", err)
	}
	var title string
	if err := db.QueryRowContext(ctx, "SELECT title FROM tracks").Scan(&title); err != nil || title != "A" {
		t.Errorf("the table has changed: %q, %v", title, err)
	}
}

// A table that was renamed keeps its index, and the index its name.
func TestAnIndexOfAnotherTableIsNotTakenForTheTablesOwn(t *testing.T) {
	ctx := t.Context()
	db := openDB(t, filepath.Join(t.TempDir(), "own.db"))
	store := must(t)(sqlite.New(ctx, db, nil))
	defer store.Close()
	if _, err := store.OpenTable(ctx, tracks); err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(ctx, "ALTER TABLE tracks RENAME TO old"); err != nil {
		t.Fatal(err)
	}
	if _, err := store.OpenTable(ctx, tracks); !errors.Is(err, driver.ErrSchema) || !strings.Contains(err.Error(), "old") {
		t.Errorf("the error is %v", err)
	}
}

// A full disk is that of a database which may have no more pages.
func TestAFullDiskLosesNothing(t *testing.T) {
	ctx := t.Context()
	db := openDB(t, filepath.Join(t.TempDir(), "full.db"))
	db.SetMaxOpenConns(1)
	store := must(t)(sqlite.New(ctx, db, nil))
	defer store.Close()
	table, err := store.OpenTable(ctx, tracks)
	if err != nil {
		t.Fatal(err)
	}
	kept := track("w", 1)
	if err := table.Put(ctx, []driver.Entry{kept}); err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(ctx, "PRAGMA max_page_count = 8"); err != nil {
		t.Fatal(err)
	}
	large := track("w", 1)
	large.Payload = bytes.Repeat([]byte("x"), 1<<20)
	if err := table.Put(ctx, []driver.Entry{track("w", 2), large}); err == nil || !strings.Contains(err.Error(), "full") {
		t.Fatalf("the error is %v", err)
	}
	err = table.Get(ctx, []driver.Key{kept.Key, track("w", 2).Key}, driver.Selection{Parts: driver.Payload}, func(i int, e driver.Entry) {
		if i != 0 || !bytes.Equal(e.Payload, kept.Payload) {
			t.Errorf("entry %d has a payload of %d bytes", i, len(e.Payload))
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := table.Put(ctx, []driver.Entry{track("w", 1)}); err != nil {
		t.Errorf("what still fits: %v", err)
	}
}

// While another process holds the write lock, a save waits as long as its
// context lets it, and reads go on.
func TestASaveWaitsForAnotherProcessWithinItsContext(t *testing.T) {
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "busy.db")
	store := must(t)(sqlite.Open(ctx, path, nil))
	defer store.Close()
	table, err := store.OpenTable(ctx, tracks)
	if err != nil {
		t.Fatal(err)
	}
	other, err := openDB(t, path).Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, err := other.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	if err := table.Put(short, []driver.Entry{track("w", 1)}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the error is %v", err)
	}
	if n, err := table.Count(ctx, driver.Filter{}); err != nil || n != 0 {
		t.Errorf("a reader sees %d entries, %v", n, err)
	}
	saved := make(chan error, 1)
	go func() { saved <- table.Put(ctx, []driver.Entry{track("w", 2)}) }()
	time.Sleep(2 * 100 * time.Millisecond) // longer than SQLite itself would wait
	select {
	case err := <-saved:
		t.Fatalf("the save did not wait: %v", err)
	default:
	}
	if _, err := other.ExecContext(ctx, "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	if err := <-saved; err != nil {
		t.Error(err)
	}
}

// A save that cannot be done does not fail those that share its transaction.
func TestOneFailingSaveDoesNotFailOthers(t *testing.T) {
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "group.db")
	store := must(t)(sqlite.Open(ctx, path, nil))
	defer store.Close()
	table, err := store.OpenTable(ctx, tracks)
	if err != nil {
		t.Fatal(err)
	}
	db := openDB(t, path)
	if _, err := db.ExecContext(ctx, `CREATE TRIGGER refuse BEFORE INSERT ON tracks WHEN NEW.id = 'bad' BEGIN SELECT RAISE(ABORT, 'refused'); END`); err != nil {
		t.Fatal(err)
	}
	const saves = 64
	results := make(chan error, saves)
	for n := range saves {
		go func() {
			e := track("good", n)
			if n%8 == 0 {
				e = track("bad", n)
			}
			err := table.Put(ctx, []driver.Entry{e})
			if refused := err != nil; refused != (n%8 == 0) {
				results <- errors.Join(errors.New("the outcome is another's"), err)
				return
			}
			results <- nil
		}()
	}
	for range saves {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	if n, err := table.Count(ctx, driver.Filter{}); err != nil || n != saves-saves/8 {
		t.Errorf("%d entries, %v", n, err)
	}
}

// A single integer key is not the row's number: what is added ahead of an
// iteration does not keep it from ending.
func TestAnIterationEndsThoughItsBodyAddsGreaterKeys(t *testing.T) {
	ctx := t.Context()
	store := must(t)(sqlite.OpenMemory(ctx, nil))
	defer store.Close()
	table, err := store.OpenTable(ctx, driver.TableSpec{Name: "numbers", Key: []driver.Column{{Name: "n", Kind: driver.Int}}})
	if err != nil {
		t.Fatal(err)
	}
	put := func(n int64) {
		if err := table.Put(ctx, []driver.Entry{{Key: driver.Key{n}, CachedAt: time.UnixMicro(1).UTC()}}); err != nil {
			t.Fatal(err)
		}
	}
	const rows = 600
	for n := range int64(rows) {
		put(n)
	}
	put(1 << 62)
	steps := 0
	for e, err := range table.Entries(ctx, driver.Selection{}) {
		if err != nil {
			t.Fatal(err)
		}
		if steps++; steps > 2*rows {
			t.Fatal("the iteration does not end")
		}
		put(e.Key[0].(int64) + rows)
	}
	if steps != rows+1 {
		t.Errorf("%d steps over %d rows", steps, rows+1)
	}
}

// The file can be read without the library, times and all.
func TestTheFileIsReadable(t *testing.T) {
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "readable.db")
	store := must(t)(sqlite.Open(ctx, path, nil))
	defer store.Close()
	table, err := store.OpenTable(ctx, tracks)
	if err != nil {
		t.Fatal(err)
	}
	e := track("w", 1)
	e.CachedAt = time.Date(2026, 2, 3, 4, 5, 6, 789_000_000, time.UTC)
	e.ExpiresAt = e.CachedAt.Add(time.Hour)
	never := track("w", 2)
	if err := table.Put(ctx, []driver.Entry{e, never}); err != nil {
		t.Fatal(err)
	}
	rows, err := openDB(t, path).QueryContext(ctx, "SELECT name || '|' || cached_at || '|' || expires_at FROM tracks ORDER BY n")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var got []string
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			t.Fatal(err)
		}
		got = append(got, line)
	}
	want := "w 1|2026-02-03 04:05:06.789|2026-02-03 05:05:06.789\nw 2|1970-01-01 00:00:00.000|never"
	if err := rows.Err(); err != nil || strings.Join(got, "\n") != want {
		t.Errorf("%q, %v", got, err)
	}
}
