package filesystem_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/filesystem"
)

func TestOpenTakesThePathAsGiven(t *testing.T) {
	home, folder, temp := t.TempDir(), t.TempDir(), t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("USERPROFILE", home)
	t.Setenv("TMPDIR", temp)
	t.Setenv("TMP", temp)
	t.Chdir(folder)
	inTemp := &filesystem.Options{Temp: true}
	for _, tt := range []struct {
		path, want string
		opts       *filesystem.Options
	}{
		{filepath.Join(folder, "a", "b", "api.v1"), filepath.Join(folder, "a", "b", "api.v1"), nil},
		{filepath.Join("c", "api.v2"), filepath.Join(folder, "c", "api.v2"), nil},
		{filepath.Join(folder, "~"), filepath.Join(folder, "~"), nil},
		{"~x", filepath.Join(folder, "~x"), nil},
		{"日本", filepath.Join(folder, "日本"), nil},
		{"~/.cache/music", filepath.Join(home, ".cache", "music"), nil},
		{"~", home, nil},
		{"http_cache", filepath.Join(temp, "http_cache"), inTemp},
		{filepath.Join(folder, "absolute"), filepath.Join(folder, "absolute"), inTemp},
		{"~/.cache/temp", filepath.Join(home, ".cache", "temp"), inTemp},
	} {
		store := open(t, tt.path, tt.opts)
		if store.Path() != tt.want {
			t.Errorf("Open(%q) opened %q, want %q", tt.path, store.Path(), tt.want)
		}
		info, err := os.Stat(tt.want)
		if err != nil {
			t.Error(err)
		} else if tt.path != "~" && runtime.GOOS != "windows" && info.Mode().Perm() != 0o700 {
			t.Errorf("%s has mode %v", tt.want, info.Mode())
		}
		table := openTracks(t, store)
		if err := table.Put(t.Context(), []driver.Entry{track("a", 1, 1)}); err != nil {
			t.Error(err)
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(filepath.Join(tt.want, "tracks", "table.json")); err != nil {
			t.Errorf("the files are gone after Close: %v", err)
		}
		filepath.WalkDir(tt.want, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				t.Error(err)
				return nil
			}
			info, err := d.Info()
			if err != nil {
				t.Error(err)
			} else if tt.path != "~" && runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s has mode %v: others can read it", path, info.Mode())
			}
			return nil
		})
	}
}

func TestOpenTellsWhyThereCanBeNoFolder(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		path string
		opts *filesystem.Options
	}{
		{"", nil}, {file, nil}, {filepath.Join(file, "x"), nil}, {filepath.Join(folder, "\x00"), nil},
		{"../elsewhere", &filesystem.Options{Temp: true}},
	} {
		store, err := filesystem.Open(t.Context(), tt.path, tt.opts)
		if err == nil {
			store.Close()
			t.Errorf("Open(%q) has no error", tt.path)
			continue
		}
		var op *driver.OpError
		if !errors.As(err, &op) || op.Op != "open" || store != nil {
			t.Errorf("Open(%q): %v", tt.path, err)
		}
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := filesystem.Open(cancelled, filepath.Join(folder, "new"), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled context: %v", err)
	}
	if _, err := os.Stat(filepath.Join(folder, "new")); err == nil {
		t.Error("a cancelled Open has made the folder")
	}
}

func TestNewChecksItsArguments(t *testing.T) {
	if _, err := filesystem.New(t.Context(), nil, nil); err == nil {
		t.Error("no folder is no error")
	}
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := filesystem.New(t.Context(), root, &filesystem.Options{Temp: true}); err == nil {
		t.Error("Temp is no error")
	}
	store, err := filesystem.New(t.Context(), root, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Error(err)
	}
	if _, err := root.Stat("."); err != nil {
		t.Errorf("Close has closed the caller's folder: %v", err)
	}
	root.Close()
	if _, err := filesystem.New(t.Context(), root, nil); err == nil {
		t.Error("a closed folder is no error")
	}
}

