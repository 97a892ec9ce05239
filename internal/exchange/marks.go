package exchange

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/endpointcache/endpointcache/driver"
)

// markRecord is the kind of the records that are marks. The instant of a mark is the one of
// an invalidation: entries that have the mark are old unless they are known of later. So one
// record makes any number of entries old, for all caches on the store.
//
// The name of a mark is a digest, as URLs may hold secrets. Its text is the name of the only
// table that it is about, empty for a tag, which is about all tables.
const markRecord = "mark"

// What marks are about. It begins the text that the name of a mark is the digest of.
const (
	urlMark   = "url"        // and a table and the key's values that come from the URL
	tableMark = "repository" // and a table
	tagMark   = "tag"        // and a tag
)

// marks are those of an exchange's store.
type marks struct {
	x *Exchange

	mu    sync.Mutex
	table *Table    // of the records, as the guard knows tables
	reads sync.Pool // of *pointRead
	own   *recall   // nil where the store loses none
}

// open makes the marks ready. They are not needed by most caches.
func (m *marks) open(ctx context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.table != nil {
		return nil
	}
	key, err := m.x.DigestKey(ctx)
	if err != nil {
		return err
	}
	table, err := m.x.records.open(ctx)
	if err != nil {
		return err
	}
	if m.x.records.keptIn().Traits().Vanishes {
		m.own = &recall{room: recallRoom}
	}
	m.reads.New = func() any { return newPointRead(key) }
	m.table = &Table{
		Declaration: Declaration{Name: RecordsTable}, x: m.x, table: table, probeKey: driver.Key{markRecord, ""},
	}
	return nil
}

// name is that of the mark which a text is about.
func (m *marks) name(text []byte) string {
	r := m.reads.Get().(*pointRead)
	defer m.reads.Put(r)
	return r.nameOf(text)
}

func (m *marks) nameOf(about ...driver.Value) string { return m.name(driver.AppendKey(nil, about)) }

// since returns the instants of marks by the index of their names, which may be there more
// than once, the zero time for those that are absent; nil where all are.
func (m *marks) since(ctx context.Context, names []string) (instants []time.Time, err error) {
	if len(names) == 0 {
		return nil, nil
	}
	keys := make([]driver.Key, 0, len(names))
	at := make(map[string]int) // of keys
	for _, name := range names {
		if _, ok := at[name]; !ok {
			at[name] = len(keys)
			keys = append(keys, driver.Key{markRecord, name})
		}
	}
	found := make([]time.Time, len(keys))
	if err := m.table.table.Get(ctx, keys, driver.Selection{Parts: driver.Meta}, func(i int, e driver.Entry) {
		found[i] = e.CachedAt
	}); err != nil {
		return nil, err
	}
	for i, name := range names {
		since := m.latest(name, found[at[name]])
		if since.IsZero() {
			continue
		}
		if instants == nil {
			instants = make([]time.Time, len(names))
		}
		instants[i] = since
		m.x.order.noteMark(since)
	}
	return instants, nil
}

// latest is the instant of a mark of which the store has another, or none.
func (m *marks) latest(name string, stored time.Time) time.Time {
	if m.own == nil {
		return stored
	}
	return m.own.latest(name, stored)
}

// mark is one that is to be set.
type mark struct{ name, table string }

// set sets marks, no two of one name. A later one of another cache stays.
func (m *marks) set(ctx context.Context, list []mark, since time.Time) error {
	if m.own != nil {
		m.own.add(list, since)
	}
	entries := make([]driver.Entry, len(list))
	for i, mark := range list {
		entries[i] = driver.Entry{
			Key: driver.Key{markRecord, mark.name}, Status: http.StatusOK, Payload: []byte(mark.table), CachedAt: since,
		}
	}
	_, err := m.table.table.PutIf(ctx, entries, driver.Condition{If: driver.IfNewer})
	return err
}

// HasMarks reports whether the store has marks whose names can be made here. It makes nothing in
// the store.
func (x *Exchange) HasMarks(ctx context.Context) (bool, error) {
	table, err := x.records.open(ctx)
	if err != nil {
		return false, err
	}
	some, err := table.List(ctx, driver.Listing{
		Selection: driver.Selection{Filter: driver.Filter{Leading: driver.Key{markRecord}}}, Limit: 1,
	})
	if err != nil || len(some) == 0 {
		return false, err
	}
	return x.HasDigestKey(ctx)
}

// ClearMarks removes the marks that are about no more than these tables, whose entries of
// before that instant have been removed. Marks of tags stay: other caches on the store may
// have entries with them.
func (x *Exchange) ClearMarks(ctx context.Context, tables map[string]bool, before time.Time) error {
	table := x.records.opened()
	if table == nil {
		return nil
	}
	const atOnce = 512
	var keys []driver.Key
	remove := func() error {
		_, err := table.Delete(ctx, keys)
		keys = keys[:0]
		return err
	}
	for e, err := range table.Entries(ctx, driver.Selection{Parts: driver.Payload | driver.Meta}) {
		if err != nil {
			return err
		}
		if e.Key[0] != markRecord || !tables[string(e.Payload)] || e.CachedAt.After(instant(before)) {
			continue
		}
		if keys = append(keys, e.Key); len(keys) == atOnce {
			if err := remove(); err != nil {
				return err
			}
		}
	}
	if len(keys) == 0 {
		return nil
	}
	return remove()
}
