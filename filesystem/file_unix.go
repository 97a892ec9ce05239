//go:build unix

package filesystem

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// reader opens files below a folder for reading. It uses the system's calls: an
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

// regular reports whether it is a file, and not a pipe or the like.
func (f file) regular() bool {
	var stat unix.Stat_t
	return unix.Fstat(int(f), &stat) == nil && stat.Mode&unix.S_IFMT == unix.S_IFREG
}

func (f file) close() { _ = unix.Close(int(f)) } // nothing was written

// tooLarge reports whether a file would have become larger than the system lets it.
func tooLarge(err error) bool { return errors.Is(err, unix.EFBIG) }
