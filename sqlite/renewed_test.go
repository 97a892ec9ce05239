package sqlite

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/waitfor"
)

// An operation that meets the new file before somebody else has created its tables is done again.
func TestAnOperationMeetsANewFileBeforeItsTables(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("an open file cannot be removed")
	}
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "music.db")
	s, err := Open(ctx, path, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	table, err := s.OpenTable(ctx, owned)
	if err != nil {
		t.Fatal(err)
	}
	times := 0
	err = s.guard(ctx, true, func() error {
		if times++; times > 1 {
			return nil
		}
		if err := os.Remove(path); err != nil {
			t.Error(err)
		}
		entry := driver.Entry{Key: driver.Key{"many", "1", int64(1)}, CachedAt: time.Now()}
		if err := table.Put(ctx, []driver.Entry{entry}); err != nil { // renews
			t.Error(err)
		}
		return s.file.writer.with(ctx, func(c *conn) error { return c.pragma(ctx, "SELECT * FROM main.uncreated") })
	})
	if times != 2 || err != nil {
		t.Errorf("done %d times, %v", times, err)
	}
}

// A program that is idle leaves a folder alone that was removed: its next save begins it anew.
func TestUpkeepDoesNotBringBackARemovedFile(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("an open file cannot be removed")
	}
	dir := filepath.Join(t.TempDir(), "cache")
	s, err := Open(t.Context(), filepath.Join(dir, "music.db"), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	table, err := s.OpenTable(t.Context(), owned)
	if err != nil {
		t.Fatal(err)
	}
	entries := []driver.Entry{{Key: driver.Key{"many", "1", int64(1)}, CachedAt: time.Now()}}
	if err := table.Put(t.Context(), entries); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	waitfor.True(t, "upkeep ends", func() bool { return !s.upkeep.running.Load() })
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder is there again, %v", err)
	}
	if err := table.Put(t.Context(), entries); err != nil {
		t.Error(err)
	}
}
