package sqlite_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/sqlite"
)

// mountSmall mounts a small file system in memory, which only root may.
func mountSmall(t *testing.T, size string) string {
	t.Helper()
	folder := t.TempDir()
	if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("nothing can be mounted: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(folder, 0); err != nil {
			t.Error(err)
		}
	})
	return folder
}

func TestAReadOnlyMount(t *testing.T) {
	folder := mountSmall(t, "8m")
	path := filepath.Join(folder, "music.db")
	oneTrack(t, path)
	remount(t, folder, syscall.MS_RDONLY)
	wantReadOnly(t, path, nil)
	wantReadOnly(t, path, &sqlite.Options{ReadOnly: true})
}

// remount makes the file system of a folder one that may be read only, or written again.
func remount(t *testing.T, folder string, flags uintptr) {
	t.Helper()
	if err := syscall.Mount("tmpfs", folder, "tmpfs", syscall.MS_REMOUNT|flags, ""); err != nil {
		t.Fatal(err)
	}
}

// What others write where nothing could be written is read afterwards.
func TestAReadOnlyMountThatIsWritten(t *testing.T) {
	folder := mountSmall(t, "8m")
	path := filepath.Join(folder, "music.db")
	oneTrack(t, path)
	remount(t, folder, syscall.MS_RDONLY)
	_, reader := openTracks(t, path, nil)
	if n := count(t, reader); n != 1 {
		t.Errorf("%d entries, want 1", n)
	}
	remount(t, folder, 0)
	owner, table := openTracks(t, path, nil)
	put(t, table, many(100)...)
	if n := count(t, reader); n != 101 {
		t.Errorf("%d entries while the owner has the file open, want 101", n)
	}
	put(t, table, track("w", 2))
	if n := count(t, reader); n != 102 {
		t.Errorf("%d entries after another save, want 102", n)
	}
	if err := owner.Close(); err != nil {
		t.Fatal(err)
	}
	if n := count(t, reader); n != 102 {
		t.Errorf("%d entries after the owner has closed the file, want 102", n)
	}
	var op *driver.OpError
	if err := reader.Put(t.Context(), []driver.Entry{track("w", 3)}); !errors.Is(err, driver.ErrReadOnly) || !errors.As(err, &op) {
		t.Errorf("a put: %v", err)
	}
}

// fill takes all that is left of the disk.
func fill(t *testing.T, folder string) {
	t.Helper()
	f, err := os.Create(filepath.Join(folder, "other"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 1 << 20; size > 0; {
		if _, err := f.Write(bytes.Repeat([]byte{1}, size)); err != nil {
			size /= 2
		}
	}
}

// On a disk that is full to the last byte, what was cleared can be used for other entries.
func TestWhatIsClearedOnAFullDiskCanBeUsed(t *testing.T) {
	for name, last := range map[string]bool{"full of entries": false, "filled up by others": true} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			folder := mountSmall(t, "8m")
			path := filepath.Join(folder, "music.db")
			store, table := openTracks(t, path, nil)
			entries := many(5_000)
			saved := 0
			for ; saved < len(entries); saved += 50 {
				if err := table.Put(ctx, entries[saved:saved+50]); err != nil {
					t.Log(saved, err)
					break
				}
			}
			if saved == len(entries) {
				t.Fatal("the disk was not full")
			}
			if last {
				fill(t, folder)
			}
			t.Log(sizeOf(t, path), sizeOf(t, path+"-wal"), sizeOf(t, path+"-shm"))
			if n := count(t, table); n != saved {
				t.Errorf("%d entries, want %d", n, saved)
			}
			if _, err := table.Clear(ctx, driver.Filter{}); err != nil {
				t.Fatal(err)
			}
			for i := 0; i < saved/2; i += 50 {
				if err := table.Put(ctx, entries[i:i+50]); err != nil {
					t.Fatalf("after %d entries: %v", i, err)
				}
			}
			if err := store.Close(); err != nil {
				t.Error(err)
			}
			_, table = openTracks(t, path, nil)
			put(t, table, track("again", 1))
		})
	}
}
