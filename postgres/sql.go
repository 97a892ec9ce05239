package postgres

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/endpointcache/endpointcache/driver"
)

// op is what a table's statement does.
type op uint8

const (
	opGet    op = iota // one key
	opGetAll           // a chunk of keys
	opPut              // one entry
	opPutAll
	opPutShort // entries of which a key is shortened
	opPutIfAbsent
	opPutIfNotLive
	opPutIfNewer
	opPutIfUnchanged
	opRenew
	opRenewAll
	opUse
	opUseAll
	opPop
	opDelete
	opDeleteAll
	opCount
	opSize
	opClearExpired
	opClearFirst
	opClearNext
	opLast
	opPageFirst
	opPageNext
	ops
)

const (
	allParts  = 8 // sets of parts
	allStates = 3
)

// planInOrder leaves the planner, until the transaction ends, no way but the
// primary key's index: rows are locked in its order, whether a chunk of keys is
// looked up in it or a small table is read along it.
var planInOrder = newStatement("", `SELECT set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true), `+
	`set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true), set_config('enable_material', 'off', true)`)

// newStatement makes a statement on a table with this key, which tells it from one on a
// table of the same name that there was before.
func newStatement(key, text string) *statement {
	digest := sha256.Sum256([]byte(key + "\x00" + text))
	return &statement{name: "endpointcache_" + hex.EncodeToString(digest[:16]), text: text}
}

// simple reports whether there is one good plan for the statement.
func (o op) simple() bool {
	switch o {
	case opGet, opPut, opPutAll, opPutShort, opPutIfAbsent, opPutIfNotLive, opPutIfNewer, opRenew, opUse, opPop, opDelete:
		return true
	default:
		return false
	}
}

// statement returns the table's statement, which is made when it is first needed.
func (t *table) statement(op op, parts driver.Parts, state driver.State) *statement {
	place := &t.statements[(int(op)*allParts+int(parts))*allStates+int(state)]
	s := place.Load()
	if s == nil {
		s = newStatement(t.spec.KeyString(), t.text(op, parts, scope{Filter: driver.Filter{State: state}}))
		if !op.simple() {
			s.name = ""
		}
		place.Store(s)
	}
	return s
}

// selecting is the statement for a scope. One that is not simple is made each time, which
// takes less than its way to the server; none of these is prepared.
func (t *table) selecting(op op, parts driver.Parts, s scope) *statement {
	if s.simple() {
		return t.statement(op, parts, s.State)
	}
	return &statement{text: t.text(op, parts, s)}
}

// column is one of those that a table has beside its key.
type column struct {
	name, definition string
	oid              uint32
}

// entryColumns are the columns of an entry in the order in which they are saved.
func entryColumns(p PayloadType) []column {
	columns := []column{
		{"status", "integer NOT NULL", pgtype.Int4OID},
		{"cached_at", "timestamp with time zone NOT NULL", pgtype.TimestamptzOID},
		{"expires_at", "timestamp with time zone NOT NULL", pgtype.TimestamptzOID},
		{"name", "text NOT NULL", pgtype.TextOID},
		{"headers", "jsonb", pgtype.JSONBOID},
	}
	switch p {
	case Text:
		columns = append(columns, column{"payload", "text", pgtype.TextOID}, column{"_bytes", "bytea", pgtype.ByteaOID})
	case JSONB:
		columns = append(columns, column{"payload", "jsonb", pgtype.JSONBOID}, column{"_bytes", "bytea NOT NULL", pgtype.ByteaOID})
	default:
		columns = append(columns, column{"payload", "bytea NOT NULL", pgtype.ByteaOID})
	}
	return append(columns, laterColumns...)
}

