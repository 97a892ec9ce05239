package postgres

import (
	"fmt"
	"strings"
	"time"

	"github.com/endpointcache/endpointcache/driver"
)

// scope tells which rows a statement is about: those that a filter selects and of
// which a condition without parameters holds, if there is one.
type scope struct {
	driver.Filter
	only     string
	byExpiry bool // the rows are in the order of their expiry
}

// simple reports whether the scope is a matter of the state alone.
func (s scope) simple() bool {
	return len(s.Leading) == 0 && s.Where.IsZero() && s.only == ""
}

// state is condition for a scope. Beside leading values the planner cannot use the index
// of expiries for it.
func (s scope) state(parameter int) string {
	c := condition(s.State, parameter)
	switch {
	case c == "":
		return ""
	case s.byExpiry:
		return strings.Replace(c, "t.expires_at", orderColumns[driver.ByExpiry], 1)
	case len(s.Leading) > 0:
		return "(" + c + ") IS TRUE"
	default:
		return c
	}
}

// bound is a condition that ends with a parameter.
type bound struct {
	text string
	add  func(*arguments)
}

// bounds are the conditions of what a filter asks for beside the state and the
// leading values.
func (t *table) bounds(f driver.Filter) (all []bound) {
	w := f.Where
	instant := func(text string, at time.Time) {
		if !at.IsZero() {
			all = append(all, bound{text, func(a *arguments) { a.int64(timestamp(at)) }})
		}
	}
	status := func(text string, status int) {
		if status != 0 {
			all = append(all, bound{text, func(a *arguments) { a.int64(int64(status)) }})
		}
	}
	prefix := func(bytes, prefix string) {
		if prefix != "" {
			text := fmt.Sprintf("substring(%s FROM 1 FOR %d) =", bytes, len(prefix))
			all = append(all, bound{text, func(a *arguments) { a.bytes([]byte(prefix)) }})
		}
	}
	instant("t.cached_at >=", w.CachedFrom)
	instant("t.cached_at <", w.CachedBefore)
	instant("t._used_at <", w.UsedBefore)
	status("t.status::bigint >=", w.MinStatus)
	status("t.status::bigint <=", w.MaxStatus)
	if w.Name != "" {
		all = append(all, bound{"t.name =", func(a *arguments) { a.string(escape(w.Name)) }})
	}
	prefix(unescaped("t.name"), w.NamePrefix)
	if w.Prefix != "" {
		prefix(t.keyBytes(f.Leading), w.Prefix)
	}
	return all
}

// unescaped is the reverse of escape in SQL: the bytes that the text of a column
// stands for. The text of BYTEA has the same form as an escaped one; in any other
// text a backslash is one.
func unescaped(column string) string {
	return fmt.Sprintf(`(CASE WHEN left(%[1]s, 1) = E'\\' THEN %[1]s ELSE replace(%[1]s, E'\\', E'\\\\') END)::bytea`, column)
}

// keyBytes are the bytes of the string in the key column after those of leading. In
// the encoding of a whole key it follows the leading values and its length, of
// which all bytes but the last are 0x80 or more, and there are five at most.
func (t *table) keyBytes(leading driver.Key) string {
	start := len(driver.AppendKey(nil, leading)) + 1
	var length strings.Builder
	for i := range 4 {
		fmt.Fprintf(&length, " WHEN substring(t._key FROM %d FOR 1) < decode('80', 'hex') THEN %d", start+i, start+i+1)
	}
	column := "t." + t.names.keys[len(leading)]
	return fmt.Sprintf("(CASE WHEN t._key IS NULL THEN %s ELSE substring(t._key FROM CASE%s ELSE %d END) END)", unescaped(column), length.String(), start+5)
}

// conditions are those of a scope but for its leading values. Their parameters begin
// with first.
//
// What Where asks for is put so that the planner can neither use an index for it nor
// guess what it selects: rows come in the order of an index, and what it takes for few
// it would sort for each page.
func (t *table) conditions(s scope, first int) string {
	terms := []string{s.state(first), s.only}
	if s.State != driver.All {
		first++
	}
	var asked []string
	for i, b := range t.bounds(s.Filter) {
		asked = append(asked, fmt.Sprintf("%s $%d", b.text, first+i))
	}
	if len(asked) > 0 {
		terms = append(terms, "coalesce("+and(asked...)+", false)")
	}
	return and(terms...)
}

// filter adds the parameters of conditions.
func (t *table) filter(a *arguments, f driver.Filter) {
	a.now(f)
	for _, b := range t.bounds(f) {
		b.add(a)
	}
}
