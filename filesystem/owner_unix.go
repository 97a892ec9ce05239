//go:build unix

package filesystem

import (
	"os"
	"syscall"
)

// mine reports whether this user owns a folder.
func mine(info os.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid()
}