// laterColumns are absent from tables that an earlier version has created, and have
// defaults for the rows of programs that still use it. A checksum is the integer with
// its 32 bits.
var laterColumns = []column{
	{"_encoding", "text NOT NULL DEFAULT ''", pgtype.TextOID},
	{"_payload_sum", "integer NOT NULL DEFAULT 0", pgtype.Int4OID},
	{"_meta_sum", "integer NOT NULL DEFAULT 0", pgtype.Int4OID},
	{"_used_at", "timestamp with time zone NOT NULL DEFAULT now()", pgtype.TimestamptzOID},
	{"_size", "integer NOT NULL DEFAULT 0", pgtype.Int4OID},
}

// typeName is the type of a column without what is said beside it.
func (c column) typeName() string {
	name, _, _ := strings.Cut(c.definition, " NOT NULL")
	return name
}

// keyColumn holds the whole of a key that is shortened.
var keyColumn = column{"_key", "bytea", pgtype.ByteaOID}

// renewColumns are what a renewal brings.
var renewColumns = []column{
	{"seen", "timestamp with time zone", pgtype.TimestamptzOID},
	{"cached_at", "timestamp with time zone", pgtype.TimestamptzOID},
	{"expires_at", "timestamp with time zone", pgtype.TimestamptzOID},
	{"headers", "jsonb", pgtype.JSONBOID},
	{"_meta_sum", "integer", pgtype.Int4OID},
}

func columnNames(columns []column) []string {
	var names []string
	for _, c := range columns {
		names = append(names, c.name)
	}
	return names
}

// selected are the columns that hold the parts.
func (t *table) selected(parts driver.Parts) string {
	columns := []string{"t.status"}
	if parts&driver.Meta != 0 {
		columns = append(columns, "t.cached_at", "t.expires_at", "t.name", "t.headers", "t._meta_sum")
	}
	if parts&driver.Payload != 0 {
		switch t.payload {
		case Text:
			columns = append(columns, "t.payload", "t._bytes")
		case JSONB:
			columns = append(columns, "t._bytes")
		default:
			columns = append(columns, "t.payload")
		}
		columns = append(columns, "t._encoding", "t._payload_sum")
	}
	if parts&driver.Usage != 0 {
		columns = append(columns, "t._used_at", "t._size")
	}
	return strings.Join(columns, ", ")
}

// condition selects by state; the parameter, where it has one, is now.
func condition(state driver.State, parameter int) string {
	switch state {
	case driver.Live:
		return fmt.Sprintf("t.expires_at > $%d", parameter)
	case driver.Expired:
		return fmt.Sprintf("t.expires_at <= $%d", parameter)
	default:
		return ""
	}
}

func where(terms ...string) string {
	if all := and(terms...); all != "" {
		return " WHERE " + all
	}
	return ""
}

// and leaves out terms that are empty.
func and(terms ...string) string {
	return strings.Join(slices.DeleteFunc(terms, func(term string) bool { return term == "" }), " AND ")
}

