//go:build darwin || freebsd || dragonfly

package filesystem

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// isLocal reports whether a folder is on a file system of this machine.
func isLocal(root *os.Root) bool {
	dir, err := root.Open(".")
	if err != nil {
		return false
	}
	var stat unix.Statfs_t
	err = errors.Join(unix.Fstatfs(int(dir.Fd()), &stat), dir.Close())
	return err == nil && stat.Flags&unix.MNT_LOCAL != 0
}
