package sqlite_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/sqlite"
)

// wantReadOnly checks what a store promises that is open to be read: there is a table of one
// entry, and none is written.
func wantReadOnly(t *testing.T, path string, o *sqlite.Options) {
	t.Helper()
	ctx := t.Context()
	store, table := openTracks(t, path, o)
	if n := count(t, table); n != 1 {
		t.Errorf("%d entries, want 1", n)
	}
	found := false
	err := table.Get(ctx, []driver.Key{track("w", 1).Key}, driver.Selection{Parts: driver.Payload}, func(int, driver.Entry) { found = true })
	if err != nil || !found {
		t.Errorf("the entry is found: %v, %v", found, err)
	}
	var op *driver.OpError
	if err := table.Put(ctx, []driver.Entry{track("w", 2)}); !errors.Is(err, driver.ErrReadOnly) || !errors.As(err, &op) {
		t.Errorf("a put: %v", err)
	}
	if _, err := table.Delete(ctx, []driver.Key{track("w", 1).Key}); !errors.Is(err, driver.ErrReadOnly) {
		t.Errorf("a delete: %v", err)
	}
	if _, err := table.Clear(ctx, driver.Filter{}); !errors.Is(err, driver.ErrReadOnly) {
		t.Errorf("a clear: %v", err)
	}
	if page, err := table.List(ctx, driver.Listing{Order: driver.BySize, Limit: 10}); len(page) != 1 || err != nil {
		t.Errorf("a listing has %d entries: %v", len(page), err)
	}
	if _, _, err := table.Pop(ctx, track("w", 1).Key, driver.Filter{}); !errors.Is(err, driver.ErrReadOnly) {
		t.Errorf("a pop: %v", err)
	}
	if _, err := store.OpenTable(ctx, driver.TableSpec{Name: "absent", Key: tracks.Key}); !errors.Is(err, driver.ErrReadOnly) {
		t.Errorf("a table that is absent: %v", err)
	}
	if err := store.Close(); err != nil {
		t.Error(err)
	}
}

// oneTrack makes a file with a table of one entry.
func oneTrack(t *testing.T, path string) {
	t.Helper()
	store, table := openTracks(t, path, nil)
	put(t, table, track("w", 1))
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestReadOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "music.db")
	readOnly := &sqlite.Options{ReadOnly: true}
	if _, err := sqlite.Open(t.Context(), path, readOnly); !errors.Is(err, driver.ErrAbsent) {
		t.Errorf("a file that is absent: %v", err)
	}
	oneTrack(t, path)
	wantReadOnly(t, path, readOnly)
	_, table := openTracks(t, path, nil)
	wantReadOnly(t, path, readOnly) // while another store writes
	put(t, table, track("w", 2))
	_, reader := openTracks(t, path, readOnly)
	if n := count(t, reader); n != 2 {
		t.Errorf("a reader sees %d entries, want 2", n)
	}
	put(t, table, track("w", 3))
	if n := count(t, reader); n != 3 {
		t.Errorf("a reader sees %d entries, want 3", n)
	}
}

