package cache

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/exchange"
)

// mostNear is how many stored responses are told of that a caller has perhaps meant, and mostAround
// how many keys on each side of the request's are looked at for each column.
const (
	mostNear   = 10
	mostAround = 1000
)

// near is a stored response whose key is close to another one.
type near struct {
	table  *exchange.Table
	key    driver.Key
	column int // in which they differ; -1: in none, it is another origin's
	alike  int // how many bytes the values have in common, at both ends
}

// around adds to a miss what is stored nearby. T is nil where the origin has no table.
func (l *lookup) around(ctx context.Context, found Lookup, p *place, t *exchange.Table, key driver.Key) (Lookup, error) {
	var all []near
	for i, other := range p.tables {
		if other == t {
			continue
		}
		_, ok, fault, err := other.Peek(ctx, key)
		if err != nil {
			return Lookup{}, err
		}
		if ok && fault == nil {
			all = append(all, near{other, key, -1, 0})
			found.Reasons = append(found.Reasons, "It is stored of another origin: "+cmp.Or(p.listed[i].Origin, "one that is not known")+".")
		}
	}
	for _, left := range p.left {
		if !slices.Equal(left.Key, p.table.Spec().Key) {
			continue
		}
		has, err := l.leftHas(ctx, left.TableSpec, key)
		if err != nil {
			return Lookup{}, err
		}
		if has {
			found.Reasons = append(found.Reasons, fmt.Sprintf("It is stored in %q, which is left of another declaration and not used.", left.Name))
		}
	}
	if t != nil {
		beside, err := nearIn(ctx, t, key)
		if err != nil {
			return Lookup{}, err
		}
		all = append(all, beside...)
	}
	for _, n := range all[:min(len(all), mostNear)] {
		e, ok, fault, err := n.table.Peek(ctx, n.key)
		if err != nil {
			return Lookup{}, err
		}
		if !ok || fault != nil {
			continue
		}
		found.Near = append(found.Near, selection{ctx: ctx, table: n.table}.stored(e))
	}
	for i, n := range all {
		if n.column >= 0 && !slices.ContainsFunc(all[:i], func(before near) bool { return before.column == n.column }) {
			found.Reasons = append(found.Reasons, n.difference(key))
		}
	}
	return found, nil
}

// leftHas reports whether a table that is not in use has the key.
func (l *lookup) leftHas(ctx context.Context, spec driver.TableSpec, key driver.Key) (has bool, err error) {
	table, err := l.contents.cache.store.OpenTable(ctx, spec)
	if err != nil {
		return false, err
	}
	err = table.Get(ctx, []driver.Key{key}, driver.Selection{}, func(int, driver.Entry) { has = true })
	return has, err
}

// difference is the sentence about what is stored beside a key.
func (n near) difference(key driver.Key) string {
	column := n.table.Spec().Key[n.column].Name
	if who := n.table.IdentityInWords(n.key); who != "" && n.column == 0 {
		return "It is stored for " + who + "."
	}
	return fmt.Sprintf("It is stored with %s in %s, where the request has %s.", shown(n.key[n.column]), column, shown(key[n.column]))
}

// mostShown bounds what a sentence has of a value.
const mostShown = 100

func shown(v driver.Value) string {
	text, ok := v.(string)
	if !ok {
		return fmt.Sprint(v)
	}
	if len(text) > mostShown {
		text = text[:mostShown] + "…"
	}
	return strconv.Quote(strings.ToValidUTF8(text, "�"))
}

// nearIn finds keys of a table that differ from another one in a single column, those first that
// differ in a later column, and then those that are more alike.
func nearIn(ctx context.Context, t *exchange.Table, key driver.Key) (all []near, err error) {
	for column := len(key) - 1; column >= 0; column-- {
		var of []near
		add := func(k driver.Key) {
			n := near{t, slices.Clone(k), column, alike(k[column], key[column])}
			if differsIn(k, key) == column && (column > 0 || n.resembles(key)) &&
				!slices.ContainsFunc(of, func(other near) bool { return slices.Equal(other.key, k) }) {
				of = append(of, n)
			}
		}
		if err := t.Have(ctx, others(t.Spec().Key[column], key, column), add); err != nil {
			return nil, err
		}
		most := mostAround
		if column == len(key)-1 {
			most = mostNear
		}
		if err := t.Around(ctx, key, column, most, add); err != nil {
			return nil, err
		}
		slices.SortStableFunc(of, func(a, b near) int { return cmp.Compare(b.alike, a.alike) })
		all = append(all, of[:min(len(of), mostNear)]...)
	}
	return all, nil
}

// differsIn is the only column in which keys differ, negative where there are others, or none.
func differsIn(a, b driver.Key) int {
	column := -1
	for i := range a {
		if a[i] == b[i] {
			continue
		}
		if column >= 0 {
			return -1
		}
		column = i
	}
	return column
}

// others are keys with other values in a column that may well be there.
func others(c driver.Column, key driver.Key, column int) (keys []driver.Key) {
	var values []driver.Value
	switch v := key[column].(type) {
	case bool:
		values = []driver.Value{!v}
	case string:
		values = []driver.Value{strings.ToLower(v), strings.ToUpper(v), strings.TrimSuffix(v, "/"), v + "/", ""}
		if c.Name == "method" {
			values = append(values, http.MethodGet, http.MethodHead, http.MethodPost)
		}
	case int64:
		values = []driver.Value{int64(0), int64(1)}
	}
	for _, v := range values {
		if v == key[column] {
			continue
		}
		other := slices.Clone(key)
		other[column] = v
		if !slices.ContainsFunc(keys, func(k driver.Key) bool { return slices.Equal(k, other) }) {
			keys = append(keys, other)
		}
	}
	return keys
}

// alike is how many bytes values have in common at their ends.
func alike(a, b driver.Value) int {
	x, isText := a.(string)
	y, _ := b.(string)
	if !isText {
		return 0
	}
	if strings.EqualFold(x, y) {
		return len(x)
	}
	n := 0
	for n < min(len(x), len(y)) && x[n] == y[n] {
		n++
	}
	x, y = x[n:], y[n:]
	m := 0
	for m < min(len(x), len(y)) && x[len(x)-1-m] == y[len(y)-1-m] {
		m++
	}
	return n + m
}

// resembles reports whether the values in the column have much in common: of the first column, any
// other key has another value.
func (n near) resembles(key driver.Key) bool {
	if len(key) > 1 && n.table.Scoped() && n.column == 0 {
		return true
	}
	switch v := n.key[n.column].(type) {
	case string:
		other, _ := key[n.column].(string)
		return 2*n.alike >= max(len(v), len(other)) || len(key) > 1 && n.table.Spec().Key[n.column].Name == "method"
	case bool:
		return true
	default:
		return len(key) > 1
	}
}
