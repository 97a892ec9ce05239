//go:build unix

package access

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Others are the permissions of users besides the owner.
const Others os.FileMode = 0o077

// Mine reports whether this user owns a file or folder.
func Mine(info os.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid()
}

// OthersMayWrite reports whether users besides the owner and the group may change what is
// in a folder.
func OthersMayWrite(info os.FileInfo) bool { return info.Mode()&0o002 != 0 }

// Writable reports whether a file may be written, or files be made in a folder: where
// permissions and the file system allow it. It does not open the file.
func Writable(path string) bool {
	return unix.Faccessat(unix.AT_FDCWD, path, unix.W_OK, unix.AT_EACCESS) == nil
}
