package filelock

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// EndWithProcess is true: the system releases the locks of a process that ends.
const EndWithProcess = true

// Try locks a file for this opening of it, or reports that another has. Closing
// the file unlocks it, and so does the end of the process.
func Try(f *os.File) (locked bool, err error) {
	err = windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, new(windows.Overlapped))
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) || errors.Is(err, windows.ERROR_IO_PENDING) {
		return false, nil
	}
	return err == nil, os.NewSyscallError("LockFileEx", err)
}
