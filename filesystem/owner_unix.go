//go:build unix

package filesystem

import (
	"os"
	"syscall"
)

// othersMayWrite reports whether users besides the owner and the group may change what is
// in a folder.
func othersMayWrite(info os.FileInfo) bool { return info.Mode()&0o002 != 0 }

// mine reports whether this user owns a folder.
func mine(info os.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid()
}
