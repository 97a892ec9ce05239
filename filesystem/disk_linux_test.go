package filesystem_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/filesystem"
	"github.com/endpointcache/endpointcache/internal/otheruser"
)

// mount mounts a file system in memory, or skips the test.
func mount(t *testing.T, size string) string {
	t.Helper()
	folder := t.TempDir()
	if err := unix.Mount("tmpfs", folder, "tmpfs", 0, "mode=0700,size="+size); err != nil {
		t.Skipf("no file system can be mounted: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(folder, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return folder
}

// A disk is full when it has no room for data, or none for another file.
func TestAFullDiskIsAnErrorAndChangesNothing(t *testing.T) {
	for _, size := range []string{"1m", "100m,nr_inodes=200"} {
		t.Run(size, func(t *testing.T) {
			folder := mount(t, size)
			table := openTracks(t, open(t, folder, nil))
			if err := table.Put(t.Context(), []driver.Entry{track("a", 1, 1)}); err != nil {
				t.Fatal(err)
			}
			saved := 1 + fill(t, table, "first")
			large := track("a", 1, 2)
			large.Payload = make([]byte, 100<<20)
			if err := table.Put(t.Context(), []driver.Entry{large}); !errors.Is(err, syscall.ENOSPC) {
				t.Errorf("put: %v", err)
			}
			if e, ok := get(t, table, large.Key); !ok || e.Status != 1 || !whole(e) {
				t.Errorf("the entry is not as it was: %v %d", ok, e.Status)
			}
			if left := temporaries(t, folder); len(left) > 0 {
				t.Errorf("temporary files are left: %q", left)
			}
			for n := range 10 {
				if n, err := table.Delete(t.Context(), []driver.Key{{"first", int64(n)}}); err != nil || n != 1 {
					t.Fatalf("delete: %d, %v", n, err)
				}
			}
			if err := table.Put(t.Context(), []driver.Entry{track("a", 1, 3)}); err != nil {
				t.Errorf("put after a delete: %v", err)
			}
			saved += fill(t, table, "second") - 10

			other := openTracks(t, open(t, folder, nil)) // which has not written yet
			if n, err := other.Clear(t.Context(), driver.Filter{}); err != nil || n != saved {
				t.Errorf("clear: %d, %v; want %d", n, err, saved)
			}
			for _, table := range []driver.Table{table, other} {
				if err := table.Put(t.Context(), []driver.Entry{track("a", 1, 4)}); err != nil {
					t.Errorf("put after clear: %v", err)
				}
			}
			if left := temporaries(t, folder); len(left) > 0 {
				t.Errorf("temporary files are left: %q", left)
			}
		})
	}
}

// fill saves entries until the disk is full, and returns how many have been saved.
func fill(t *testing.T, table driver.Table, writer string) (saved int) {
	t.Helper()
	for {
		err := table.Put(t.Context(), []driver.Entry{track(writer, saved, 1)})
		if err == nil && saved < 10_000 {
			saved++
			continue
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("after %d saves: %v, want %v", saved, err, syscall.ENOSPC)
		}
		return saved
	}
}

func TestAReadOnlyFileSystemCanBeRead(t *testing.T) {
	folder := mount(t, "1m")
	dead := filepath.Join(folder, "tracks", "tmp", "7-0123456789abcdef-1")
	store := open(t, folder, nil)
	if err := openTracks(t, store).Put(t.Context(), []driver.Entry{track("a", 1, 1)}); err != nil {
		t.Fatal(err)
	}
	store.Close()
	makeTemporary(t, dead, 0)
	if err := unix.Mount("tmpfs", folder, "tmpfs", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Skip(err)
	}
	for _, opts := range []*filesystem.Options{nil, {Sync: true}} {
		store := open(t, folder, opts)
		canOnlyBeRead(t, store, syscall.EROFS)
		store.Close()
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	store, err = filesystem.New(t.Context(), root, nil)
	if err != nil {
		t.Fatal(err)
	}
	canOnlyBeRead(t, store, syscall.EROFS)
	if _, err := filesystem.Open(t.Context(), filepath.Join(folder, "other"), nil); !errors.Is(err, driver.ErrReadOnly) {
		t.Errorf("open of a folder that is to be made: %v", err)
	}
}

// canOnlyBeRead tests a store with the first entry of "a", of which nothing may be changed.
func canOnlyBeRead(t *testing.T, store *filesystem.Store, cause error) {
	t.Helper()
	table := openTracks(t, store)
	e := track("a", 1, 1)
	if got, ok := get(t, table, e.Key); !ok || !whole(got) {
		t.Error("the entry is not read")
	}
	if n := count(t, table); n != 1 {
		t.Errorf("count is %d", n)
	}
	listed := 0
	for _, err := range table.Entries(t.Context(), everything) {
		if listed++; err != nil {
			t.Error(err)
		}
	}
	if listed != 1 {
		t.Errorf("%d entries are listed", listed)
	}
	for what, change := range map[string]func() error{
		"put":   func() error { return table.Put(t.Context(), []driver.Entry{track("a", 2, 1)}) },
		"reput": func() error { return table.Put(t.Context(), []driver.Entry{e}) },
		"put if": func() error {
			_, err := table.PutIf(t.Context(), []driver.Entry{track("a", 2, 1)}, driver.Condition{If: driver.IfAbsent})
			return err
		},
		"renew": func() error {
			_, err := table.Renew(t.Context(), []driver.Renewal{{Key: e.Key, Seen: e.CachedAt, CachedAt: now, ExpiresAt: now}})
			return err
		},
		"delete": func() error {
			_, err := table.Delete(t.Context(), []driver.Key{e.Key})
			return err
		},
		"pop": func() error {
			_, _, err := table.Pop(t.Context(), e.Key, driver.Filter{})
			return err
		},
		"clear": func() error {
			_, err := table.Clear(t.Context(), driver.Filter{})
			return err
		},
		"a new table": func() error {
			spec := tracks
			spec.Name = "albums"
			_, err := store.OpenTable(t.Context(), spec)
			return err
		},
	} {
		var op *driver.OpError
		err := change()
		if !errors.Is(err, driver.ErrReadOnly) || !errors.Is(err, cause) || !errors.As(err, &op) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if n, err := table.Clear(t.Context(), driver.Filter{State: driver.Expired, Now: now}); n != 0 || err != nil {
		t.Errorf("a clear of nothing: %d, %v", n, err)
	}
	if n, err := table.Delete(t.Context(), []driver.Key{{"b", int64(2)}}); n != 0 || err != nil && !errors.Is(err, driver.ErrReadOnly) {
		t.Errorf("a delete of nothing: %d, %v", n, err)
	}
	if _, ok := get(t, table, e.Key); !ok {
		t.Error("the entry is gone")
	}
}

func TestAFolderThatMayNotBeWrittenCanBeRead(t *testing.T) {
	above := otheruser.Run(t)
	if above == "" {
		return
	}
	folder := filepath.Join(above, "cache")
	store := open(t, folder, nil)
	if err := openTracks(t, store).Put(t.Context(), []driver.Entry{track("a", 1, 1)}); err != nil {
		t.Fatal(err)
	}
	store.Close()
	setModes := func(folders, files os.FileMode) {
		var paths []string
		filepath.WalkDir(folder, func(path string, d os.DirEntry, err error) error {
			if err != nil {
				t.Fatal(err)
			}
			if paths = append(paths, path); !d.IsDir() {
				return os.Chmod(path, files)
			}
			return nil
		})
		for _, path := range slices.Backward(paths) {
			if info, err := os.Stat(path); err == nil && info.IsDir() {
				os.Chmod(path, folders)
			}
		}
		os.Chmod(above, folders)
	}
	setModes(0o500, 0o400)
	canOnlyBeRead(t, open(t, folder, nil), syscall.EACCES)
	os.Chmod(above, 0o700)
	filepath.WalkDir(folder, func(path string, d os.DirEntry, _ error) error {
		return os.Chmod(path, 0o700)
	})
	if err := openTracks(t, open(t, folder, nil)).Put(t.Context(), []driver.Entry{track("a", 2, 1)}); err != nil {
		t.Errorf("put to a folder that may be written again: %v", err)
	}
}

// What cannot be read for want of rights or files is an error, and no miss: the entry
// is there.
func TestWhatCannotBeReadIsNoMiss(t *testing.T) {
	above := otheruser.Run(t)
	if above == "" {
		return
	}
	folder := filepath.Join(above, "cache")
	store := open(t, folder, nil)
	table := openTracks(t, store)
	e := track("a", 1, 1)
	if err := table.Put(t.Context(), []driver.Entry{e}); err != nil {
		t.Fatal(err)
	}
	read := func() error {
		return table.Get(t.Context(), []driver.Key{e.Key}, everything, func(int, driver.Entry) {})
	}
	path, err := store.EntryPath("tracks", e.Key)
	if err != nil {
		t.Fatal(err)
	}
	os.Chmod(path, 0)
	if err := read(); !errors.Is(err, os.ErrPermission) || errors.Is(err, driver.ErrReadOnly) {
		t.Errorf("get of a file that may not be read: %v", err)
	}
	os.Chmod(path, 0o600)
	os.Chmod(filepath.Dir(path), 0o500)
	if err := table.Put(t.Context(), []driver.Entry{e}); !errors.Is(err, driver.ErrReadOnly) {
		t.Errorf("put to a folder that may not be written: %v", err)
	}
	if _, err := table.Delete(t.Context(), []driver.Key{e.Key}); !errors.Is(err, driver.ErrReadOnly) {
		t.Errorf("delete in a folder that may not be written: %v", err)
	}
	os.Chmod(filepath.Dir(path), 0o700)
	os.Chmod(filepath.Dir(folder), 0o500)
	if _, err := filesystem.Open(t.Context(), filepath.Join(filepath.Dir(folder), "other"), nil); !errors.Is(err, driver.ErrReadOnly) {
		t.Errorf("open in a folder that may not be written: %v", err)
	}
	os.Chmod(filepath.Dir(folder), 0o700)

	var open []*os.File
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 64, Max: 64}); err != nil {
		t.Fatal(err)
	}
	for {
		f, err := os.Open(os.DevNull)
		if err != nil {
			break
		}
		open = append(open, f)
	}
	if err := read(); !errors.Is(err, syscall.EMFILE) {
		t.Errorf("get without files to be had: %v", err)
	}
	if err := table.Put(t.Context(), []driver.Entry{e}); !errors.Is(err, syscall.EMFILE) {
		t.Errorf("put without files to be had: %v", err)
	}
	for _, f := range open {
		f.Close()
	}
	if err := read(); err != nil {
		t.Error(err)
	}
}

// In a folder that all can write to, somebody else may have made the cache's.
func TestATemporaryFolderOfAnotherUserIsRefused(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can give folders away")
	}
	t.Setenv("TMPDIR", t.TempDir())
	folder := filepath.Join(os.TempDir(), "cache")
	if err := os.Mkdir(folder, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(folder, otheruser.Nobody, otheruser.Nobody); err != nil {
		t.Skip(err)
	}
	if _, err := filesystem.Open(t.Context(), "cache", &filesystem.Options{Temp: true}); err == nil {
		t.Error("no error")
	}
}

// The system ends a file at the limit of a process as it does at that of the disk.
func TestAFileThatTheSystemLetsNotGrowIsTooLarge(t *testing.T) {
	if os.Getenv(taskVariable) == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
		cmd.Env = append(os.Environ(), taskVariable+"="+t.TempDir())
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}

	folder := os.Getenv(taskVariable)
	table := openTracks(t, open(t, folder, nil))
	signal.Ignore(syscall.SIGXFSZ) // which ends the process otherwise
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 1 << 20, Max: 1 << 20}); err != nil {
		t.Skip(err)
	}
	large, small := track("a", 1, 1), track("a", 1, 2)
	large.Payload = make([]byte, 2<<20)
	if err := table.Put(t.Context(), []driver.Entry{small}); err != nil {
		t.Fatal(err)
	}
	if err := table.Put(t.Context(), []driver.Entry{large}); !errors.Is(err, driver.ErrTooLarge) || !errors.Is(err, syscall.EFBIG) {
		t.Errorf("put: %v", err)
	}
	if e, ok := get(t, table, large.Key); !ok || e.Status != 2 || !whole(e) {
		t.Errorf("the entry is not as it was: %v %d", ok, e.Status)
	}
	if left := temporaries(t, folder); len(left) > 0 {
		t.Errorf("temporary files are left: %q", left)
	}
}

// Who waits for a lock that another process holds gives up with its context.
func TestAWaitForALockEndsWithItsContext(t *testing.T) {
	folder := t.TempDir()
	table := openTracks(t, open(t, folder, nil))
	e := track("a", 1, 1)
	if err := table.Put(t.Context(), []driver.Entry{e}); err != nil {
		t.Fatal(err)
	}
	locks, err := filepath.Glob(filepath.Join(folder, "tracks", "lock-*"))
	if err != nil || len(locks) == 0 {
		t.Fatalf("locks %q, %v", locks, err)
	}
	for _, path := range locks {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := table.Put(ctx, []driver.Entry{track("a", 1, 2)}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("put: %v", err)
	}
	if _, _, err := table.Pop(ctx, e.Key, driver.Filter{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("pop: %v", err)
	}
	if got, ok := get(t, table, e.Key); !ok || got.Status != 1 {
		t.Errorf("a get waits for nobody: %v %d", ok, got.Status)
	}
	if left := temporaries(t, folder); len(left) > 0 {
		t.Errorf("temporary files are left: %q", left)
	}
}
