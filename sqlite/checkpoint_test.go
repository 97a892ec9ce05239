package sqlite

import (
	"bytes"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/waitfor"
)

// withoutUpkeep opens stores on one file, as several processes would, of which none has
// time for upkeep.
func withoutUpkeep(t *testing.T, n int) (stores []*Store, opened []driver.Table) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "music.db")
	for range n {
		s, err := Open(t.Context(), path, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		s.upkeep.stop(true)
		table, err := s.OpenTable(t.Context(), network)
		if err != nil {
			t.Fatal(err)
		}
		stores, opened = append(stores, s), append(opened, table)
	}
	return stores, opened
}

// save saves one of few entries, with another payload each time: what does not change is
// not written.
func save(t *testing.T, table driver.Table, n int) {
	t.Helper()
	e := driver.Entry{Key: driver.Key{int64(n % 3)}, CachedAt: time.UnixMicro(1).UTC(), Payload: bytes.Repeat([]byte{byte(n)}, 400<<10)}
	if err := table.Put(t.Context(), []driver.Entry{e}); err != nil {
		t.Error(err)
	}
}

// Writers of several stores, whose upkeep has no time, keep the log short themselves.
func TestWritersDoNotWriteWhenTheLogIsFull(t *testing.T) {
	stores, tables := withoutUpkeep(t, 3)
	var writing sync.WaitGroup
	for i, table := range tables {
		writing.Go(func() {
			for n := range 100 {
				save(t, table, n)
				if size := stores[i].file.logSize(); size > 64<<20 {
					t.Errorf("after %d saves the log has %d bytes", n, size)
					return
				}
			}
		})
	}
	writing.Wait()
}

// Writers do not wait for a reader that stays, and cut the log when it has ended.
func TestWritersGoOnWhileAReaderStays(t *testing.T) {
	stores, tables := withoutUpkeep(t, 1)
	file, table := stores[0].file, tables[0]
	err := file.readers.with(t.Context(), func(c *conn) error {
		if err := c.exec(t.Context(), "BEGIN"); err != nil {
			return err
		}
		if _, err := c.space(t.Context()); err != nil {
			return err
		}
		for n := 0; file.logSize() < fullLog+10<<20 && !t.Failed(); n++ {
			save(t, table, n)
		}
		return c.exec(t.Context(), "COMMIT")
	})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	waitfor.True(t, "the log is short", func() bool {
		n++
		save(t, table, n)
		return file.logSize() < longLog || t.Failed()
	})
}
