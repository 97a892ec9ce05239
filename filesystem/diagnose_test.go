package filesystem

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/tracktest"
)

// filled makes a folder with entries.
func filled(t *testing.T, n int) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "music")
	s, err := Open(t.Context(), dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	entries, _ := tracktest.Entries(n)
	tracktest.Put(t, tracktest.Table(t, s), entries...)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func reopened(t *testing.T, dir string, o *Options) *Store {
	t.Helper()
	return tracktest.Opened[*Store](t)(Open(t.Context(), dir, o))
}

func readOnly() *Options { return &Options{ReadOnly: true} }

// leave makes a temporary file of a writer that has died, so long ago.
func leave(t *testing.T, dir string, age time.Duration) (path string) {
	t.Helper()
	path = filepath.Join(dir, "tracks", temporaryFolder, "7-0123456789abcdef-1")
	then := time.Now().Add(-age)
	if err := errors.Join(os.WriteFile(path, []byte("half"), 0o600), os.Chtimes(path, then, then)); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFindings(t *testing.T) {
	dir := filled(t, 3)
	s := reopened(t, dir, readOnly())
	tracktest.WantFinding(t, s, true, "entries", "3 entries", driver.Good)
	tracktest.WantFinding(t, s, true, "damaged files", "none", driver.Good)
	tracktest.WantFinding(t, s, false, "tables", "1", driver.Good)
	tracktest.WantFinding(t, s, false, "temporary files", "none", driver.Good)
	tracktest.WantFinding(t, s, false, "access", "opened to be read", driver.Good)
	if err := os.WriteFile(filepath.Join(dir, "notes.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tracktest.WantFinding(t, s, false, "other contents", "1 file", driver.Warning)
}

func TestFindingsOfPermissions(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there are no such permissions")
	}
	dir := filled(t, 1)
	tracktest.WantFinding(t, reopened(t, dir, readOnly()), false, "permissions of the folder", "drwx------", driver.Good)
	if err := os.Chmod(dir, 0o707); err != nil {
		t.Fatal(err)
	}
	tracktest.WantFinding(t, reopened(t, dir, readOnly()), false, "permissions of the folder", "drwx---rwx", driver.Fault)
}

func TestFindingsOfDamage(t *testing.T) {
	dir := filled(t, 3)
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err == nil && strings.HasPrefix(filepath.Base(path), "id-000001") {
			err = os.Truncate(path, 20)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	tracktest.WantFinding(t, reopened(t, dir, readOnly()), true, "damaged files", "1 file", driver.Fault)
	tracktest.WantFinding(t, reopened(t, dir, readOnly()), true, "entries", "2 entries", driver.Good)
}

func TestWhatDeadWritersHaveLeftIsFoundAndCompacted(t *testing.T) {
	dir := filled(t, 1)
	path := leave(t, dir, 2*abandoned)
	tracktest.WantFinding(t, reopened(t, dir, readOnly()), false, "temporary files", "1, of which 1", driver.Warning)
	dropped := filepath.Join(dir, droppedPrefix+strings.Repeat("A", 26))
	if err := os.Mkdir(dropped, 0o700); err != nil {
		t.Fatal(err)
	}
	tracktest.WantFinding(t, reopened(t, dir, readOnly()), false, "dropped tables", "1 folder", driver.Warning)
	s := reopened(t, dir, nil)
	leave(t, dir, 2*abandoned)
	table := tracktest.Table(t, s)
	leave(t, dir, 2*abandoned)
	_, keys := tracktest.Entries(1)
	if _, err := table.Delete(t.Context(), keys); err != nil {
		t.Fatal(err)
	}
	freed, err := s.Compact(t.Context())
	if err != nil || freed < int64(len("half")) {
		t.Errorf("%d bytes were freed, %v", freed, err)
	}
	for _, gone := range []string{path, dropped} {
		if _, err := os.Stat(gone); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is there: %v", gone, err)
		}
	}
	entries, err := os.ReadDir(filepath.Join(dir, "tracks"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if isShard(e.Name()) {
			t.Errorf("the folder %s, which is empty, is there", e.Name())
		}
	}
	tracktest.WantFinding(t, s, false, "temporary files", "none", driver.Good)
}
