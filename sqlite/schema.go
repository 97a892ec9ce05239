package sqlite

import (
	"context"
	sqldriver "database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/readonly"
)

// OpenTable implements [driver.Store].
func (s *Store) OpenTable(ctx context.Context, spec driver.TableSpec) (driver.Table, error) {
	t := &table{store: s, spec: spec, names: newNames(spec)}
	err := s.run(ctx, "open table", spec.Name, func() error {
		if n := len(spec.Key); n > maxColumns {
			return fmt.Errorf("a key of %d columns: SQLite can compare %d", n, maxColumns)
		}
		if strings.HasPrefix(strings.ToLower(spec.Name), "sqlite_") {
			return errors.New("names that begin with sqlite_ are SQLite's own: give it another")
		}
		var complete bool
		err := s.readers.with(ctx, func(c *conn) (err error) {
			complete, err = t.check(ctx, c)
			return err
		})
		if err != nil || complete {
			return err
		}
		if s.commits.readOnly {
			return s.readers.with(ctx, func(c *conn) error { return t.readable(ctx, c) })
		}
		return s.commits.write(ctx, 1, func(c *conn) error { return t.ensure(ctx, c) })
	})
	if err != nil {
		return nil, err
	}
	if s.commits.readOnly {
		return readonly.Table(kind, spec.Name, t), nil
	}
	if s.file != nil {
		s.file.tables.add(t)
	}
	return t, nil
}

// readable reports an error where a table, which is not complete, cannot be read. It can be
// without its index.
func (t *table) readable(ctx context.Context, c *conn) error {
	found, err := layouts(ctx, c, t.spec.Name)
	switch {
	case err != nil:
		return err
	case len(found) == 0:
		return readonly.ErrNoTable
	case len(found[0].missing()) > 0:
		return readonly.ErrOldTable
	}
	return nil
}

// ensure makes the table, its index, and the columns that a table of an earlier version
// lacks, without touching its rows. Another process may have done so.
func (t *table) ensure(ctx context.Context, c *conn) error {
	if complete, err := t.check(ctx, c); err != nil || complete {
		return err
	}
	for _, text := range t.names.create(t.spec) {
		if err := c.exec(ctx, text); err != nil {
			return err
		}
	}
	found, err := layouts(ctx, c, t.spec.Name)
	if err != nil {
		return err
	}
	for _, l := range found {
		for _, missing := range l.missing() {
			err := c.exec(ctx, fmt.Sprintf("ALTER TABLE %s ADD COLUMN %s %s", t.names.table, missing.name, missing.definition))
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// check compares what is in the database with what the table should be. It
// reports whether table and index are there as they should be, and not as an earlier
// version made them; what is there otherwise is a SchemaError.
func (t *table) check(ctx context.Context, c *conn) (complete bool, err error) {
	var tableFound, indexFound bool
	var other, taken string
	s, err := c.prepare(ctx, stmtKey{text: "SELECT type, name, tbl_name FROM main.sqlite_master WHERE name = ? COLLATE NOCASE OR name = ? COLLATE NOCASE"})
	if err != nil {
		return false, err
	}
	index := indexName(t.spec.Name)
	s.bind(t.spec.Name)
	s.bind(index)
	err = c.query(ctx, s, 3, func(row []sqldriver.Value) bool {
		kind, _ := row[0].(string)
		name, _ := row[1].(string)
		of, _ := row[2].(string)
		switch {
		case kind == "table" && name == t.spec.Name:
			tableFound = true
		case kind == "index" && name == index && of == t.spec.Name:
			indexFound = true
		case kind == "index" && name == index:
			taken = fmt.Sprintf("index %q of table %q, which leaves no room for the table's own", name, of)
		case kind == "table" || other == "":
			other = fmt.Sprintf("%s %q", kind, name)
		}
		return true
	})
	switch {
	case err != nil:
		return false, err
	case taken != "":
		return false, t.schemaError(taken)
	case other != "" && !tableFound:
		return false, t.schemaError(other + ", which leaves no room for its name")
	case !tableFound:
		return false, nil
	}
	found, err := layouts(ctx, c, t.spec.Name)
	if err != nil {
		return false, err
	}
	if len(found) != 1 {
		return false, nil // dropped meanwhile
	}
	have := found[0]
	spec, ok := have.spec()
	if !ok {
		return false, t.schemaError(have.String())
	}
	if spec.KeyString() != t.spec.KeyString() {
		return false, t.schemaError("key (" + spec.KeyString() + ")")
	}
	return indexFound && len(have.missing()) == 0, nil
}

// layout is what columns a table has.
type layout struct {
	table string
	key   []keyColumn
	rest  []string // the names of the others
}

type keyColumn struct{ name, columnType string }

// layouts are those of the table of this name, or of all tables, by their names. Virtual
// tables, which have no root page, may lack what tells their columns.
func layouts(ctx context.Context, c *conn, table string) (all []layout, err error) {
	s, err := c.prepare(ctx, stmtKey{text: `SELECT t.name, c.name, c.type, c.pk
FROM main.sqlite_master AS t CROSS JOIN pragma_table_xinfo(t.name, 'main') AS c
WHERE t.type = 'table' AND (t.name = ? OR ? = '' AND t.rootpage > 0) AND c.hidden = 0 ORDER BY t.name, c.pk, c.cid`})
	if err != nil {
		return nil, err
	}
	s.bind(table)
	s.bind(table)
	err = c.query(ctx, s, 4, func(row []sqldriver.Value) bool {
		table, _ := row[0].(string)
		name, _ := row[1].(string)
		columnType, _ := row[2].(string)
		if len(all) == 0 || all[len(all)-1].table != table {
			all = append(all, layout{table: table})
		}
		l := &all[len(all)-1]
		if pk, _ := row[3].(int64); pk > 0 {
			l.key = append(l.key, keyColumn{name, columnType})
		} else {
			l.rest = append(l.rest, name)
		}
		return true
	})
	return all, err
}

// spec describes a repository's table, of this version or of an earlier one. ok is false
// where it is none.
func (l layout) spec() (spec driver.TableSpec, ok bool) {
	spec.Name = l.table
	for _, c := range l.key {
		for _, kind := range []driver.Kind{driver.String, driver.Int, driver.Bool} {
			if columnType(kind) == c.columnType {
				spec.Key = append(spec.Key, driver.Column{Name: c.name, Kind: kind})
			}
		}
	}
	if len(spec.Key) != len(l.key) || spec.Validate() != nil {
		return spec, false
	}
	for _, c := range l.missing() {
		if !c.added {
			return spec, false
		}
	}
	return spec, len(l.rest) == len(putColumns)-len(l.missing())
}

// missing are the columns that are not there.
func (l layout) missing() (missing []column) {
	for _, c := range entryColumns {
		if !slices.Contains(l.rest, c.name) {
			missing = append(missing, c)
		}
	}
	return missing
}

func (l layout) String() string {
	var columns []string
	for _, c := range l.key {
		columns = append(columns, c.name+" "+c.columnType)
	}
	return "a table that is no repository's, with the columns " + strings.Join(append(columns, l.rest...), ", ")
}

func (t *table) schemaError(have string) error {
	return &driver.SchemaError{Table: t.spec.Name, Want: "key (" + t.spec.KeyString() + ")", Have: have}
}