// text is the text of a statement.
func (t *table) text(op op, parts driver.Parts, s scope) string {
	n, leading, state := len(t.names.keys), len(s.Leading), s.State
	table := t.names.table
	keys := "t." + strings.Join(t.names.keys, ", t.")
	columns := entryColumns(t.payload)
	switch op {
	case opGet:
		return fmt.Sprintf("SELECT %s FROM %s AS t%s", t.selected(parts), table, where(t.keyIs(n), condition(state, n+1)))
	case opGetAll:
		return fmt.Sprintf("SELECT k.i, %s FROM %s JOIN %s AS t ON %s%s", t.selected(parts),
			t.chunk(), table, t.keyIsOfChunk(), where(condition(state, n+1)))
	case opPut:
		return t.insert(columns) + " VALUES (" + placeholders(1, n+len(columns)) + ")" + t.replace(columns)
	case opPutAll:
		return t.insert(columns) + " SELECT * FROM unnest(" + t.arrays(columns) + ")" + t.replace(columns)
	case opPutShort:
		columns = append(columns, keyColumn)
		return t.insert(columns) + " SELECT * FROM unnest(" + t.arrays(columns) + ")" + t.replace(columns)
	case opPutIfAbsent, opPutIfNotLive, opPutIfNewer:
		columns = append(columns, keyColumn)
		return t.insert(columns) + " SELECT * FROM unnest(" + t.arrays(columns) + ")" +
			t.replaceIf(op, columns, n+len(columns)+1) + " RETURNING " + keys + ", " + noteStored
	case opPutIfUnchanged: // an insertion would bring back what was deleted meanwhile
		columns = append(columns, keyColumn)
		return fmt.Sprintf("UPDATE %s AS t SET %s FROM %s%s RETURNING %s, %s", table, assignments(columns, "k"),
			t.chunk(columns...), where(t.keyIsOfChunk(), "t.cached_at = k.cached_at"), keys, noteStored)
	case opRenew:
		return fmt.Sprintf("UPDATE %[1]s AS t SET cached_at = $%[2]d, _used_at = $%[2]d, expires_at = $%[3]d, headers = $%[4]d, _meta_sum = $%[5]d%[6]s", table, n+2, n+3, n+4, n+5,
			where(t.keyIs(n), fmt.Sprintf("t.cached_at = $%d", n+1)))
	case opRenewAll:
		return fmt.Sprintf("UPDATE %s AS t SET cached_at = k.cached_at, _used_at = k.cached_at, expires_at = k.expires_at, headers = k.headers, _meta_sum = k._meta_sum FROM %s%s RETURNING k.i",
			table, t.chunk(renewColumns...), where(t.keyIsOfChunk(), "t.cached_at = k.seen"))
	case opUse:
		return fmt.Sprintf("UPDATE %s AS t SET _used_at = $%d%s", table, n+1, where(t.keyIs(n), fmt.Sprintf("t._used_at < $%d", n+1)))
	case opUseAll:
		return fmt.Sprintf("UPDATE %s AS t SET _used_at = $%d FROM %s%s", table, n+1, t.chunk(), where(t.keyIsOfChunk(), fmt.Sprintf("t._used_at < $%d", n+1)))
	case opPop:
		return fmt.Sprintf("DELETE FROM %s AS t%s RETURNING %s", table, where(t.keyIs(n), condition(state, n+1)), t.selected(parts))
	case opDelete:
		return fmt.Sprintf("DELETE FROM %s AS t%s", table, where(t.keyIs(n)))
	case opDeleteAll:
		return fmt.Sprintf("DELETE FROM %s AS t USING %s WHERE %s", table, t.chunk(), t.keyIsOfChunk())
	case opCount:
		return fmt.Sprintf("SELECT count(*) FROM %s AS t%s", table, where(t.keyIs(leading), t.conditions(s, leading+1)))
	case opSize:
		return fmt.Sprintf("SELECT count(*), coalesce(sum(t._size), 0) FROM %s AS t", table)
	case opClearExpired:
		expired := where(condition(driver.Expired, 1), besideAnother("t.expires_at", ">=", 2)) + " ORDER BY t.expires_at LIMIT $3"
		return fmt.Sprintf(`WITH locked AS (SELECT t.tableoid, t.ctid FROM %[1]s AS t%[2]s FOR UPDATE SKIP LOCKED), `+
			`deleted AS (%[3]s), seen AS (SELECT t.expires_at FROM %[1]s AS t%[2]s) `+
			`SELECT (SELECT count(*) FROM deleted), count(*), max(expires_at) FROM seen`, table, expired, t.deleteLocked())
	case opClearFirst, opClearNext:
		return t.clearText(op == opClearNext, s)
	case opLast:
		upTo := ""
		if leading > 0 {
			upTo = t.compare(leading, "<=", 1)
		}
		return fmt.Sprintf("SELECT t._key, %s FROM %s AS t%s ORDER BY %s LIMIT 1", keys, table, where(upTo, s.only), strings.Join(t.descending(), ", "))
	case opPageFirst, opPageNext:
		return t.page(op == opPageNext, parts, s)
	default:
	}
	panic("postgres: unknown operation") // a mistake in this package
}

