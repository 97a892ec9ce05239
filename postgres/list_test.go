package postgres_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/postgres"
)

var listOrders = []driver.Order{driver.ByKey, driver.ByName, driver.ByCached, driver.ByUsed, driver.ByExpiry, driver.BySize}

// explain returns the server's plan of a statement.
func explain(t *testing.T, c *pgx.Conn, text string, args ...any) string {
	t.Helper()
	rows, err := c.Query(t.Context(), "EXPLAIN "+text, args...)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}

// With statistics or without, a page is read along the index of its order, wherever it
// begins and whatever else is asked of entries.
func TestListingsGoAlongAnIndex(t *testing.T) {
	schema := newSchema(t)
	table, err := open(t, serverURL(t), &postgres.Options{Schema: schema}).OpenTable(t.Context(), owned)
	if err != nil {
		t.Fatal(err)
	}
	c := connect(t)
	exec := func(text string) {
		t.Helper()
		if _, err := c.Exec(t.Context(), strings.ReplaceAll(text, "owned", schema+".owned")); err != nil {
			t.Fatal(err)
		}
	}
	exec("ALTER TABLE owned SET (autovacuum_enabled = false)")
	exec(`INSERT INTO owned SELECT 'owner ' || i % 100, i, 'id', 200 + i % 5, now() + i * interval '1s', now() + (i % 7 - 3) * interval '1 hour', 'name ' || i % 1000, NULL, NULL, decode(repeat('ab', 300), 'hex'), '', 0, 0,
		now() + i * interval '1s', i FROM generate_series(1, 50000) AS i`)
	after := driver.Entry{Key: driver.Key{"owner 5", int64(25_000), "id"}, Name: "name 500", CachedAt: now, UsedAt: now, Size: 25_000}
	for _, order := range listOrders {
		if _, err := table.List(t.Context(), driver.Listing{Order: order, Limit: 1}); err != nil {
			t.Fatal(err)
		}
	}
	for _, analyzed := range []bool{false, true} {
		if analyzed {
			exec("VACUUM ANALYZE owned")
		}
		for _, order := range listOrders {
			for _, descending := range []bool{false, true} {
				for _, from := range []*driver.Entry{nil, &after} {
					for _, f := range []driver.Filter{
						{}, {State: driver.Live, Now: now}, {State: driver.Expired, Now: now},
						{Where: driver.Where{MinStatus: 201, MaxStatus: 299, NamePrefix: "name", Prefix: "own"}},
						{State: driver.Live, Now: now, Where: driver.Where{CachedFrom: now, UsedBefore: now.Add(24 * time.Hour)}},
					} {
						after.ExpiresAt = now.Add(map[driver.State]time.Duration{driver.Live: time.Hour, driver.Expired: -time.Hour}[f.State])
						l := driver.Listing{Selection: driver.Selection{Filter: f, Parts: driver.Payload}, Order: order, Descending: descending, After: from, Limit: 20}
						text, values := postgres.ListText(table, l)
						rows := c.PgConn().ExecParams(t.Context(), "EXPLAIN "+text, values, nil, []int16{1}, nil).Read()
						if rows.Err != nil {
							t.Fatalf("%s: %v", text, rows.Err)
						}
						var plan strings.Builder
						for _, row := range rows.Rows {
							plan.Write(append(row[0], '\n'))
						}
						index := map[driver.Order]string{driver.ByKey: "owned key~", driver.ByName: "owned by name", driver.ByCached: "owned by cached_at", driver.ByUsed: "owned by _used_at",
							driver.ByExpiry: "owned by expires_at", driver.BySize: "owned by _size"}[order]
						if !strings.Contains(plan.String(), index) || strings.Contains(plan.String(), "Sort") || from != nil && !strings.Contains(plan.String(), "(ROW(") ||
							order == driver.ByName && f.Where.NamePrefix != "" && !strings.Contains(plan.String(), "Index Cond") {
							t.Errorf("order %d, descending: %v, analyzed: %v:\n%s\n%s", order, descending, analyzed, text, plan.String())
						}
					}
				}
			}
		}
	}
	if plan := explain(t, c, postgres.SizeText(table)); !strings.Contains(plan, "Index Only Scan") {
		t.Errorf("the size is reckoned by\n%s", plan)
	}
}

