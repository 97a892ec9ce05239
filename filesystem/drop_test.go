package filesystem

import (
	"os"
	"path/filepath"

	"testing"

	"github.com/endpointcache/endpointcache/driver"
)

// Of two drops at once, the later finds that the folder is gone, and leaves alone the one
// that a save has made in its place since.
func TestADropLeavesWhatWasMadeSince(t *testing.T) {
	dir := t.TempDir()
	opened, f, _ := openLetters(t, dir)
	if !f.local {
		t.Skip("the file system may not tell folders apart")
	}
	if err := os.Rename(filepath.Join(dir, "letters"), filepath.Join(dir, droppedPrefix)); err != nil {
		t.Skip(err) // Windows renames no folder in which files are open
	}
	other, _, _ := openLetters(t, dir)
	if err := other.Put(t.Context(), []driver.Entry{letter}); err != nil {
		t.Fatal(err)
	}
	if removed, err := opened.removeFolder(t.Context(), f, opened.store.root); err != nil || !removed {
		t.Errorf("drop: %v, %v", removed, err)
	}
	if n, err := other.Count(t.Context(), driver.Filter{}); err != nil || n != 1 {
		t.Errorf("%d entries, %v", n, err)
	}
}
