package sqlite

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/tracktest"
)

// filled makes a file with entries, of which it deletes those that are not kept.
func filled(t *testing.T, saved, kept int) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "music.db")
	s, err := Open(t.Context(), path, nil)
	if err != nil {
		t.Fatal(err)
	}
	table := tracktest.Table(t, s)
	entries, keys := tracktest.Entries(saved)
	tracktest.Put(t, table, entries...)
	if _, err := table.Delete(t.Context(), keys[kept:]); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func opened(t *testing.T, path string, o *Options) *Store {
	t.Helper()
	return tracktest.Opened[*Store](t)(Open(t.Context(), path, o))
}

func readOnly() *Options { return &Options{ReadOnly: true} }

func TestFindingsOfPermissions(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there are no such permissions")
	}
	path := filled(t, 1, 1)
	for _, tt := range []struct {
		mode  os.FileMode
		level driver.Level
	}{{0o600, driver.Good}, {0o640, driver.Good}, {0o604, driver.Warning}, {0o606, driver.Fault}} {
		if err := os.Chmod(path, tt.mode); err != nil {
			t.Fatal(err)
		}
		tracktest.WantFinding(t, opened(t, path, readOnly()), false, "permissions of the file", tt.mode.String(), tt.level)
	}
	if err := errors.Join(os.Chmod(path, 0o600), os.Chmod(filepath.Dir(path), 0o707)); err != nil {
		t.Fatal(err)
	}
	s := opened(t, path, readOnly())
	tracktest.WantFinding(t, s, false, "permissions of the folder", "drwx---rwx", driver.Fault)
	tracktest.WantFinding(t, s, false, "access", "opened to be read", driver.Good)
}

func TestFindingsOnANetwork(t *testing.T) {
	path := filled(t, 1, 1)
	onNetwork(t)
	s := opened(t, path, nil)
	tracktest.WantFinding(t, s, false, "file system", "nfs", driver.Warning)
	tracktest.WantFinding(t, s, false, "journal mode", "delete", driver.Good)
	s = opened(t, filled(t, 1, 1), &Options{Network: NetworkIgnore})
	tracktest.WantFinding(t, s, false, "file system", "nfs", driver.Fault)
}

func TestFindingsOfAJournal(t *testing.T) {
	path := filled(t, 1, 1)
	tracktest.WantFinding(t, opened(t, path, readOnly()), false, "journal mode", "wal", driver.Good)
	inWAL := opened(t, path, nil)
	tracktest.Put(t, tracktest.Table(t, inWAL), tracktest.Entry(2))
	tracktest.WantFinding(t, inWAL, false, "write-ahead log", "0 of", driver.Good)
	tracktest.WantFinding(t, opened(t, path, readOnly()), false, "write-ahead log", "0 of", driver.Good)

	path = filled(t, 1, 1)
	c, err := connect(t.Context(), fileDSN(path, ""), []string{"PRAGMA journal_mode=DELETE"})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	tracktest.WantFinding(t, opened(t, path, readOnly()), false, "journal mode", "delete", driver.Warning)
}

func TestFindingsOfALongLog(t *testing.T) {
	path := filled(t, 1, 1)
	s := opened(t, path, nil)
	table := tracktest.Table(t, s)
	reader := opened(t, path, readOnly())
	err := reader.readers.with(t.Context(), func(c *conn) error { // who needs what was there before
		if err := c.exec(t.Context(), "BEGIN"); err != nil {
			return err
		}
		if err := c.pragma(t.Context(), "SELECT count(*) FROM tracks"); err != nil {
			return err
		}
		e := tracktest.Entry(1)
		e.Payload = make([]byte, hugeLog+1)
		if err := table.Put(t.Context(), []driver.Entry{e}); err != nil {
			return err
		}
		tracktest.WantFinding(t, s, false, "write-ahead log", "20 MiB", driver.Warning)
		if _, err := s.Compact(t.Context()); err != nil {
			t.Errorf("compacting beside a reader: %v", err)
		}
		return c.exec(t.Context(), "ROLLBACK")
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	tracktest.WantFinding(t, s, false, "write-ahead log", "empty", driver.Good)
}

func TestFindingsOfSpace(t *testing.T) {
	path := filled(t, 1, 1)
	s := opened(t, path, nil)
	table := tracktest.Table(t, s)
	entries, keys := tracktest.Entries(2_000)
	tracktest.Put(t, table, entries...)
	if _, err := table.Delete(t.Context(), keys[1:]); err != nil {
		t.Fatal(err)
	}
	tracktest.WantFinding(t, s, false, "free pages", "of", driver.Warning)
	freed, err := s.Compact(t.Context())
	if err != nil || freed == 0 {
		t.Errorf("%d bytes were freed, %v", freed, err)
	}
	tracktest.WantFinding(t, s, false, "free pages", "none", driver.Good)
}

// A file that cannot be cut in steps is rewritten.
func TestAFileOfBeforeStepsIsCompacted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "music.db")
	c, err := connect(t.Context(), fileDSN(path, ""), []string{"CREATE TABLE own (x)"})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	s := opened(t, path, nil)
	tracktest.Put(t, tracktest.Table(t, s), tracktest.Entry(1))
	tracktest.WantFinding(t, s, false, "auto_vacuum", "not", driver.Warning)
	tracktest.WantFinding(t, s, false, "tables", "1, and 1", driver.Good)
	if _, err := s.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	tracktest.WantFinding(t, opened(t, path, nil), false, "auto_vacuum", "incremental", driver.Good)
}

func TestFindingsOfDamage(t *testing.T) {
	path := filled(t, 500, 500)
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	noise := make([]byte, 64)
	random := rand.NewChaCha8([32]byte{1})
	for page := int64(8); page < info.Size()/4096; page++ {
		_, _ = random.Read(noise)
		if _, err := f.WriteAt(noise, page*4096); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	for _, o := range []*Options{readOnly(), nil} {
		s, err := Open(t.Context(), path, o)
		if err != nil {
			t.Fatal(err)
		}
		tracktest.WantFinding(t, s, true, "integrity", "", driver.Fault)
		if err := s.Close(); err != nil && !isDamage(err) {
			t.Error(err)
		}
	}
	path = filled(t, 1, 1)
	if err := os.WriteFile(path+".damaged-20261129T153000Z", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tracktest.WantFinding(t, opened(t, path, readOnly()), true, "integrity", "ok", driver.Good)
	tracktest.WantFinding(t, opened(t, path, readOnly()), false, "damaged files", "1 file", driver.Warning)
}

func TestFindingsOfADatabaseInMemory(t *testing.T) {
	s := tracktest.Opened[*Store](t)(OpenMemory(t.Context(), nil))
	tracktest.WantFinding(t, s, true, "integrity", "ok", driver.Good)
	tracktest.WantFinding(t, s, true, "journal mode", "memory", driver.Good)
}

// See https://sqlite.org/wal.html#walresetbug.
func TestVersionsOfSQLite(t *testing.T) {
	for version, want := range map[string]bool{
		"3.6.23": false, "3.7.0": true, "3.44.5": true, "3.44.6": false, "3.44.9": false, "3.45.0": true, "3.50.6": true, "3.50.7": false,
		"3.51.0": true, "3.51.2": true, "3.51.3": false, "3.52.0": false, "3.54.1": false, "4.0.0": false,
	} {
		if got := resetsLogsWrongly(version); got != want {
			t.Errorf("%s: %v, want %v", version, got, want)
		}
	}
	s := tracktest.Opened[*Store](t)(OpenMemory(t.Context(), nil))
	tracktest.WantFinding(t, s, false, "SQLite", "3.", driver.Good)
}
