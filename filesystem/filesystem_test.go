package filesystem_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/drivertest"
	"github.com/endpointcache/endpointcache/filesystem"
)

func TestMain(m *testing.M) {
	if isOtherProcess() {
		otherProcess()
		return
	}
	goleak.VerifyTestMain(m)
}

// memoryFolder is Linux's file system in memory.
const memoryFolder = "/dev/shm"

// fastFolder is a folder that the test has for itself: in memory where there is such
// a file system, as hundreds of thousands of small files take minutes on some disks.
// A few tests use the disk anyway.
func fastFolder(tb testing.TB) string {
	tb.Helper()
	if info, err := os.Stat(memoryFolder); err != nil || !info.IsDir() {
		return tb.TempDir()
	}
	folder, err := os.MkdirTemp(memoryFolder, "endpointcache-test-")
	if err != nil {
		return tb.TempDir()
	}
	tb.Cleanup(func() {
		if err := os.RemoveAll(folder); err != nil {
			tb.Error(err)
		}
	})
	return folder
}

// open opens a store, which is closed when the test ends.
func open(tb testing.TB, dir string, opts *filesystem.Options) *filesystem.Store {
	tb.Helper()
	s, err := filesystem.Open(context.Background(), dir, opts)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { s.Close() })
	return s
}

func openTracks(tb testing.TB, s *filesystem.Store) driver.Table {
	tb.Helper()
	table, err := s.OpenTable(tb.Context(), tracks)
	if err != nil {
		tb.Fatal(err)
	}
	return table
}

// get returns all parts of the entry of a key.
func get(tb testing.TB, table driver.Table, key driver.Key) (found driver.Entry, ok bool) {
	tb.Helper()
	err := table.Get(tb.Context(), []driver.Key{key}, everything, func(_ int, e driver.Entry) { found, ok = e, true })
	if err != nil {
		tb.Fatal(err)
	}
	return found, ok
}

// harness opens stores in new folders, which are yet to be made.
var harness = drivertest.Harness{
	Open: func(tb testing.TB) driver.Store {
		return open(tb, filepath.Join(fastFolder(tb), "a", "cache"), nil)
	},
	Reopen: func(tb testing.TB, s driver.Store) driver.Store {
		return open(tb, s.(*filesystem.Store).Path(), nil)
	},
}

// harnesses are the ways to open a store. Where Temp puts a folder is tested with
// [filesystem.Open]; then the store is as any other.
func harnesses() map[string]drivertest.Harness {
	return map[string]drivertest.Harness{
		"folder": harness,
		"the caller's folder, synced": {
			Open: func(tb testing.TB) driver.Store { return openRoot(tb, fastFolder(tb)) },
			Reopen: func(tb testing.TB, s driver.Store) driver.Store {
				return openRoot(tb, s.(*filesystem.Store).Path())
			},
		},
	}
}

// openRoot opens a store on a folder that the test has opened.
func openRoot(tb testing.TB, dir string) driver.Store {
	tb.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { root.Close() })
	s, err := filesystem.New(context.Background(), root, &filesystem.Options{Sync: true})
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func TestConformance(t *testing.T) {
	for name, h := range harnesses() {
		t.Run(name, func(t *testing.T) {
			if name == "folder" {
				drivertest.Run(t, h)
				return
			}
			drivertest.RunTopics(t, h, "Open", "Names", "Put", "Delete", "Tables", "Watch", "Concurrent", "Close", "Errors")
		})
	}
}

func Benchmark(b *testing.B) { drivertest.Bench(b, harness) }
