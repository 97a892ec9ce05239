package filesystem_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/filesystem"
)

// reports counts what a store reports, by the path of the file.
type reports struct {
	slog.Handler
	mu    sync.Mutex
	paths map[string]int
}

func newReports() *reports {
	return &reports{Handler: slog.DiscardHandler, paths: make(map[string]int)}
}

func (r *reports) Enabled(context.Context, slog.Level) bool { return true }

func (r *reports) Handle(_ context.Context, record slog.Record) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	record.Attrs(func(a slog.Attr) bool {
		if a.Key == "path" {
			r.paths[a.Value.String()]++
		}
		return true
	})
	return nil
}

// take returns how often a path was reported since it was asked for last.
func (r *reports) take(path string) int {
	path = filepath.Join(filepath.Dir(path), "*"+path[strings.LastIndex(path, "~"):]) // without the key
	r.mu.Lock()
	defer r.mu.Unlock()
	defer delete(r.paths, path)
	return r.paths[path]
}

// reporting opens a store with one entry in the table tracks, and the entry's path.
func reporting(t *testing.T) (*reports, *filesystem.Store, driver.Table, driver.Entry, string) {
	t.Helper()
	r := newReports()
	store := open(t, t.TempDir(), &filesystem.Options{Logger: slog.New(r)})
	table := openTracks(t, store)
	e := track("a", 1, 1)
	e.Header = `{"Etag":["1"]}`
	if err := table.Put(t.Context(), []driver.Entry{e}); err != nil {
		t.Fatal(err)
	}
	path, err := store.EntryPath("tracks", e.Key)
	if err != nil {
		t.Fatal(err)
	}
	return r, store, table, e, path
}

