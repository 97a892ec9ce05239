package exchange

import (
	"context"
	"time"

	"github.com/endpointcache/endpointcache/driver"
)

// getNear is Get where all can be answered from memory: neither a store nor its guard has a part
// in it, and no other goroutine. It is for one key: of many, one is enough to go farther.
func (t *Table) getNear(ctx context.Context, keys []driver.Key, sel driver.Selection, visit func(int, driver.Entry)) (known bool) {
	if t.near == nil || len(keys) != 1 || ctx == nil || ctx.Err() != nil {
		return false
	}
	e, found, known := t.near.GetNear(keys[0], sel)
	if found {
		visit(0, e)
	}
	return known
}

// nearMarked is a marked table of which some entries are near, with their marks.
type nearMarked struct {
	*marked
	entries, records driver.NearTable
}

// nearBy is the marked table where its entries may be near, which may be nil.
func (m *marked) nearBy(entries driver.NearTable) driver.NearTable {
	records, ok := m.marks.table.table.(driver.NearTable)
	if entries == nil || !ok {
		return nil
	}
	return &nearMarked{m, entries, records}
}

// GetNear implements [driver.NearTable]. An entry is known if all its marks are.
func (m *nearMarked) GetNear(key driver.Key, sel driver.Selection) (e driver.Entry, found, known bool) {
	if e, found, known = m.entries.GetNear(key, withMarks(sel)); !known {
		return e, false, false
	}
	var names []string
	if m.url != nil {
		names = append(names, m.urlName(key))
	}
	if m.tagged && found {
		n := namer{m: m.marked, list: names, byTags: make(map[string]string), all: m.tableName()}
		if !n.add(e.Header) {
			return driver.Entry{}, false, true
		}
		names = n.list
	}
	var latest time.Time
	for _, name := range names {
		mark, _, known := m.records.GetNear(driver.Key{markRecord, name}, driver.Selection{Parts: driver.Meta})
		if !known {
			return driver.Entry{}, false, false
		}
		if since := m.marks.latest(name, mark.CachedAt); since.After(latest) {
			latest = since
			m.marks.x.order.noteMark(since)
		}
	}
	if !found || !appears(&e, latest, sel) {
		return driver.Entry{}, false, true
	}
	return e, true, true
}
