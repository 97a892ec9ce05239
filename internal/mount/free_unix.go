//go:build linux || darwin || freebsd || dragonfly

package mount

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// Free is how many bytes this user may still write to the file system of a path.
func Free(path string) (int64, error) {
	var stat unix.Statfs_t
	if err := unix.Statfs(path, &stat); err != nil {
		return 0, os.NewSyscallError("statfs", err)
	}
	return int64(stat.Bavail) * int64(stat.Bsize), nil //nolint:unconvert // the types differ between systems
}

// FreeFiles is how many files may still be made in the file system of a path. The error is
// [errors.ErrUnsupported] where that is not limited.
func FreeFiles(path string) (int64, error) {
	var stat unix.Statfs_t
	if err := unix.Statfs(path, &stat); err != nil {
		return 0, os.NewSyscallError("statfs", err)
	}
	if stat.Files == 0 {
		return 0, errors.ErrUnsupported
	}
	return int64(stat.Ffree), nil //nolint:unconvert // the types differ between systems
}
