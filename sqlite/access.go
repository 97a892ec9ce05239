package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/access"
	"github.com/endpointcache/endpointcache/internal/mount"
)

// ErrNetwork is returned where a file is on a network file system and [Options.Network] is
// [NetworkRefuse].
var ErrNetwork = errors.New("the file is on a network file system")

// mode is how a file is opened.
type mode uint8

const (
	inWAL          mode = iota // read and written, with a write-ahead log
	inJournal                  // read and written, with a rollback journal and no shared memory
	reading                    // read, by SQLite, too, while others may write
	readingJournal             // the same, but no file with a log, which takes shared memory
)

func (m mode) readOnly() bool { return m >= reading }

// mountAt is replaced by tests.
var mountAt = mount.At

// chooseMode looks at where the file is, and at what this process may do there.
func chooseMode(ctx context.Context, path string, o Options) (mode, error) {
	folder := filepath.Dir(path)
	system, err := mountAt(folder)
	network := err == nil && system.Remote && o.Network != NetworkIgnore // a folder that cannot be asked is none
	if network && o.Network == NetworkRefuse {
		return 0, fmt.Errorf("%w (%s): see Options.Network", ErrNetwork, system.Name)
	}
	readOnly := o.ReadOnly || !access.Writable(path) || !access.Writable(folder) && !isOpen(path)
	switch {
	case readOnly && network:
		return readingJournal, nil
	case readOnly:
		return reading, nil
	case !network:
		return inWAL, nil
	}
	o.Logger.WarnContext(ctx, "endpointcache: a SQLite file is on a network file system: readers and writers wait for each other",
		"path", path, "system", system.Name)
	return inJournal, nil
}

// unchanging reports whether SQLite has to take a file for one that nobody changes: nothing can
// be written beside it, or is to be, and there is nothing that coordinates its users. That may
// change with every other process that opens it.
func unchanging(path string, o Options) (bool, error) {
	if !o.ReadOnly && access.Writable(filepath.Dir(path)) || isOpen(path) {
		return false, nil
	}
	if sizeOf(path+"-wal") > 0 || sizeOf(path+"-journal") > 0 {
		return false, fmt.Errorf("%w, and what was saved last is in %s-wal or -journal: open it once to write", driver.ErrReadOnly, path)
	}
	return true, nil
}

// isOpen reports whether there is what the users of a database in WAL mode share.
func isOpen(path string) bool {
	_, walErr := os.Stat(path + "-wal")
	_, shmErr := os.Stat(path + "-shm")
	return walErr == nil && shmErr == nil
}

// sizeOf is a file's size; 0 where it is absent.
func sizeOf(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// everybody are the permissions of users who are neither the owner nor of its group.
const everybody = 0o007

// makePrivate takes a file from those that everybody may read or write, with what SQLite
// keeps beside it. What the owner shares with a group stays so.
func makePrivate(ctx context.Context, path string, o Options) error {
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm()&everybody == 0 || runtime.GOOS == "windows" { // which has no such permissions
		return err
	}
	if !access.Mine(info) {
		o.Logger.WarnContext(ctx, "endpointcache: a SQLite file of another user can be read or written by everybody",
			"path", path, "mode", info.Mode().Perm().String())
		return nil
	}
	for _, suffix := range append([]string{""}, beside...) {
		if err := os.Chmod(path+suffix, 0o600); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	o.Logger.InfoContext(ctx, "endpointcache: a SQLite file that everybody could read or write is now its owner's alone",
		"path", path, "mode", info.Mode().Perm().String())
	return nil
}

// makeWritable gives what SQLite keeps beside a file that may be written the file's mode: it has
// the one that the file had when it was made, which may be that of a file to read.
func makeWritable(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	for _, suffix := range beside {
		there, err := os.Stat(path + suffix)
		if err != nil || !access.Mine(there) || access.Writable(path+suffix) {
			continue
		}
		if err := os.Chmod(path+suffix, info.Mode().Perm()); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}
