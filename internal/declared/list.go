package declared

import (
	"context"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/settings"
)

// Table is one of a store.
type Table struct {
	driver.TableSpec
	Repository  string                // or its own name, where nobody knows; empty for the cache's own
	Declared    string                // the name that it would have without a change of the declaration
	Origin      string                // empty where it is not known
	Declaration *settings.Declaration // nil where it is not known
	Current     bool                  // the table has entries that are in use
}

// List returns the tables that there are, by name in byte order.
func (s *Store) List(ctx context.Context) ([]Table, error) {
	specs, err := s.Tables(ctx)
	if err != nil {
		return nil, err
	}
	known, repositories, unread, err := s.known(ctx)
	if err != nil {
		return nil, err
	}
	tables := make([]Table, 0, len(specs))
	for _, spec := range specs {
		t, ok := known[spec.Name]
		switch {
		case ok:
		case Own(spec.Name):
		case unread[base(spec.Name)]:
			t.Repository, t.Declared = base(spec.Name), unnumbered(spec.Name)
			t.Current = true // as far as anybody knows
		case repositories[base(spec.Name)]:
			t.Repository = base(spec.Name) // what a program with an older declaration has left
			t.Declared = spec.Name
		default:
			t.Repository, t.Declared = spec.Name, spec.Name
			t.Current = true
		}
		t.TableSpec = spec
		tables = append(tables, t)
	}
	return tables, nil
}

// known are the tables that records tell of, and the repositories that have some. Unread are the
// repositories whose records cannot be read, as a newer version may have written them.
func (s *Store) known(ctx context.Context) (known map[string]Table, repositories, unread map[string]bool, err error) {
	first, err := s.items(ctx, driver.Filter{Leading: driver.Key{FirstOrigin}})
	if err != nil {
		return nil, nil, nil, err
	}
	others, err := s.items(ctx, driver.Filter{Where: driver.Where{Prefix: OtherOrigins}})
	if err != nil {
		return nil, nil, nil, err
	}
	origins := make(map[string][]string) // by repository, that of its home table first
	for _, e := range first {
		origins[e.Key[1].(string)] = []string{string(e.Payload)}
	}
	for _, e := range others {
		repository := e.Key[0].(string)[len(OtherOrigins):]
		if origins[repository] == nil {
			origins[repository] = []string{""}
		}
		origins[repository] = append(origins[repository], e.Key[1].(string))
	}
	declarations, err := s.items(ctx, driver.Filter{Leading: driver.Key{Declaration}})
	if err != nil {
		return nil, nil, nil, err
	}
	known, repositories, unread = make(map[string]Table), make(map[string]bool), make(map[string]bool)
	for _, e := range declarations {
		name := e.Key[1].(string)
		r, err := recordOf(e, name)
		switch {
		case err != nil:
			unread[name] = true
		case !r.dropped:
			repositories[name] = true
			r.tables(name, origins[name], known)
		}
	}
	return known, repositories, unread, nil
}

// tables adds the tables of a repository.
func (r *record) tables(name string, origins []string, known map[string]Table) {
	add := func(number int, t Table) {
		t.Repository, t.Declared = name, name
		home := HomeTable(name, number)
		if len(origins) > 0 {
			t.Origin = origins[0]
		}
		known[home] = t
		for _, origin := range origins[min(1, len(origins)):] {
			t.Origin, t.Declared = origin, OriginTable(name, origin)
			known[OriginTable(home, origin)] = t
		}
	}
	for _, number := range r.old {
		add(number, Table{})
	}
	if r.next != nil {
		add(r.next.table, Table{Declaration: &r.next.declaration})
	}
	add(r.table, Table{Declaration: &r.declaration, Current: true})
}

func (s *Store) items(ctx context.Context, f driver.Filter) (items []driver.Entry, err error) {
	if s.Records == nil {
		return nil, nil
	}
	for e, err := range s.Records.Entries(ctx, driver.Selection{Filter: f, Parts: driver.Payload | driver.Meta}) {
		if err != nil {
			return nil, err
		}
		items = append(items, e)
	}
	return items, nil
}

// Forget removes what is kept of a table elsewhere.
type Forget func(ctx context.Context, table string) error

// Drop removes the tables of a repository and the records of it, but for the numbers of its
// tables. It can be repeated where it has failed.
func (s *Store) Drop(ctx context.Context, repository string, forget Forget) error {
	if _, err := s.read(ctx, repository); err != nil {
		return err // nobody knows which tables are its own
	}
	tables, err := s.List(ctx)
	if err != nil {
		return err
	}
	found := false
	for _, t := range tables {
		if t.Repository != repository {
			continue
		}
		found = true
		if err := s.DropTable(ctx, t.Name); err != nil {
			return err
		}
		if err := forget(ctx, t.Name); err != nil {
			return err
		}
	}
	if _, err := s.Records.Clear(ctx, driver.Filter{Leading: driver.Key{OtherOrigins + repository}}); err != nil {
		return err
	}
	if _, err := s.Records.Delete(ctx, []driver.Key{{FirstOrigin, repository}}); err != nil {
		return err
	}
	return s.bury(ctx, repository, found)
}

// bury remembers the numbers that a repository's tables had. Whoever has one of them open may
// still write to it, and a store may keep that for a table of the same name.
func (s *Store) bury(ctx context.Context, repository string, found bool) error {
	for {
		r, err := s.read(ctx, repository)
		switch {
		case err != nil:
			return err
		case r == nil && found:
			_, err := s.create(ctx, repository, &record{table: 1, dropped: true})
			return err
		case r == nil || r.dropped:
			return nil
		}
		replaced, err := s.replace(ctx, repository, &record{table: r.free() - 1, dropped: true, seen: r.seen})
		if err != nil || replaced {
			return err
		}
	}
}
