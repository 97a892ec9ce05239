package filesystem

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/readonly"
)

// folder is a table's folder. What changes it goes through root, and so never
// leads out of it.
type folder struct {
	root   *os.Root
	reader reader
	info   os.FileInfo
	local  bool // on a disk of this machine

	making sync.Mutex             // of the writer
	made   atomic.Pointer[writer] // nil before the first change

	sweeping sync.Mutex
	swept    atomic.Bool // of what earlier versions have left

	holders atomic.Int64 // the table, while it is its folder, and running operations
}

// hold keeps the folder open until release. It reports whether it still was.
func (f *folder) hold() bool {
	for {
		n := f.holders.Load()
		if n == 0 {
			return false
		}
		if f.holders.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// release closes the folder if nobody else holds it.
func (f *folder) release() {
	if f.holders.Add(-1) == 0 {
		_ = f.close() // in whose place there is another
	}
}

func (f *folder) close() error {
	errs := []error{f.reader.close(), f.root.Close()}
	if w := f.made.Load(); w != nil {
		errs = append(errs, w.close())
	}
	return errors.Join(errs...)
}

// openTable opens the folder of a table, and makes it where it is absent.
func (s *Store) openTable(ctx context.Context, spec driver.TableSpec) (*folder, error) {
	parent, err := s.parent()
	if err != nil {
		return nil, err
	}
	defer func() { _ = parent.Close() }()
	if !s.opts.ReadOnly {
		if err := makeFolder(parent, folderName(spec.Name)); err != nil {
			return nil, err
		}
	}
	f, err := openFolderOf(parent, spec)
	if errors.Is(err, fs.ErrNotExist) && s.opts.ReadOnly {
		return nil, readonly.ErrNoTable
	}
	if err != nil {
		return nil, err
	}
	err = s.checkSchema(ctx, f, spec)
	if err == nil && s.opts.Sync && !s.opts.ReadOnly {
		err = syncFolder(parent, ".")
	}
	if err != nil {
		return nil, errors.Join(err, f.close())
	}
	if s.opts.ReadOnly {
		return f, nil
	}
	_ = f.sweepTemporary() // what it cannot remove is no matter for who only reads
	return f, nil
}

// openFolderOf opens the folder of a table, which the caller holds.
func openFolderOf(parent *os.Root, spec driver.TableSpec) (*folder, error) {
	name := folderName(spec.Name)
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
	reader, err := newReader(root)
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	f := &folder{root: root, reader: reader, local: isLocal(root)}
	f.holders.Store(1)
	if f.info, err = root.Stat("."); err != nil {
		return nil, errors.Join(err, f.close())
	}
	return f, nil
}

func makeFolder(root *os.Root, name string) error {
	if err := root.Mkdir(name, 0o700); !errors.Is(err, fs.ErrExist) {
		if _, there := root.Lstat(name); err != nil && there == nil {
			return nil // where nothing can be made, what is there will do
		}
		return writing(err)
	}
	return nil
}

// parent opens the cache's folder once more, for the caller to close: another call may
// find it removed, and close the one that the store has.
func (s *Store) parent() (*os.Root, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.own {
		if err := s.renewRoot(); err != nil {
			return nil, err
		}
	}
	return s.root.OpenRoot(".")
}

// renewRoot opens the cache's folder again where it was removed.
func (s *Store) renewRoot() error {
	info, err := s.root.Stat(".")
	if err == nil && !isElsewhere(info, s.path) {
		return nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	root, err := s.opts.openFolder(s.path)
	if err != nil {
		return err
	}
	_ = s.root.Close() // which is no folder of the store any more
	s.root = root
	return nil
}

// isElsewhere reports whether a folder that was opened is not at its path any more: it
// was removed, or moved, as to a desktop's trash, where nobody looks for entries.
func isElsewhere(opened os.FileInfo, path string) bool {
	info, err := os.Stat(path)
	return errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(info, opened)
}

// open opens a folder of entries. ok is false where there is none: whatever else is in
// its place holds nothing of ours.
func (f *folder) open(shard byte) (sub subfolder, ok bool, err error) {
	return f.openAt(shardName(shard))
}

func (f *folder) openAt(path string) (sub subfolder, ok bool, err error) {
	sub, err = f.reader.subfolder(path)
	switch {
	case err == nil:
		return sub, true, nil
	case errors.Is(err, fs.ErrNotExist):
		return sub, false, nil
	}
	if info, statErr := f.root.Lstat(path); statErr == nil && !info.IsDir() {
		return sub, false, nil
	}
	return sub, false, err
}

// makeShard opens a folder of entries, and makes it where it is absent. With the stripe's
// lock, no clear removes it.
func (f *folder) makeShard(shard byte) (subfolder, error) {
	name := shardName(shard)
	sub, err := f.reader.subfolder(name)
	if !errors.Is(err, fs.ErrNotExist) {
		return sub, err
	}
	if err := f.root.Mkdir(name, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return sub, writing(err)
	}
	return f.reader.subfolder(name)
}

// names are the names of the entries in a folder, in their order.
func (f *folder) names(shard byte) ([]string, error) {
	names, err := f.namesAt(shardName(shard))
	return entryNames(names), err
}

// entryNames are those names that entries may have, in their order, each once. It
// changes names.
func entryNames(names []string) []string {
	names = slices.DeleteFunc(names, func(name string) bool { return !isEntry(name) })
	slices.Sort(names)
	return slices.Compact(names)
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
