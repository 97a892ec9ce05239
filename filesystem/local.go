package filesystem

import (
	"errors"
	"os"

	"github.com/endpointcache/endpointcache/internal/mount"
)

// isLocal reports whether a folder is known to be on a disk of this machine.
func isLocal(root *os.Root) bool {
	dir, err := root.Open(".")
	if err != nil {
		return false
	}
	system, err := mount.Of(dir)
	return errors.Join(err, dir.Close()) == nil && system.Local
}
