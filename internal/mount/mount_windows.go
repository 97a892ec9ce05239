package mount

import (
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/windows"
)

// Of tells what the file system of an open folder is. It never says that one is local.
func Of(dir *os.File) (System, error) {
	path, err := filepath.Abs(dir.Name())
	if err != nil {
		return System{}, err
	}
	volume := filepath.VolumeName(path)
	if device := strings.HasPrefix(volume, `\\?\`) || strings.HasPrefix(volume, `\\.\`); strings.HasPrefix(volume, `\\`) && !device {
		return System{Name: "smb", Remote: true}, nil // \\server\share
	}
	root, err := windows.UTF16PtrFromString(volume + `\`)
	if err != nil {
		return System{}, err
	}
	if windows.GetDriveType(root) == windows.DRIVE_REMOTE {
		return System{Name: "network drive", Remote: true}, nil
	}
	return System{}, nil
}
