package sqlite_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
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
	if err := table.Put(ctx, []driver.Entry{track("w", 2)}); !errors.Is(err, sqlite.ErrReadOnly) || !errors.As(err, &op) {
		t.Errorf("a put: %v", err)
	}
	if _, err := table.Delete(ctx, []driver.Key{track("w", 1).Key}); !errors.Is(err, sqlite.ErrReadOnly) {
		t.Errorf("a delete: %v", err)
	}
	if _, err := table.Clear(ctx, driver.Filter{}); !errors.Is(err, sqlite.ErrReadOnly) {
		t.Errorf("a clear: %v", err)
	}
	if page, err := table.List(ctx, driver.Listing{Order: driver.BySize, Limit: 10}); len(page) != 1 || err != nil {
		t.Errorf("a listing has %d entries: %v", len(page), err)
	}
	if _, _, err := table.Pop(ctx, track("w", 1).Key, driver.Filter{}); !errors.Is(err, sqlite.ErrReadOnly) {
		t.Errorf("a pop: %v", err)
	}
	if _, err := store.OpenTable(ctx, driver.TableSpec{Name: "absent", Key: tracks.Key}); !errors.Is(err, sqlite.ErrReadOnly) {
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
	if _, err := sqlite.Open(t.Context(), path, readOnly); !errors.Is(err, fs.ErrNotExist) {
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

// A store that only reads writes nothing into the file, also when it closes the
// file last.
func TestReadOnlyChangesNothing(t *testing.T) {
	folder := t.TempDir()
	_, table := openTracks(t, filepath.Join(folder, "music.db"), nil)
	put(t, table, many(50)...)
	path := filepath.Join(folder, "copy.db") // as after a crash: with a log
	for _, suffix := range []string{"", "-wal"} {
		content, err := os.ReadFile(filepath.Join(folder, "music.db"+suffix))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path+suffix, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	content := func() []byte {
		var all []byte
		for _, suffix := range []string{"", "-wal"} {
			read, err := os.ReadFile(path + suffix)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, read...)
		}
		return all
	}
	before := content()
	store, reader := openTracks(t, path, &sqlite.Options{ReadOnly: true})
	if n := count(t, reader); n != 50 {
		t.Errorf("%d entries, want 50", n)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(content(), before) {
		t.Error("the file or its log has changed")
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