// clearText removes rows from one key, or the first, on, and locks them in the order of
// their keys.
func (t *table) clearText(next bool, s scope) string {
	n, leading := len(t.names.keys), len(s.Leading)
	keys := "t." + strings.Join(t.names.keys, ", t.")
	var upTo, from string
	parameters := 1
	if leading > 0 {
		upTo = t.compareBeside(leading, "<=", 2)
		from = t.compare(leading, ">=", 2)
		parameters += leading
	}
	if next {
		from = t.compare(n, ">", parameters+1)
		parameters += n
	}
	return fmt.Sprintf(`WITH locked AS (SELECT t.tableoid, t.ctid, %[1]s FROM %[2]s AS t%[3]s ORDER BY %[1]s LIMIT $1 FOR UPDATE), `+
		`deleted AS (%[5]s) `+
		`SELECT (SELECT count(*) FROM deleted), (SELECT count(*) FROM locked), %[1]s FROM locked AS t ORDER BY %[4]s LIMIT 1`,
		keys, t.names.table, where(upTo, from, t.conditions(s, parameters+1)), strings.Join(t.descending(), ", "), t.deleteLocked())
}

// deleteLocked deletes the rows that locked holds. The same ctid may stand for another
// row in another partition of the table, if a user has made it of several. It is text
// as PostgreSQL 13 has no hash of it.
func (t *table) deleteLocked() string {
	return fmt.Sprintf("DELETE FROM %s WHERE ctid = ANY (ARRAY(SELECT ctid FROM locked)) AND ((tableoid, ctid::text) IN (SELECT tableoid, ctid::text FROM locked)) IS TRUE RETURNING 1", t.names.table)
}

// keyIs compares so many columns of the key with the first parameters.
func (t *table) keyIs(columns int) string {
	terms := make([]string, columns)
	for i, key := range t.names.keys[:columns] {
		terms[i] = fmt.Sprintf("t.%s = $%d", key, i+1)
	}
	return strings.Join(terms, " AND ")
}

// chunk is a table of keys, what comes with them, and their numbers, which count from
// 1, so that keys need not be read back.
func (t *table) chunk(more ...column) string {
	var columns []string
	for i := range t.names.keys {
		columns = append(columns, fmt.Sprintf("c%d", i))
	}
	columns = append(columns, columnNames(more)...)
	return fmt.Sprintf("unnest(%s) WITH ORDINALITY AS k(%s, i)", t.arrays(more), strings.Join(columns, ", "))
}

func (t *table) keyIsOfChunk() string {
	terms := make([]string, len(t.names.keys))
	for i, key := range t.names.keys {
		terms[i] = fmt.Sprintf("t.%s = k.c%d", key, i)
	}
	return strings.Join(terms, " AND ")
}

// compare compares so many columns of the key, in their order, with the parameters from
// the first on.
func (t *table) compare(columns int, operator string, first int) string {
	return fmt.Sprintf("(t.%s) %s (%s)", strings.Join(t.names.keys[:columns], ", t."), operator, placeholders(first, columns))
}

// compareBeside is compare where the columns have their other bound already.
func (t *table) compareBeside(columns int, operator string, first int) string {
	if columns == 1 {
		return besideAnother("t."+t.names.keys[0], operator, first)
	}
	return t.compare(columns, operator, first)
}

// besideAnother compares a column with a parameter, where the column has its other
// bound already. Where the planner recognises the two as a range, but has no
// statistics, it guesses that few rows are in it, and sorts all of them for each page
// or batch; a comparison of rows it does not recognise.
func besideAnother(column, operator string, parameter int) string {
	return fmt.Sprintf("(%s, 0) %s ($%d, 0)", column, operator, parameter)
}

func (t *table) descending() []string {
	columns := make([]string, len(t.names.keys))
	for i, key := range t.names.keys {
		columns[i] = "t." + key + " DESC"
	}
	return columns
}

