package sqlite

import (
	"context"
	sqldriver "database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/endpointcache/endpointcache/driver"
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
		return s.commits.write(ctx, 1, func(c *conn) error { return t.ensure(ctx, c) })
	})
	if err != nil {
		return nil, err
	}
	if s.file != nil {
		s.file.tables.add(t)
	}
	return t, nil
}

// ensure creates the table where it is absent: another process may have created it.
func (t *table) ensure(ctx context.Context, c *conn) error {
	if complete, err := t.check(ctx, c); err != nil || complete {
		return err
	}
	for _, text := range t.names.create(t.spec) {
		if err := c.exec(ctx, text); err != nil {
			return err
		}
	}
	return nil
}

// check compares what is in the database with what the table should be. It
// reports whether table and index are there as they should be; what is there
// otherwise is a SchemaError.
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
	key, rest, err := t.columns(ctx, c)
	if err != nil {
		return false, err
	}
	if !slices.Equal(rest, putColumns) {
		return false, t.schemaError(fmt.Sprintf("a table that is no repository's, with the columns %s", strings.Join(append(key, rest...), ", ")))
	}
	if have := strings.Join(key, ", "); have != t.spec.KeyString() {
		return false, t.schemaError("key (" + have + ")")
	}
	return indexFound, nil
}

// columns are the key columns of the table that is there, described as
// [driver.TableSpec.KeyString] does, and the names of the others.
func (t *table) columns(ctx context.Context, c *conn) (key, rest []string, err error) {
	s, err := c.prepare(ctx, stmtKey{text: "SELECT name, type, pk FROM pragma_table_xinfo(?, 'main') WHERE hidden = 0 ORDER BY pk, cid"})
	if err != nil {
		return nil, nil, err
	}
	s.bind(t.spec.Name)
	err = c.query(ctx, s, 3, func(row []sqldriver.Value) bool {
		name, _ := row[0].(string)
		columnType, _ := row[1].(string)
		if pk, _ := row[2].(int64); pk > 0 {
			key = append(key, name+" "+kindName(columnType))
		} else {
			rest = append(rest, name)
		}
		return true
	})
	return key, rest, err
}

func kindName(columnTypeName string) string {
	for _, kind := range []driver.Kind{driver.String, driver.Int, driver.Bool} {
		if columnType(kind) == columnTypeName {
			return kind.String()
		}
	}
	return columnTypeName
}

func (t *table) schemaError(have string) error {
	return &driver.SchemaError{Table: t.spec.Name, Want: "key (" + t.spec.KeyString() + ")", Have: have}
}
