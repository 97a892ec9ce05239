package sqlite

import (
	"context"
	sqldriver "database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/endpointcache/endpointcache/driver"
)

// behind is where a page in an order begins.
type behind uint8

const (
	fromStart   behind = iota
	behindKey          // behind a key, of the entries that are equal in the order
	behindValue        // behind what entries are sorted by
)

// maxSorted is how many entries with the same leading values a page is sorted from.
// Where there are more, it does not take long to come upon some in an index.
const maxSorted = 2000

// List reads a page from the index of its order, which the first listing makes: whoever
// never lists does not pay for it. It sorts few entries with the same leading values.
// What is equal to the last entry of the page before is a search of its own, as SQLite
// cannot search for an expression and a key together.
func (t *table) List(ctx context.Context, l driver.Listing) (page []driver.Entry, err error) {
	err = t.store.run(ctx, "list", t.spec.Name, func() error {
		if err := l.Validate(); err != nil {
			return err
		}
		sorts := false
		if l.Order != driver.ByKey {
			if sorts, err = t.haveFew(ctx, l.Leading); err == nil && !sorts {
				err = t.ensureIndex(ctx, l.Order)
			}
			if lacksIndex(err) {
				sorts, err = true, nil
			}
			if err != nil {
				return err
			}
		}
		page, err = t.readPage(ctx, l, sorts)
		if l.Order != driver.ByKey && !sorts && lacksIndex(err) { // as others have just dropped the table and made it anew
			page, err = t.readPage(ctx, l, true)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return page, nil
}

// lacksIndex reports whether err is of a page for which there is no index: the file may only
// be read, or something else has its name. The page is sorted then.
func lacksIndex(err error) bool {
	return err != nil && (errors.Is(err, driver.ErrReadOnly) || resultCode(err) == codeError)
}

// readPage sorts what is selected, or goes by the index of the order.
func (t *table) readPage(ctx context.Context, l driver.Listing, sorts bool) (page []driver.Entry, err error) {
	searches := []behind{fromStart}
	switch {
	case l.After != nil && l.Order == driver.ByKey:
		searches = []behind{behindKey}
	case l.After != nil:
		searches = []behind{behindKey, behindValue}
	}
	err = t.store.readers.with(ctx, func(c *conn) error {
		for _, begin := range searches {
			if page, err = t.search(ctx, c, l, sorts, begin, page); err != nil || len(page) == l.Limit {
				return err
			}
		}
		return nil
	})
	return page, err
}

// search adds to a page what one search finds, as far as there is room.
func (t *table) search(ctx context.Context, c *conn, l driver.Listing, sorts bool, begin behind, page []driver.Entry) ([]driver.Entry, error) {
	parts := l.Selected().Parts
	key := stmtKey{op: opList, sel: parts, order: l.Order, descending: l.Descending, sorts: sorts, behind: begin}
	s, err := t.prepareFilter(ctx, c, key, l.Filter)
	if err != nil {
		return nil, err
	}
	if begin != fromStart {
		if l.Order != driver.ByKey {
			s.bind(sortedBy(l.Order, l.After))
		}
		if begin == behindKey {
			s.bindKey(l.After.Key[t.names.fixed(l.Order, len(l.Leading)):])
		}
	}
	s.bind(int64(l.Limit - len(page)))
	err = t.queryEntries(ctx, c, s, parts, func(_ int64, e driver.Entry) bool {
		page = append(page, e)
		return true
	})
	return page, err
}

// haveFew reports whether few entries have the leading values.
func (t *table) haveFew(ctx context.Context, leading driver.Key) (few bool, err error) {
	if len(leading) == 0 {
		return false, nil
	}
	err = t.store.readers.with(ctx, func(c *conn) error {
		s, err := t.prepareFilter(ctx, c, stmtKey{op: opFew}, driver.Filter{Leading: leading})
		if err != nil {
			return err
		}
		n, err := c.int64(ctx, s)
		few = n <= maxSorted
		return err
	})
	return few, err
}

// sortedBy is the value of e that an order sorts by.
func sortedBy(order driver.Order, e *driver.Entry) sqldriver.Value {
	switch order {
	case driver.ByName:
		return e.Name
	case driver.ByCached:
		return e.CachedAt.UnixMicro()
	case driver.ByUsed:
		return e.UsedAt.UnixMicro()
	case driver.ByExpiry:
		return expiresUS(e.ExpiresAt)
	default:
		return e.Size
	}
}

// sorted is the column or expression that holds that value. By key there is none.
func (n names) sorted(order driver.Order) string {
	switch order {
	case driver.ByName:
		return "name"
	case driver.ByCached:
		return "cached_us"
	case driver.ByUsed:
		return used
	case driver.ByExpiry:
		return "expires_us"
	case driver.BySize:
		return n.size
	default:
		return ""
	}
}

// fixed is how many of the first key columns have one value in all of a page. Others
// sort it.
func (n names) fixed(order driver.Order, leading int) int {
	if order != driver.ByKey || leading == len(n.keys) {
		return 0
	}
	return leading
}

// page is the query for a page in an order: the numbers of rows, the keys and the parts.
func (n names) page(key stmtKey, limit string, more ...string) string {
	greater, direction := ">", ""
	if key.descending {
		greater, direction = "<", " DESC"
	}
	keys := n.keys[n.fixed(key.order, key.leading):]
	value := n.sorted(key.order)
	var index string
	switch {
	case key.sorts:
		value = "+(" + value + ")" // not from its index
	case value != "":
		// With statistics, the planner may prefer another and sort what it finds there.
		index = " INDEXED BY " + quote(listIndexName(n.name, key.order))
	}
	by := keys
	if value != "" && key.behind != behindKey { // of those, all have the same
		by = slices.Concat([]string{value}, keys)
	}
	search := slices.Concat(n.filter(key), n.placed(key.order))
	switch key.behind {
	case behindKey:
		if value != "" {
			search = append(search, value+" = ?")
		}
		search = append(search, fmt.Sprintf("(%s) %s (%s)", strings.Join(keys, ", "), greater, placeholders(len(keys))))
	case behindValue:
		search = append(search, value+" "+greater+" ?")
	case fromStart:
	}
	from := fmt.Sprintf("%s%s ORDER BY %s%s", index, where(append(search, more...)...), strings.Join(by, direction+", "), direction)
	if !key.sorts {
		return fmt.Sprintf("%s%s LIMIT %s", n.selectRows(key), from, limit)
	}
	// What is sorted is all that is selected: its numbers alone, as the rest takes three times as long.
	return fmt.Sprintf("%s WHERE _rowid_ IN (SELECT _rowid_ FROM %s%s LIMIT %s) ORDER BY %s%s",
		n.selectRows(key), n.table, from, limit, strings.Join(by, direction+", "), direction)
}

// placed leaves out rows with a value of another type than was saved in what they are ordered by: of the entries
// that they are read as, none could tell where the next page begins.
func (n names) placed(order driver.Order) []string {
	terms := make([]string, 0, len(n.keys)+1)
	for i, column := range n.keys {
		terms = append(terms, "typeof("+column+") = '"+n.types[i]+"'")
	}
	switch order {
	case driver.ByName:
		terms = append(terms, "typeof(name) = 'text'")
	case driver.ByCached, driver.ByUsed, driver.ByExpiry:
		terms = append(terms, "typeof("+n.sorted(order)+") = 'integer'")
	default:
	}
	return terms
}

// selectRows is the beginning of a query for the numbers of rows, the keys and the parts.
func (n names) selectRows(key stmtKey) string {
	return fmt.Sprintf("SELECT %s FROM %s",
		strings.Join(slices.Concat([]string{"_rowid_"}, n.keys, n.columns[key.sel]), ", "), n.table)
}

// ensureIndex makes the index of an order where there is none.
func (t *table) ensureIndex(ctx context.Context, order driver.Order) error {
	if order == driver.ByKey {
		return nil // it is that of the primary key
	}
	name := listIndexName(t.spec.Name, order)
	var found bool
	err := t.store.readers.with(ctx, func(c *conn) error {
		s, err := c.prepare(ctx, stmtKey{text: "SELECT count(*) FROM main.sqlite_master WHERE type = 'index' AND name = ? AND tbl_name = ?"})
		if err != nil {
			return err
		}
		s.bind(name)
		s.bind(t.spec.Name)
		n, err := c.int64(ctx, s)
		found = n > 0
		return err
	})
	if err != nil || found {
		return err
	}
	return t.store.commits.write(ctx, maxShared+1, func(c *conn) error {
		s, err := c.prepare(ctx, stmtKey{text: t.names.createListIndex(name, order)})
		if err != nil {
			return err
		}
		_, err = c.execute(ctx, s, true)
		return err
	})
}

// listIndexName is the name of an order's index.
func listIndexName(table string, order driver.Order) string {
	by := map[driver.Order]string{
		driver.ByName: "name", driver.ByCached: "cached", driver.ByUsed: "used", driver.ByExpiry: "expiry", driver.BySize: "size",
	}[order]
	return table + " by " + by
}

// createListIndex is the definition of an order's index. Those by which a cache is
// kept within bounds hold all that this needs.
func (n names) createListIndex(name string, order driver.Order) string {
	columns := slices.Concat([]string{n.sorted(order)}, n.keys)
	switch order {
	case driver.ByUsed:
		columns = append(columns, n.size, "status")
	case driver.ByCached:
		columns = append(columns, n.size)
	default:
	}
	return fmt.Sprintf("CREATE INDEX IF NOT EXISTS main.%s ON %s (%s)", quote(name), n.bare, strings.Join(columns, ", "))
}
