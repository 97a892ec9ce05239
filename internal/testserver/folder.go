package testserver

import (
	"errors"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
)

// folder is a temporary folder of one server. It belongs to the user as whom the
// server runs: that of the tests, or, as servers refuse to run as root, another.
type folder struct {
	path    string
	owner   *account // nil: the user of the tests
	dismiss func()   // see guard
}

type account struct{ uid, gid int }

// newFolder makes a folder in dir, whose name begins with the server's. It is gone
// when this process is, even if that is killed before it calls remove.
func newFolder(dir, name string) (*folder, error) {
	f := &folder{}
	if os.Geteuid() == 0 {
		var err error
		if f.owner, err = unprivileged(); err != nil {
			return nil, err
		}
	}
	var err error
	if f.path, err = os.MkdirTemp(dir, "endpointcache-"+name+"-"); err != nil {
		return nil, err
	}
	if f.dismiss, err = guard(f.path); err == nil {
		err = f.give(f.path)
	}
	if err != nil {
		return nil, errors.Join(err, f.remove())
	}
	return f, nil
}

// give makes the server's user the owner of a file.
func (f *folder) give(path string) error {
	if f.owner == nil {
		return nil
	}
	return os.Chown(path, f.owner.uid, f.owner.gid)
}

func (f *folder) file(name string) string { return filepath.Join(f.path, name) }

// write makes a file that the server's user alone can read.
func (f *folder) write(name, text string) (path string, err error) {
	path = f.file(name)
	if err = os.WriteFile(path, []byte(text), 0o600); err == nil {
		err = f.give(path)
	}
	return path, err
}

// remove removes the folder. The server has stopped.
func (f *folder) remove() error {
	err := os.RemoveAll(f.path)
	if f.dismiss != nil {
		f.dismiss()
	}
	return err
}

// unprivileged returns the user who runs servers where the tests run as root.
func unprivileged() (*account, error) {
	for _, name := range []string{"postgres", "nobody"} {
		found, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, errUID := strconv.Atoi(found.Uid)
		gid, errGID := strconv.Atoi(found.Gid)
		if err := errors.Join(errUID, errGID); err != nil {
			return nil, err
		}
		return &account{uid, gid}, nil
	}
	return nil, errors.New("servers do not run as root, and there is no user nobody")
}

// readFile is os.ReadFile, but a file that is absent is empty.
func readFile(path string) (string, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return string(data), err
}
