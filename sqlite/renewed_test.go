package sqlite

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
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