func count(t *testing.T, table driver.Table) int {
	t.Helper()
	n, err := table.Count(t.Context(), driver.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestADamagedFileIsAMissThatIsReportedAndReplaced(t *testing.T) {
	r, _, table, e, path := reporting(t)
	intact, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head := bytes.Index(intact, []byte("\n\n")) + 2
	changed := func(at int) []byte {
		b := bytes.Clone(intact)
		b[at] ^= 1
		return b
	}
	damaged := map[string][]byte{
		"empty":           {},
		"foreign":         []byte("this is a letter, not an entry\n\nDear Sir,\n"),
		"zeros":           make([]byte, len(intact)),
		"trailing":        append(bytes.Clone(intact), 'x'),
		"the payload":     changed(len(intact) - 1),
		"the magic":       changed(0),
		"zeros at end":    append(bytes.Clone(intact[:len(intact)-4096]), make([]byte, 4096)...),
		"another version": bytes.Replace(intact, []byte("/1 "), []byte("/2 "), 1),
		"a huge length":   bytes.Replace(intact, []byte("Length: 0"), []byte("Length: 9"), 1),
	}
	for _, n := range []int{1, 15, 16, 24, 25, 40, 41, 42, head / 2, head - 1, head, head + 1, len(intact) / 2, len(intact) - 1} {
		damaged["cut at "+strconv.Itoa(n)] = intact[:n]
	}
	for at := 0; at < head; at += 7 {
		damaged["changed at "+strconv.Itoa(at)] = changed(at)
	}
	for name, content := range damaged {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, ok := get(t, table, e.Key); ok {
			t.Errorf("%s: it was read", name)
		}
		if r.take(path) == 0 {
			t.Errorf("%s: it was not reported", name)
		}
		if _, ok, err := table.Pop(t.Context(), e.Key, driver.Filter{}); ok || err != nil {
			t.Errorf("%s: pop: %v, %v", name, ok, err)
		}
		for _, err := range table.Entries(t.Context(), everything) {
			t.Errorf("%s: an iteration yields something, error %v", name, err)
		}
		headIntact := len(content) == len(intact) && bytes.Equal(content[:head], intact[:head])
		if n := count(t, table); n != 0 && !headIntact {
			t.Errorf("%s: count is %d", name, n)
		}
		if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, content) {
			t.Errorf("%s: the file was changed: %v", name, err)
		}
		if err := table.Put(t.Context(), []driver.Entry{e}); err != nil {
			t.Errorf("%s: put: %v", name, err)
		}
		if got, ok := get(t, table, e.Key); !ok || !whole(got) {
			t.Errorf("%s: an entry that was put in its place is not read", name)
		}
	}
}

func TestWhatIsNoFileIsAMiss(t *testing.T) {
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	for name, replace := range map[string]func(path string) error{
		"a folder":        func(path string) error { return os.Mkdir(path, 0o700) },
		"a full folder":   func(path string) error { return os.MkdirAll(filepath.Join(path, "x"), 0o700) },
		"a link to entry": func(path string) error { return os.Symlink(elsewhere, path) },
		"a dangling link": func(path string) error { return os.Symlink("nowhere", path) },
		"a pipe":          makePipe,
		"a file above": func(path string) error {
			return errors.Join(os.Remove(filepath.Dir(path)), os.WriteFile(filepath.Dir(path), nil, 0o600))
		},
		"a pipe above": func(path string) error {
			return errors.Join(os.Remove(filepath.Dir(path)), makePipe(filepath.Dir(path)))
		},
		"a link above": func(path string) error {
			return errors.Join(os.Remove(filepath.Dir(path)), os.Symlink(t.TempDir(), filepath.Dir(path)))
		},
	} {
		_, _, table, e, path := reporting(t)
		if err := os.Rename(path, elsewhere); err != nil {
			t.Fatal(err)
		}
		if err := replace(path); err != nil {
			t.Logf("%s: %v", name, err)
			continue
		}
		if _, ok := get(t, table, e.Key); ok {
			t.Errorf("%s: it was read", name)
		}
		if n := count(t, table); n != 0 {
			t.Errorf("%s: count is %d", name, n)
		}
		if _, ok, err := table.Pop(t.Context(), e.Key, driver.Filter{}); ok || err != nil {
			t.Errorf("%s: pop: %v, %v", name, ok, err)
		}
		if n, err := table.Clear(t.Context(), driver.Filter{}); n != 0 || err != nil {
			t.Errorf("%s: clear: %d, %v", name, n, err)
		}
		if strings.Contains(name, "folder") || strings.Contains(name, "above") {
			for _, keys := range [][]driver.Key{{e.Key}, {e.Key, e.Key}} {
				if n, err := table.Delete(t.Context(), keys); n != 0 || err != nil {
					t.Errorf("%s: delete: %d, %v", name, n, err)
				}
			}
		}
		if _, err := os.Lstat(path); err != nil && !strings.Contains(name, "above") {
			t.Errorf("%s: it is gone: %v", name, err)
		}
		t.Logf("%s: put: %v", name, table.Put(t.Context(), []driver.Entry{e}))
	}
	if _, err := os.Stat(elsewhere); err != nil {
		t.Errorf("what a link led to is gone: %v", err)
	}
}

func TestAHeadThatIsTooLongIsRefused(t *testing.T) {
	_, _, table, e, _ := reporting(t)
	long := track("b", 1, 1)
	long.Name = strings.Repeat("x", 100_000_000)
	if err := table.Put(t.Context(), []driver.Entry{long}); !errors.Is(err, driver.ErrTooLarge) {
		t.Errorf("put: %v", err)
	}
	if _, ok := get(t, table, long.Key); ok {
		t.Error("it is there")
	}
	if _, ok := get(t, table, e.Key); !ok {
		t.Error("another is gone")
	}
}

// An entry that stands under another's name, as after a mistake of a copying tool, is
// neither.
func TestAMovedEntryIsAMiss(t *testing.T) {
	r, store, table, e, path := reporting(t)
	other, err := store.EntryPath("tracks", driver.Key{"b", int64(1)})
	if err != nil {
		t.Fatal(err)
	}
	os.MkdirAll(filepath.Dir(other), 0o700)
	if err := os.Rename(path, other); err != nil {
		t.Fatal(err)
	}
	for _, key := range []driver.Key{e.Key, {"b", int64(1)}} {
		if _, ok := get(t, table, key); ok {
			t.Errorf("%v was read", key)
		}
	}
	if r.take(other) == 0 {
		t.Error("it was not reported")
	}
	if n := count(t, table); n != 0 {
		t.Errorf("count is %d", n)
	}
	if n, err := table.Clear(t.Context(), driver.Filter{}); n != 0 || err != nil {
		t.Errorf("clear: %d, %v", n, err)
	}
	if _, err := os.Stat(other); err != nil {
		t.Errorf("clear removed it: %v", err)
	}

	// Nor is one that was moved to another table.
	spec := tracks
	spec.Name = "albums"
	albums, err := store.OpenTable(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	place, err := store.EntryPath("albums", e.Key)
	if err != nil {
		t.Fatal(err)
	}
	os.MkdirAll(filepath.Dir(place), 0o700)
	if err := os.Rename(other, place); err != nil {
		t.Fatal(err)
	}
	if _, ok := get(t, albums, e.Key); ok {
		t.Error("an entry of another table was read")
	}
}

func TestClearRemovesItsOwnFilesAlone(t *testing.T) {
	_, store, table, _, path := reporting(t)
	folder := filepath.Join(store.Path(), "tracks")
	shard := filepath.Dir(path)
	name := filepath.Base(path)
	foreign := map[string]string{
		filepath.Join(store.Path(), "notes.txt"):   "mine",
		filepath.Join(folder, "README"):            "mine",
		filepath.Join(folder, ".tmp-notes"):        "mine",
		filepath.Join(shard, "notes~txt"):          "mine",
		filepath.Join(shard, "README"):             "",
		filepath.Join(shard, name+".bak"):          "endpointcache/1 ",
		filepath.Join(shard, name[:len(name)-1]):   "endpointcache/1 ",
		filepath.Join(shard, "x"+name):             "a letter",
		filepath.Join(folder, "zz", "entry"):       "mine",
		filepath.Join(folder, "tracks", name):      "mine",
		filepath.Join(folder, ".tmp-0123456789ab"): "too short to be ours",
	}
	for path, content := range foreign {
		os.MkdirAll(filepath.Dir(path), 0o700)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		old := time.Now().Add(-24 * time.Hour)
		if err := os.Chtimes(path, old, old); err != nil {
			t.Fatal(err)
		}
	}
	torn, err := store.EntryPath("tracks", driver.Key{"torn", int64(1)})
	if err != nil {
		t.Fatal(err)
	}
	abandoned := []string{filepath.Join(folder, ".tmp-0123456789abcdef"), filepath.Join(shard, ".tmp-0123456789abcdef")}
	young := filepath.Join(shard, ".tmp-fedcba9876543210")
	for _, path := range append(abandoned, torn, young) {
		os.MkdirAll(filepath.Dir(path), 0o700)
		if err := os.WriteFile(path, []byte("endpointcache/1 0"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	old := time.Now().Add(-2 * time.Hour)
	for _, path := range abandoned {
		if err := os.Chtimes(path, old, old); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := table.Clear(t.Context(), driver.Filter{State: driver.Live, Now: now}); n != 1 || err != nil {
		t.Errorf("clear of live entries: %d, %v; want 1", n, err)
	}
	if _, err := os.Stat(torn); err != nil {
		t.Errorf("a clear of live entries removed a torn one: %v", err)
	}
	if n, err := table.Clear(t.Context(), driver.Filter{}); n != 0 || err != nil {
		t.Errorf("clear: %d, %v; want 0", n, err)
	}
	for path, content := range foreign {
		if have, err := os.ReadFile(path); err != nil || string(have) != content {
			t.Errorf("%s is not as it was: %v", path, err)
		}
	}
	for path, want := range map[string]bool{torn: false, abandoned[0]: false, abandoned[1]: false, young: true} {
		if _, err := os.Stat(path); (err == nil) != want {
			t.Errorf("%s is there: %v, want %v", path, err == nil, want)
		}
	}
}
