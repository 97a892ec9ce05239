package mount

import (
	"os"

	"golang.org/x/sys/unix"
)

// Of tells what the file system of an open folder is.
func Of(dir *os.File) (System, error) {
	var stat unix.Statfs_t
	if err := unix.Fstatfs(int(dir.Fd()), &stat); err != nil {
		return System{}, os.NewSyscallError("fstatfs", err)
	}
	return systems[uint32(stat.Type)], nil
}

// systems are those that are known, by the numbers of statfs(2).
var systems = map[uint32]System{
	unix.EXT4_SUPER_MAGIC:      {Name: "ext4", Local: true}, // ext2 and ext3, too
	unix.XFS_SUPER_MAGIC:       {Name: "xfs", Local: true},
	unix.BTRFS_SUPER_MAGIC:     {Name: "btrfs", Local: true},
	unix.F2FS_SUPER_MAGIC:      {Name: "f2fs", Local: true},
	unix.TMPFS_MAGIC:           {Name: "tmpfs", Local: true},
	unix.RAMFS_MAGIC:           {Name: "ramfs", Local: true},
	unix.OVERLAYFS_SUPER_MAGIC: {Name: "overlayfs", Local: true},
	unix.MSDOS_SUPER_MAGIC:     {Name: "vfat", Local: true},
	unix.EXFAT_SUPER_MAGIC:     {Name: "exfat", Local: true},
	zfs:                        {Name: "zfs", Local: true},
	bcachefs:                   {Name: "bcachefs", Local: true},

	unix.NFS_SUPER_MAGIC:   {Name: "nfs", Remote: true},
	unix.SMB_SUPER_MAGIC:   {Name: "smb", Remote: true},
	unix.SMB2_SUPER_MAGIC:  {Name: "smb", Remote: true},
	unix.CIFS_SUPER_MAGIC:  {Name: "smb", Remote: true},
	unix.NCP_SUPER_MAGIC:   {Name: "ncp", Remote: true},
	unix.AFS_SUPER_MAGIC:   {Name: "afs", Remote: true},
	unix.AFS_FS_MAGIC:      {Name: "afs", Remote: true},
	unix.CODA_SUPER_MAGIC:  {Name: "coda", Remote: true},
	unix.CEPH_SUPER_MAGIC:  {Name: "ceph", Remote: true},
	unix.OCFS2_SUPER_MAGIC: {Name: "ocfs2", Remote: true},
	unix.FUSE_SUPER_MAGIC:  {Name: "fuse", Remote: true}, // sshfs, and virtiofs, too
	unix.V9FS_MAGIC:        {Name: "9p", Remote: true},
	gfs2:                   {Name: "gfs2", Remote: true},
	lustre:                 {Name: "lustre", Remote: true},
	gpfs:                   {Name: "gpfs", Remote: true},
	vboxsf:                 {Name: "vboxsf", Remote: true},
	vmhgfs:                 {Name: "vmhgfs", Remote: true},
}

// Numbers that x/sys does not have.
const (
	zfs      = 0x2fc12fc1
	bcachefs = 0xca451a4e
	gfs2     = 0x01161970
	lustre   = 0x0bd00bd0
	gpfs     = 0x47504653
	vboxsf   = 0x786f4256
	vmhgfs   = 0xbacbacbc
)
