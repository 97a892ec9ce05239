package sqlite

import (
	"fmt"
	"math"
	"slices"
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
	opPop
	opDelete
	opCount
	opClear
	opLast
	opPage        // in the order of the rows
	opLeadingPage // in the order of the keys, of those with the same leading values
	opLeadingNext // the same, behind a key
)

// maxVars is the most parameters that a statement may have by default, see
// https://sqlite.org/limits.html.
const maxVars = 32766

// maxChunk is the most keys of one statement. More are no faster.
const maxChunk = 512

// maxColumns keeps a key's comparison within SQLite's depth of expressions.
const maxColumns = 500

// never stands in expires_us for no expiry: a number, so that one comparison
// finds what has expired.
const never = math.MaxInt64

// names are a table's names, quoted.
type names struct {
	table, bare, index string
	keys               []string
}

func quote(name string) string {
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}

func indexName(table string) string { return table + " expires_us" }

func newNames(spec driver.TableSpec) names {
	// Qualified: neither the name of a chunk of keys nor a temporary table of
	// the caller's can stand for it.
	n := names{table: "main." + quote(spec.Name), bare: quote(spec.Name), index: "main." + quote(indexName(spec.Name))}
	for _, c := range spec.Key {
		n.keys = append(n.keys, quote(c.Name))
	}
	return n
}

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

