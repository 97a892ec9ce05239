package filesystem

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/parallel"
)

type table struct {
	store   *Store
	root    string // path of the folder
	id      identity
	local   bool          // the folder is on a disk of this machine
	saves   atomic.Uint64 // calls
	stripes [stripes]stripe

	reopening sync.Mutex
	folder    atomic.Pointer[folder] // use hold
}

var _ driver.Table = (*table)(nil)

func newTable(s *Store, spec driver.TableSpec, f *folder) *table {
	t := &table{store: s, id: newIdentity(spec), local: f.local}
	t.root = t.path(".")
	for i := range t.stripes {
		t.stripes[i].turn = make(chan struct{}, 1)
	}
	t.folder.Store(f)
	return t
}

// localTable is a table on a disk of this machine.
type localTable struct{ *table }

var _ driver.PromptTable = localTable{}

// GetsPromptly implements driver.PromptTable: a get takes no lock, and looks at its
// context between files.
func (localTable) GetsPromptly() {}

// hold returns the table's folder, which stays open until the caller releases it.
func (t *table) hold() *folder {
	for {
		if f := t.folder.Load(); f.hold() {
			return f
		}
	}
}

// replace makes f the table's folder instead of one that was removed, unless another call
// has replaced that since. The old one is closed when its last operation has ended.
func (t *table) replace(gone, f *folder) bool {
	replaced := t.folder.CompareAndSwap(gone, f)
	if replaced {
		gone.release()
	}
	return replaced
}

// reopen opens the table's folder again where it was removed, unless another call
// has done so since.
func (t *table) reopen(ctx context.Context, gone *folder) error {
	t.reopening.Lock()
	defer t.reopening.Unlock()
	if t.folder.Load() != gone {
		return nil
	}
	f, err := t.store.openTable(ctx, t.id.spec)
	if err != nil {
		return err
	}
	if !t.replace(gone, f) {
		return f.close()
	}
	return nil
}

// path is the full path of a file in the table's folder.
func (t *table) path(path string) string {
	return filepath.Join(t.store.Path(), folderName(t.id.spec.Name), filepath.FromSlash(path))
}

// minPerWorker is how many keys are worth another goroutine.
const minPerWorker = 32

func (t *table) Get(ctx context.Context, keys []driver.Key, sel driver.Selection, visit func(int, driver.Entry)) error {
	return t.store.run(ctx, "get from", t.id.spec.Name, func() error {
		f := t.hold()
		defer f.release()
		keys, visit := sel.Narrow(keys, visit)
		return t.share(ctx, len(keys), func(b *buffers, i int) error {
			b.lines = t.id.append(b.lines[:0], keys[i])
			p := t.id.place(b.lines, keys[i])
			e, ok, err := t.read(ctx, f, b, p.path, sel)
			if ok {
				visit(i, e)
			}
			return err
		})
	})
}

// share does n pieces of work on as many goroutines as they are worth.
func (t *table) share(ctx context.Context, n int, do func(b *buffers, i int) error) error {
	if n == 0 {
		return nil
	}
	workers := min(t.store.workers, 1+(n-1)/minPerWorker)
	chunk := min(minPerWorker, (n+workers-1)/workers)
	var taken atomic.Int64
	return parallel.Do(workers, func(int) error {
		b := takeBuffers()
		defer b.free()
		for {
			end := int(taken.Add(int64(chunk)))
			for i := end - chunk; i < min(end, n); i++ {
				if err := ctx.Err(); err != nil {
					return err
				}
				if err := do(b, i); err != nil {
					return err
				}
			}
			if end >= n {
				return nil
			}
		}
	})
}

// Pop holds the lock that is held to replace entries, so that what it removes is what
// it has read. It does not take it where there is nothing to remove.
func (t *table) Pop(ctx context.Context, key driver.Key, filter driver.Filter) (e driver.Entry, ok bool, err error) {
	err = t.store.run(ctx, "pop from", t.id.spec.Name, func() (err error) {
		if !key.HasPrefix(filter.Leading) {
			return nil
		}
		f := t.hold()
		defer f.release()
		b := takeBuffers()
		defer b.free()
		b.lines = t.id.append(b.lines, key)
		p := t.id.place(b.lines, key)
		if _, ok, err = t.read(ctx, f, b, p.path, driver.Selection{Filter: filter}); err != nil || !ok {
			return err
		}
		done, err := t.lockToRemove(ctx, f, p.stripe())
		if err != nil {
			return err
		}
		removed := false
		defer func() { err = errors.Join(err, done(removed)) }()
		sel := driver.Selection{Filter: filter, Parts: driver.Payload | driver.Meta | driver.Usage}
		if e, ok, err = t.read(ctx, f, b, p.path, sel); err != nil || !ok {
			return err
		}
		sub, there, err := f.open(p.shard())
		if ok = there; err != nil || !ok {
			return err
		}
		removed, err = sub.remove(p.name())
		ok = removed
		return errors.Join(err, sub.close())
	})
	if err != nil || !ok {
		return driver.Entry{}, false, err
	}
	return e, true, nil
}

// read reads an entry's selected parts, unless there is none that is selected. b
// has the lines of its key. What is no entry is reported and counts as missing.
func (t *table) read(ctx context.Context, f *folder, b *buffers, path string, sel driver.Selection) (driver.Entry, bool, error) {
	e, ok, err := f.read(b, path, selection{Selection: sel}, len(t.id.columns))
	if err == nil && ok && string(b.lines) != string(b.head.key) {
		err = errPlace
	}
	return t.outcome(ctx, path, e, ok, err)
}

// outcome makes a miss of a file that is no entry.
func (t *table) outcome(ctx context.Context, path string, e driver.Entry, ok bool, err error) (driver.Entry, bool, error) {
	var d damage
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return driver.Entry{}, false, nil
	case errors.As(err, &d):
		t.store.report(ctx, t.path(path), err)
		return driver.Entry{}, false, nil
	case err != nil || !ok:
		return driver.Entry{}, false, err
	}
	return e, true, nil
}
