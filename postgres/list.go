package postgres

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/endpointcache/endpointcache/driver"
)

// List reads a page by the index of its order. What stands in the table in another form
// than its own, or is too long for that index, is not in its order there: such entries
// are read all, and sorted here. As a rule there are none.
func (t *table) List(ctx context.Context, l driver.Listing) ([]driver.Entry, error) {
	page, err := t.listRegular(ctx, l)
	if err != nil {
		return nil, err
	}
	sel := l.Selected()
	if odd := t.odd(l.Order); odd != "" {
		others, err := l.Page(t.entries(ctx, opList, sel.Parts, scope{Filter: sel.Filter, only: odd}))
		if err != nil {
			return nil, err
		}
		if len(others) > 0 {
			page = append(page, others...)
			slices.SortFunc(page, l.Compare)
			page = page[:min(len(page), l.Limit)]
		}
	}
	return page, nil
}

const opList = "list"

// listRegular lists those entries whose order is that of an index.
func (t *table) listRegular(ctx context.Context, l driver.Listing) (page []driver.Entry, err error) {
	err = t.store.run(ctx, opList, t.spec.Name, func() error {
		if err := l.Validate(); err != nil {
			return err
		}
		if err := t.index(ctx, l.Order); err != nil {
			return fmt.Errorf("making an index for the order: %w", err)
		}
		args := newArguments(0)
		defer args.free()
		parts := l.Selected().Parts
		s := &statement{text: t.list(l, parts, args)}
		return t.store.with(ctx, repeatable, func(c *conn) error {
			page = page[:0]
			_, err := c.query(ctx, s, args, func(row [][]byte) error {
				var e driver.Entry
				if _, err := t.readKeyed(row, parts, &e); err != nil {
					return err
				}
				page = append(page, e)
				return nil
			})
			return err
		})
	})
	return page, err
}

// list is the statement for the regular entries of a listing, and adds its parameters.
func (t *table) list(l driver.Listing, parts driver.Parts, args *arguments) string {
	leading, _ := t.keyTexts.stored(l.Leading)
	args.keyValues(leading)
	s := scope{Filter: l.Filter, byExpiry: l.Order == driver.ByExpiry}
	if odd := t.odd(l.Order); odd != "" {
		s.only = "NOT " + odd
	}
	terms := []string{t.keyIs(len(leading)), t.conditions(s, len(args.values)+1)}
	t.filter(args, l.Filter)
	switch l.Order {
	case driver.ByKey:
		if w := l.Where.Prefix; w != "" {
			terms = append(terms, beginning(t.names.keys[len(leading)], w, args))
		}
	case driver.ByName:
		terms = append(terms, beginning(orderColumns[driver.ByName], l.Where.NamePrefix, args))
	default:
	}
	if l.After != nil {
		terms = append(terms, t.after(l, args))
	}
	columns := t.sorted(l.Order)
	if l.Descending {
		for i := range columns {
			columns[i] += " DESC"
		}
	}
	args.int64(int64(l.Limit))
	return fmt.Sprintf("SELECT t._key, t.%s, %s FROM %s AS t%s ORDER BY %s LIMIT $%d", strings.Join(t.names.keys, ", t."), t.selected(parts),
		t.names.table, where(terms...), strings.Join(columns, ", "), len(args.values))
}

// sorted are the columns that an order sorts by.
func (t *table) sorted(o driver.Order) []string {
	columns := slices.Clone(t.names.keys)
	if o != driver.ByKey {
		columns = slices.Insert(columns, 0, orderColumns[o])
	}
	return columns
}

// orderColumns are what orders sort by before the key. The one for expiries keeps the
// planner from the index of the column alone: where many entries never expire, or expire at
// once, it would sort these for each page.
var orderColumns = map[driver.Order]string{
	driver.ByName: `name COLLATE "C"`, driver.ByCached: "cached_at", driver.ByUsed: "_used_at", driver.ByExpiry: "coalesce(expires_at, 'infinity')", driver.BySize: "_size",
}

// after is the condition that a row comes after the last of the page before, and adds
// its parameters.
func (t *table) after(l driver.Listing, args *arguments) string {
	columns := t.sorted(l.Order)
	text := func(i int, s string) {
		if isText(s) {
			args.string(s)
			return
		}
		// No row has it, but some come after it.
		columns[i] = "convert_to(" + columns[i] + ", 'UTF8')"
		args.bytes([]byte(s))
	}
	first := len(args.values) + 1
	e := l.After
	switch l.Order {
	case driver.ByKey:
	case driver.ByName:
		text(0, e.Name)
	case driver.ByCached:
		args.int64(timestamp(e.CachedAt))
	case driver.ByUsed:
		args.int64(timestamp(e.UsedAt))
	case driver.ByExpiry:
		args.int64(expiry(e.ExpiresAt))
	case driver.BySize:
		args.int32(int32(min(e.Size, math.MaxInt32)))
	}
	before := len(columns) - len(e.Key)
	for i, v := range e.Key {
		if s, ok := v.(string); ok {
			text(before+i, s)
		} else {
			args.keyValues(driver.Key{v})
		}
	}
	operator := ">"
	if l.Descending {
		operator = "<"
	}
	return fmt.Sprintf("(%s) %s (%s)", strings.Join(columns, ", "), operator, placeholders(first, len(columns)))
}

// beginning are bounds in the index for the texts of a column that begin with a prefix, and
// adds their parameters. It is empty where there are none.
func beginning(column, prefix string, args *arguments) string {
	if prefix == "" || !isText(prefix) {
		return ""
	}
	args.string(prefix)
	bounds := besideAnother(column, ">=", len(args.values))
	if end := successor(prefix); end != "" {
		args.string(end)
		bounds += " AND " + besideAnother(column, "<", len(args.values))
	}
	return bounds
}

// successor is the first text behind all that begin with a prefix, or empty where there is
// none.
func successor(prefix string) string {
	for prefix != "" {
		last, size := utf8.DecodeLastRuneInString(prefix)
		prefix = prefix[:len(prefix)-size]
		switch last {
		case utf8.MaxRune:
		case 0xd7ff: // before the surrogates, which are no characters
			return prefix + "\ue000"
		default:
			return prefix + string(last+1)
		}
	}
	return ""
}

// maxName is how long a name and the key may be together that are in the index of names.
const maxName = 2000

// odd is the condition that a row is not where it belongs in the index of an order, or is
// empty where there is no such row. A text that stands for another is sorted as itself.
func (t *table) odd(o driver.Order) string {
	var texts, lengths []string
	for i, c := range t.spec.Key {
		if c.Kind == driver.String {
			texts = append(texts, t.names.keys[i])
		}
	}
	if o == driver.ByName {
		texts = append(texts, "name")
		for _, text := range texts {
			lengths = append(lengths, "octet_length("+text+")")
		}
	}
	var terms []string
	for _, text := range texts {
		terms = append(terms, fmt.Sprintf(`left(%s, 1) = E'\\'`, text))
	}
	if len(lengths) > 0 {
		terms = append(terms, fmt.Sprintf("%s > %d", strings.Join(lengths, " + "), maxName))
	}
	if len(terms) == 0 {
		return ""
	}
	return "(" + strings.Join(terms, " OR ") + ")"
}
