package sqlite_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/sqlite"
)

// earlierTracks is the table tracks as the first version made it.
const earlierTracks = `CREATE TABLE tracks (
  "id" TEXT NOT NULL,
  "n" BIGINT NOT NULL,
  status INTEGER NOT NULL,
  cached_us INTEGER NOT NULL,
  expires_us INTEGER NOT NULL,
  name TEXT NOT NULL,
  headers TEXT NOT NULL,
  payload BLOB NOT NULL,
  cached_at TEXT AS (strftime('%Y-%m-%d %H:%M:%f', cached_us / 1e6, 'unixepoch')) VIRTUAL,
  expires_at TEXT AS (CASE expires_us WHEN 9223372036854775807 THEN 'never'
    ELSE strftime('%Y-%m-%d %H:%M:%f', expires_us / 1e6, 'unixepoch') END) VIRTUAL,
  PRIMARY KEY ("id", "n")
);
CREATE INDEX "tracks expires_us" ON tracks (expires_us);
WITH RECURSIVE i(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM i WHERE n < 999)
INSERT INTO tracks (id, n, status, cached_us, expires_us, name, headers, payload)
SELECT 'old', n, 200, 1000 + n, 9223372036854775807, 'old ' || n, '', zeroblob(n * 10) FROM i;`

// openEarlier makes a file with that table, and opens it with so many stores at once.
func openEarlier(t *testing.T, stores int) (path string, tables []driver.Table) {
	t.Helper()
	ctx := t.Context()
	path = filepath.Join(t.TempDir(), "old.db")
	db := openDB(t, path)
	if _, err := db.ExecContext(ctx, earlierTracks); err != nil {
		t.Fatal(err)
	}
	type opened struct {
		table driver.Table
		err   error
	}
	results := make(chan opened, stores)
	for range stores {
		store := must(t)(sqlite.Open(ctx, path, nil))
		t.Cleanup(func() { store.Close() })
		go func() {
			table, err := store.OpenTable(ctx, tracks)
			if err == nil {
				err = table.Put(ctx, []driver.Entry{track("new", 1)})
			}
			results <- opened{table, err}
		}()
	}
	for range stores {
		o := <-results
		if o.err != nil {
			t.Fatal(o.err)
		}
		tables = append(tables, o.table)
	}
	return path, tables
}

// A table of an earlier version keeps its entries, which have no checksums and were used
// when they were cached.
func TestATableOfAnEarlierVersionIsMadeComplete(t *testing.T) {
	ctx := t.Context()
	_, tables := openEarlier(t, 4)
	table := tables[0]
	everything := driver.Selection{Parts: driver.Payload | driver.Meta | driver.Usage}
	n := 0
	for e, err := range table.Entries(ctx, everything) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Key[0] != "old" {
			continue
		}
		i := int(e.Key[1].(int64))
		want := time.UnixMicro(int64(1000 + i)).UTC()
		if e.Name != fmt.Sprint("old ", i) || !bytes.Equal(e.Payload, make([]byte, 10*i)) || !e.CachedAt.Equal(want) || !e.ExpiresAt.IsZero() ||
			e.PayloadSum != 0 || e.MetaSum != 0 || e.Encoding != "" || !e.UsedAt.Equal(want) || e.Size < int64(10*i) {
			t.Errorf("%v has become %+.200v", e.Key, e)
		}
		n++
	}
	if n != 1000 {
		t.Errorf("%d entries are left of 1000", n)
	}

	// Old and new ones are listed by use, in one order.
	at := time.UnixMicro(1500).UTC()
	if err := table.Use(ctx, []driver.Key{{"old", int64(0)}, {"old", int64(999)}, {"new", int64(1)}}, at); err != nil {
		t.Fatal(err)
	}
	l := driver.Listing{Order: driver.ByUsed, Limit: 300}
	var listed []driver.Entry
	for {
		page, err := table.List(ctx, l)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		listed = append(listed, page...)
		l.After = &page[len(page)-1]
	}
	if len(listed) != 1001 || !slices.IsSortedFunc(listed, l.Compare) {
		t.Errorf("%d entries are listed, want 1001 in order", len(listed))
	}
	if i := slices.IndexFunc(listed, func(e driver.Entry) bool { return e.Key[0] == "new" }); i < 0 || !listed[i].UsedAt.Equal(at) {
		t.Errorf("the new entry is number %d", i)
	}
	if n, err := table.Count(ctx, driver.Filter{Where: driver.Where{UsedBefore: time.UnixMicro(1100).UTC()}}); err != nil || n != 99 {
		t.Errorf("%d entries were used before, %v, want 99", n, err)
	}
}