// arrays are parameters for the key and for further columns.
func (t *table) arrays(columns []column) string {
	var arrays []string
	for _, c := range t.spec.Key {
		arrays = append(arrays, fmt.Sprintf("$%d::%s[]", len(arrays)+1, columnType(c.Kind)))
	}
	for _, c := range columns {
		arrays = append(arrays, fmt.Sprintf("$%d::%s[]", len(arrays)+1, c.typeName()))
	}
	return strings.Join(arrays, ", ")
}

// types are those of the values of arrays.
func (t *table) types(columns []column) []uint32 {
	var types []uint32
	for _, c := range t.spec.Key {
		types = append(types, columnOID(c.Kind))
	}
	for _, c := range columns {
		types = append(types, c.oid)
	}
	return types
}

func (t *table) insert(columns []column) string {
	return fmt.Sprintf("INSERT INTO %s AS t (%s)", t.names.table, strings.Join(slices.Concat(t.names.keys, columnNames(columns)), ", "))
}

func (t *table) replace(columns []column) string {
	return fmt.Sprintf(" ON CONFLICT (%s) DO UPDATE SET %s", strings.Join(t.names.keys, ", "), assignments(columns, "excluded"))
}

// assignments set columns to those of another row.
func assignments(columns []column, from string) string {
	set := make([]string, len(columns))
	for i, c := range columns {
		set[i] = c.name + " = " + from + "." + c.name
	}
	return strings.Join(set, ", ")
}

// replaceIf is replace on a condition, whose parameter, where it has one, is now.
func (t *table) replaceIf(op op, columns []column, parameter int) string {
	switch op {
	case opPutIfNotLive:
		return t.replace(columns) + where(condition(driver.Expired, parameter))
	case opPutIfNewer:
		return t.replace(columns) + where("t.cached_at <= excluded.cached_at")
	default:
		return " ON CONFLICT (" + strings.Join(t.names.keys, ", ") + ") DO NOTHING"
	}
}

// page reads the rows from one key, or the first, to another in their order. With
// payloads, a page ends with the row that makes it maxPageBytes long.
func (t *table) page(next bool, parts driver.Parts, s scope) string {
	n, leading := len(t.names.keys), len(s.Leading)
	keys := "t." + strings.Join(t.names.keys, ", t.")
	terms := []string{t.compareBeside(n, "<=", 1)}
	parameters := n
	switch {
	case next:
		terms = append(terms, t.compare(n, ">", n+1))
		parameters += n
	case leading > 0:
		terms = append(terms, t.compare(leading, ">=", n+1))
		parameters += leading
	}
	terms = append(terms, t.conditions(s, parameters+1))
	rows := fmt.Sprintf("%s AS t%s ORDER BY %s LIMIT %d", t.names.table, where(terms...), keys, maxPage)
	if parts&driver.Payload == 0 {
		return fmt.Sprintf("SELECT t._key, %s, %s FROM %s", keys, t.selected(parts), rows)
	}
	return fmt.Sprintf("SELECT t._key, %[1]s, %[2]s FROM (SELECT t.*, sum(%[3]s) OVER (ORDER BY %[1]s ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS _before "+
		"FROM %[4]s) AS t WHERE COALESCE(t._before, 0) < %[5]d ORDER BY %[1]s", keys, t.selected(parts), t.bodySize(), rows, maxPageBytes)
}

// bodySize is how many bytes a payload has, which is known without reading it.
func (t *table) bodySize() string {
	switch t.payload {
	case Text:
		return "COALESCE(octet_length(t.payload), octet_length(t._bytes))"
	case JSONB:
		return "octet_length(t._bytes)"
	default:
		return "octet_length(t.payload)"
	}
}

// placeholders are n parameters from the first on.
func placeholders(first, n int) string {
	parameters := make([]string, n)
	for i := range parameters {
		parameters[i] = fmt.Sprintf("$%d", first+i)
	}
	return strings.Join(parameters, ", ")
}
