package postgres_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/postgres"
)

// Writers, deleters and clearers of the same entries, in all orders, on stores of
// their own. The server breaks deadlocks up and counts them for each database.
func TestNobodyBlocksAnotherForGood(t *testing.T) {
	database := newDatabase(t, "")
	c := connect(t)
	ctx, cancel := context.WithTimeout(t.Context(), waitfor.Limit)
	defer cancel()
	all, keys := trackEntries(2_000)
	far := now.Add(24 * time.Hour)
	var stores []*postgres.Store
	var wait sync.WaitGroup
	for g := range 8 {
		s := open(t, withParameter(t, "dbname", database), nil)
		table := openTable(t, s)
		stores = append(stores, s)
		wait.Add(1)
		go func() {
			defer wait.Done()
			for range 12 {
				order := rand.Perm(len(all))[:1_500]
				var err error
				switch g {
				case 0, 1, 2, 3:
					entries := make([]driver.Entry, len(order))
					for i, j := range order {
						entries[i] = all[j]
					}
					err = table.Put(ctx, entries)
				case 4, 5:
					some := make([]driver.Key, len(order))
					for i, j := range order {
						some[i] = keys[j]
					}
					_, err = table.Delete(ctx, some)
				case 6:
					_, err = table.Clear(ctx, driver.Filter{State: driver.Expired, Now: far})
				case 7:
					_, err = table.Clear(ctx, driver.Filter{})
				}
				if err != nil {
					t.Errorf("goroutine %d: %v", g, err)
					return
				}
			}
		}()
	}
	wait.Wait()
	for _, s := range stores { // whose sessions report what they have seen
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	waitForNone(t, c, "the sessions end", "SELECT count(*) FROM pg_stat_activity WHERE datname = $1", database)
	var n int
	if err := c.QueryRow(t.Context(), "SELECT deadlocks FROM pg_stat_database WHERE datname = $1", database).Scan(&n); err != nil || n != 0 {
		t.Errorf("%d deadlocks, %v", n, err)
	}
}

// An entry that another transaction is changing is waited for, and counts once.
func TestClearWaitsForWhatOthersHaveLocked(t *testing.T) {
	schema := newSchema(t)
	table := openTable(t, open(t, serverURL(t), &postgres.Options{Schema: schema}))
	entries, _ := trackEntries(2_500)
	if err := table.Put(t.Context(), entries); err != nil {
		t.Fatal(err)
	}
	for _, f := range []driver.Filter{{State: driver.Expired, Now: now.Add(2 * time.Hour)}, {State: driver.Live, Now: now}, {}} {
		if err := table.Put(t.Context(), entries); err != nil {
			t.Fatal(err)
		}
		tx, err := connect(t).Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		// What the other does does not change what the filter says.
		if _, err := tx.Exec(t.Context(), "UPDATE "+schema+".tracks SET name = 'changed' WHERE id IN ('id-000000', 'id-001234')"); err != nil {
			t.Fatal(err)
		}
		done := make(chan int)
		go func() {
			n, err := table.Clear(t.Context(), f)
			if err != nil {
				t.Error(err)
			}
			done <- n
		}()
		select {
		case n := <-done:
			t.Fatalf("%d entries were removed without waiting", n)
		case <-time.After(300 * time.Millisecond):
		}
		if err := tx.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := <-done; n != len(entries) {
			t.Errorf("clear removed %d entries, want %d", n, len(entries))
		}
		if n, err := table.Count(t.Context(), driver.Filter{}); err != nil || n != 0 {
			t.Errorf("%d entries are left, %v", n, err)
		}
	}
}

func TestExpiredEntriesAreClearedInTheBackground(t *testing.T) {
	schema := newSchema(t)
	var cleared atomic.Int64
	var stores []*postgres.Store
	for range 3 { // processes
		stores = append(stores, open(t, serverURL(t), &postgres.Options{Schema: schema, ClearEvery: 20 * time.Millisecond, OnClear: func(table string, n int, err error) {
			if table != "tracks" || err != nil {
				t.Errorf("clearing %q: %v", table, err)
			}
			cleared.Add(int64(n))
		}}))
	}
	var tables []driver.Table
	for _, s := range stores {
		tables = append(tables, openTable(t, s))
	}
	entries, keys := trackEntries(3_000)
	for i := range entries {
		if i%3 > 0 {
			entries[i].ExpiresAt = now.Add(-time.Minute)
		}
	}
	if err := tables[0].Put(t.Context(), entries); err != nil {
		t.Fatal(err)
	}
	waitfor.True(t, "what has expired is cleared", func() bool { return cleared.Load() >= 2_000 })
	if n, err := tables[0].Count(t.Context(), driver.Filter{}); err != nil || n != 1_000 || cleared.Load() != 2_000 {
		t.Errorf("%d entries are left and %d were cleared, %v", n, cleared.Load(), err)
	}
	for _, s := range stores {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	// Nobody clears any more.
	table := openTable(t, open(t, serverURL(t), &postgres.Options{Schema: schema}))
	expired := slices.Clone(entries[1:2])
	if err := table.Put(t.Context(), expired); err != nil {
		t.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond)
	if n, err := table.Delete(t.Context(), keys[1:2]); err != nil || n != 1 {
		t.Errorf("after Close, delete removed %d, %v", n, err)
	}
}

// A reader whose transaction is open, and one that comes, go on reading.
func TestClearBlocksNoReader(t *testing.T) {
	schema := newSchema(t)
	table := openTable(t, open(t, serverURL(t), &postgres.Options{Schema: schema}))
	entries, keys := trackEntries(5_000)
	if err := table.Put(t.Context(), entries); err != nil {
		t.Fatal(err)
	}
	tx, err := connect(t).Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(context.Background())
	var n int
	if err := tx.QueryRow(t.Context(), "SELECT count(*) FROM "+schema+".tracks").Scan(&n); err != nil {
		t.Fatal(err)
	}
	if n, err := table.Clear(t.Context(), driver.Filter{}); err != nil || n != len(entries) {
		t.Errorf("clear removed %d, %v", n, err)
	}
	if err := table.Get(t.Context(), keys, driver.Selection{}, func(int, driver.Entry) { t.Error("an entry is left") }); err != nil {
		t.Error(err)
	}
}

// A table that somebody has made of partitions: what is cleared are the expired
// entries, and not those that stand at the same place of another partition.
func TestPartitionsAreClearedOfWhatTheFilterSays(t *testing.T) {
	schema := newSchema(t)
	c := connect(t)
	openTable(t, open(t, serverURL(t), &postgres.Options{Schema: schema}))
	for _, text := range []string{
		"ALTER TABLE %s.tracks RENAME TO plain",
		"CREATE TABLE %s.tracks (LIKE %[1]s.plain, PRIMARY KEY (id, market, page, explicit)) PARTITION BY HASH (id)",
		"CREATE TABLE %s.one PARTITION OF %[1]s.tracks FOR VALUES WITH (modulus 2, remainder 0)",
		"CREATE TABLE %s.two PARTITION OF %[1]s.tracks FOR VALUES WITH (modulus 2, remainder 1)",
		"CREATE INDEX ON %s.tracks (expires_at)",
	} {
		if _, err := c.Exec(t.Context(), fmt.Sprintf(text, schema)); err != nil {
			t.Fatal(err)
		}
	}
	table := openTable(t, open(t, serverURL(t), &postgres.Options{Schema: schema}))
	entries, _ := trackEntries(3_000)
	for i := range entries {
		if i%3 == 0 {
			entries[i].ExpiresAt = now.Add(-time.Hour)
		}
	}
	for _, state := range []driver.State{driver.Expired, driver.Live, driver.All} {
		if err := table.Put(t.Context(), entries); err != nil {
			t.Fatal(err)
		}
		f := driver.Filter{State: state, Now: now}
		want, err := table.Count(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		n, err := table.Clear(t.Context(), f)
		if err != nil || n != want {
			t.Errorf("clear removed %d entries, want %d, %v", n, want, err)
		}
		if left, err := table.Count(t.Context(), driver.Filter{}); err != nil || left != len(entries)-want {
			t.Errorf("%d entries are left, want %d, %v", left, len(entries)-want, err)
		}
	}
}

// A transaction that began before keeps the index from forgetting what is removed:
// each batch must not read all that the ones before it have removed.
func TestClearGoesOnBesideAnOldTransaction(t *testing.T) {
	schema := newSchema(t)
	s := open(t, serverURL(t), &postgres.Options{Schema: schema})
	table := openTable(t, s)
	entries, _ := trackEntries(10_000)
	for i := range entries {
		entries[i].ExpiresAt = now.Add(-time.Duration(rand.N(int64(time.Hour)))).Truncate(time.Microsecond)
	}
	if err := table.Put(t.Context(), entries); err != nil {
		t.Fatal(err)
	}
	tx, err := connect(t).BeginTx(t.Context(), pgx.TxOptions{IsoLevel: pgx.RepeatableRead})
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(context.Background())
	if _, err := tx.Exec(t.Context(), "SELECT 1"); err != nil {
		t.Fatal(err)
	}
	if n, err := table.Clear(t.Context(), driver.Filter{State: driver.Expired, Now: now}); err != nil || n != len(entries) {
		t.Fatalf("clear removed %d, %v", n, err)
	}
	if err := s.Close(); err != nil { // whose sessions report what they have read
		t.Fatal(err)
	}
	c, read := connect(t), 0
	waitfor.True(t, "the server tells what was read", func() bool {
		err := c.QueryRow(t.Context(), "SELECT idx_tup_read FROM pg_stat_all_indexes WHERE schemaname = $1 AND indexrelname LIKE 'tracks expires_at%'", schema).Scan(&read)
		if err != nil {
			t.Fatal(err)
		}
		return read > 0
	})
	if read > 6*len(entries) {
		t.Errorf("%d entries of the index were read to remove %d", read, len(entries))
	}
}
