package postgres_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/postgres"
)

var owned = driver.TableSpec{Name: "owned", Key: []driver.Column{
	{Name: "owner", Kind: driver.String}, {Name: "page", Kind: driver.Int}, {Name: "id", Kind: driver.String},
}}

// With statistics or without, entries are found by the index of the primary key. With
// them, pages and batches come in its order; without, what is taken for few is sorted.
func TestLeadingValuesAreSearchedFor(t *testing.T) {
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
	exec("INSERT INTO owned SELECT 'owner ' || i % 100, i, 'id', 200, now(), now() + (i % 7 - 3) * interval '1 hour', '', NULL, NULL, '' FROM generate_series(1, 50000) AS i")
	values := []any{"owner 7", 50, "id"}
	for _, analyzed := range []bool{false, true} {
		if analyzed {
			exec("VACUUM ANALYZE owned")
		}
		for leading := 1; leading <= len(owned.Key); leading++ {
			for _, state := range []driver.State{driver.All, driver.Live, driver.Expired} {
				for name, text := range postgres.LeadingTexts(table, leading, state) {
					args := append([]any(nil), values[:leading]...)
					switch name {
					case "first page":
						args = append(append([]any(nil), values...), args...) // the last key
					case "next page":
						args = append(append([]any(nil), values...), values...) // and the one before
					case "clear":
						args = append([]any{1_000}, args...)
					case "next clear":
						args = append(append([]any{1_000}, args...), values...)
					}
					if state != driver.All && name != "last" {
						args = append(args, time.Now())
					}
					rows, err := c.Query(t.Context(), "EXPLAIN "+text, args...)
					if err != nil {
						t.Fatalf("%s: %v", text, err)
					}
					lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
					if err != nil {
						t.Fatal(err)
					}
					// A batch sorts what it has locked, to tell the last key of it.
					plan, _, _ := strings.Cut(strings.Join(lines, "\n"), "CTE deleted")
					_, plan, found := strings.Cut(plan, "CTE locked")
					if !found {
						plan = strings.Join(lines, "\n")
					}
					if !strings.Contains(plan, "owned key") || strings.Contains(plan, "expires_at~") || strings.Contains(plan, "Seq Scan") || analyzed && strings.Contains(plan, "Sort") {
						t.Errorf("%s by %d values, state %d, analyzed: %v:\n%s\n%s", name, leading, state, analyzed, text, plan)
					}
				}
			}
		}
	}
}

// Nothing is prepared for each of the values.
func TestLeadingValuesPrepareNothing(t *testing.T) {
	schema := newSchema(t)
	pool := newPool(t, pgx.QueryExecModeExec, func(c *pgxpool.Config) { c.MaxConns = 1 })
	s, err := postgres.New(t.Context(), pool, &postgres.Options{Schema: schema})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	table, err := s.OpenTable(t.Context(), owned)
	if err != nil {
		t.Fatal(err)
	}
	prepared := func() (n int) {
		t.Helper()
		if err := pool.QueryRow(t.Context(), "SELECT count(*) FROM pg_prepared_statements").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := prepared()
	for i := range 20 {
		f := driver.Filter{Leading: driver.Key{fmt.Sprint("owner ", i)}}
		if _, err := table.Count(t.Context(), f); err != nil {
			t.Fatal(err)
		}
		for _, err := range table.Entries(t.Context(), driver.Selection{Filter: f}) {
			if err != nil {
				t.Fatal(err)
			}
		}
		if _, err := table.Clear(t.Context(), f); err != nil {
			t.Fatal(err)
		}
	}
	if after := prepared(); after != before {
		t.Errorf("%d statements are prepared, %d before", after, before)
	}
}
