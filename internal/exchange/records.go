package exchange

import (
	"context"
	"net/http"
	"time"

	"github.com/endpointcache/endpointcache/driver"
)

// RecordsTable is the name of the table in which a cache keeps what it has to know of its
// store: see the kinds of record. It is created when the cache is first about to ask for one.
const RecordsTable = "endpointcache_records"

// recordColumns are the key of a record.
var recordColumns = []driver.Column{{Name: "kind", Kind: driver.String}, {Name: "item", Kind: driver.String}}

// records are small texts that all caches on a store share. None expires.
type records struct{ ownTable }

func (r *records) init(x *Exchange) {
	r.x, r.spec = x, driver.TableSpec{Name: RecordsTable, Key: recordColumns}
	r.mend = func(key driver.Key) (time.Time, bool) {
		// What a mark that is damaged was about is old until now, as far as anyone can tell.
		return instant(x.Now()), key[0] == markRecord
	}
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
		items = append(items, e.Key[1].(string))
	}
	return items, nil
}

// claim keeps a text for an item unless there is one already, and returns the one that is
// kept then: the same for all callers, whichever process they are in. Where there was one that
// is damaged, lost is called, which may be nil, before another takes its place.
func (r *records) claim(ctx context.Context, kind, item, text string, now time.Time, lost func() error) (string, error) {
	table, err := r.open(ctx)
	if err != nil {
		return "", err
	}
	key := driver.Key{kind, item}
	kept, ok, err := textAt(ctx, table, key)
	if err != nil || ok {
		return kept, err
	}
	fresh := driver.Entry{Key: key, Status: http.StatusOK, Payload: []byte(text), CachedAt: instant(now)}
	stored, err := table.PutIf(ctx, []driver.Entry{fresh}, driver.Condition{If: driver.IfAbsent})
	if err != nil {
		return "", err
	}
	if kept, ok, err = textAt(ctx, table, key); err != nil || ok || stored[0] {
		return kept, err
	}
	if lost != nil {
		if err := lost(); err != nil {
			return "", err
		}
	}
	// One that is not damaged does not expire.
	if _, err := table.PutIf(ctx, []driver.Entry{fresh}, driver.Condition{If: driver.IfNotLive, Now: fresh.CachedAt}); err != nil {
		return "", err
	}
	kept, _, err = textAt(ctx, table, key)
	return kept, err
}

// textAt is the text of the record with a key; ok is false where there is none.
func textAt(ctx context.Context, table driver.Table, key driver.Key) (text string, ok bool, err error) {
	err = table.Get(ctx, []driver.Key{key}, driver.Selection{Parts: driver.Payload}, func(_ int, e driver.Entry) {
		text, ok = string(e.Payload), true
	})
	return text, ok, err
}