// aCopy is a copy of a file that is open, as after a crash.
func aCopy(t *testing.T, suffixes ...string) (path string) {
	t.Helper()
	folder := t.TempDir()
	_, table := openTracks(t, filepath.Join(folder, "music.db"), nil)
	put(t, table, many(50)...)
	path = filepath.Join(t.TempDir(), "copy.db")
	for _, suffix := range suffixes {
		content, err := os.ReadFile(filepath.Join(folder, "music.db"+suffix))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path+suffix, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// beside are the names, sizes and contents of a file and of those beside it. What is in shared memory
// are notes of who reads and writes.
func beside(t *testing.T, path string) string {
	t.Helper()
	var all strings.Builder
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		content := []byte("shared")
		if !strings.HasSuffix(entry.Name(), "-shm") {
			if content, err = os.ReadFile(filepath.Join(filepath.Dir(path), entry.Name())); err != nil {
				t.Fatal(err)
			}
		}
		fmt.Fprintf(&all, "%s %d %x\n", entry.Name(), len(content), sha256.Sum256(content))
	}
	return all.String()
}

// A store that only reads writes nothing into the file and makes none, also when it closes the
// file last.
func TestReadOnlyChangesNothing(t *testing.T) {
	path := aCopy(t, "", "-wal", "-shm")
	before := beside(t, path)
	store, reader := openTracks(t, path, &sqlite.Options{ReadOnly: true})
	if n := count(t, reader); n != 50 {
		t.Errorf("%d entries, want 50", n)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if after := beside(t, path); after != before {
		t.Errorf("there is\n%s, before\n%s", after, before)
	}
}

func TestALogThatCannotBeReadWithoutAChange(t *testing.T) {
	path := aCopy(t, "", "-wal")
	before := beside(t, path)
	if _, err := sqlite.Open(t.Context(), path, &sqlite.Options{ReadOnly: true}); !errors.Is(err, driver.ErrReadOnly) {
		t.Errorf("a file with a log alone: %v", err)
	}
	if after := beside(t, path); after != before {
		t.Errorf("there is\n%s, before\n%s", after, before)
	}
}

func TestAFileThatIsNoCache(t *testing.T) {
	path := filepath.Join(t.TempDir(), "other.db")
	store, err := sqlite.Open(t.Context(), path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.Open(t.Context(), path, &sqlite.Options{ReadOnly: true}); !errors.Is(err, driver.ErrAbsent) {
		t.Errorf("a file without tables: %v", err)
	}
}

// A store that reads without locks, as nobody had the file open, sees what others write later.
func TestAFileThatIsWrittenLater(t *testing.T) {
	path := filepath.Join(t.TempDir(), "music.db")
	oneTrack(t, path)
	_, reader := openTracks(t, path, &sqlite.Options{ReadOnly: true})
	for i := range 3 {
		if n := count(t, reader); n != 10*i+1 {
			t.Errorf("%d entries, want %d", n, 10*i+1)
		}
		writer, table := openTracks(t, path, nil)
		for j := range 10 {
			put(t, table, track("later", 10*i+j))
			if n := count(t, reader); n != 10*i+j+2 {
				t.Errorf("%d entries, want %d", n, 10*i+j+2)
			}
		}
		if err := writer.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// A folder of somebody else, who writes to the file that others only read.
func TestAFileThatItsOwnerWrites(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "music.db")
	oneTrack(t, path)
	if err := errors.Join(os.Chmod(path, 0o400), os.Chmod(folder, 0o500)); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(folder, 0o700)
	if canWrite(folder) {
		t.Skip("this user may write to a read-only folder")
	}
	_, reader := openTracks(t, path, nil)
	if n := count(t, reader); n != 1 {
		t.Errorf("%d entries, want 1", n)
	}
	for i := range 3 {
		if err := errors.Join(os.Chmod(folder, 0o700), os.Chmod(path, 0o600)); err != nil {
			t.Fatal(err)
		}
		owner, table := openTracks(t, path, nil)
		for j := range 100 {
			put(t, table, track("owner", 100*i+j))
		}
		if err := errors.Join(owner.Close(), os.Chmod(path, 0o400), os.Chmod(folder, 0o500)); err != nil {
			t.Fatal(err)
		}
		if n := count(t, reader); n != 100*i+101 {
			t.Errorf("%d entries, want %d", n, 100*i+101)
		}
	}
}

// canWrite reports whether this user may write what permissions forbid, as root may.
func canWrite(folder string) bool {
	f, err := os.Create(filepath.Join(folder, "probe"))
	if err != nil {
		return false
	}
	f.Close()
	return true
}

func TestAFolderThatMayNotBeWritten(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "music.db")
	oneTrack(t, path)
	for name, mode := range map[string]os.FileMode{"file": 0o600, "folder and file": 0o400} {
		if err := errors.Join(os.Chmod(path, mode), os.Chmod(folder, 0o500)); err != nil {
			t.Fatal(err)
		}
		defer os.Chmod(folder, 0o700)
		if canWrite(folder) {
			t.Skip("this user may write to a read-only folder")
		}
		t.Run(name, func(t *testing.T) { wantReadOnly(t, path, nil) })
	}
}

func TestAFileThatMayNotBeWritten(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "music.db")
	oneTrack(t, path)
	if err := os.Chmod(path, 0o400); err != nil {
		t.Fatal(err)
	}
	if f, err := os.OpenFile(path, os.O_RDWR, 0); err == nil {
		f.Close()
		t.Skip("this user may write to a read-only file")
	}
	wantReadOnly(t, path, nil)
}

// A table may have the name of another one's index: its pages are sorted then.
func TestAListingNeedsNoIndexOfItsOwn(t *testing.T) {
	store, err := sqlite.OpenMemory(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	var tables []driver.Table
	for _, name := range []string{"tracks", "tracks by name"} {
		table, err := store.OpenTable(t.Context(), driver.TableSpec{Name: name, Key: tracks.Key})
		if err != nil {
			t.Fatal(err)
		}
		one, two := track("1", 1), track("2", 2)
		one.Name, two.Name = "b", "a"
		put(t, table, one, two)
		tables = append(tables, table)
	}
	for _, table := range tables {
		l := driver.Listing{Order: driver.ByName, Limit: 1}
		for _, want := range []string{"a", "b"} {
			page, err := table.List(t.Context(), l)
			if err != nil || len(page) != 1 || page[0].Name != want {
				t.Fatalf("the page is %v, %v", page, err)
			}
			l.After = &page[0]
		}
	}
}