// As many processes do that list at once what nobody has listed before.
func TestManyStoresMakeOneIndexAtOnce(t *testing.T) {
	schema := newSchema(t)
	entries, _ := trackEntries(500)
	if err := openTable(t, open(t, serverURL(t), &postgres.Options{Schema: schema})).Put(t.Context(), entries); err != nil {
		t.Fatal(err)
	}
	var tables []driver.Table
	for range 6 {
		tables = append(tables, openTable(t, open(t, serverURL(t), &postgres.Options{Schema: schema})))
	}
	var all sync.WaitGroup
	for i := range 12 {
		all.Go(func() {
			page, err := tables[i/2].List(t.Context(), driver.Listing{Order: driver.ByUsed, Limit: 10})
			if err != nil || len(page) != 10 {
				t.Errorf("%d entries, %v", len(page), err)
			}
		})
	}
	all.Wait()
	wantIndex(t, schema)
}

// wantIndex fails the test unless there is one complete index of uses.
func wantIndex(t *testing.T, schema string) {
	t.Helper()
	var valid, invalid int
	err := connect(t).QueryRow(t.Context(), `SELECT count(*) FILTER (WHERE indisvalid), count(*) FILTER (WHERE NOT indisvalid) FROM pg_index JOIN pg_class ON indexrelid = oid
		WHERE relnamespace = $1::text::regnamespace AND relname LIKE 'tracks by \_used\_at%'`, schema).Scan(&valid, &invalid)
	if err != nil || valid != 1 || invalid != 0 {
		t.Errorf("%d indexes, %d of which not complete, %v", valid+invalid, invalid, err)
	}
}

// A process that ends while it makes an index leaves one that nobody can use.
func TestAnIndexThatIsNotCompleteIsMadeAnew(t *testing.T) {
	schema := newSchema(t)
	s := open(t, serverURL(t), &postgres.Options{Schema: schema})
	table := openTable(t, s)
	entries, _ := trackEntries(100)
	if err := table.Put(t.Context(), entries); err != nil {
		t.Fatal(err)
	}
	c := connect(t)
	tx, err := c.Begin(t.Context()) // which whoever makes an index waits for
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "UPDATE "+schema+".tracks SET status = status WHERE page = 1"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error)
	listing := driver.Listing{Order: driver.ByUsed, Limit: 10}
	go func() {
		_, err := table.List(ctx, listing)
		ended <- err
	}()
	second := connect(t)
	waitfor.True(t, "the index is begun", func() bool {
		var begun bool
		err := second.QueryRow(t.Context(), "SELECT EXISTS (SELECT FROM pg_class WHERE relnamespace = $1::text::regnamespace AND relname LIKE 'tracks by \\_used\\_at%')", schema).Scan(&begun)
		if err != nil {
			t.Fatal(err)
		}
		return begun
	})
	cancel()
	if err := <-ended; err == nil {
		t.Error("a listing whose context is done goes on")
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if page, err := table.List(t.Context(), listing); err != nil || len(page) != 10 {
			t.Errorf("%d entries, %v", len(page), err)
		}
	}
	wantIndex(t, schema)
}

// A server lets go of the table before it commits that an index is complete.
func TestAnIndexThatIsCompleteOnlyNowIsKept(t *testing.T) {
	schema := newSchema(t)
	opts := &postgres.Options{Schema: schema}
	entries, _ := trackEntries(100)
	first := openTable(t, open(t, serverURL(t), opts))
	if err := first.Put(t.Context(), entries); err != nil {
		t.Fatal(err)
	}
	listing := driver.Listing{Order: driver.ByUsed, Limit: 10}
	if _, err := first.List(t.Context(), listing); err != nil {
		t.Fatal(err)
	}
	tx, second := beginIncomplete(t, schema), connect(t)
	ended := make(chan error, 1)
	go func() {
		page, err := openTable(t, open(t, serverURL(t), opts)).List(t.Context(), listing)
		if err == nil && len(page) != 10 {
			err = fmt.Errorf("%d entries", len(page))
		}
		ended <- err
	}()
	waitForWaiting(t, second, "DROP INDEX", schema)
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := waitfor.Receive(t, "the listing ends", ended); err != nil {
		t.Error(err)
	}
	wantIndex(t, schema)
}

