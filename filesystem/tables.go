package filesystem

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/endpointcache/endpointcache/driver"
)

// Tables reads the file table.json of each folder.
func (s *Store) Tables(ctx context.Context) (specs []driver.TableSpec, err error) {
	err = s.run(ctx, "list tables", "", func() error {
		parent, err := s.parent()
		if err != nil {
			return err
		}
		defer func() { _ = parent.Close() }()
		names, err := namesIn(parent)
		if err != nil {
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

// namesIn are the names of all that is in the cache's folder, in no order.
func namesIn(parent *os.Root) ([]string, error) {
	dir, err := parent.Open(".")
	if err != nil {
		return nil, err
	}
	names, err := dir.Readdirnames(-1)
	return names, errors.Join(err, dir.Close())
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
