package sqlite

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/endpointcache/endpointcache/driver"
)

// op is what a table's statement does.
type op uint8

const (
	opGet    op = iota // one key
	opGetAll           // a chunk of keys
	opTimes            // of a chunk of keys
	opPut
	opRenew // entries that are there
	opUse   // of a chunk of keys
	opPop
	opDelete
	opCount
	opClear
	opClearSome // as many as a short transaction removes
	opSize
	opLast
	opPage    // of an iteration in the order of the rows
	opKeyPage // of one in the order of the keys
	opList
	opFew // entries with the same leading values
)

// maxVars is the most parameters that a statement may have by default, see
// https://sqlite.org/limits.html.
const maxVars = 32766

// maxChunk is the most keys of one statement. More are no faster.
const maxChunk = 512

// maxCleared is how many expired entries are removed in a transaction.
const maxCleared = 2000

// maxColumns keeps a key's comparison within SQLite's depth of expressions.
const maxColumns = 500

// never stands in expires_us for no expiry: a number, so that one comparison
// finds what has expired.
const never = math.MaxInt64

// names are a table's name, as it is and quoted, those of its columns, quoted, and what stands for the parts of its entries.
type names struct {
	name               string
	table, bare, index string
	keys, types        []string                                                    // the key's, and the types of their values
	size               string                                                      // about how many bytes an entry takes
	columns            [1 + (driver.Payload | driver.Meta | driver.Usage)][]string // those that hold the parts
}

func quote(name string) string {
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}

func indexName(table string) string { return table + " expires_us" }

func newNames(spec driver.TableSpec) names {
	// Qualified: neither the name of a chunk of keys nor a temporary table of
	// the caller's can stand for it.
	n := names{name: spec.Name, table: "main." + quote(spec.Name), bare: quote(spec.Name), index: "main." + quote(indexName(spec.Name))}
	// What the length of a BLOB is, SQLite knows without reading it. octet_length could do
	// so for text, but programs with an older SQLite could not read the file any more.
	n.size = "length(payload) + " + textSize("name") + " + " + textSize("headers")
	fixed := rowSize
	for _, c := range spec.Key {
		name := quote(c.Name)
		n.keys, n.types = append(n.keys, name), append(n.types, valueType(c.Kind))
		switch c.Kind {
		case driver.String:
			n.size += fmt.Sprintf(" + %d * %s", keyCopies, textSize(name))
		case driver.Int:
			fixed += keyCopies * 8
		default:
			fixed += keyCopies
		}
	}
	n.size += fmt.Sprintf(" + %d", fixed)
	for parts := range n.columns {
		n.columns[parts] = n.partColumns(driver.Parts(parts))
	}
	return n
}

// A key stands in the row, in the index of the primary key, and in that by use. What a row
// and its places in the indices take besides, is about rowSize.
const (
	keyCopies = 3
	rowSize   = 96
)

func textSize(column string) string { return "length(CAST(" + column + " AS BLOB))" }

// columnType is the declared type of a key column. It is not INTEGER, which would
// make a single one the row's number: iterations go by the order of saving.
func columnType(k driver.Kind) string {
	switch k {
	case driver.Int:
		return "BIGINT"
	case driver.Bool:
		return "BOOLEAN"
	default:
		return "TEXT"
	}
}

// valueType is what typeof tells of a key column's values.
func valueType(k driver.Kind) string {
	if k == driver.String {
		return "text"
	}
	return "integer"
}

// column is a column of all tables.
type column struct {
	name, definition string
	added            bool // by a later version: older tables get it behind the payload
}

// entryColumns are the columns for all but the key. The payload is last, so that reading
// another column does not walk through its overflow pages. A use overwrites a number
// of the same size in front, so that it writes none of those pages, either.
var entryColumns = []column{
	{name: "status", definition: "INTEGER NOT NULL"},
	{name: "cached_us", definition: "INTEGER NOT NULL"},
	{name: "expires_us", definition: "INTEGER NOT NULL"},
	{name: "_used_us", definition: "INTEGER", added: true},
	{name: "_meta_sum", definition: "INTEGER NOT NULL DEFAULT 0", added: true},
	{name: "_payload_sum", definition: "INTEGER NOT NULL DEFAULT 0", added: true},
	{name: "_encoding", definition: "TEXT", added: true},
	{name: "name", definition: "TEXT NOT NULL"},
	{name: "headers", definition: "TEXT NOT NULL"},
	{name: "payload", definition: "BLOB NOT NULL"},
}

var (
	putColumns   = columnNames(entryColumns)
	renewColumns = []string{"cached_us", "expires_us", "_used_us", "_meta_sum", "headers"}
)

func columnNames(columns []column) (names []string) {
	for _, c := range columns {
		names = append(names, c.name)
	}
	return names
}

// used is when an entry was used last. One that an earlier version has saved tells
// no use.
const used = "ifnull(_used_us, cached_us)"

