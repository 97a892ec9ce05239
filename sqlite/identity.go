package sqlite

import (
	"errors"
	"io/fs"
	"os"
	"sync/atomic"
)

// identity tells the file that a store works on, with the log and the shared memory of its
// connections, from others that are at the same paths before or after.
type identity struct {
	file   os.FileInfo
	beside atomic.Pointer[besides] // nil until a connection has opened them
	frozen atomic.Pointer[frozen]  // nil unless SQLite was told that the file does not change
}

// besides are the log, and the shared memory, which may be nil.
type besides struct{ log, shared os.FileInfo }

// frozen is what tells whether a file has changed without SQLite.
type frozen struct {
	size, modified int64
	logs           bool
}

// isAt reports whether the file at a path is the one that info tells of.
func isAt(path string, info os.FileInfo) bool {
	there, err := os.Stat(path)
	return err == nil && os.SameFile(there, info)
}

// isAt reports whether the file and its log are still those at the path.
func (id *identity) isAt(path string) bool {
	if !isAt(path, id.file) {
		return false
	}
	beside := id.beside.Load()
	return beside == nil || isAt(path+"-wal", beside.log)
}

// opened notes what a connection has opened beside the file.
func (id *identity) opened(path string) {
	if id.beside.Load() != nil {
		return
	}
	log, err := os.Stat(path + "-wal")
	if err != nil {
		return // a rollback journal
	}
	shared, err := os.Stat(path + "-shm")
	if err != nil {
		shared = nil
	}
	id.beside.CompareAndSwap(nil, &besides{log, shared})
}

// freeze notes how the file is when it is first opened as one that does not change. It reports
// whether that still holds.
func (id *identity) freeze(path string) bool {
	now := freezeAt(path)
	return id.frozen.CompareAndSwap(nil, &now) || *id.frozen.Load() == now
}

// hasChanged reports whether a file was changed that SQLite takes for one that is not.
func (id *identity) hasChanged(path string) bool {
	was := id.frozen.Load()
	return was != nil && *was != freezeAt(path)
}

func freezeAt(path string) frozen {
	info, err := os.Stat(path)
	if err != nil {
		return frozen{}
	}
	_, walErr := os.Stat(path + "-wal")
	_, journalErr := os.Stat(path + "-journal")
	return frozen{info.Size(), info.ModTime().UnixNano(), walErr == nil || journalErr == nil}
}

// removeBeside removes the log and the shared memory of a file that another one has replaced:
// SQLite would take them for the new one's. What another process has made there
// since is the new one's. The caller has locked the path.
func (id *identity) removeBeside(path string) error {
	beside := id.beside.Load()
	if beside == nil {
		return nil
	}
	_, err := os.Stat(path + "-wal")
	absent := errors.Is(err, fs.ErrNotExist)
	if !absent && !isAt(path+"-wal", beside.log) {
		return nil
	}
	if !absent {
		if err := os.Remove(path + "-wal"); err != nil {
			return err
		}
	}
	if beside.shared != nil && isAt(path+"-shm", beside.shared) {
		return os.Remove(path + "-shm")
	}
	return nil
}
