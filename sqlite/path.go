package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/filelock"
	"github.com/endpointcache/endpointcache/internal/homepath"
)

// absolute returns the absolute form of a path that a caller gave.
func absolute(path string) (string, error) {
	if path == "" {
		return "", errors.New("the path is empty")
	}
	if path == ":memory:" || strings.HasPrefix(path, "file:") {
		return "", fmt.Errorf("%q is SQLite's own notation: give a path, or use OpenMemory", path)
	}
	path, err := homepath.Expand(path)
	if err != nil {
		return "", err
	}
	return filepath.Abs(path)
}

// makeFile makes sure that there is a file, and folders on the way, and returns
// where it is without symbolic links.
func makeFile(ctx context.Context, path string) (string, error) {
	there, err := exists(path)
	if err != nil {
		return "", err
	}
	if !there {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return "", err
		}
		if err := createLocked(ctx, path); err != nil {
			return "", err
		}
	}
	return filepath.EvalSymlinks(path)
}

// findFile returns where the file is that is to be read, without symbolic links.
func findFile(_ context.Context, path string) (string, error) {
	there, err := exists(path)
	if err != nil {
		return "", err
	}
	if !there {
		return "", fmt.Errorf("%w at %s: there is no such file", driver.ErrAbsent, path)
	}
	return filepath.EvalSymlinks(path)
}

func exists(path string) (bool, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", path)
	}
	return err == nil, err
}

func createLocked(ctx context.Context, path string) error {
	unlock, err := lockPath(ctx, path)
	if err != nil {
		return err
	}
	defer unlock()
	return createAbsent(path)
}

// createAbsent creates a file where it is absent: a private one, as SQLite itself would
// let everybody read it. What stands beside it is of a file that is gone, and
// would be taken for the new one's. The caller has locked the path.
//
// A file that is there is not opened: closing it would end all locks that the connections
// of this process have on it.
func createAbsent(path string) error {
	if there, err := exists(path); err != nil || there {
		return err
	}
	for _, suffix := range beside {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// beside are the endings of the files that SQLite keeps beside a database.
var beside = []string{"-wal", "-shm", "-journal"}

// lockPath keeps other processes, and others of this one, from creating the file at path or
// setting it aside, until unlock is called.
func lockPath(ctx context.Context, path string) (unlock func(), err error) {
	name := path + "-lock"
	for {
		f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, err
		}
		if err := filelock.Lock(ctx, f); err != nil {
			return nil, errors.Join(err, f.Close())
		}
		locked, err := f.Stat()
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		if there, err := os.Stat(name); err == nil && os.SameFile(locked, there) {
			return func() {
				_ = os.Remove(name) // first: who waits for it sees that it is gone
				_ = f.Close()
				if runtime.GOOS == "windows" {
					_ = os.Remove(name) // what is open cannot be removed there
				}
			}, nil
		}
		_ = f.Close() // who had the lock has removed it
	}
}

func createTemp() (string, error) {
	f, err := os.CreateTemp("", "endpointcache-*.db")
	if err != nil {
		return "", err
	}
	if err := f.Close(); err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(f.Name())
}

// fileDSN is a URI: in a plain file name, both drivers take what follows a
// question mark for parameters.
func fileDSN(path, parameters string) string {
	path = filepath.ToSlash(path)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path // C:/folder
	}
	return (&url.URL{Scheme: "file", Path: path, RawQuery: parameters}).String()
}

// removeDatabase removes a database's file and those that SQLite keeps beside
// it.
func removeDatabase(path string) error {
	var errs []error
	for _, suffix := range append([]string{""}, beside...) {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
