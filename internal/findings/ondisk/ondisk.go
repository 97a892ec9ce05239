// Package ondisk finds out what stores on a disk have in common: file system, free space and
// permissions. It is apart from the findings of servers, whose modules need not know disks.
package ondisk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/access"
	"github.com/endpointcache/endpointcache/internal/findings"
	"github.com/endpointcache/endpointcache/internal/human"
	"github.com/endpointcache/endpointcache/internal/mount"
)

// FileSystem tells on what kind of file system a folder is, as [mount.At] has found it. Of one that
// other machines may change, remote is what that is worth.
func FileSystem(l *findings.List, system mount.System, err error, remote driver.Level, advice string) {
	const subject = "file system"
	switch {
	case err != nil || system.Name == "" && !system.Remote:
		l.Good(subject, "unknown")
	case system.Remote:
		l.Judge(remote, subject, system.Name+", which other machines may change", advice)
	default:
		l.Good(subject, "%s", system.Name)
	}
}

const (
	littleSpace = 256 << 20 // bytes
	noSpace     = 1 << 20
)

// Space tells how many bytes may still be written to the file system of a folder.
func Space(l *findings.List, folder string) {
	const subject = "free space"
	free, err := mount.Free(folder)
	switch {
	case err != nil:
		l.Good(subject, "unknown")
	case free < noSpace:
		l.Fault(subject, human.Size(free), "Nothing more can be saved: make room on the disk, or clear something of the cache.")
	case free < littleSpace:
		l.Warning(subject, human.Size(free), "Saves fail when the disk is full: make room, or give the cache a limit.")
	default:
		l.Good(subject, "%s", human.Size(free))
	}
}

const fewFiles = 100_000

// Files tells how many more files the file system of a folder can have, where that is limited.
func Files(l *findings.List, folder string) {
	const subject = "free files"
	free, err := mount.FreeFiles(folder)
	switch {
	case err != nil:
		l.Good(subject, "no limit is known")
	case free == 0:
		l.Fault(subject, "0", "Nothing more can be saved, as the file system has no inode left: clear something of the cache.")
	case free < fewFiles:
		l.Warning(subject, human.Count(free), "Each response is a file: saves fail when the file system has no inodes left. Give the cache a limit.")
	default:
		l.Good(subject, "%s", human.Count(free))
	}
}

const (
	othersRead  fs.FileMode = 0o004
	othersWrite fs.FileMode = 0o002
)

// Permissions tells who may do what with a file or a folder. Where it is absent, or the system
// has no such permissions, it tells nothing.
func Permissions(l *findings.List, subject, path string) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || runtime.GOOS == "windows" {
		return
	}
	if err != nil {
		l.Warning(subject, "unknown", "See why this user may not look at it: "+withoutPath(err))
		return
	}
	owner := "of this user"
	if !access.Mine(info) {
		owner = "of another user"
	}
	value := fmt.Sprintf("%s, %s", info.Mode(), owner)
	sticky := info.IsDir() && info.Mode()&fs.ModeSticky != 0 // others cannot replace what is in it
	switch mode := info.Mode().Perm(); {
	case mode&othersWrite != 0 && !sticky:
		l.Fault(subject, value, "Anybody on this machine can forge responses: chmod o-w.")
	case mode&othersRead != 0 && !info.IsDir():
		l.Warning(subject, value, "Anybody on this machine can read what is stored: chmod o-r.")
	default:
		l.Good(subject, "%s", value)
	}
}

// withoutPath is an error of the system without the path, which is told elsewhere.
func withoutPath(err error) string {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err.Error()
	}
	return err.Error()
}
