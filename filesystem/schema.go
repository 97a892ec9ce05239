package filesystem

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/readonly"
)

// schema is what a table's file table.json holds.
type schema struct {
	Version int      `json:"endpointcache"`
	Table   string   `json:"table"`
	Key     []column `json:"key"`
}

type column struct {
	Name string `json:"name"`
	Kind string `json:"kind"`
}

const schemaVersion = 1

func newSchema(spec driver.TableSpec) schema {
	s := schema{Version: schemaVersion, Table: spec.Name}
	for _, c := range spec.Key {
		s.Key = append(s.Key, column{c.Name, c.Kind.String()})
	}
	return s
}

func (s schema) keyString() string {
	texts := make([]string, len(s.Key))
	for i, c := range s.Key {
		texts[i] = c.Name + " " + c.Kind
	}
	return strings.Join(texts, ", ")
}

// OpenTable implements [driver.Store].
func (s *Store) OpenTable(ctx context.Context, spec driver.TableSpec) (driver.Table, error) {
	t, err := s.ownTable(ctx, spec)
	if err != nil {
		return nil, err
	}
	var opened driver.Table = t
	if t.local {
		opened = localTable{t}
	}
	if s.opts.ReadOnly {
		return readonly.Table(kind, spec.Name, opened), nil
	}
	return opened, nil
}

// ownTable is the table as this package knows it.
func (s *Store) ownTable(ctx context.Context, spec driver.TableSpec) (t *table, err error) {
	spec.Key = slices.Clone(spec.Key)
	err = s.run(ctx, "open table", spec.Name, func() error {
		for tries := 1; ; tries++ {
			f, err := s.openTable(ctx, spec)
			if err == nil {
				t, err = s.keep(ctx, spec, f)
			}
			// Another call may have removed the folder meanwhile.
			if !errors.Is(err, fs.ErrNotExist) || tries == maxLooks {
				return err
			}
		}
	})
	if err != nil {
		return nil, err
	}
	return t, nil
}

// maxLooks is how often a folder is looked at that other calls make or remove meanwhile.
const maxLooks = 10

// keep returns the table of that name, which has been opened before or is now.
func (s *Store) keep(ctx context.Context, spec driver.TableSpec, f *folder) (*table, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tables[spec.Name]
	if t == nil || !slices.Equal(t.id.spec.Key, spec.Key) { // or its folder was removed
		t = newTable(s, spec, f)
		if !s.opts.ReadOnly {
			s.warnOfOthers(ctx, f.root, t.path("."))
		}
		s.tables[spec.Name] = t
		s.all = append(s.all, t)
		return t, nil
	}
	current := t.hold()
	defer current.release()
	if !sameFolder(current, f) && t.replace(current, f) {
		return t, nil
	}
	return t, f.close()
}

func sameFolder(a, b *folder) bool {
	one, err := a.root.Stat(".")
	if err != nil {
		return false
	}
	other, err := b.root.Stat(".")
	return err == nil && os.SameFile(one, other)
}

// checkSchema compares a table's folder with what it should be. It makes a new one
// the table's.
func (s *Store) checkSchema(ctx context.Context, f *folder, spec driver.TableSpec) error {
	found, err := f.compareSchema(spec)
	if err != nil || found {
		return err
	}
	if s.opts.ReadOnly {
		return readonly.ErrNoTable
	}
	return s.createSchema(ctx, f, spec)
}

// createSchema is exclusive: of many processes one creates the table.
func (s *Store) createSchema(ctx context.Context, f *folder, spec driver.TableSpec) error {
	lock, err := lockFile(ctx, f.root, lockPrefix+"0")
	if err != nil {
		return err
	}
	defer func() { _ = lock.Close() }() // which unlocks it
	if found, err := f.compareSchema(spec); err != nil || found {
		return err
	}
	text, err := json.MarshalIndent(newSchema(spec), "", "\t")
	if err != nil {
		return err
	}
	sub, err := f.reader.subfolder(".")
	if err != nil {
		return err
	}
	defer func() { _ = sub.close() }() // which was only looked up in
	w, err := f.writer(ctx)
	if err != nil {
		return err
	}
	temporary, err := w.write(s.opts.Sync, append(text, '\n'), nil)
	if err != nil {
		return err
	}
	if err := w.dir.rename(temporary, sub, schemaFile); err != nil {
		_, removeErr := w.dir.remove(temporary)
		return errors.Join(err, removeErr)
	}
	if s.opts.Sync {
		return syncFolder(f.root, ".")
	}
	return nil
}

// compareSchema reports whether the folder is that of the table. It is an error if
// it is that of something else, and none if it is new.
func (f *folder) compareSchema(spec driver.TableSpec) (found bool, err error) {
	text, err := f.root.ReadFile(schemaFile)
	if errors.Is(err, fs.ErrNotExist) {
		notNew := f.checkNew(spec)
		if notNew == nil {
			return false, nil
		}
		// Another call may have made it the table's since, and saved entries.
		if text, err = f.root.ReadFile(schemaFile); errors.Is(err, fs.ErrNotExist) {
			return false, notNew
		}
	}
	if err != nil {
		return false, err
	}
	have, ok := parseSchema(text)
	switch want := newSchema(spec); {
	case !ok:
		return false, schemaError(spec, "a folder whose "+schemaFile+" is none of ours")
	case have.Version != want.Version:
		return false, schemaError(spec, "a table of another version of the library")
	case have.Table != want.Table:
		return false, schemaError(spec, "the folder of another table")
	case !slices.Equal(have.Key, want.Key):
		return false, schemaError(spec, "key ("+have.keyString()+")")
	}
	return true, nil
}

// parseSchema returns what a table's file tells. ok is false where it is none.
func parseSchema(text []byte) (s schema, ok bool) {
	err := json.NewDecoder(bytes.NewReader(text)).Decode(&s)
	return s, err == nil && s.Version != 0
}

// checkNew fails where the folder holds what no table's creation has left.
func (f *folder) checkNew(spec driver.TableSpec) error {
	names, err := f.namesAt(".")
	if err != nil {
		return err
	}
	for _, name := range names {
		if !isOldTemporary(name) && !strings.HasPrefix(name, lockPrefix) && name != temporaryFolder && name != schemaFile {
			return schemaError(spec, "a folder without "+schemaFile)
		}
	}
	return nil
}

func schemaError(spec driver.TableSpec, have string) error {
	return &driver.SchemaError{Table: spec.Name, Want: "key (" + spec.KeyString() + ")", Have: have}
}
