package filesystem

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/filelock"
	"github.com/endpointcache/endpointcache/internal/gate"
	"github.com/endpointcache/endpointcache/internal/polling"
)

var _ driver.Watcher = (*Store)(nil)

// Watch implements [driver.Watcher]. Its changes tell neither tables nor keys. It reads the
// marks that writers leave, see the package's documentation. Where a folder is not known to be
// on a disk of this machine, others may see them late: there, and on systems without locks
// that end with their process, Watch returns [errors.ErrUnsupported].
func (s *Store) Watch(ctx context.Context, begun func(), changed func(driver.Change)) error {
	return s.failed("watch", "", s.watchMarks(ctx, begun, changed))
}

func (s *Store) watchMarks(ctx context.Context, begun func(), changed func(driver.Change)) error {
	if err := gate.Usable(ctx); err != nil {
		return err
	}
	return s.watch.watchers.Watch(ctx, func(first bool) error {
		return s.gate.Do(ctx, func() error { return s.watch.look(s, first) })
	}, begun, changed)
}

// watch knows the marks that there were when somebody last looked.
type watch struct {
	watchers polling.Watchers

	mu    sync.Mutex
	marks map[string]mark // by the paths of their files
}

// mark is what a writer has left, and whether it lives. One that has died may have done so
// between a change and its mark.
type mark struct {
	text  [markSize]byte
	alive bool
}

// look tells the watchers where a mark is not the one that it was, unless somebody has looked
// just now.
func (w *watch) look(s *Store, first bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !first && !w.watchers.Due() {
		return nil
	}
	w.watchers.Looked()
	marks, err := s.readMarks(first)
	if err != nil {
		return err
	}
	if !maps.Equal(marks, w.marks) {
		w.marks = marks
		w.watchers.Tell()
	}
	return nil
}

// readMarks reads the marks of all writers of all tables, except the store's own.
func (s *Store) readMarks(first bool) (map[string]mark, error) {
	root, err := s.openToWatch()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // a save makes it again
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }()
	if first && (!isLocal(root) || !filelock.EndWithProcess) {
		return nil, fmt.Errorf("%w: what others change is seen on the disks of this machine", errors.ErrUnsupported)
	}
	names, err := foldersIn(root)
	if err != nil {
		return nil, err
	}
	r, err := newReader(root)
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.close() }()
	own := s.ownMarks()
	marks := make(map[string]mark)
	for _, name := range names {
		for n := 0; ; n++ { // they have the first numbers
			path := name + "/" + temporaryFolder + "/" + lockPrefix + strconv.Itoa(n)
			m, ok, err := readMark(r, path)
			if err != nil {
				return nil, err
			}
			if !ok {
				break
			}
			if !own[string(m.text[:markDigits])] {
				marks[path] = m
			}
		}
	}
	return marks, nil
}

// openToWatch opens the folder that is the store's now. Unlike parent, it makes none.
func (s *Store) openToWatch() (*os.Root, error) {
	if s.own {
		return os.OpenRoot(s.path)
	}
	return s.root.OpenRoot(".")
}

// foldersIn are the names of the folders that may be those of tables.
func foldersIn(root *os.Root) ([]string, error) {
	dir, err := root.Open(".")
	if err != nil {
		return nil, err
	}
	entries, err := dir.ReadDir(-1)
	if err = errors.Join(err, dir.Close()); err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// readMark reads a mark before it asks whether its writer lives: what that does later changes
// one or the other.
func readMark(r reader, path string) (m mark, ok bool, err error) {
	opened, err := r.open(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, errIrregular):
		return m, false, nil
	case err != nil:
		return m, false, err
	}
	f := opened.handle(path)
	defer func() { _ = f.Close() }()   // which unlocks it
	_, _ = f.ReadAt(m.text[:], markAt) // a writer that has just begun may have left none
	free, err := filelock.Try(f)
	m.alive = !free
	return m, true, err
}

// ownMarks are what the marks of the store's own writers begin with.
func (s *Store) ownMarks() map[string]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	own := make(map[string]bool, len(s.all))
	for _, t := range s.all {
		if w := t.folder.Load().made.Load(); w != nil {
			own[w.id] = true
		}
	}
	return own
}
