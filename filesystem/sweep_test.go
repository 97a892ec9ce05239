package filesystem_test

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
)

// temporaries are the temporary files below a folder.
func temporaries(t *testing.T, folder string) []string {
	t.Helper()
	var found []string
	for _, pattern := range []string{"tracks/.tmp-*", "tracks/??/.tmp-*", "tracks/tmp/[0-9]*-*"} {
		paths, err := filepath.Glob(filepath.Join(folder, filepath.FromSlash(pattern)))
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, paths...)
	}
	return found
}

// saveTimes saves one entry as often as is asked for.
func saveTimes(t *testing.T, table driver.Table, times int) {
	t.Helper()
	for range times {
		if err := table.Put(t.Context(), []driver.Entry{track("a", 1, 1)}); err != nil {
			t.Fatal(err)
		}
	}
}

// untilSwept is how many saves remove what dead writers have left.
const untilSwept = 16

// promptly skips a test where locks do not tell who has died, but only an hour.
func promptly(t *testing.T) {
	t.Helper()
	switch runtime.GOOS {
	case "linux", "darwin", "freebsd", "dragonfly":
	default:
		t.Skip("it takes an hour")
	}
}

// Writers that are killed in the middle of their saves leave files, of which nothing is
// left as soon as another opens the folder, or goes on to save.
func TestNothingIsLeftOfWritersThatWereKilled(t *testing.T) {
	promptly(t)
	rounds, processes := 10, 3
	if testing.Short() {
		rounds = 2
	}
	folder := fastFolder(t)
	longLived := openTracks(t, open(t, folder, nil))
	saveTimes(t, longLived, 1)
	left := 0
	for round := 0; round < rounds || left == 0; round++ {
		saved := make([][savers]int, processes) // versions
		ended := make(chan error, processes)
		for i := range processes {
			cmd, out := start(t, folder, "save many", strconv.Itoa(i))
			last := 1 + rand.IntN(10)
			go func() {
				var err error
				for lines := bufio.NewScanner(out); err == nil && lines.Scan(); {
					var saver, version int
					if _, err = fmt.Sscan(lines.Text(), &saver, &version); err == nil {
						saved[i][saver] = version
					}
					if version == last {
						cmd.Process.Kill()
					}
				}
				cmd.Process.Kill()
				cmd.Wait()
				ended <- err
			}()
		}
		for range processes {
			if err := <-ended; err != nil {
				t.Fatal(err)
			}
		}
		left += len(temporaries(t, folder))
		if round%2 == 0 {
			openTracks(t, open(t, folder, nil))
		} else {
			saveTimes(t, longLived, untilSwept)
		}
		if found := temporaries(t, folder); len(found) > 0 {
			t.Fatalf("files of dead writers are left: %q", found)
		}
		for i := range saved {
			for saver, version := range saved[i] {
				for n := range many { // of the call that was killed, some may be saved
					key := driver.Key{fmt.Sprintf("%d-%d", i, saver), int64(n)}
					e, ok := get(t, longLived, key)
					if version > 0 && (!ok || e.Status < version) || ok && !whole(e) {
						t.Fatalf("entry %v was saved in version %d, and is %v %d", key, version, ok, e.Status)
					}
				}
			}
		}
		if _, err := longLived.Clear(t.Context(), driver.Filter{}); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d files were left", left)
	if locks, _ := filepath.Glob(filepath.Join(folder, "tracks", "tmp", "lock-*")); len(locks) > 2*(processes+1) {
		t.Errorf("%d locks for %d writers at once", len(locks), processes+1)
	}
}

// makeTemporary makes a temporary file, of the writer with a number, and of an age.
func makeTemporary(t *testing.T, path string, age time.Duration) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("endpointcache/1 0"), 0o600); err != nil {
		t.Fatal(err)
	}
	when := time.Now().Add(-age)
	if err := os.Chtimes(path, when, when); err != nil {
		t.Fatal(err)
	}
}

// The temporary files of a writer stay as long as it lives, however old they are.
func TestFilesOfLivingWritersStay(t *testing.T) {
	folder := fastFolder(t)
	living := open(t, folder, nil)
	saveTimes(t, openTracks(t, living), 1) // has number 0 from now on
	second := open(t, folder, nil)
	table := openTracks(t, second)
	saveTimes(t, table, 1) // has number 1
	file := filepath.Join(folder, "tracks", "tmp", "0-0123456789abcdef-1")
	makeTemporary(t, file, 24*time.Hour)
	for name, sweep := range map[string]func(){
		"a save":  func() { saveTimes(t, table, untilSwept) },
		"an open": func() { openTracks(t, open(t, folder, nil)) },
		"a clear": func() {
			if _, err := table.Clear(t.Context(), driver.Filter{}); err != nil {
				t.Error(err)
			}
		},
	} {
		sweep()
		if _, err := os.Stat(file); err != nil {
			t.Errorf("%s has removed a file of a living writer: %v", name, err)
		}
	}
	living.Close()
	saveTimes(t, table, untilSwept)
	if _, err := os.Stat(file); err == nil {
		t.Error("the file of a writer that has ended is left")
	}
}