// create is the table's definition. The payload is last, so that reading
// another column does not walk through its overflow pages.
func (n names) create(spec driver.TableSpec) []string {
	var b strings.Builder
	fmt.Fprintf(&b, "CREATE TABLE IF NOT EXISTS %s (", n.table)
	for i, c := range spec.Key {
		fmt.Fprintf(&b, "\n  %s %s NOT NULL,", n.keys[i], columnType(c.Kind))
	}
	fmt.Fprintf(&b, `
  status INTEGER NOT NULL,
  cached_us INTEGER NOT NULL,
  expires_us INTEGER NOT NULL,
  name TEXT NOT NULL,
  headers TEXT NOT NULL,
  payload BLOB NOT NULL,
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

var (
	noColumns      = []string{"status"}
	metaColumns    = slices.Concat(noColumns, []string{"cached_us", "expires_us", "name", "headers"})
	payloadColumns = slices.Concat(noColumns, []string{"payload"})
	putColumns     = slices.Concat(metaColumns, []string{"payload"})
	renewColumns   = []string{"cached_us", "expires_us", "headers"}
)

// columns are those that hold the parts.
func columns(parts driver.Parts) []string {
	switch parts {
	case driver.Meta | driver.Payload:
		return putColumns
	case driver.Meta:
		return metaColumns
	case driver.Payload:
		return payloadColumns
	default:
		return noColumns
	}
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
		return update + where("expires_us <= ?")
	case driver.IfNewer:
		return update + where("cached_us <= excluded.cached_us")
	default:
		return update
	}
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
			strings.Join(append([]string{"0"}, columns(key.sel)...), ", "), n.table,
			where(n.keysEqual("?"), condition(key.state, "+")))
	case opGetAll:
		return fmt.Sprintf("WITH k(%s) AS (VALUES %s) SELECT %s FROM k CROSS JOIN %s AS t%s",
			n.chunkColumns(), n.chunkRows(key.rows),
			strings.Join(append([]string{"k.i"}, columns(key.sel)...), ", "), n.table,
			where(n.keysEqual("k"), condition(key.state, "+")))
	case opTimes:
		return fmt.Sprintf("WITH k(%s) AS (VALUES %s) SELECT k.i, cached_us, expires_us FROM k CROSS JOIN %s AS t%s",
			n.chunkColumns(), n.chunkRows(key.rows), n.table, where(n.keysEqual("k")))
	case opRenew:
		seen := len(n.keys)
		set := make([]string, len(renewColumns))
		for i, c := range renewColumns {
			set[i] = fmt.Sprintf("%s = k.c%d", c, seen+1+i)
		}
		row := "(0," + placeholders(seen+1+len(renewColumns)) + ")"
		return fmt.Sprintf("WITH k(%s) AS (VALUES %s) UPDATE %s AS t SET %s FROM k%s",
			chunkColumns(seen+1+len(renewColumns)), repeat(row, key.rows), n.table, strings.Join(set, ", "),
			where(n.keysEqual("k"), fmt.Sprintf("t.cached_us = k.c%d", seen)))
	case opPut:
		columns := slices.Concat(n.keys, putColumns)
		row := "(" + placeholders(len(columns)) + ")"
		set := make([]string, len(putColumns))
		for i, c := range putColumns {
			set[i] = c + " = excluded." + c
		}
		return fmt.Sprintf("INSERT INTO %s (%s) VALUES %s ON CONFLICT (%s) DO %s",
			n.table, strings.Join(columns, ", "), repeat(row, key.rows),
			strings.Join(n.keys, ", "), replacing("UPDATE SET "+strings.Join(set, ", "), key.condition))
	case opPop:
		return fmt.Sprintf("DELETE FROM %s%s RETURNING 0, %s", n.table,
			where(n.keysEqual("?"), condition(key.state, "+")), strings.Join(columns(key.sel), ", "))
	case opDelete:
		return fmt.Sprintf("WITH k(%s) AS (VALUES %s) DELETE FROM %s WHERE _rowid_ IN (SELECT t._rowid_ FROM k CROSS JOIN %s AS t%s)",
			n.chunkColumns(), n.chunkRows(key.rows), n.table, n.table, where(n.keysEqual("k")))
	case opCount:
		all := "SELECT count(*) FROM " + n.table
		if key.leading > 0 {
			return all + n.whereLeading(key)
		}
		expired := all + where(condition(driver.Expired, ""))
		switch key.state {
		case driver.Live:
			// Less to read than the live ones, of which there are more.
			return fmt.Sprintf("SELECT (%s) - (%s)", all, expired)
		case driver.Expired:
			return expired
		default:
			return all
		}
	case opClear:
		if key.leading > 0 {
			return "DELETE FROM " + n.table + n.whereLeading(key)
		}
		return "DELETE FROM " + n.table + where(condition(key.state, ""))
	case opLast:
		return "SELECT max(_rowid_) FROM " + n.table
	case opPage:
		return fmt.Sprintf("SELECT %s FROM %s%s ORDER BY _rowid_ LIMIT %d",
			strings.Join(slices.Concat([]string{"_rowid_"}, n.keys, columns(key.sel)), ", "), n.table,
			where("_rowid_ BETWEEN ? AND ?", condition(key.state, "+")), maxPage)
	case opLeadingPage, opLeadingNext:
		rest, behind, order := strings.Join(n.keys[key.leading:], ", "), "", ""
		if key.op == opLeadingNext {
			behind = fmt.Sprintf("(%s) > (%s)", rest, placeholders(len(n.keys)-key.leading))
		}
		if rest != "" {
			order = " ORDER BY " + rest
		}
		return fmt.Sprintf("SELECT %s FROM %s%s%s LIMIT %d",
			strings.Join(slices.Concat([]string{"_rowid_"}, n.keys, columns(key.sel)), ", "), n.table,
			n.whereLeading(key, behind, "+_rowid_ <= ?"), order, maxPage)
	}
	panic("sqlite: unknown operation") // a mistake in this package
}

// whereLeading selects by the first key columns, by further terms and by state. The
// plus keeps the planner to the primary key's index.
func (n names) whereLeading(key stmtKey, terms ...string) string {
	first := names{keys: n.keys[:key.leading]}
	return where(slices.Concat([]string{first.keysEqual("?")}, terms, []string{condition(key.state, "+")})...)
}

// keysEqual compares the key columns with placeholders, or with the columns of
// k.
func (n names) keysEqual(with string) string {
	terms := make([]string, len(n.keys))
	for i, key := range n.keys {
		if with == "?" {
			terms[i] = key + " = ?"
		} else {
			terms[i] = fmt.Sprintf("t.%s = k.c%d", key, i)
		}
	}
	return strings.Join(terms, " AND ")
}

// chunkColumns are the columns of k: the key's, and its number in the chunk,
// which saves reading the key back.
func (n names) chunkColumns() string { return chunkColumns(len(n.keys)) }

func chunkColumns(n int) string {
	var b strings.Builder
	b.WriteString("i")
	for i := range n {
		fmt.Fprintf(&b, ", c%d", i)
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
