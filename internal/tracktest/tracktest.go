// Package tracktest is the data of the stores' own tests: what is not one of the
// promises that drivertest asks of all of them.
package tracktest

import (
	"fmt"
	"time"

	"github.com/endpointcache/endpointcache/driver"
)

// Spec is a table with a key of each kind of column.
var Spec = driver.TableSpec{Name: "tracks", Key: []driver.Column{
	{Name: "id", Kind: driver.String}, {Name: "market", Kind: driver.String}, {Name: "page", Kind: driver.Int}, {Name: "explicit", Kind: driver.Bool},
}}

// Now is when the entries were saved, an hour before they expire.
var Now = time.Now().UTC().Truncate(time.Microsecond)

// Entry is the i-th entry.
func Entry(i int) driver.Entry {
	return driver.Entry{
		Key:       driver.Key{fmt.Sprintf("id-%06d", i), "DE", int64(i % 7), i%2 == 0},
		Name:      fmt.Sprintf("track %d", i),
		Status:    200,
		Header:    `{"Content-Type":["application/json"]}`,
		Payload:   fmt.Appendf(nil, `{"id": %d, "title": "T%d", "popularity": %d}`, i, i, i%100),
		CachedAt:  Now,
		ExpiresAt: Now.Add(time.Hour),
	}
}

// Entries are the first n entries, and their keys.
func Entries(n int) (entries []driver.Entry, keys []driver.Key) {
	for i := range n {
		e := Entry(i)
		entries, keys = append(entries, e), append(keys, e.Key)
	}
	return entries, keys
}
