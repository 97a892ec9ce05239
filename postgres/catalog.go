package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/endpointcache/endpointcache/driver"
)

// relation is what stands under a name in the catalog.
type relation struct {
	name    string
	kind    string // a key of relationKinds
	part    bool   // of a partitioned table
	comment string
	columns []relationColumn // those of the primary key in its order
}

type relationColumn struct {
	name, typeName string
	key            bool
	comment        string
}

var relationKinds = map[string]string{
	"r": "table", "p": "partitioned table", "i": "index", "S": "sequence", "v": "view", "m": "materialized view", "c": "type", "f": "foreign table",
}

// catalog are the relations of a schema, or the one of a name: each column with its type
// and its place in the primary key.
const catalog = `SELECT
	c.relname, c.relkind::text, c.relispartition, coalesce(obj_description(c.oid, 'pg_class'), ''),
	coalesce(a.attname, ''), coalesce(pg_catalog.format_type(a.atttypid, a.atttypmod), ''), coalesce(a.attcollation = 950, false),
	coalesce(array_position(i.indkey::int2[], a.attnum), -1), coalesce(pg_catalog.col_description(c.oid, a.attnum), '')
	FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace AND n.nspname = $1
	LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
	LEFT JOIN pg_catalog.pg_index AS i ON i.indrelid = c.oid AND i.indisprimary
	WHERE $2::text = '' OR c.relname = $2::text::name ORDER BY c.relname, 8, a.attnum`

// relations are those of the store's schema, or the one of a name.
func (s *Store) relations(ctx context.Context, c *conn, name string) (all []*relation, err error) {
	rows, err := c.texts(ctx, catalog, s.opts.Schema, name)
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		if len(all) == 0 || all[len(all)-1].name != row[0] {
			all = append(all, &relation{name: row[0], kind: row[1], part: row[2] == "t", comment: row[3]})
		}
		if row[4] == "" {
			continue
		}
		column := relationColumn{name: row[4], typeName: row[5], key: row[7] != "-1", comment: row[8]}
		if column.key && column.typeName == "text" && row[6] != "t" {
			column.typeName = "text of another collation"
		}
		r := all[len(all)-1]
		r.columns = append(r.columns, column)
	}
	return all, nil
}

// relation returns the one of a name, or nil.
func (s *Store) relation(ctx context.Context, c *conn, name string) (*relation, error) {
	all, err := s.relations(ctx, c, name)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	return all[0], nil
}

// describe tells what is no table of ours.
func (r *relation) describe() string {
	if r.kind != "r" && r.kind != "p" {
		return "the " + relationKinds[r.kind] + " " + quote(r.name)
	}
	if r.part {
		return "a part of a partitioned table"
	}
	var names []string
	for _, c := range r.columns {
		names = append(names, c.name)
	}
	return "a table that is no repository's, with the columns " + strings.Join(names, ", ")
}

// ours reports whether the columns are those that a table has beside its key, for which
// type of payload, and whether some are missing as an earlier version has created it.
func (r *relation) ours() (payload PayloadType, old, ok bool) {
	var have []string
	for _, c := range r.columns {
		if !c.key {
			have = append(have, c.name+" "+c.typeName)
		}
	}
	if r.kind != "r" && r.kind != "p" || len(have) == len(r.columns) {
		return 0, false, false
	}
	slices.Sort(have)
	for _, p := range []PayloadType{Bytea, Text, JSONB} {
		columns := append(entryColumns(p), keyColumn)
		if slices.Equal(have, sortedTypes(columns)) {
			return p, false, true
		}
		columns = slices.DeleteFunc(columns, func(c column) bool { return slices.Contains(laterColumns, c) })
		if slices.Equal(have, sortedTypes(columns)) {
			return p, true, true
		}
	}
	return 0, false, false
}

func sortedTypes(columns []column) (all []string) {
	for _, c := range columns {
		all = append(all, c.name+" "+c.typeName())
	}
	slices.Sort(all)
	return all
}

// whole is the name of which what stands in the catalog is the identifier: where that is
// shortened, the comment.
func whole(inCatalog, comment string) string {
	if identifier(inCatalog) != inCatalog && identifier(comment) == inCatalog {
		return comment
	}
	return inCatalog
}

// spec describes a table of ours. It is not valid where somebody has changed its names or
// its types.
func (r *relation) spec(prefix string) (driver.TableSpec, bool) {
	name, ok := strings.CutPrefix(whole(r.name, r.comment), prefix)
	spec := driver.TableSpec{Name: name}
	for _, c := range r.columns {
		if c.key {
			spec.Key = append(spec.Key, driver.Column{Name: whole(c.name, c.comment), Kind: columnKind(c.typeName)})
		}
	}
	return spec, ok && identifier(prefix+name) == r.name && spec.Validate() == nil
}

// columnKind is the reverse of columnType, or 0.
func columnKind(typeName string) driver.Kind {
	for _, kind := range []driver.Kind{driver.String, driver.Int, driver.Bool} {
		if columnType(kind) == typeName {
			return kind
		}
	}
	return 0
}

// Tables implements [driver.Store]. It returns those of its schema that begin with its
// TablePrefix.
func (s *Store) Tables(ctx context.Context) (specs []driver.TableSpec, err error) {
	err = s.run(ctx, "list tables", "", func() error {
		return s.with(ctx, repeatable, func(c *conn) (err error) {
			specs, err = s.tables(ctx, c)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return specs, nil
}

func (s *Store) tables(ctx context.Context, c *conn) (specs []driver.TableSpec, err error) {
	all, err := s.relations(ctx, c, "")
	for _, r := range all {
		if _, _, ok := r.ours(); !ok || r.part {
			continue
		}
		if spec, ok := r.spec(s.opts.TablePrefix); ok {
			specs = append(specs, spec)
		}
	}
	slices.SortFunc(specs, func(a, b driver.TableSpec) int { return strings.Compare(a.Name, b.Name) })
	return specs, err
}

// DropTable implements [driver.Store]. It waits for those who are using the table. Calls
// on a Table that is open on it fail afterwards.
func (s *Store) DropTable(ctx context.Context, name string) error {
	return s.run(ctx, "drop table", name, func() error {
		if s.opts.ReadOnly {
			return driver.ErrReadOnly
		}
		return s.with(ctx, repeatable, func(c *conn) error {
			names := newNames(s.opts, driver.TableSpec{Name: name})
			r, err := s.relation(ctx, c, names.bare)
			if err != nil || r == nil {
				return err
			}
			if _, _, ok := r.ours(); !ok || r.part {
				return &driver.SchemaError{Table: name, Want: "a repository's table", Have: r.describe()}
			}
			told := s.teller.text("ARRAY["+literal(s.teller.messages(names.name, nil)[0])+"]", "")
			return c.script(ctx, fmt.Sprintf("DROP TABLE IF EXISTS %s; %s", names.table, told))
		})
	})
}
