//go:build unix

package filesystem

import (
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// reader opens what is below a folder. It uses the system's calls: an
// [os.File] or [os.Root] asks the kernel for more than a small file is worth.
type reader struct {
	dir *os.File
	fd  int
}

func newReader(root *os.Root) (reader, error) {
	dir, err := root.Open(".")
	if err != nil {
		return reader{}, err
	}
	return reader{dir, int(dir.Fd())}, nil
}

func (r reader) close() error { return r.dir.Close() }

// file is a file that is open for reading.
type file int

// open opens a file. It does not follow a link that stands in its place, nor wait
// for another end of a pipe.
func (r reader) open(path string) (file, error) {
	for {
		fd, err := unix.Openat(r.fd, path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
		switch {
		case err == nil:
			return file(fd), nil
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.ELOOP), errors.Is(err, unix.EMLINK), errors.Is(err, unix.ENXIO), errors.Is(err, unix.ENOTDIR):
			return 0, errIrregular // a link (EMLINK on FreeBSD), a socket, below a file
		default:
			return 0, &os.PathError{Op: "open", Path: path, Err: err}
		}
	}
}

// read reads what it gets with one call. It returns 0 at the end.
func (f file) read(b []byte) (int, error) {
	for {
		n, err := unix.Read(int(f), b)
		switch {
		case err == nil:
			return n, nil
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EISDIR), errors.Is(err, unix.EAGAIN):
			return 0, errIrregular // a folder, a pipe
		default:
			return 0, os.NewSyscallError("read", err)
		}
	}
}

func (f file) size() (int64, error) {
	var stat unix.Stat_t
	if err := unix.Fstat(int(f), &stat); err != nil {
		return 0, os.NewSyscallError("fstat", err)
	}
	return stat.Size, nil
}

// modified is when the file was changed, or said to have been.
func (f file) modified() (time.Time, error) {
	var stat unix.Stat_t
	if err := unix.Fstat(int(f), &stat); err != nil {
		return time.Time{}, os.NewSyscallError("fstat", err)
	}
	return time.Unix(stat.Mtim.Unix()), nil
}

// regular reports whether it is a file, and not a pipe or the like.
func (f file) regular() bool {
	var stat unix.Stat_t
	return unix.Fstat(int(f), &stat) == nil && stat.Mode&unix.S_IFMT == unix.S_IFREG
}

// handle is the file for those who need an [os.File], and close it.
func (f file) handle(name string) *os.File { return os.NewFile(uintptr(f), name) }

func (f file) close() { _ = unix.Close(int(f)) } // nothing was written

// tooLarge reports whether a file would have become larger than the system lets it.
func tooLarge(err error) bool { return errors.Is(err, unix.EFBIG) }

// mayNotWrite reports whether the system refused a change for want of rights.
func mayNotWrite(err error) bool {
	return errors.Is(err, unix.EROFS) || errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM)
}

// subfolder is an open folder, in which files are made, renamed and removed with the
// system's calls, too.
type subfolder struct {
	dir *os.File
	fd  int
}

// subfolder opens a folder. It does not follow a link that stands in its place, nor
// open anything else.
func (r reader) subfolder(name string) (subfolder, error) {
	for {
		fd, err := unix.Openat(r.fd, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
		switch {
		case err == nil:
			return subfolder{os.NewFile(uintptr(fd), name), fd}, nil
		case !errors.Is(err, unix.EINTR):
			return subfolder{}, &os.PathError{Op: "open", Path: name, Err: err}
		}
	}
}

func (s subfolder) close() error { return s.dir.Close() }

// removeEmpty removes a folder, unless there is something in it.
func (r reader) removeEmpty(name string) error {
	for {
		err := unix.Unlinkat(r.fd, name, unix.AT_REMOVEDIR)
		switch {
		case err == nil, errors.Is(err, unix.ENOTEMPTY), errors.Is(err, unix.EEXIST), errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR):
			return nil
		case !errors.Is(err, unix.EINTR):
			return writing(&os.PathError{Op: "remove", Path: name, Err: err})
		}
	}
}

// names are the names of all that is in the folder, in no order. There are none where
// the folder has been removed.
func (s subfolder) names() ([]string, error) {
	names, err := s.dir.Readdirnames(-1)
	if errors.Is(err, unix.ENOENT) {
		return nil, nil
	}
	return names, err
}

// create makes a new file and opens it for writing.
func (s subfolder) create(name string) (*os.File, error) {
	path := s.dir.Name() + "/" + name
	for {
		fd, err := unix.Openat(s.fd, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, 0o600)
		switch {
		case err == nil:
			return os.NewFile(uintptr(fd), path), nil
		case !errors.Is(err, unix.EINTR):
			return nil, writing(&os.PathError{Op: "create", Path: path, Err: err})
		}
	}
}

// rename moves a file to another folder, and replaces the one that has its new name.
func (s subfolder) rename(name string, to subfolder, newName string) error {
	for {
		err := unix.Renameat(s.fd, name, to.fd, newName)
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, unix.EINTR):
			return writing(&os.LinkError{Op: "rename", Old: s.dir.Name() + "/" + name, New: to.dir.Name() + "/" + newName, Err: err})
		}
	}
}

// touch has a file say that it was changed at an instant, if it is there.
func (s subfolder) touch(name string, at time.Time) error {
	if at.Before(unused) {
		at = unused
	}
	stamp, _ := unix.TimeToTimespec(at) // that of unused where the system cannot tell it
	for {
		err := unix.UtimesNanoAt(s.fd, name, []unix.Timespec{stamp, stamp}, unix.AT_SYMLINK_NOFOLLOW)
		switch {
		case err == nil, errors.Is(err, unix.ENOENT):
			return nil
		case !errors.Is(err, unix.EINTR):
			return &os.PathError{Op: "touch", Path: s.dir.Name() + "/" + name, Err: err}
		}
	}
}

// stat tells the size of a file and when it was changed. ok is false where there is none.
func (s subfolder) stat(name string) (size int64, modified time.Time, ok bool, err error) {
	for {
		var stat unix.Stat_t
		err := unix.Fstatat(s.fd, name, &stat, unix.AT_SYMLINK_NOFOLLOW)
		switch {
		case err == nil:
			return stat.Size, time.Unix(stat.Mtim.Unix()), stat.Mode&unix.S_IFMT == unix.S_IFREG, nil
		case errors.Is(err, unix.ENOENT):
			return 0, time.Time{}, false, nil
		case !errors.Is(err, unix.EINTR):
			return 0, time.Time{}, false, &os.PathError{Op: "stat", Path: s.dir.Name() + "/" + name, Err: err}
		}
	}
}

// remove removes a file and reports whether it was there. A folder is none of ours.
func (s subfolder) remove(name string) (bool, error) {
	for {
		err := unix.Unlinkat(s.fd, name, 0)
		switch {
		case err == nil:
			return true, nil
		case errors.Is(err, unix.ENOENT):
			return false, nil
		case errors.Is(err, unix.EINTR):
			continue
		}
		var stat unix.Stat_t
		if statErr := unix.Fstatat(s.fd, name, &stat, unix.AT_SYMLINK_NOFOLLOW); statErr == nil && stat.Mode&unix.S_IFMT == unix.S_IFDIR {
			return false, nil
		}
		return false, writing(&os.PathError{Op: "remove", Path: s.dir.Name() + "/" + name, Err: err})
	}
}
