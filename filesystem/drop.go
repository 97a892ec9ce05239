package filesystem

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"sync/atomic"

	"github.com/endpointcache/endpointcache/driver"
)

// maxDrops is how often a drop clears a table to which others save meanwhile.
const maxDrops = 3

var errNotEmpty = errors.New("the folder holds files that are not of the cache, or entries are being saved to it")

// DropTable clears the table, and removes its folder while nobody can save to it. Where
// others have put files there, the folder stays, with the table, which then is empty.
func (s *Store) DropTable(ctx context.Context, name string) error {
	return s.run(ctx, "drop table", name, func() error {
		if s.opts.ReadOnly {
			return driver.ErrReadOnly
		}
		parent, err := s.parent()
		if err != nil {
			return err
		}
		defer func() { _ = parent.Close() }()
		sweepDropped(parent)
		spec, have, err := readTable(parent, folderName(name))
		for tries := 1; have != "" && !isUnfinished(parent, name); tries++ {
			if tries == maxLooks {
				return &driver.SchemaError{Table: name, Want: "a table of the cache", Have: have}
			}
			// Another call may have completed it meanwhile.
			spec, have, err = readTable(parent, folderName(name))
		}
		if err != nil || spec.Name == "" {
			return err
		}
		err = s.drop(ctx, parent, spec)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // another call has removed the folder
		}
		return err
	})
}

// isUnfinished reports whether the folder of a table is one that a call is making or
// removing, or was when its process died.
func isUnfinished(parent *os.Root, name string) bool {
	spec := driver.TableSpec{Name: name}
	f, err := openFolderOf(parent, spec)
	if err != nil {
		return errors.Is(err, fs.ErrNotExist) // it is removed by now
	}
	found, err := f.compareSchema(spec)
	return errors.Join(err, f.close()) == nil && !found
}

func (s *Store) drop(ctx context.Context, parent *os.Root, spec driver.TableSpec) error {
	f, err := openFolderOf(parent, spec)
	if err != nil {
		return err
	}
	found, err := f.compareSchema(spec)
	if err == nil && !found {
		err = fs.ErrNotExist
	}
	if err != nil {
		return errors.Join(err, f.close())
	}
	t, err := s.keep(ctx, spec, f) // whose goroutines take turns
	if err != nil {
		return err
	}
	for range maxDrops {
		if removed, err := t.dropFolder(ctx, parent); err != nil || removed {
			return err
		}
	}
	return errNotEmpty
}

// dropFolder clears the table's folder and removes it, unless it is not empty then.
func (t *table) dropFolder(ctx context.Context, parent *os.Root) (removed bool, err error) {
	f := t.hold()
	defer f.release()
	if err := t.clear(ctx, f, driver.Filter{}, new(atomic.Int64)); err != nil {
		return false, err
	}
	return t.removeFolder(ctx, f, parent)
}

// removeFolder removes the folder of a table whose entries are cleared, unless there is
// something in it that is not the table's. It is renamed first: others who have it open may
// still make files in it.
func (t *table) removeFolder(ctx context.Context, f *folder, parent *os.Root) (removed bool, err error) {
	for n := range stripes {
		unlock, err := t.lock(ctx, f, n)
		if err != nil {
			return false, err
		}
		defer unlock()
	}
	name := folderName(t.id.spec.Name)
	info, err := parent.Lstat(name)
	if err != nil {
		return false, err
	}
	if f.local && !os.SameFile(info, f.info) {
		return true, nil // by another, and what is there now was made since
	}
	names, err := f.namesAt(".")
	if err != nil {
		return false, err
	}
	for _, name := range names {
		switch {
		case isShard(name):
			err := f.root.Remove(name)
			if errors.Is(err, fs.ErrExist) { // it is not empty
				return false, nil
			}
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return false, err
			}
		case !isOldTemporary(name) && !strings.HasPrefix(name, lockPrefix) && name != temporaryFolder && name != schemaFile:
			return false, nil
		}
	}
	dropped := droppedPrefix + rand.Text()
	if err := parent.Rename(name, dropped); err != nil {
		dropped = name // Windows renames no folder in which files are open
	}
	return true, removeDropped(parent, dropped)
}

// droppedPrefix begins the name of a folder that is being removed.
const droppedPrefix = ".dropped-"

var droppedName = regexp.MustCompile(`^` + regexp.QuoteMeta(droppedPrefix) + `[A-Z2-7]{26}$`) // of rand.Text

// sweepDropped removes the folders of tables whose drop was not finished, as its process
// died. What it cannot remove is left to the next.
func sweepDropped(parent *os.Root) {
	names, _ := namesIn(parent) // those that there are
	for _, name := range names {
		if droppedName.MatchString(name) {
			_ = removeDropped(parent, name)
		}
	}
}

// maxRemovals is how often a folder is removed in which others who have it open make files
// meanwhile. They stop when their folder of temporary files is gone.
const maxRemovals = 10

// removeDropped removes a folder that is no table's any more. What others make in it to the
// last is left to the next sweep.
func removeDropped(parent *os.Root, name string) error {
	for range maxRemovals {
		if err := parent.RemoveAll(name); !errors.Is(err, fs.ErrExist) { // it is not empty
			return err
		}
	}
	return nil
}

// isShard reports whether name is that of a folder of entries.
func isShard(name string) bool { return len(name) == shardDigits && isHex(name) }
