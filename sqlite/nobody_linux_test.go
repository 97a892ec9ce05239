package sqlite_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/endpointcache/endpointcache/internal/otheruser"
)

// What SQLite makes beside a file that may only be read may only be read, too. It does not
// keep the file from being written when that is allowed again.
func TestAFileThatMayBeWrittenAgain(t *testing.T) {
	folder := otheruser.Run(t)
	if folder == "" {
		return
	}
	path := filepath.Join(folder, "music.db")
	oneTrack(t, path)
	if err := os.Chmod(path, 0o400); err != nil {
		t.Fatal(err)
	}
	wantReadOnly(t, path, nil)
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	_, table := openTracks(t, path, nil)
	put(t, table, track("w", 2))
}
