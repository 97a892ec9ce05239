package filesystem

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/endpointcache/endpointcache/driver"
)

// Entries goes from one folder of entries to the next and keeps the names in one
// of them. It reads each entry when it comes to it.
func (t *table) Entries(ctx context.Context, sel driver.Selection) iter.Seq2[driver.Entry, error] {
	return func(yield func(driver.Entry, error) bool) {
		only := t.selection(sel)
		for path, err := range t.paths(ctx) {
			var (
				e  driver.Entry
				ok bool
			)
			if err == nil {
				e, ok, err = t.entry(ctx, path, only)
			}
			if err != nil {
				yield(driver.Entry{}, err)
				return
			}
			if ok && !yield(e, nil) {
				return
			}
		}
	}
}

// List reads the heads of all files, and payloads too where they are wanted.
func (t *table) List(ctx context.Context, l driver.Listing) ([]driver.Entry, error) {
	page, err := l.Page(t.Entries(ctx, l.Selected()))
	var op *driver.OpError
	if err != nil && !errors.As(err, &op) {
		err = opError("list", t.id.spec.Name, err)
	}
	return page, err
}

// paths yields the paths of the files in the table's folder that have names of
// entries.
func (t *table) paths(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for shard := range shards {
			var names []string
			err := t.store.run(ctx, "iterate over", t.id.spec.Name, func() (err error) {
				f := t.hold()
				defer f.release()
				names, err = f.names(byte(shard))
				return err
			})
			if err != nil {
				yield("", err)
				return
			}
			for _, name := range names {
				if !yield(shardName(byte(shard))+"/"+name, nil) {
					return
				}
			}
		}
	}
}

// entry reads a file that has the name of an entry.
func (t *table) entry(ctx context.Context, path string, sel selection) (e driver.Entry, ok bool, err error) {
	err = t.store.run(ctx, "iterate over", t.id.spec.Name, func() error {
		f := t.hold()
		defer f.release()
		b := takeBuffers()
		defer b.free()
		e, ok, err = t.visit(ctx, f, b, path, sel)
		if err == nil && ok {
			e.Key, err = t.id.parse(b.head.key)
			_, ok, err = t.outcome(ctx, path, e, ok, err)
		}
		return err
	})
	return e, ok, err
}

// Paths yields the paths of the files of a table's entries that the filter selects,
// in the order of the folders. The table must have been opened. Of entries that come
// and go meanwhile, it is as with Entries of a [driver.Table]. An error ends the
// sequence and is its last element.
func (s *Store) Paths(ctx context.Context, table string, filter driver.Filter) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		t, err := s.opened(table)
		if err != nil {
			yield("", err)
			return
		}
		only := t.selection(driver.Selection{Filter: filter})
		for path, err := range t.paths(ctx) {
			ok := false
			if err == nil {
				_, ok, err = t.entry(ctx, path, only)
			}
			if err != nil {
				yield("", err)
				return
			}
			if ok && !yield(t.path(path), nil) {
				return
			}
		}
	}
}

// EntryPath is the path at which the entry of a key is, or would be. The table must
// have been opened, and the key must fit its columns.
func (s *Store) EntryPath(table string, key driver.Key) (string, error) {
	t, err := s.opened(table)
	if err != nil {
		return "", err
	}
	p := t.id.place(t.id.append(nil, key), key)
	return t.path(p.path), nil
}

func (s *Store) opened(name string) (*table, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, ok := s.tables[name]
	if !ok {
		return nil, opError("iterate over", name, fmt.Errorf("the table has not been opened"))
	}
	return t, nil
}
