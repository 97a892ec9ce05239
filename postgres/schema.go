package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/readonly"
)

// OpenTable implements [driver.Store].
func (s *Store) OpenTable(ctx context.Context, spec driver.TableSpec) (driver.Table, error) {
	spec.Key = slices.Clone(spec.Key)
	t := &table{
		store: s, spec: spec, names: newNames(s.opts, spec),
		payload: s.opts.Tables[spec.Name].Payload, keyTexts: newKeyTexts(spec),
		indexes: indexes{building: make(chan struct{}, 1)},
	}
	err := s.run(ctx, "open table", spec.Name, func() error {
		if n := len(spec.Key); n > maxColumns {
			return fmt.Errorf("a key of %d columns: an index of PostgreSQL has %d at most", n, maxColumns)
		}
		return s.with(ctx, repeatable, func(c *conn) error {
			for tries := 0; ; tries++ {
				err := t.open(ctx, c)
				if sqlState(err) != stateNoTable || tries == maxConflicts {
					return err
				}
				// Somebody has dropped the table since it was found.
			}
		})
	})
	if err != nil {
		return nil, err
	}
	if s.opts.ReadOnly {
		return readonly.Table(kind, spec.Name, t), nil
	}
	s.background.add(t)
	return t, nil
}

// open finds the table, upgrades it or creates it.
func (t *table) open(ctx context.Context, c *conn) error {
	f, err := t.find(ctx, c)
	switch readOnly := t.store.opts.ReadOnly; {
	case err != nil || f.complete:
		return err
	case readOnly && f.old:
		return readonly.ErrOldTable
	case readOnly:
		return readonly.ErrNoTable
	case f.old:
		return c.script(ctx, t.upgrade())
	}
	server, err := c.text(ctx, serverHas, t.names.schema)
	if err != nil {
		return err
	}
	if err := c.script(ctx, t.create(server[0] == "t", server[1] == "t")); err != nil {
		return err
	}
	// Another program may have created another one.
	_, err = t.find(ctx, c)
	return err
}

// serverHas tells whether there is a schema, and whether LZ4 can compress columns.
const serverHas = `SELECT
	EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = $1),
	EXISTS (SELECT FROM pg_catalog.pg_settings WHERE name = 'default_toast_compression' AND 'lz4' = ANY (enumvals))`

// found is what is in the database of a table: nothing, all of it, or what an earlier
// version has created.
type found struct{ complete, old bool }

// find looks for the table. What is there otherwise is a SchemaError.
func (t *table) find(ctx context.Context, c *conn) (found, error) {
	r, err := t.store.relation(ctx, c, t.names.bare)
	if err != nil || r == nil {
		return found{}, err
	}
	payload, old, ours := r.ours()
	if !ours {
		return found{}, t.schemaError(r.describe(), false)
	}
	var key []string
	for _, column := range r.columns {
		if column.key {
			key = append(key, t.original(column.name)+" "+kindName(column.typeName))
		}
	}
	have := "key (" + strings.Join(key, ", ") + ")"
	switch {
	case strings.Join(key, ", ") != t.spec.KeyString():
		return found{}, t.schemaError(have, false)
	case payload != t.payload:
		return found{}, t.schemaError(have+", payload "+payload.String(), true)
	}
	return found{complete: !old, old: old}, nil
}

// original is the name of a key column that stands in the table as name.
func (t *table) original(name string) string {
	if i := slices.Index(t.names.columns, name); i >= 0 {
		return t.spec.Key[i].Name
	}
	return name
}

func kindName(typeName string) string {
	if kind := columnKind(typeName); kind != 0 {
		return kind.String()
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
func (t *table) create(hasSchema, hasLZ4 bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "SELECT pg_catalog.pg_advisory_xact_lock(%d);\n", creating)
	if !hasSchema {
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
		if typeName, rest, _ := strings.Cut(definition, " "); hasLZ4 && c.name != "name" && slices.Contains([]string{"text", "bytea", "jsonb"}, typeName) {
			definition = strings.TrimSuffix(typeName+" COMPRESSION lz4 "+rest, " ")
		}
		fmt.Fprintf(&b, "\n  %s %s,", c.name, definition)
	}
	fmt.Fprintf(&b, "\n  CONSTRAINT %s PRIMARY KEY (%s)\n) WITH (toast_tuple_target = %d);\n", t.names.primary, strings.Join(t.names.keys, ", "), maxInRow)
	fmt.Fprintf(&b, "CREATE INDEX IF NOT EXISTS %s ON %s (expires_at);\n", t.names.expires, t.names.table)
	t.comment(&b)
	return b.String()
}

// comment keeps whole names that are shortened.
func (t *table) comment(b *strings.Builder) {
	if t.names.bare != t.names.name {
		fmt.Fprintf(b, "COMMENT ON TABLE %s IS %s;\n", t.names.table, literal(t.names.name))
	}
	for i, c := range t.spec.Key {
		if t.names.columns[i] != c.Name {
			fmt.Fprintf(b, "COMMENT ON COLUMN %s.%s IS %s;\n", t.names.table, t.names.keys[i], literal(c.Name))
		}
	}
}

// upgrade are the statements that add to the table what an earlier version has created
// without. As one script they are one transaction; of several programs the first does it.
func (t *table) upgrade() string {
	var b strings.Builder
	fmt.Fprintf(&b, "SELECT pg_catalog.pg_advisory_xact_lock(%d);\nALTER TABLE %s", creating, t.names.table)
	for i, c := range laterColumns {
		fmt.Fprintf(&b, "%s\n  ADD COLUMN IF NOT EXISTS %s %s", strings.Repeat(",", min(i, 1)), c.name, c.definition)
	}
	size := fmt.Sprintf("%d + %s + COALESCE(pg_column_size(t.headers), 0) + 2 * octet_length(t.name)", rowSize, t.bodySize())
	for i, c := range t.spec.Key {
		if c.Kind == driver.String {
			size += " + 2 * octet_length(t." + t.names.keys[i] + ")"
		}
	}
	fmt.Fprintf(&b, ";\nUPDATE %s AS t SET _used_at = t.cached_at, _size = %s WHERE t._size = 0;\n", t.names.table, size)
	t.comment(&b)
	return b.String()
}

// script runs statements that have no parameters as one transaction.
func (c *conn) script(ctx context.Context, text string) error {
	_, err := c.PgConn().Exec(ctx, text).ReadAll()
	return err
}
