package filesystem

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/access"
	"github.com/endpointcache/endpointcache/internal/homepath"
)

// absolute is the path of the cache's folder.
func absolute(dir string, temp bool) (string, error) {
	if dir == "" {
		return "", errors.New("the path is empty")
	}
	dir, err := homepath.Expand(dir)
	if err != nil {
		return "", err
	}
	if temp && !filepath.IsAbs(dir) {
		if !filepath.IsLocal(dir) {
			return "", fmt.Errorf("%q leads out of the folder for temporary files", dir)
		}
		dir = filepath.Join(os.TempDir(), dir)
	}
	return filepath.Abs(dir)
}

// openFolder creates the folder where it is absent, and opens it. In a folder that
// others can write to, another user may have put something in its place.
func (o Options) openFolder(path string) (*os.Root, error) {
	if !o.ReadOnly {
		if err := os.MkdirAll(path, 0o700); err != nil {
			return nil, writing(err)
		}
	}
	root, err := os.OpenRoot(path)
	if errors.Is(err, fs.ErrNotExist) && o.ReadOnly {
		return nil, fmt.Errorf("%w in %s, which is absent", driver.ErrAbsent, path)
	}
	if err != nil {
		return nil, err
	}
	if !o.Temp {
		return root, nil
	}
	info, err := root.Stat(".")
	if err == nil && !access.Mine(info) {
		err = fmt.Errorf("%s belongs to another user", path)
	}
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return root, nil
}