func TestATableOfAnEarlierVersionHoldsNewEntries(t *testing.T) {
	ctx := t.Context()
	_, tables := openEarlier(t, 1)
	table := tables[0]
	want := track("old", 7)
	want.Payload, want.PayloadSum, want.MetaSum, want.Encoding = []byte("new"), 1<<31, 1<<32-1, "zstd"
	if _, err := table.PutIf(ctx, []driver.Entry{want}, driver.Condition{If: driver.IfNotLive, Now: time.UnixMicro(5000)}); err != nil {
		t.Fatal(err)
	}
	if err := table.Put(ctx, []driver.Entry{want}); err != nil {
		t.Fatal(err)
	}
	found := false
	err := table.Get(ctx, []driver.Key{want.Key}, driver.Selection{Parts: driver.Payload | driver.Meta}, func(_ int, e driver.Entry) {
		found = string(e.Payload) == "new" && e.PayloadSum == 1<<31 && e.MetaSum == 1<<32-1 && e.Encoding == "zstd"
	})
	if err != nil || !found {
		t.Errorf("found as it was saved: %v, %v", found, err)
	}
}

// What is no repository's table is neither listed nor dropped.
func TestOnlyTablesOfRepositoriesAreListedAndDropped(t *testing.T) {
	ctx := t.Context()
	db := openDB(t, filepath.Join(t.TempDir(), "own.db"))
	if _, err := db.ExecContext(ctx, `CREATE TABLE users (id TEXT PRIMARY KEY, title TEXT); INSERT INTO users VALUES ('a', 'A');
		CREATE VIEW seen AS SELECT * FROM users; CREATE INDEX titles ON users (title); CREATE TABLE counted (id INTEGER PRIMARY KEY AUTOINCREMENT)`); err != nil {
		t.Fatal(err)
	}
	store := must(t)(sqlite.New(ctx, db, nil))
	defer store.Close()
	if _, err := store.OpenTable(ctx, tracks); err != nil {
		t.Fatal(err)
	}
	specs, err := store.Tables(ctx)
	if err != nil || len(specs) != 1 || specs[0].Name != tracks.Name || !slices.Equal(specs[0].Key, tracks.Key) {
		t.Errorf("the tables are %v, %v", specs, err)
	}
	for _, name := range []string{"users", "seen", "titles", "counted", "sqlite_sequence"} {
		if err := store.DropTable(ctx, name); !errors.Is(err, driver.ErrSchema) {
			t.Errorf("dropping %s: %v", name, err)
		}
	}
	for _, name := range []string{"Users", "Tracks", "none"} { // there are no such tables, to the byte
		if err := store.DropTable(ctx, name); err != nil {
			t.Errorf("dropping %s: %v", name, err)
		}
	}
	var n int
	if err := db.QueryRowContext(ctx, "SELECT count(*) FROM seen, tracks LEFT JOIN counted").Scan(&n); err != nil || n != 0 {
		t.Errorf("something is gone: %v", err)
	}
}

// A use of a large entry writes a page, and not the entry.
func TestAUseWritesNoPayload(t *testing.T) {
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "large.db")
	store := must(t)(sqlite.Open(ctx, path, nil))
	defer store.Close()
	table, err := store.OpenTable(ctx, tracks)
	if err != nil {
		t.Fatal(err)
	}
	large := track("w", 1)
	large.CachedAt = time.Now().UTC().Truncate(time.Microsecond)
	large.Payload = bytes.Repeat([]byte("x"), 4<<20)
	if err := table.Put(ctx, []driver.Entry{large}); err != nil {
		t.Fatal(err)
	}
	written := func() int64 {
		db := openDB(t, path)
		defer db.Close()
		if _, err := db.ExecContext(context.WithoutCancel(ctx), "PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
			t.Fatal(err)
		}
		if err := table.Use(ctx, []driver.Key{large.Key}, large.CachedAt.Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path + "-wal")
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	if n := written(); n == 0 || n > 64<<10 {
		t.Errorf("a use has written %d bytes", n)
	}
}

// The columns are documented, and so is what to do with them.
func TestTheFileTellsSizesAndUses(t *testing.T) {
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "readable.db")
	store := must(t)(sqlite.Open(ctx, path, nil))
	defer store.Close()
	table, err := store.OpenTable(ctx, tracks)
	if err != nil {
		t.Fatal(err)
	}
	e := track("w", 1)
	e.PayloadSum, e.MetaSum, e.Encoding = 1, 2, "zstd"
	if err := table.Put(ctx, []driver.Entry{e, track("w", 2)}); err != nil {
		t.Fatal(err)
	}
	var line strings.Builder
	rows, err := openDB(t, path).QueryContext(ctx, "SELECT printf('%d|%d|%d|%s|%d;', _used_us, _payload_sum, _meta_sum, _encoding, length(payload)) FROM tracks ORDER BY n")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var one string
		if err := rows.Scan(&one); err != nil {
			t.Fatal(err)
		}
		line.WriteString(one)
	}
	if want := "1|1|2|zstd|7;1|0|0||7;"; line.String() != want || rows.Err() != nil {
		t.Errorf("%q, %v, want %q", line.String(), rows.Err(), want)
	}
}
