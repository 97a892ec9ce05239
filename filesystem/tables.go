package filesystem

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/endpointcache/endpointcache/driver"
)

// Tables reads the file table.json of each folder.
func (s *Store) Tables(ctx context.Context) (specs []driver.TableSpec, err error) {
	err = s.run(ctx, "list tables", "", func() error {
		parent, err := s.parent()
		if err != nil {
			return err
		}
		dir, err := parent.Open(".")
		if err != nil {
			return err
		}
		names, err := dir.Readdirnames(-1)
		if err := errors.Join(err, dir.Close()); err != nil {
			return err
		}
		for _, name := range names {
			if err := ctx.Err(); err != nil {
				return err
			}
			spec, have, err := readTable(parent, name)
			if err != nil {
				return err
			}
			if have == "" && spec.Name != "" {
				specs = append(specs, spec)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(specs, func(a, b driver.TableSpec) int { return strings.Compare(a.Name, b.Name) })
	return specs, nil
}

// readTable returns the table whose folder has this name, or what is there instead, and
// neither where there is nothing.
func readTable(parent *os.Root, name string) (spec driver.TableSpec, have string, err error) {
	info, err := parent.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return spec, "", nil
	}
	if err != nil {
		return spec, "", err
	}
	if !info.IsDir() {
		return spec, notFolder(info) + " in place of its folder", nil
	}
	text, err := parent.ReadFile(name + "/" + schemaFile)
	if errors.Is(err, fs.ErrNotExist) {
		return spec, "a folder without " + schemaFile, nil
	}
	if err != nil {
		return spec, "", err
	}
	described, ok := parseSchema(text)
	if !ok || described.Version != schemaVersion {
		return spec, "a folder whose " + schemaFile + " is none of this version", nil
	}
	spec.Name = described.Table
	for _, c := range described.Key {
		kind, _ := driver.ParseKind(c.Kind)
		spec.Key = append(spec.Key, driver.Column{Name: c.Name, Kind: kind})
	}
	if valid := spec.Validate() == nil && folderName(spec.Name) == name; !valid {
		return driver.TableSpec{}, "the folder of another table", nil
	}
	return spec, "", nil
}

// maxDrops is how often a drop clears a table to which others save meanwhile.
const maxDrops = 3

var errNotEmpty = errors.New("the folder holds files that are not of the cache, or entries are being saved to it")

// DropTable clears the table, and removes its folder while nobody can save to it. Where
// others have put files there, the folder stays, with the table, which then is empty.
func (s *Store) DropTable(ctx context.Context, name string) error {
	return s.run(ctx, "drop table", name, func() error {
		parent, err := s.parent()
		if err != nil {
			return err
		}
		folderName := folderName(name)
		spec, have, err := readTable(parent, folderName)
		if have != "" {
			return &driver.SchemaError{Table: name, Want: "a table of the cache", Have: have}
		}
		if err != nil || spec.Name == "" {
			return err
		}
		f, err := s.openTable(ctx, spec)
		if err != nil {
			return err
		}
		t, err := s.keep(ctx, spec, f) // whose goroutines take turns
		if err != nil {
			return err
		}
		for range maxDrops {
			if err := t.clear(ctx, t.folder.Load(), driver.Filter{}, new(atomic.Int64)); err != nil {
				return err
			}
			if removed, err := t.removeFolder(ctx, parent, folderName); err != nil || removed {
				return err
			}
		}
		return errNotEmpty
	})
}

// droppedPrefix begins the name of a folder that is being removed.
const droppedPrefix = ".dropped-"

// removeFolder removes the folder of a table whose entries are cleared, unless there is
// something in it that is not the table's. It is renamed first: others who have it open may
// still make files in it.
func (t *table) removeFolder(ctx context.Context, parent *os.Root, name string) (removed bool, err error) {
	f := t.folder.Load()
	for n := range stripes {
		unlock, err := t.lock(ctx, f, n)
		if err != nil {
			return false, err
		}
		defer unlock()
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
	return true, parent.RemoveAll(dropped)
}

// isShard reports whether name is that of a folder of entries.
func isShard(name string) bool { return len(name) == shardDigits && isHex(name) }
