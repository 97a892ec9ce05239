// Package tracktest is what the stores' own tests have in common: their data, and how
// they open a store. They test what is not one of the promises that drivertest asks of
// all of them.
package tracktest

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
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

// Opened returns a function that takes the results of opening a store, ends the test
// where that failed, and closes the store when the test ends:
//
//	s := tracktest.Opened[*sqlite.Store](t)(sqlite.Open(ctx, path, nil))
func Opened[S driver.Store](tb testing.TB) func(S, error) S {
	return func(s S, err error) S {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() {
			if err := s.Close(); err != nil {
				tb.Error(err)
			}
		})
		return s
	}
}

// Table opens the table of tracks.
func Table(tb testing.TB, s driver.Store) driver.Table {
	tb.Helper()
	table, err := s.OpenTable(context.Background(), Spec)
	if err != nil {
		tb.Fatal(err)
	}
	return table
}

// Put saves entries.
func Put(tb testing.TB, table driver.Table, entries ...driver.Entry) {
	tb.Helper()
	if err := table.Put(context.Background(), entries); err != nil {
		tb.Fatal(err)
	}
}

var names atomic.Int64

// NewName is a name that no other test uses, on a server that several test at a time. It
// has letters, digits and _, and no other name begins with it.
func NewName() string {
	return fmt.Sprintf("test_%d_%d_%d_", os.Getpid(), time.Now().UnixMilli(), names.Add(1))
}