// What a writer has left goes when another has its number, too.
func TestAWriterSweepsItsNumber(t *testing.T) {
	folder := fastFolder(t)
	saved := open(t, folder, nil)
	saveTimes(t, openTracks(t, saved), 1)
	table := openTracks(t, open(t, folder, nil))
	saved.Close()
	saveTimes(t, table, 1)
	file := filepath.Join(folder, "tracks", "tmp", "0-0123456789abcdef-1")
	makeTemporary(t, file, 24*time.Hour)
	saveTimes(t, table, untilSwept)
	if _, err := os.Stat(file); err == nil {
		t.Error("it is left")
	}
}

// Earlier versions had temporary files beside the entries, and no locks for them: those
// that are old go, a folder at a time.
func TestTemporaryFilesOfEarlierVersionsAreSwept(t *testing.T) {
	folder := fastFolder(t)
	store := open(t, folder, nil)
	table := openTracks(t, store)
	var old []string
	for _, at := range []string{"", "00", "2b", "ff"} {
		old = append(old, filepath.Join(folder, "tracks", at, ".tmp-0123456789abcdef"))
		makeTemporary(t, old[len(old)-1], 2*time.Hour)
	}
	young := filepath.Join(folder, "tracks", "3a", ".tmp-fedcba9876543210")
	makeTemporary(t, young, 0)
	foreign := filepath.Join(folder, "tracks", "3a", ".tmp-notes")
	makeTemporary(t, foreign, 2*time.Hour)

	saveTimes(t, table, untilSwept)
	if _, err := os.Stat(old[1]); err == nil {
		t.Error("the first folder is not swept")
	}
	if _, err := os.Stat(old[3]); err != nil {
		t.Errorf("the last folder is swept with the first: %v", err)
	}
	saveTimes(t, table, 257*untilSwept)
	if _, err := os.Stat(young); err != nil {
		t.Errorf("a file that may be in use was removed: %v", err)
	}
	when := time.Now().Add(-2 * time.Hour)
	if err := os.Chtimes(young, when, when); err != nil {
		t.Fatal(err)
	}
	store.Close()
	saveTimes(t, openTracks(t, open(t, folder, nil)), 257*untilSwept) // another goes on
	for _, path := range append(old, young) {
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s is left", path)
		}
	}
	if _, err := os.Stat(foreign); err != nil {
		t.Error(err)
	}
}

// On ext4 a folder keeps the size that it had with all its files.
func TestAClearRemovesTheFoldersItEmpties(t *testing.T) {
	folder := fastFolder(t)
	table := openTracks(t, open(t, folder, nil))
	entries := make([]driver.Entry, 600)
	for i := range entries {
		entries[i] = track("a", i, i)
	}
	if err := table.Put(t.Context(), entries); err != nil {
		t.Fatal(err)
	}
	kept := filepath.Join(folder, "tracks", "3a", "notes.txt")
	makeTemporary(t, kept, 0)
	if n, err := table.Clear(t.Context(), driver.Filter{}); n != len(entries) || err != nil {
		t.Fatalf("clear: %d, %v", n, err)
	}
	folders, err := filepath.Glob(filepath.Join(folder, "tracks", "??"))
	if err != nil || strings.Join(folders, " ") != filepath.Dir(kept) {
		t.Errorf("folders %q are left, %v; want that of another file", folders, err)
	}
	if err := table.Put(t.Context(), entries); err != nil {
		t.Error(err)
	}
	if n := count(t, table); n != len(entries) {
		t.Errorf("count is %d", n)
	}
}

// Saves are not lost, and none fails, while clears remove the folders that they go to.
func TestSavesGoOnWhileFoldersAreRemoved(t *testing.T) {
	folder := fastFolder(t)
	done := make(chan error, 2)
	stop := make(chan struct{})
	clearing := openTracks(t, open(t, folder, nil))
	go func() {
		for {
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
			if _, err := clearing.Clear(t.Context(), driver.Filter{State: driver.Expired, Now: now.Add(2 * time.Hour)}); err != nil {
				done <- err
				return
			}
		}
	}()
	table := openTracks(t, open(t, folder, nil))
	kept := track("kept", 0, 1)
	kept.ExpiresAt = time.Time{}
	for n := range 2_000 {
		kept.Key = driver.Key{"kept", int64(n)}
		if err := table.Put(t.Context(), []driver.Entry{kept, track("expires", n%7, n)}); err != nil {
			t.Fatal(err)
		}
		if n%3 == 0 {
			continue
		}
		if removed, err := table.Delete(t.Context(), []driver.Key{kept.Key}); removed != 1 || err != nil {
			t.Fatalf("delete of entry %d: %d, %v", n, removed, err)
		}
	}
	close(stop)
	if err := <-done; err != nil {
		t.Error(err)
	}
	n, err := table.Count(t.Context(), driver.Filter{State: driver.Live, Now: now.Add(2 * time.Hour)})
	if err != nil || n != 667 {
		t.Errorf("%d entries are left, %v; want 667", n, err)
	}
}
