package postgres_test

import (
	"context"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/postgres"
)

// trips counts how often a connection begins to send after it has received. Where a server
// is slow to take what is sent, pgx reads meanwhile, on another goroutine.
type trips struct {
	net.Conn
	n         *atomic.Int64
	receiving atomic.Bool
}

func (c *trips) Write(b []byte) (int, error) {
	if c.receiving.CompareAndSwap(true, false) {
		c.n.Add(1)
	}
	return c.Conn.Write(b)
}

func (c *trips) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.receiving.Store(true)
	}
	return n, err
}

func TestBulkTakesFewRoundTrips(t *testing.T) {
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeCacheStatement, pgx.QueryExecModeExec} {
		t.Run(mode.String(), func(t *testing.T) {
			var n atomic.Int64
			pool := newPool(t, mode, func(c *pgxpool.Config) {
				c.MaxConns = 1
				c.ConnConfig.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
					inner, err := new(net.Dialer).DialContext(ctx, network, address)
					return &trips{Conn: inner, n: &n}, err
				}
				c.ShouldPing = func(context.Context, pgxpool.ShouldPingParams) bool { return false }
			})
			s, err := postgres.New(t.Context(), pool, &postgres.Options{Schema: newSchema(t)})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			table := openTable(t, s)
			entries, keys := trackEntries(3_000)
			sel := driver.Selection{Parts: driver.Payload | driver.Meta}
			get := func(n int) func() error {
				return func() error { return table.Get(t.Context(), keys[:n], sel, func(int, driver.Entry) {}) }
			}
			put := func(n int) func() error { return func() error { return table.Put(t.Context(), entries[:n]) } }
			remove := func(n int) func() error {
				return func() error {
					_, err := table.Delete(t.Context(), keys[:n])
					return err
				}
			}
			putIf := func(n int) func() error {
				return func() error {
					_, err := table.PutIf(t.Context(), entries[:n], driver.Condition{If: driver.IfNewer})
					return err
				}
			}
			putIfUnchanged := func(n int) func() error {
				return func() error {
					stored, err := table.PutIf(t.Context(), entries[:n], driver.Condition{If: driver.IfUnchanged})
					if slices.Contains(stored, false) {
						t.Errorf("of %d entries not all were stored", n)
					}
					return err
				}
			}
			renew := func(n int) func() error {
				return func() error {
					renewals := make([]driver.Renewal, n)
					for i, e := range entries[:n] {
						renewals[i] = driver.Renewal{Key: e.Key, Seen: e.CachedAt, Header: e.Header, CachedAt: e.CachedAt, ExpiresAt: e.ExpiresAt}
					}
					renewed, err := table.Renew(t.Context(), renewals)
					if slices.Contains(renewed, false) {
						t.Errorf("of %d entries not all were renewed", n)
					}
					return err
				}
			}
			for _, op := range []struct {
				name string
				most int64
				do   func() error
			}{
				{"put 1 if newer", 1, putIf(1)}, {"put 1000 if newer", 1, putIf(1_000)}, {"put 3000 if newer", 3, putIf(3_000)},
				{"put 1 if unchanged", 1, putIfUnchanged(1)}, {"put 3000 if unchanged", 3, putIfUnchanged(3_000)},
				{"renew 1", 1, renew(1)}, {"renew 1000", 1, renew(1_000)}, {"renew 3000", 3, renew(3_000)},
				{"put 1", 1, put(1)}, {"put 1000", 1, put(1_000)}, {"put 3000", 3, put(3_000)},
				{"get 1", 1, get(1)}, {"get 1000", 1, get(1_000)}, {"get 3000", 3, get(3_000)},
				{"delete 1", 1, remove(1)}, {"delete 3000", 1, remove(3_000)},
				{"pop", 1, func() error {
					_, _, err := table.Pop(t.Context(), keys[0], driver.Filter{})
					return err
				}},
				{"count", 1, func() error {
					_, err := table.Count(t.Context(), driver.Filter{})
					return err
				}},
				{"clear", 1, func() error {
					_, err := table.Clear(t.Context(), driver.Filter{State: driver.Expired, Now: now.Add(time.Minute)})
					return err
				}},
				{"iterate", 8, func() error { // the last key, six full pages, an empty one
					if err := table.Put(t.Context(), entries); err != nil {
						return err
					}
					n.Store(0)
					for _, err := range table.Entries(t.Context(), sel) {
						if err != nil {
							return err
						}
					}
					return nil
				}},
			} {
				var got []int64
				for range 3 { // statements are prepared once
					n.Store(0)
					if err := op.do(); err != nil {
						t.Fatalf("%s: %v", op.name, err)
					}
					got = append(got, n.Load())
				}
				if slices.Min(got) > op.most || slices.Min(got) < 1 {
					t.Errorf("%s takes %d round trips, want %d at most", op.name, slices.Min(got), op.most)
				}
			}
		})
	}
}

// inNoOrder are steps of a plan that lose the order of the keys.
var inNoOrder = regexp.MustCompile("Seq Scan|Bitmap|Backward|Hash|Merge|Materialize|Sort")