// create is the table's definition.
func (n names) create(spec driver.TableSpec) []string {
	var b strings.Builder
	fmt.Fprintf(&b, "CREATE TABLE IF NOT EXISTS %s (", n.table)
	for i, c := range spec.Key {
		fmt.Fprintf(&b, "\n  %s %s NOT NULL,", n.keys[i], columnType(c.Kind))
	}
	for _, c := range entryColumns {
		fmt.Fprintf(&b, "\n  %s %s,", c.name, c.definition)
	}
	fmt.Fprintf(&b, `
  cached_at TEXT AS (strftime('%%Y-%%m-%%d %%H:%%M:%%f', cached_us / 1e6, 'unixepoch')) VIRTUAL,
  expires_at TEXT AS (CASE expires_us WHEN %d THEN 'never'
    ELSE strftime('%%Y-%%m-%%d %%H:%%M:%%f', expires_us / 1e6, 'unixepoch') END) VIRTUAL,
  PRIMARY KEY (%s)
)`, int64(never), strings.Join(n.keys, ", "))
	return []string{
		b.String(),
		fmt.Sprintf("CREATE INDEX IF NOT EXISTS %s ON %s (expires_us)", n.index, n.bare),
	}
}

// partColumns are what holds the parts, in the order in which scan takes them. Both
// checksums come in one number, as each value of a row costs some time.
func (n names) partColumns(parts driver.Parts) []string {
	columns := []string{"status"}
	switch parts & (driver.Meta | driver.Payload) {
	case driver.Meta:
		columns = append(columns, "_meta_sum << 32")
	case driver.Payload:
		columns = append(columns, "_payload_sum")
	case driver.Meta | driver.Payload:
		columns = append(columns, "_meta_sum << 32 | _payload_sum")
	default:
	}
	if parts&driver.Meta != 0 {
		columns = append(columns, "cached_us", "expires_us", "name", "headers")
	}
	if parts&driver.Usage != 0 {
		columns = append(columns, used, n.size)
	}
	if parts&driver.Payload != 0 {
		columns = append(columns, "_encoding", "payload")
	}
	return columns
}

// condition selects by state; its parameter, where it has one, is now. The plus
// keeps the planner from walking the index of expiries where the key or the row
// number is given.
func condition(state driver.State, plus string) string {
	switch state {
	case driver.Live:
		return plus + "expires_us > ?"
	case driver.Expired:
		return plus + "expires_us <= ?"
	default:
		return ""
	}
}

// replacing is what a put does where there is an entry: the update, if the condition
// holds. Without one it does so in any case.
func replacing(update string, condition driver.Precondition) string {
	switch condition {
	case driver.IfAbsent:
		return "NOTHING"
	case driver.IfNotLive:
		return update + where("(expires_us <= ? OR typeof(expires_us) <> 'integer')") // which is greater than any number
	case driver.IfNewer:
		return update + where("(cached_us <= excluded.cached_us OR typeof(cached_us) <> 'integer')")
	default:
		return update
	}
}

// unchanged finds the row that has the key and the time of the one that is given as
// parameters for these columns.
func (n names) unchanged(columns []string) string {
	terms := make([]string, 0, len(n.keys)+1)
	for _, c := range slices.Concat(n.keys, []string{"cached_us"}) {
		terms = append(terms, fmt.Sprintf("t.%s = ?%d", c, 1+slices.Index(columns, c)))
	}
	return "SELECT 1 FROM " + n.table + " AS t" + where(terms...)
}

func where(terms ...string) string {
	terms = slices.DeleteFunc(terms, func(term string) bool { return term == "" })
	if len(terms) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(terms, " AND ")
}

