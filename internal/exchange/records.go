package exchange

import (
	"context"
	"net/http"
	"time"

	"github.com/endpointcache/endpointcache/driver"
)

// RecordsTable is the name of the table in which a cache keeps what it has to know of its
// store: see the kinds of record. It is created when there is something to keep.
const RecordsTable = "endpointcache_records"

// recordColumns are the key of a record.
var recordColumns = []driver.Column{{Name: "kind", Kind: driver.String}, {Name: "item", Kind: driver.String}}

// records are small texts that all caches on a store share. None expires.
type records struct{ ownTable }

func (r *records) init() {
	r.spec = driver.TableSpec{Name: RecordsTable, Key: recordColumns}
}

// record is one text, and since when it holds.
type record struct {
	text  string
	since time.Time
}

// get returns the records of a kind by the index of their items. Those that are absent
// have a zero time.
func (r *records) get(ctx context.Context, kind string, items []string) ([]record, error) {
	table, err := r.open(ctx)
	if err != nil {
		return nil, err
	}
	keys := make([]driver.Key, len(items))
	for i, item := range items {
		keys[i] = driver.Key{kind, item}
	}
	found := make([]record, len(items))
	err = table.Get(ctx, keys, driver.Selection{Parts: driver.Payload | driver.Meta}, func(i int, e driver.Entry) {
		found[i] = record{string(e.Payload), e.CachedAt}
	})
	return found, err
}

// items are those of which there is a record of that kind.
func (r *records) items(ctx context.Context, kind string) (items []string, err error) {
	table, err := r.open(ctx)
	if err != nil {
		return nil, err
	}
	for e, err := range table.Entries(ctx, driver.Selection{Filter: driver.Filter{Leading: driver.Key{kind}}}) {
		if err != nil {
			return nil, err
		}
		if item, ok := e.Key[1].(string); ok && e.Key[0] == driver.Value(kind) {
			items = append(items, item)
		}
	}
	return items, nil
}

// claim keeps a text for an item unless there is one already, and returns the one that is
// kept then: the same for all callers, whichever process they are in.
func (r *records) claim(ctx context.Context, kind, item, text string, now time.Time) (string, error) {
	kept, err := r.get(ctx, kind, []string{item})
	if err != nil || !kept[0].since.IsZero() {
		return textOf(kept), err
	}
	table, err := r.open(ctx)
	if err != nil {
		return "", err
	}
	fresh := driver.Entry{
		Key: driver.Key{kind, item}, Status: http.StatusOK, Payload: []byte(text), CachedAt: instant(now),
	}
	_, err = table.PutIf(ctx, []driver.Entry{fresh}, driver.Condition{If: driver.IfAbsent})
	if err != nil {
		return "", err
	}
	kept, err = r.get(ctx, kind, []string{item})
	return textOf(kept), err
}

func textOf(kept []record) string {
	if len(kept) == 0 {
		return ""
	}
	return kept[0].text
}
