//go:build darwin || freebsd || dragonfly

package mount

import (
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Of tells what the file system of an open folder is.
func Of(dir *os.File) (System, error) {
	var stat unix.Statfs_t
	if err := unix.Fstatfs(int(dir.Fd()), &stat); err != nil {
		return System{}, os.NewSyscallError("fstatfs", err)
	}
	name := text(stat.Fstypename[:])
	local := stat.Flags&unix.MNT_LOCAL != 0
	return System{Name: name, Local: local, Remote: !local || strings.Contains(name, "fuse")}, nil
}

// text is a C string, whose characters are signed on some systems.
func text[C int8 | uint8](chars []C) string {
	var b strings.Builder
	for _, c := range chars {
		if c == 0 {
			break
		}
		b.WriteByte(byte(c))
	}
	return b.String()
}