// The table of an index that is complete only now can be dropped.
func TestATableIsDroppedWhoseIndexIsCompleteOnlyNow(t *testing.T) {
	schema := newSchema(t)
	s := open(t, serverURL(t), &postgres.Options{Schema: schema})
	if _, err := openTable(t, s).List(t.Context(), driver.Listing{Order: driver.ByUsed, Limit: 10}); err != nil {
		t.Fatal(err)
	}
	tx, second := beginIncomplete(t, schema), connect(t)
	dropped := make(chan error, 1)
	go func() { dropped <- s.DropTable(t.Context(), "tracks") }()
	waitForWaiting(t, second, "DROP TABLE IF EXISTS", schema)
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := waitfor.Receive(t, "the table is dropped", dropped); err != nil {
		t.Error(err)
	}
	if specs, err := s.Tables(t.Context()); err != nil || len(specs) > 0 {
		t.Errorf("the tables are %v, %v", specs, err)
	}
}

// waitForWaiting waits until a statement on what is in a schema waits for a transaction.
func waitForWaiting(t *testing.T, c *pgx.Conn, statement, schema string) {
	t.Helper()
	waitfor.True(t, statement+" waits for a transaction", func() bool {
		var waits bool
		err := c.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_stat_activity JOIN pg_locks USING (pid)
			WHERE locktype = 'transactionid' AND NOT granted AND starts_with(query, $1))`, statement+` "`+schema+`"`).Scan(&waits)
		return err == nil && waits
	})
}

// beginIncomplete makes the index of uses incomplete, and begins a transaction that completes it.
func beginIncomplete(t *testing.T, schema string) pgx.Tx {
	t.Helper()
	c := connect(t)
	const set = `UPDATE pg_index SET indisvalid = $2 FROM pg_class WHERE indexrelid = oid AND relnamespace = $1::text::regnamespace AND relname LIKE 'tracks by \_used\_at%'`
	if tag, err := c.Exec(t.Context(), set, schema, false); err != nil || tag.RowsAffected() != 1 {
		t.Fatal(tag, err)
	}
	tx, err := c.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), set, schema, true); err != nil {
		t.Fatal(err)
	}
	return tx
}

// Who may not make an index lists as well, and so does who reads a table of partitions.
func TestListingsWithoutAnIndex(t *testing.T) {
	entries, _ := trackEntries(50)
	want := func(t *testing.T, table driver.Table) {
		t.Helper()
		for _, order := range listOrders {
			l := driver.Listing{Order: order, Limit: 30}
			var all []driver.Entry
			for {
				page, err := table.List(t.Context(), l)
				if err != nil {
					t.Fatalf("order %d: %v", order, err)
				}
				if len(page) == 0 {
					break
				}
				all = append(all, page...)
				l.After = &page[len(page)-1]
			}
			if len(all) != len(entries) || !slices.IsSortedFunc(all, l.Compare) {
				t.Errorf("order %d: %d entries", order, len(all))
			}
		}
	}
	t.Run("as a reader", func(t *testing.T) {
		schema := newSchema(t)
		if err := openTable(t, open(t, serverURL(t), &postgres.Options{Schema: schema})).Put(t.Context(), entries); err != nil {
			t.Fatal(err)
		}
		want(t, openTable(t, open(t, withParameter(t, "default_transaction_read_only", "on"), &postgres.Options{Schema: schema})))
	})
	t.Run("of partitions", func(t *testing.T) {
		schema := newSchema(t)
		openTable(t, open(t, serverURL(t), &postgres.Options{Schema: schema}))
		c := connect(t)
		for _, text := range []string{
			"ALTER TABLE %s.tracks RENAME TO plain",
			"CREATE TABLE %s.tracks (LIKE %[1]s.plain, PRIMARY KEY (id, market, page, explicit)) PARTITION BY HASH (id)",
			"CREATE TABLE %s.one PARTITION OF %[1]s.tracks FOR VALUES WITH (modulus 1, remainder 0)",
		} {
			if _, err := c.Exec(t.Context(), fmt.Sprintf(text, schema)); err != nil {
				t.Fatal(err)
			}
		}
		s := open(t, serverURL(t), &postgres.Options{Schema: schema})
		table := openTable(t, s)
		if err := table.Put(t.Context(), entries); err != nil {
			t.Fatal(err)
		}
		want(t, table)
		specs, err := s.Tables(t.Context())
		if err != nil || len(specs) != 2 || specs[1].Name != "tracks" { // and the one that it was before
			t.Errorf("the tables are %v, %v", specs, err)
		}
	})
}
