package filesystem

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/waitfor"
)

// openLetters opens a table, with its folder and that of its temporary files.
func openLetters(t *testing.T, dir string) (*table, *folder, string) {
	t.Helper()
	store, err := Open(t.Context(), dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	_, err = store.OpenTable(t.Context(), driver.TableSpec{Name: "letters", Key: []driver.Column{{Name: "id", Kind: driver.String}}})
	if err != nil {
		t.Fatal(err)
	}
	opened := store.tables["letters"]
	return opened, opened.folder.Load(), filepath.Join(dir, "letters", temporaryFolder)
}

var letter = driver.Entry{Key: driver.Key{"a"}, Status: 200, Payload: []byte("text"), CachedAt: time.Unix(1, 0).UTC()}

// Where other machines may not see who has a lock, only files that are old go: of other
// numbers and of the writer's own, which another machine's writer may have, too.
func TestOnANetworkFileSystemOnlyOldFilesGo(t *testing.T) {
	opened, f, tmp := openLetters(t, t.TempDir())
	f.local = false
	if err := opened.Put(t.Context(), []driver.Entry{letter}); err != nil {
		t.Fatal(err)
	}
	for _, n := range []string{"0", "7"} {
		for name, age := range map[string]time.Duration{
			"-0123456789abcdef-1": 0, "-0123456789abcdef-2": abandoned - time.Minute, "-0123456789abcdef-3": abandoned + time.Minute,
		} {
			path := filepath.Join(tmp, n+name)
			when := time.Now().Add(-age)
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(path, when, when); err != nil {
				t.Fatal(err)
			}
		}
	}
	f.sweepSome()
	for _, n := range []string{"0", "7"} {
		for i, want := range []bool{true, true, false} {
			_, err := os.Stat(filepath.Join(tmp, fmt.Sprintf("%s-0123456789abcdef-%d", n, i+1)))
			if there := err == nil; there != want {
				t.Errorf("file %d of number %s is there: %v, want %v", i+1, n, there, want)
			}
		}
	}
}

// A writer whose files are gone before they have their names writes them again.
func TestAWriterMissesItsTemporaryFiles(t *testing.T) {
	opened, f, tmp := openLetters(t, t.TempDir())
	var locks []*os.File
	for n := range stripes {
		lock, err := lockFile(t.Context(), f.root, fmt.Sprintf("%s%x", lockPrefix, n))
		if err != nil {
			t.Fatal(err)
		}
		locks = append(locks, lock)
	}
	saved := make(chan error, 1)
	go func() { saved <- opened.Put(t.Context(), []driver.Entry{letter}) }()
	var files []string
	waitfor.True(t, "a temporary file that is complete", func() bool {
		files, _ = filepath.Glob(filepath.Join(tmp, "*-*-*"))
		if len(files) == 0 {
			return false
		}
		data, err := os.ReadFile(files[0])
		return err == nil && string(data[max(0, len(data)-len(letter.Payload)):]) == string(letter.Payload)
	})
	if err := os.Remove(files[0]); err != nil {
		t.Fatal(err)
	}
	for _, lock := range locks {
		lock.Close()
	}
	if err := waitfor.Receive(t, "the save", saved); err != nil {
		t.Fatal(err)
	}
	n := 0
	err := opened.Get(t.Context(), []driver.Key{letter.Key}, driver.Selection{}, func(int, driver.Entry) { n++ })
	if n != 1 || err != nil {
		t.Errorf("%d entries are there, %v", n, err)
	}
}
