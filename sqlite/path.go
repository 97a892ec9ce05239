package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/endpointcache/endpointcache/internal/homepath"
)

// createFile returns the absolute form of path and makes sure that there is a
// file: a private one, as SQLite itself would let everybody read it.
func createFile(path string) (string, error) {
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
	if path, err = filepath.Abs(path); err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return "", err
	}
	return path, f.Close()
}

func createTemp() (string, error) {
	f, err := os.CreateTemp("", "endpointcache-*.db")
	if err != nil {
		return "", err
	}
	return f.Name(), f.Close()
}

// fileDSN is a URI: in a plain file name, both drivers take what follows a
// question mark for parameters.
func fileDSN(path string) string {
	path = filepath.ToSlash(path)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path // C:/folder
	}
	return (&url.URL{Scheme: "file", Path: path}).String()
}

// removeDatabase removes a database's file and those that SQLite keeps beside
// it.
func removeDatabase(path string) error {
	var errs []error
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
