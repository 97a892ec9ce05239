//go:build unix

package filesystem_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/filesystem"
)

func TestAFolderThatOthersMayWriteIsReportedOnceAndLeft(t *testing.T) {
	for mode, want := range map[os.FileMode]int{0o700: 0, 0o755: 0, 0o775: 0, 0o777: 1, 0o702: 1} {
		folder := filepath.Join(t.TempDir(), "cache")
		inside := filepath.Join(folder, "tracks")
		openTracks(t, open(t, folder, nil))
		for _, path := range []string{folder, inside} {
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}
		}
		r := newReports()
		store := open(t, folder, &filesystem.Options{Logger: slog.New(r)})
		for range 2 {
			saveTimes(t, openTracks(t, store), 1)
		}
		for _, path := range []string{folder, inside} {
			if r.paths[path] != want {
				t.Errorf("mode %v: %s was reported %d times, want %d", mode, path, r.paths[path], want)
			}
			if info, err := os.Stat(path); err != nil || info.Mode().Perm() != mode {
				t.Errorf("mode %v of %s has become %v", mode, path, info.Mode())
			}
		}
	}
}

// Whatever the umask and what was there before let others do.
func TestFilesAreForThisUserAlone(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	folder := t.TempDir()
	store := open(t, folder, nil)
	table := openTracks(t, store)
	e := track("a", 1, 1)
	path, err := store.EntryPath("tracks", e.Key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := table.Put(t.Context(), []driver.Entry{e, track("b", 2, 2)}); err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(filepath.Join(folder, "tracks"), func(at string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 && at != filepath.Dir(path) {
			t.Errorf("%s has mode %v", at, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
