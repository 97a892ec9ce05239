package sqlite_test

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/endpointcache/endpointcache/driver"
)

// saveUntilFull saves entries with payloads that cannot be made smaller, one after
// another, and returns how many were saved.
func saveUntilFull(t *testing.T, table driver.Table, who string, size int) int {
	t.Helper()
	random := rand.NewChaCha8([32]byte{})
	for n := range 100_000 {
		e := track(who, n)
		e.Payload = make([]byte, size)
		_, _ = random.Read(e.Payload)
		if err := table.Put(t.Context(), []driver.Entry{e}); err != nil {
			t.Logf("%d entries: %v", n, err)
			return n
		}
	}
	t.Fatal("the disk was not full")
	return 0
}

// What is saved one by one fills the disk in the log and in the file. After a clear, about as
// much can be saved as before, however often, by whoever opens the file.
func TestSavesWorkAfterAClearOnAFullDisk(t *testing.T) {
	for _, c := range []struct {
		size int
		disk string
	}{{300, "3m"}, {4_000, "6m"}, {200_000, "20m"}} { // more than the cache has
		t.Run(fmt.Sprint(c.size), func(t *testing.T) {
			folder := mountSmall(t, c.disk)
			path := filepath.Join(folder, "music.db")
			store, table := openTracks(t, path, nil)
			first := saveUntilFull(t, table, "first", c.size)
			fill(t, folder)
			wantClear(t, table, first)
			for round := range 2 {
				saved := saveUntilFull(t, table, fmt.Sprint("again", round), c.size)
				if saved < first/2 {
					t.Errorf("after a clear, only %d entries were saved, of %d before", saved, first)
				}
				if err := store.Close(); err != nil {
					t.Fatal(err)
				}
				store, table = openTracks(t, path, nil)
				if n := count(t, table); n != saved {
					t.Errorf("%d entries, want %d", n, saved)
				}
				wantClear(t, table, saved)
			}
			put(t, table, track("last", 1))
		})
	}
}

// One large save leaves a log for which there is no room in the file, so that it can be
// emptied only when the entries are cleared.
func TestALogThatDoesNotFitTheDiskTwice(t *testing.T) {
	for name, close := range map[string]bool{"open": false, "closed and opened": true} {
		t.Run(name, func(t *testing.T) {
			folder := mountSmall(t, "8m")
			path := filepath.Join(folder, "music.db")
			store, table := openTracks(t, path, nil)
			const entries = 1_000
			large := make([]driver.Entry, entries)
			for i := range large {
				large[i] = track("large", i)
				large[i].Payload = make([]byte, 5_000)
			}
			put(t, table, large...)
			fill(t, folder)
			saved := saveUntilFull(t, table, "more", 4_000)
			if close {
				if err := store.Close(); err != nil {
					t.Fatal(err)
				}
				_, table = openTracks(t, path, nil)
			}
			wantClear(t, table, entries+saved)
			if saved := saveUntilFull(t, table, "again", 4_000); saved < entries/2 {
				t.Errorf("after a clear, only %d entries were saved", saved)
			}
		})
	}
}

func wantClear(t *testing.T, table driver.Table, want int) {
	t.Helper()
	if n, err := table.Clear(t.Context(), driver.Filter{}); err != nil || n != want {
		t.Fatalf("%d entries cleared, %v; want %d", n, err, want)
	}
}
