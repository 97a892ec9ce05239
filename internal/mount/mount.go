// Package mount tells what kind of file system a folder is on, as far as the operating
// system says.
package mount

import (
	"errors"
	"os"
)

// System is a file system.
type System struct {
	// Name is what it is called, such as "nfs"; empty where nobody knows.
	Name string

	// Local is true of what is known to be a disk of this machine. Of others, such as NFS
	// or FUSE, nobody knows how long they take.
	Local bool

	// Remote is true of what other machines may change at the same time, or what may lead
	// to such: NFS, SMB, FUSE and the like. It is not the opposite of Local: of some
	// file systems neither is known.
	Remote bool
}

// At is Of for the folder at path.
func At(path string) (System, error) {
	dir, err := os.Open(path)
	if err != nil {
		return System{}, err
	}
	system, err := Of(dir)
	return system, errors.Join(err, dir.Close())
}