// Whatever the planner knows about the table, rows are locked in the order of the
// keys.
func TestRowsAreChangedInTheOrderOfTheKeys(t *testing.T) {
	schema := newSchema(t)
	s := open(t, serverURL(t), &postgres.Options{Schema: schema})
	table := openTable(t, s)
	c := connect(t)
	entries, keys := trackEntries(3_000)
	for _, setting := range []string{"hashjoin", "mergejoin", "seqscan", "bitmapscan", "material"} {
		if _, err := c.Exec(t.Context(), "SET enable_"+setting+" = off"); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range []int{0, 1, 30, 3_000} {
		if err := table.Put(t.Context(), entries[:n]); err != nil {
			t.Fatal(err)
		}
		for _, analyze := range []bool{false, true} {
			if analyze {
				if _, err := c.Exec(t.Context(), "ANALYZE "+schema+".tracks"); err != nil {
					t.Fatal(err)
				}
			}
			ids, markets, pages, explicits := []string{}, []string{}, []int64{}, []bool{}
			for _, k := range keys[:max(2, n)] {
				ids, markets = append(ids, k[0].(string)), append(markets, k[1].(string))
				pages, explicits = append(pages, k[2].(int64)), append(explicits, k[3].(bool))
			}
			times, headers, sums := make([]time.Time, len(ids)), make([]*string, len(ids)), make([]int32, len(ids))
			names, payloads := make([]string, len(ids)), make([][]byte, len(ids))
			for _, text := range []string{postgres.DeleteText(table), postgres.RenewText(table), postgres.PutIfUnchangedText(table), postgres.UseText(table)} {
				args := []any{ids, markets, pages, explicits}
				switch text {
				case postgres.UseText(table):
					args = append(args, now)
				case postgres.RenewText(table):
					args = append(args, times, times, times, headers, sums)
				case postgres.PutIfUnchangedText(table):
					args = append(args, sums, times, times, names, headers, payloads, names, sums, sums, times, sums, payloads)
				}
				rows, err := c.Query(t.Context(), "EXPLAIN "+text, args...)
				if err != nil {
					t.Fatal(err)
				}
				lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
				if err != nil {
					t.Fatal(err)
				}
				plan := strings.Join(lines, "\n")
				if !strings.Contains(plan, `Index Scan using "tracks key`) || inNoOrder.MatchString(plan) {
					t.Errorf("%d rows, analyzed: %v:\n%s", n, analyze, plan)
				}
			}
		}
	}
}

// A plan that was made for an empty table reads all of it. It does not last, though
// nobody gathers statistics.
func TestAPlanForAnEmptyTableDoesNotLast(t *testing.T) {
	t.Parallel() // it waits most of the time
	schema := newSchema(t)
	pool := newPool(t, pgx.QueryExecModeCacheStatement, func(c *pgxpool.Config) { c.MaxConns = 1 })
	s, err := postgres.New(t.Context(), pool, &postgres.Options{Schema: schema})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	table := openTable(t, s)
	c := connect(t)
	exec := func(text string) {
		t.Helper()
		if _, err := c.Exec(t.Context(), strings.ReplaceAll(text, "tracks", schema+".tracks")); err != nil {
			t.Fatal(err)
		}
	}
	get := func(n int) {
		t.Helper()
		for i := range n {
			if err := table.Get(t.Context(), []driver.Key{track(i).Key}, driver.Selection{}, func(int, driver.Entry) {}); err != nil {
				t.Fatal(err)
			}
		}
	}
	exec("ALTER TABLE tracks SET (autovacuum_enabled = false)")
	exec("VACUUM tracks")
	get(20)
	exec("INSERT INTO tracks SELECT 'id-' || i, 'DE', 1, true, 200, now(), 'infinity', '', NULL, NULL, '' FROM generate_series(1, 100000) AS i")
	time.Sleep(2500 * time.Millisecond)
	get(100)
	pool.Reset() // sessions that end report what they have done
	var whole, byKey int
	waitfor.True(t, "the server tells how all gets were done", func() bool {
		if err := c.QueryRow(t.Context(), "SELECT seq_scan, idx_scan FROM pg_stat_all_tables WHERE schemaname = $1", schema).Scan(&whole, &byKey); err != nil {
			t.Fatal(err)
		}
		return whole+byKey >= 120
	})
	if byKey < 60 {
		t.Errorf("of 120 gets %d have read the whole table, %d have used the index", whole, byKey)
	}
}

// A table that has just been filled is read page by page along its key, not sorted for
// each page.
func TestPagesAreNotSortedWithoutStatistics(t *testing.T) {
	schema := newSchema(t)
	s := open(t, serverURL(t), &postgres.Options{Schema: schema})
	for _, kind := range []driver.Kind{driver.String, driver.Int} {
		name := "keyed_by_" + kind.String()
		table, err := s.OpenTable(t.Context(), driver.TableSpec{Name: name, Key: []driver.Column{{Name: "id", Kind: kind}}})
		if err != nil {
			t.Fatal(err)
		}
		c := connect(t)
		for _, text := range []string{
			"ALTER TABLE %s SET (autovacuum_enabled = false)",
			"INSERT INTO %s SELECT i, 200, now(), 'infinity', '', NULL, NULL, '' FROM generate_series(100001, 200000) AS i",
		} {
			if _, err := c.Exec(t.Context(), fmt.Sprintf(text, schema+"."+name)); err != nil {
				t.Fatal(err)
			}
		}
		var first, last any = "100500", "199999"
		if kind == driver.Int {
			first, last = 100_500, 199_999
		}
		rows, err := c.Query(t.Context(), "EXPLAIN "+postgres.PageText(table), last, first)
		if err != nil {
			t.Fatal(err)
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		if plan := strings.Join(lines, "\n"); inNoOrder.MatchString(plan) {
			t.Errorf("%s:\n%s", name, plan)
		}
	}
}