// text is the statement that key stands for.
func (t *table) text(key stmtKey) string {
	n := t.names
	switch key.op {
	case opGet:
		return fmt.Sprintf("SELECT %s FROM %s%s",
			strings.Join(append([]string{"0"}, n.columns[key.sel]...), ", "), n.table,
			where(n.keysEqual("?"), condition(key.state, "+")))
	case opGetAll:
		return fmt.Sprintf("WITH k(%s) AS (VALUES %s) SELECT %s FROM k CROSS JOIN %s AS t%s",
			n.chunkColumns(), n.chunkRows(key.rows),
			strings.Join(append([]string{"k._i"}, n.columns[key.sel]...), ", "), n.table,
			where(n.keysEqual("k"), condition(key.state, "+")))
	case opTimes:
		return fmt.Sprintf("WITH k(%s) AS (VALUES %s) SELECT k._i, cached_us, expires_us FROM k CROSS JOIN %s AS t%s",
			n.chunkColumns(), n.chunkRows(key.rows), n.table, where(n.keysEqual("k")))
	case opRenew:
		seen := len(n.keys)
		set := make([]string, len(renewColumns))
		for i, c := range renewColumns {
			set[i] = fmt.Sprintf("%s = k._c%d", c, seen+1+i)
		}
		row := "(0," + placeholders(seen+1+len(renewColumns)) + ")"
		return fmt.Sprintf("WITH k(%s) AS (VALUES %s) UPDATE %s AS t SET %s FROM k%s",
			chunkColumns(seen+1+len(renewColumns)), repeat(row, key.rows), n.table, strings.Join(set, ", "),
			where(n.keysEqual("k"), fmt.Sprintf("t.cached_us = k._c%d", seen)))
	case opPut:
		columns := slices.Concat(n.keys, putColumns)
		rows := "VALUES " + repeat("("+placeholders(len(columns))+")", key.rows)
		if key.condition == driver.IfUnchanged { // of one row
			rows = "SELECT " + placeholders(len(columns)) + " WHERE EXISTS (" + n.unchanged(columns) + ")"
		}
		set := make([]string, len(putColumns))
		for i, c := range putColumns {
			set[i] = c + " = excluded." + c
		}
		return fmt.Sprintf("INSERT INTO %s (%s) %s ON CONFLICT (%s) DO %s",
			n.table, strings.Join(columns, ", "), rows,
			strings.Join(n.keys, ", "), replacing("UPDATE SET "+strings.Join(set, ", "), key.condition))
	case opUse:
		return fmt.Sprintf("WITH k(%s) AS (VALUES %s) UPDATE %s SET _used_us = ? WHERE _rowid_ IN (SELECT t._rowid_ FROM k CROSS JOIN %s AS t%s)",
			n.chunkColumns(), n.chunkRows(key.rows), n.table, n.table, where(n.keysEqual("k"), used+" < ?"))
	case opPop:
		return fmt.Sprintf("DELETE FROM %s%s RETURNING 0, %s", n.table,
			where(n.keysEqual("?"), condition(key.state, "+")), strings.Join(n.columns[key.sel], ", "))
	case opDelete:
		return fmt.Sprintf("WITH k(%s) AS (VALUES %s) DELETE FROM %s WHERE _rowid_ IN (SELECT t._rowid_ FROM k CROSS JOIN %s AS t%s)",
			n.chunkColumns(), n.chunkRows(key.rows), n.table, n.table, where(n.keysEqual("k")))
	case opCount:
		all := "SELECT count(*) FROM " + n.table
		if key.state == driver.Live && key.leading == 0 && key.where == 0 {
			// Less to read than the live ones, of which there are more.
			return fmt.Sprintf("SELECT (%s) - (%s)", all, all+where(condition(driver.Expired, "")))
		}
		return all + where(n.filter(key)...)
	case opClear:
		return "DELETE FROM " + n.table + where(n.filter(key)...)
	case opClearSome:
		return fmt.Sprintf("DELETE FROM %s WHERE _rowid_ IN (SELECT _rowid_ FROM %s%s LIMIT %d)",
			n.table, n.table, where(n.filter(key)...), maxCleared)
	case opSize:
		return fmt.Sprintf("SELECT count(*), sum(%s) FROM %s", n.size, n.table)
	case opLast:
		return "SELECT max(_rowid_) FROM " + n.table
	case opPage:
		return n.selectRows(key) + where(append(n.filter(key), "_rowid_ BETWEEN ? AND ?")...) +
			fmt.Sprintf(" ORDER BY _rowid_ LIMIT %d", maxPage)
	case opKeyPage:
		return n.page(key, strconv.Itoa(maxPage), "+_rowid_ <= ?")
	case opList:
		return n.page(key, "?")
	case opFew:
		return fmt.Sprintf("SELECT count(*) FROM (SELECT 1 FROM %s%s LIMIT %d)", n.table, where(n.filter(key)...), maxSorted+1)
	}
	panic("sqlite: unknown operation") // a mistake in this package
}

// keysEqual compares the key columns with placeholders, or with the columns of
// k.
func (n names) keysEqual(with string) string {
	terms := make([]string, len(n.keys))
	for i, key := range n.keys {
		if with == "?" {
			terms[i] = key + " = ?"
		} else {
			terms[i] = fmt.Sprintf("t.%s = k._c%d", key, i)
		}
	}
	return strings.Join(terms, " AND ")
}

// chunkColumns are the columns of k: the key's, and its number in the chunk,
// which saves reading the key back. No key column has such a name.
func (n names) chunkColumns() string { return chunkColumns(len(n.keys)) }

func chunkColumns(n int) string {
	var b strings.Builder
	b.WriteString("_i")
	for i := range n {
		fmt.Fprintf(&b, ", _c%d", i)
	}
	return b.String()
}

func (n names) chunkRows(rows int) string {
	var b strings.Builder
	keys := placeholders(len(n.keys))
	for i := range rows {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "(%d,%s)", i, keys)
	}
	return b.String()
}

func placeholders(n int) string { return repeat("?", n) }

func repeat(s string, n int) string {
	return strings.TrimSuffix(strings.Repeat(s+",", n), ",")
}
