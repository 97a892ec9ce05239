package sqlite

import (
	"context"
	sqldriver "database/sql/driver"

	"github.com/endpointcache/endpointcache/driver"
)

// terms is a set of comparisons that make up a [driver.Where].
type terms uint16

const (
	prefixFrom terms = 1 << iota
	prefixBefore
	cachedFrom
	cachedBefore
	usedBefore
	nameIs
	nameFrom
	nameBefore
	minStatus
	maxStatus
	endOfTerms
)

// term is a comparison of a column with a parameter.
type term struct {
	column, operator string
	order            driver.Order // whose index has the column in front
}

// unsorted is the order of terms that no index serves.
const unsorted = driver.Order(1<<8 - 1)

// byTerm are the terms of a Where. A prefix is about bytes, as is SQLite's order of text.
var byTerm = map[terms]term{
	prefixFrom:   {"", ">=", driver.ByKey}, // of the column after the leading ones
	prefixBefore: {"", "<", driver.ByKey},
	cachedFrom:   {"cached_us", ">=", driver.ByCached},
	cachedBefore: {"cached_us", "<", driver.ByCached},
	usedBefore:   {used, "<", driver.ByUsed},
	nameIs:       {"name", "=", driver.ByName},
	nameFrom:     {"name", ">=", driver.ByName},
	nameBefore:   {"name", "<", driver.ByName},
	minStatus:    {"status", ">=", unsorted},
	maxStatus:    {"status", "<=", unsorted},
}

// whereTerms returns the comparisons that w asks for, and their parameters in the order of
// the terms.
func whereTerms(w driver.Where) (set terms, args []sqldriver.Value) {
	if w.IsZero() {
		return 0, nil
	}
	add := func(t terms, asked bool, arg sqldriver.Value) {
		if asked {
			set |= t
			args = append(args, arg)
		}
	}
	end := prefixEnd(w.Prefix)
	add(prefixFrom, w.Prefix != "", w.Prefix)
	add(prefixBefore, end != "", end)
	add(cachedFrom, !w.CachedFrom.IsZero(), w.CachedFrom.UnixMicro())
	add(cachedBefore, !w.CachedBefore.IsZero(), w.CachedBefore.UnixMicro())
	add(usedBefore, !w.UsedBefore.IsZero(), w.UsedBefore.UnixMicro())
	end = prefixEnd(w.NamePrefix)
	add(nameIs, w.Name != "", w.Name)
	add(nameFrom, w.NamePrefix != "", w.NamePrefix)
	add(nameBefore, end != "", end)
	add(minStatus, w.MinStatus != 0, int64(w.MinStatus))
	add(maxStatus, w.MaxStatus != 0, int64(w.MaxStatus))
	return set, args
}

// prefixEnd is the first string behind all that begin with prefix, or empty where there is
// none.
func prefixEnd(prefix string) string {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] < 0xff {
			return prefix[:i] + string([]byte{prefix[i] + 1})
		}
	}
	return ""
}

// filter are the comparisons that select what key tells, in the order in which
// [table.prepareFilter] binds their parameters.
func (n names) filter(key stmtKey) []string {
	var all []term
	for _, column := range n.keys[:key.leading] {
		all = append(all, term{column, "=", driver.ByKey})
	}
	for t := terms(1); t < endOfTerms; t <<= 1 {
		if key.where&t == 0 {
			continue
		}
		one := byTerm[t]
		if one.column == "" {
			one.column = n.keys[key.leading]
		}
		all = append(all, one)
	}
	switch key.state {
	case driver.Live:
		all = append(all, term{"expires_us", ">", driver.ByExpiry})
	case driver.Expired:
		all = append(all, term{"expires_us", "<=", driver.ByExpiry})
	default:
	}
	texts := make([]string, len(all))
	for i, t := range all {
		texts[i] = t.column + " " + t.operator + " ?"
		if !key.searchesBy(t) {
			texts[i] = "+" + texts[i]
		}
	}
	return texts
}

// searchesBy reports whether an index may be searched for what t selects. The plus before
// the others keeps the planner from that.
func (key stmtKey) searchesBy(t term) bool {
	switch key.op {
	case opKeyPage, opList:
		if key.sorts {
			return t.order == driver.ByKey
		}
		if t.order != key.order {
			return false
		}
		// A page begins behind the one before, and not where all begin.
		begins := t.operator == ">" || t.operator == ">="
		if key.descending {
			begins = t.operator == "<" || t.operator == "<="
		}
		return key.behind == fromStart || !begins
	case opCount, opClear, opClearSome, opFew:
		if key.leading > 0 {
			return t.order == driver.ByKey
		}
		return t.order != driver.ByExpiry || key.state == driver.Expired // most entries are live
	default:
		return false
	}
}

// prepareFilter returns the statement for what f selects, with the parameters of f bound.
func (t *table) prepareFilter(ctx context.Context, c *conn, key stmtKey, f driver.Filter) (*stmt, error) {
	where, args := whereTerms(f.Where)
	key.table, key.state, key.leading, key.where = t, f.State, len(f.Leading), where
	s, err := c.prepare(ctx, key)
	if err != nil {
		return nil, err
	}
	s.bindKey(f.Leading)
	for _, arg := range args {
		s.bind(arg)
	}
	s.bindNow(f)
	return s, nil
}