func TestATableInWhosePlaceIsSomethingElseIsASchemaError(t *testing.T) {
	outside := t.TempDir()
	for name, make := range map[string]func(path string) error{
		"a file":          func(path string) error { return os.WriteFile(path, []byte("mine"), 0o600) },
		"a link":          func(path string) error { return os.Symlink(outside, path) },
		"a dangling link": func(path string) error { return os.Symlink("nowhere", path) },
		"a full folder":   func(path string) error { return os.MkdirAll(filepath.Join(path, "mine"), 0o700) },
		"another's table.json": func(path string) error {
			return errors.Join(os.Mkdir(path, 0o700), os.WriteFile(filepath.Join(path, "table.json"), []byte(`{"rows":[]}`), 0o600))
		},
		"an empty table.json": func(path string) error {
			return errors.Join(os.Mkdir(path, 0o700), os.WriteFile(filepath.Join(path, "table.json"), nil, 0o600))
		},
	} {
		folder := t.TempDir()
		if err := make(filepath.Join(folder, "tracks")); err != nil {
			t.Logf("%s: %v", name, err)
			continue
		}
		before := tree(t, folder)
		if _, err := open(t, folder, nil).OpenTable(t.Context(), tracks); !errors.Is(err, driver.ErrSchema) {
			t.Errorf("%s: %v", name, err)
		}
		if after := tree(t, folder); after != before {
			t.Errorf("%s: there is %q now, before %q", name, after, before)
		}
	}
	if left := tree(t, outside); strings.Contains(left, "/") {
		t.Errorf("outside there is %q", left)
	}
}

// tree are the paths below a folder.
func tree(t *testing.T, folder string) string {
	t.Helper()
	var paths []string
	err := fs.WalkDir(os.DirFS(folder), ".", func(path string, _ fs.DirEntry, err error) error {
		paths = append(paths, path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(paths, " ")
}

// The folder of a table that a crash has left before it was complete is taken.
func TestATableWhoseMakingBrokeOffIsMade(t *testing.T) {
	folder := t.TempDir()
	os.Mkdir(filepath.Join(folder, "tracks"), 0o700)
	for _, name := range []string{"lock-0", ".tmp-0123456789abcdef"} {
		if err := os.WriteFile(filepath.Join(folder, "tracks", name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	openTracks(t, open(t, folder, nil))
}

func TestManyStoresCreateOneTable(t *testing.T) {
	folder := fastFolder(t)
	var wait sync.WaitGroup
	for n := range 16 {
		store := open(t, folder, nil)
		spec := tracks
		if n%2 == 1 {
			spec.Key = spec.Key[:1]
		}
		wait.Add(1)
		go func() {
			defer wait.Done()
			if _, err := store.OpenTable(t.Context(), spec); err != nil && !errors.Is(err, driver.ErrSchema) {
				t.Error(err)
			}
		}()
	}
	wait.Wait()
	_, one := open(t, folder, nil).OpenTable(t.Context(), tracks)
	spec := tracks
	spec.Key = spec.Key[:1]
	_, other := open(t, folder, nil).OpenTable(t.Context(), spec)
	if (one == nil) == (other == nil) {
		t.Errorf("one of two schemas is to be there: %v, %v", one, other)
	}
}

func TestPathsAreThoseOfTheSelectedEntries(t *testing.T) {
	store := open(t, t.TempDir(), nil)
	table := openTracks(t, store)
	want := make(map[string]bool)
	var entries []driver.Entry
	for n := range 100 {
		e := track("a/../b\x00", n, n)
		if n%2 == 0 {
			e.ExpiresAt = now
		}
		path, err := store.EntryPath("tracks", e.Key)
		if err != nil {
			t.Fatal(err)
		}
		entries, want[path] = append(entries, e), n%2 == 1
	}
	if err := table.Put(t.Context(), entries); err != nil {
		t.Fatal(err)
	}
	for state, n := range map[driver.State]int{driver.All: 100, driver.Live: 50, driver.Expired: 50} {
		seen := make(map[string]bool)
		for path, err := range store.Paths(t.Context(), "tracks", driver.Filter{State: state, Now: now}) {
			if err != nil {
				t.Fatal(err)
			}
			live, ok := want[path]
			if !ok || seen[path] || state == driver.Live && !live || state == driver.Expired && live {
				t.Errorf("path %s of state %v", path, state)
			}
			seen[path] = true
			content, err := os.ReadFile(path)
			if err != nil {
				t.Error(err)
			}
			if _, payload, ok := strings.Cut(string(content), "\n\n"); !ok || strings.Trim(payload, "0123456789") != "" {
				t.Errorf("%s does not end with the payload", path)
			}
		}
		if len(seen) != n {
			t.Errorf("%d paths of state %v, want %d", len(seen), state, n)
		}
	}
	if _, err := store.EntryPath("albums", driver.Key{"a"}); err == nil {
		t.Error("a path of a table that was not opened is no error")
	}
	for _, err := range store.Paths(t.Context(), "albums", driver.Filter{}) {
		if err == nil {
			t.Error("paths of a table that was not opened are no error")
		}
	}
	store.Close()
	for _, err := range store.Paths(t.Context(), "tracks", driver.Filter{}) {
		if !errors.Is(err, driver.ErrClosed) {
			t.Errorf("paths after a close: %v", err)
		}
	}
}
