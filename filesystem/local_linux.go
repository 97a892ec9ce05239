package filesystem

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// isLocal reports whether a folder is on a file system that is known to be a disk of
// this machine. Of others, such as NFS or FUSE, nobody knows how long they take.
func isLocal(root *os.Root) bool {
	dir, err := root.Open(".")
	if err != nil {
		return false
	}
	var stat unix.Statfs_t
	err = errors.Join(unix.Fstatfs(int(dir.Fd()), &stat), dir.Close())
	if err != nil {
		return false
	}
	switch uint32(stat.Type) {
	case unix.EXT4_SUPER_MAGIC, // ext2 and ext3, too
		unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.F2FS_SUPER_MAGIC, unix.TMPFS_MAGIC,
		unix.RAMFS_MAGIC, unix.OVERLAYFS_SUPER_MAGIC, unix.MSDOS_SUPER_MAGIC, unix.EXFAT_SUPER_MAGIC,
		zfs, bcachefs:
		return true
	}
	return false
}

const (
	zfs      = 0x2fc12fc1
	bcachefs = 0xca451a4e
)
