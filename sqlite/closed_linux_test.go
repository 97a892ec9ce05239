package sqlite_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/endpointcache/endpointcache/sqlite"
)

// A file that could not be opened as a database is not open any more.
func TestAFailedOpenLeavesNothingOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "music.db")
	if err := os.WriteFile(path, []byte(strings.Repeat("this is a letter, not a database\n", 500)), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if s, err := sqlite.Open(t.Context(), path, quiet(sqlite.Options{})); err == nil {
			t.Fatal(s.Close())
		}
	}
	open, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range open {
		if to, err := os.Readlink(name); err == nil && to == path {
			t.Errorf("the file is open as %s", name)
		}
	}
}
