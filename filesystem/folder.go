package filesystem

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"syscall"
	"time"

	"github.com/endpointcache/endpointcache/driver"
)

// folder is a table's folder. What changes it goes through root, and so never
// leads out of it.
type folder struct {
	root   *os.Root
	reader reader
}

func (f *folder) close() error { return errors.Join(f.reader.close(), f.root.Close()) }

// openTable opens the folder of a table, and makes it where it is absent. Should
// the cache's folder have been removed, that is made again.
func (s *Store) openTable(ctx context.Context, spec driver.TableSpec) (*folder, error) {
	name := folderName(spec.Name)
	parent := s.parent()
	err := makeFolder(parent, name)
	if errors.Is(err, fs.ErrNotExist) && s.own {
		if parent, err = s.replaceParent(parent); err == nil {
			err = makeFolder(parent, name)
		}
	}
	if err != nil {
		return nil, err
	}
	info, err := parent.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, schemaError(spec, notFolder(info)+" in place of its folder")
	}
	root, err := parent.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	f := &folder{root: root}
	if err := s.checkSchema(ctx, f, spec); err != nil {
		return nil, errors.Join(err, root.Close())
	}
	if s.opts.Sync {
		err = syncFolder(parent, ".")
	}
	if err == nil {
		f.reader, err = newReader(root)
	}
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return f, nil
}

func makeFolder(root *os.Root, name string) error {
	if err := root.Mkdir(name, 0o700); !errors.Is(err, fs.ErrExist) {
		if _, there := root.Lstat(name); err != nil && there == nil {
			return nil // where nothing can be made, what is there will do
		}
		return err
	}
	return nil
}

func (s *Store) parent() *os.Root {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.root
}

// replaceParent opens the cache's folder again, unless another call has.
func (s *Store) replaceParent(gone *os.Root) (*os.Root, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.root != gone {
		return s.root, nil
	}
	root, err := openFolder(s.path, s.opts.Temp)
	if err != nil {
		return nil, err
	}
	s.root = root
	s.stale = append(s.stale, gone.Close)
	return root, nil
}

// names are the names of the entries in a folder, in their order.
func (f *folder) names(shard byte) ([]string, error) {
	dir, err := f.root.Open(shardName(shard))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		if info, statErr := f.root.Lstat(shardName(shard)); statErr == nil && !info.IsDir() {
			return nil, nil // whatever it is, it holds none of ours
		}
		return nil, err
	}
	names, err := readNames(dir)
	if errors.Is(err, syscall.ENOTDIR) {
		return nil, nil
	}
	names = slices.DeleteFunc(names, func(name string) bool { return !isEntry(name) })
	slices.Sort(names)
	return slices.Compact(names), err
}

func readNames(dir *os.File) ([]string, error) {
	names, err := dir.Readdirnames(-1)
	return names, errors.Join(err, dir.Close())
}

// list returns the names in the folder itself.
func (f *folder) list() (names []string, err error) {
	dir, err := f.root.Open(".")
	if err != nil {
		return nil, err
	}
	return readNames(dir)
}

// abandoned is how old a temporary file is whose writer must have died.
const abandoned = time.Hour

// sweep removes what writers that died have left.
func (f *folder) sweep() error {
	names, err := f.list()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, name := range names {
		if !isTemporary(name) {
			continue
		}
		info, err := f.root.Lstat(name)
		if err == nil && info.Mode().IsRegular() && time.Since(info.ModTime()) > abandoned {
			err = f.root.Remove(name)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// replace moves a temporary file to the place of an entry.
func (f *folder) replace(temporary string, p *place) error {
	err := f.rename(temporary, p.path)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := f.root.Mkdir(shardName(p.shard()), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return f.rename(temporary, p.path)
}

// rename waits for a moment where a program such as a virus scanner has a file open
// in a way that the system does not let it be replaced then.
func (f *folder) rename(from, to string) error {
	err := f.root.Rename(from, to)
	for wait := shortWait; err != nil && inUse(err) && wait < 100*time.Millisecond; wait *= 2 {
		time.Sleep(wait)
		err = f.root.Rename(from, to)
	}
	return err
}

// remove removes a file and reports whether it was there. Another than a file is
// none of ours.
func remove(root *os.Root, path string) (bool, error) {
	err := root.Remove(path)
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return false, nil
	}
	if info, statErr := root.Lstat(path); statErr == nil && info.IsDir() {
		return false, nil
	}
	return false, err
}

// syncFolder waits until the names in a folder are on the disk.
func syncFolder(root *os.Root, name string) error {
	if runtime.GOOS == "windows" {
		return nil // which cannot do it for folders
	}
	dir, err := root.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
