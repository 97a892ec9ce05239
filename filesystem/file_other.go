//go:build !unix

package filesystem

import (
	"errors"
	"io"
	"os"
)

// reader opens files below a folder for reading.
type reader struct{ root *os.Root }

func newReader(root *os.Root) (reader, error) { return reader{root}, nil }

func (reader) close() error { return nil }

// file is a file that is open for reading.
type file struct{ *os.File }

// open opens a file, which others may replace and remove meanwhile.
func (r reader) open(path string) (file, error) {
	f, err := r.root.Open(path)
	return file{f}, err
}

// read reads what it gets with one call. It returns 0 at the end.
func (f file) read(b []byte) (int, error) {
	n, err := f.Read(b)
	if errors.Is(err, io.EOF) {
		return n, nil
	}
	if err != nil && !f.regular() {
		return 0, errIrregular
	}
	return n, err
}

func (f file) size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// regular reports whether it is a file, and not a folder or the like.
func (f file) regular() bool {
	info, err := f.Stat()
	return err == nil && info.Mode().IsRegular()
}

func (f file) close() { _ = f.Close() } // nothing was written

// tooLarge is false: a file that would become too large cannot be told from a full
// disk here.
func tooLarge(error) bool { return false }
