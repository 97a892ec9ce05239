//go:build !unix

package filesystem

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"time"
)

// reader opens what is below a folder.
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

// modified is when the file was changed, or said to have been.
func (f file) modified() (time.Time, error) {
	info, err := f.Stat()
	if err != nil {
		return time.Time{}, err
	}
	return info.ModTime(), nil
}

// regular reports whether it is a file, and not a folder or the like.
func (f file) regular() bool {
	info, err := f.Stat()
	return err == nil && info.Mode().IsRegular()
}

// handle is the file for those who need an [os.File], and close it.
func (f file) handle(string) *os.File { return f.File }

func (f file) close() { _ = f.Close() } // nothing was written

// tooLarge is false: a file that would become too large cannot be told from a full
// disk here.
func tooLarge(error) bool { return false }

// mayNotWrite reports whether the system refused a change for want of rights.
func mayNotWrite(err error) bool { return errors.Is(err, fs.ErrPermission) }

// subfolder is an open folder.
type subfolder struct {
	root  *os.Root
	above *os.Root
	name  string // in the folder above
}

// subfolder opens a folder, which may be a link to one below root.
func (r reader) subfolder(name string) (subfolder, error) {
	sub, err := r.root.OpenRoot(name)
	return subfolder{sub, r.root, name}, err
}

func (s subfolder) close() error { return s.root.Close() }

// removeEmpty removes a folder, unless there is something in it.
func (r reader) removeEmpty(name string) error {
	if info, err := r.root.Lstat(name); err == nil && info.IsDir() {
		_ = r.root.Remove(name) // systems differ in what they say of a full one
	}
	return nil
}

// names are the names of all that is in the folder, in no order. There are none where
// the folder has been removed.
func (s subfolder) names() ([]string, error) {
	dir, err := s.root.Open(".")
	var names []string
	if err == nil {
		names, err = dir.Readdirnames(-1)
		err = errors.Join(err, dir.Close())
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return names, err
}

// create makes a new file and opens it for writing.
func (s subfolder) create(name string) (*os.File, error) {
	f, err := s.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	return f, writing(err)
}

// rename moves a file to another folder, and replaces the one that has its new name. It waits for a
// moment where a program such as a virus scanner has a file open in a way that the
// system does not let it be replaced then.
func (s subfolder) rename(name string, to subfolder, newName string) error {
	from, path := s.name+"/"+name, to.name+"/"+newName
	err := s.above.Rename(from, path)
	for wait := 20 * time.Microsecond; err != nil && inUse(err) && wait < 100*time.Millisecond; wait *= 2 {
		time.Sleep(wait)
		err = s.above.Rename(from, path)
	}
	return err
}

// touch has a file say that it was changed at an instant, if it is there.
func (s subfolder) touch(name string, at time.Time) error {
	if at.Before(unused) {
		at = unused
	}
	err := s.root.Chtimes(name, at, at)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// stat tells the size of a file and when it was changed. ok is false where there is none.
func (s subfolder) stat(name string) (size int64, modified time.Time, ok bool, err error) {
	info, err := s.root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, time.Time{}, false, nil
	}
	if err != nil {
		return 0, time.Time{}, false, err
	}
	return info.Size(), info.ModTime(), info.Mode().IsRegular(), nil
}

// remove removes a file and reports whether it was there. A folder is none of ours.
func (s subfolder) remove(name string) (bool, error) {
	if info, err := s.root.Lstat(name); err == nil && info.IsDir() {
		return false, nil
	}
	err := s.root.Remove(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
