package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/endpointcache/endpointcache/driver"
)

// OpenTable implements [driver.Store].
func (s *Store) OpenTable(ctx context.Context, spec driver.TableSpec) (driver.Table, error) {
	spec.Key = slices.Clone(spec.Key)
	t := &table{
		store: s, spec: spec, names: newNames(s.opts, spec),
		payload: s.opts.Tables[spec.Name].Payload, keyTexts: newKeyTexts(spec),
	}
	err := s.run(ctx, "open table", spec.Name, func() error {
		if n := len(spec.Key); n > maxColumns {
			return fmt.Errorf("a key of %d columns: an index of PostgreSQL has %d at most", n, maxColumns)
		}
		return s.with(ctx, repeatable, func(c *conn) error {
			f, err := t.find(ctx, c)
			if err != nil || f.complete {
				return err
			}
			if err := c.script(ctx, t.create(f)); err != nil {
				return err
			}
			// Another program may have created another one.
			_, err = t.find(ctx, c)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	s.background.add(t)
	return t, nil
}

// found is what is in the database.
type found struct {
	schema   bool // the schema
	complete bool // the table, as it should be
	lz4      bool // the server can compress so
}

// catalog tells of the server, and of the relation of a name: each column with
// its type and its place in the primary key.
const catalog = `SELECT
	EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = $1),
	EXISTS (SELECT FROM pg_catalog.pg_settings WHERE name = 'default_toast_compression' AND 'lz4' = ANY (enumvals)),
	coalesce(c.relkind::text, ''), coalesce(a.attname, ''), coalesce(pg_catalog.format_type(a.atttypid, a.atttypmod), ''),
	coalesce(a.attcollation = 950, false), coalesce(array_position(i.indkey::int2[], a.attnum), -1)
	FROM (VALUES (0)) AS one
	LEFT JOIN (pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace AND n.nspname = $1) ON c.relname = $2
	LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
	LEFT JOIN pg_catalog.pg_index AS i ON i.indrelid = c.oid AND i.indisprimary
	ORDER BY 7, a.attnum`

var relationKinds = map[string]string{
	"r": "table", "p": "partitioned table", "i": "index", "S": "sequence", "v": "view", "m": "materialized view", "c": "type", "f": "foreign table",
}

// find looks for the table. What is there otherwise is a SchemaError.
func (t *table) find(ctx context.Context, c *conn) (f found, err error) {
	rows, err := c.texts(ctx, catalog, t.names.schema, t.names.bare)
	if err != nil {
		return f, err
	}
	f.schema, f.lz4 = rows[0][0] == "t", rows[0][1] == "t"
	kind := rows[0][2]
	if kind == "" {
		return f, nil
	}
	if kind != "r" && kind != "p" {
		return f, t.schemaError(fmt.Sprintf("the %s %s", relationKinds[kind], t.names.table), false)
	}
	var key, rest, all []string
	for _, row := range rows {
		name, typeName, collationC, place := row[3], row[4], row[5] == "t", row[6]
		all = append(all, name)
		if place == "-1" {
			rest = append(rest, name+" "+typeName)
			continue
		}
		if typeName == "text" && !collationC {
			typeName = "text of another collation"
		}
		key = append(key, t.original(name)+" "+kindName(typeName))
	}
	payload, ours := t.isOurs(rest)
	switch {
	case !ours:
		return f, t.schemaError(fmt.Sprintf("a table that is no repository's, with the columns %s", strings.Join(all, ", ")), false)
	case strings.Join(key, ", ") != t.spec.KeyString():
		return f, t.schemaError("key ("+strings.Join(key, ", ")+")", false)
	case payload != t.payload:
		return f, t.schemaError(fmt.Sprintf("key (%s), payload %s", strings.Join(key, ", "), payload), true)
	}
	f.complete = true
	return f, nil
}

// isOurs reports whether the columns are those that a table has beside its key,
// and for which type of payload.
func (t *table) isOurs(columns []string) (PayloadType, bool) {
	slices.Sort(columns)
	for _, p := range []PayloadType{Bytea, Text, JSONB} {
		var want []string
		for _, c := range append(entryColumns(p), keyColumn) {
			want = append(want, c.name+" "+strings.TrimSuffix(c.definition, " NOT NULL"))
		}
		slices.Sort(want)
		if slices.Equal(columns, want) {
			return p, true
		}
	}
	return 0, false
}

// original is the name of a key column that stands in the table as name.
func (t *table) original(name string) string {
	if i := slices.Index(t.names.columns, name); i >= 0 {
		return t.spec.Key[i].Name
	}
	return name
}

func kindName(typeName string) string {
	for _, kind := range []driver.Kind{driver.String, driver.Int, driver.Bool} {
		if columnType(kind) == typeName {
			return kind.String()
		}
	}
	return typeName
}

func (t *table) schemaError(have string, withPayload bool) error {
	want := "key (" + t.spec.KeyString() + ")"
	if withPayload {
		want += ", payload " + t.payload.String()
	}
	return &driver.SchemaError{Table: t.spec.Name, Want: want, Have: have}
}

// creating is an advisory lock that is held while a table is created: CREATE TABLE
// IF NOT EXISTS fails where two do so at once.
const creating int64 = 0x656e64706f696e74

// maxInRow is up to how many bytes, compressed, a row stays in one piece: reading
// and saving it is a fifth to a third faster. Beyond it, PostgreSQL keeps the payload
// apart, as it does by default from 2,000 bytes on.
const maxInRow = 4080

// create are the statements that make the table. As one script they are one
// transaction.
func (t *table) create(f found) string {
	var b strings.Builder
	fmt.Fprintf(&b, "SELECT pg_catalog.pg_advisory_xact_lock(%d);\n", creating)
	if !f.schema {
		fmt.Fprintf(&b, "CREATE SCHEMA IF NOT EXISTS %s;\n", quote(t.names.schema))
	}
	b.WriteString("CREATE ")
	if t.store.opts.Unlogged {
		b.WriteString("UNLOGGED ")
	}
	fmt.Fprintf(&b, "TABLE IF NOT EXISTS %s (", t.names.table)
	for i, c := range t.spec.Key {
		fmt.Fprintf(&b, "\n  %s %s", t.names.keys[i], columnType(c.Kind))
		if c.Kind == driver.String {
			b.WriteString(` COLLATE "C"`)
		}
		b.WriteString(" NOT NULL,")
	}
	columns := entryColumns(t.payload)
	for _, c := range slices.Concat(columns[:5], []column{keyColumn}, columns[5:]) {
		definition := c.definition
		if typeName, rest, _ := strings.Cut(definition, " "); f.lz4 && c.name != "name" && slices.Contains([]string{"text", "bytea", "jsonb"}, typeName) {
			definition = strings.TrimSuffix(typeName+" COMPRESSION lz4 "+rest, " ")
		}
		fmt.Fprintf(&b, "\n  %s %s,", c.name, definition)
	}
	fmt.Fprintf(&b, "\n  CONSTRAINT %s PRIMARY KEY (%s)\n) WITH (toast_tuple_target = %d);\n", t.names.primary, strings.Join(t.names.keys, ", "), maxInRow)
	fmt.Fprintf(&b, "CREATE INDEX IF NOT EXISTS %s ON %s (expires_at)", t.names.expires, t.names.table)
	return b.String()
}

// script runs statements that have no parameters as one transaction.
func (c *conn) script(ctx context.Context, text string) error {
	_, err := c.PgConn().Exec(ctx, text).ReadAll()
	return err
}
