package postgres_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/postgres"
)

// firstLayout is a table as the first version has created it, with an entry that is
// whole, one that never expires, and one whose payload is no text.
const firstLayout = `
CREATE SCHEMA %[1]s;
CREATE TABLE %[1]s.tracks (
  "id" text COLLATE "C" NOT NULL, "market" text COLLATE "C" NOT NULL, "page" bigint NOT NULL, "explicit" boolean NOT NULL,
  status integer NOT NULL, cached_at timestamp with time zone NOT NULL, expires_at timestamp with time zone NOT NULL,
  name text NOT NULL, headers jsonb, _key bytea, %[2]s,
  CONSTRAINT "tracks key" PRIMARY KEY ("id", "market", "page", "explicit")
) WITH (toast_tuple_target = 4080);
CREATE INDEX ON %[1]s.tracks (expires_at);
INSERT INTO %[1]s.tracks VALUES
  ('a', 'DE', 1, true, 200, '2026-01-02 03:04:05.000006Z', '2126-01-01Z', 'one', '{"Etag": ["1"]}', NULL, %[3]s),
  ('b', 'DE', 1, true, 404, '2026-01-03Z', 'infinity', '', NULL, NULL, %[3]s),
  ('c', 'DE', 1, true, 200, '2026-01-04Z', '2126-01-01Z', '\xff', NULL, NULL, %[4]s)`

func TestTablesOfEarlierVersionsAreUpgraded(t *testing.T) {
	for _, tt := range []struct {
		payload           postgres.PayloadType
		column, text, raw string
	}{
		{postgres.Bytea, "payload bytea NOT NULL", `'{"n":1}'`, `'\xff00'`},
		{postgres.Text, "payload text, _bytes bytea", `'{"n":1}', NULL`, `NULL, '\xff00'`},
		{postgres.JSONB, "payload jsonb, _bytes bytea NOT NULL", `'{"n":1}', '{"n":1}'`, `NULL, '\xff00'`},
	} {
		t.Run(tt.payload.String(), func(t *testing.T) {
			schema := newSchema(t)
			if _, err := connect(t).Exec(t.Context(), fmt.Sprintf(firstLayout, schema, tt.column, tt.text, tt.raw)); err != nil {
				t.Fatal(err)
			}
			opts := &postgres.Options{Schema: schema, Tables: map[string]postgres.TableOptions{"tracks": {Payload: tt.payload}}}
			s := open(t, serverURL(t), opts)
			if specs, err := s.Tables(t.Context()); err != nil || len(specs) != 1 || specs[0].KeyString() != tracks.KeyString() {
				t.Errorf("before, the tables are %v, %v", specs, err)
			}
			var stores []*postgres.Store // of processes that start at once
			for range 8 {
				stores = append(stores, open(t, serverURL(t), opts))
			}
			used := time.Now().UTC().Truncate(time.Microsecond)
			var wait sync.WaitGroup
			for i, s := range stores {
				wait.Go(func() {
					table, err := s.OpenTable(t.Context(), tracks)
					if err != nil {
						t.Error(err)
						return
					}
					// Who comes later does not undo what was recorded meanwhile.
					if err := table.Use(t.Context(), []driver.Key{{"c", "DE", int64(1), true}}, used); err != nil {
						t.Error(err)
					}
					if err := table.Put(t.Context(), []driver.Entry{track(i)}); err != nil {
						t.Error(err)
					}
				})
			}
			wait.Wait()
			table := openTable(t, s)
			sel := driver.Selection{Parts: driver.Payload | driver.Meta | driver.Usage}
			sel.Leading = driver.Key{"a"}
			a := only(t, table, sel)
			at := time.Date(2026, 1, 2, 3, 4, 5, 6_000, time.UTC)
			if a.Status != 200 || a.Name != "one" || string(a.Payload) != `{"n":1}` || !strings.Contains(a.Header, "Etag") || !a.CachedAt.Equal(at) || !a.UsedAt.Equal(at) {
				t.Errorf("the first entry is %+v", a)
			}
			if a.Encoding != "" || a.PayloadSum != 0 || a.MetaSum != 0 || a.Size < int64(len(a.Payload)+len(a.Name)) || a.Size > 500 {
				t.Errorf("the first entry is %+v", a)
			}
			sel.Leading = driver.Key{"b"}
			if b := only(t, table, sel); b.Status != 404 || !b.ExpiresAt.IsZero() || !b.UsedAt.Equal(b.CachedAt) {
				t.Errorf("the second entry is %+v", b)
			}
			sel.Leading = driver.Key{"c"}
			if c := only(t, table, sel); c.Name != "\xff" || string(c.Payload) != "\xff\x00" || !c.UsedAt.Equal(used) {
				t.Errorf("the third entry is %+v", c)
			}
			if n, err := table.Count(t.Context(), driver.Filter{}); err != nil || n != 3+len(stores) {
				t.Errorf("%d entries, %v", n, err)
			}
			page, err := table.List(t.Context(), driver.Listing{Order: driver.ByUsed, Limit: 2})
			if err != nil || len(page) != 2 || page[0].Key[0] != "a" || page[1].Key[0] != "b" {
				t.Errorf("the entries that were used first are %v, %v", page, err)
			}
		})
	}
}

// Whoever opens a table while another drops it has the one or a new one.
func TestATableThatIsDroppedWhileItIsUpgraded(t *testing.T) {
	schema := newSchema(t)
	c := connect(t)
	if _, err := c.Exec(t.Context(), fmt.Sprintf(firstLayout, schema, "payload bytea NOT NULL", "''", "''")); err != nil {
		t.Fatal(err)
	}
	tx, err := connect(t).Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "DROP TABLE "+schema+".tracks"); err != nil {
		t.Fatal(err)
	}
	s := open(t, serverURL(t), &postgres.Options{Schema: schema})
	opened := make(chan error, 1)
	go func() {
		table, err := s.OpenTable(t.Context(), tracks)
		if err == nil {
			err = table.Put(t.Context(), []driver.Entry{track(1)})
		}
		opened <- err
	}()
	waitfor.True(t, "the upgrade waits", func() bool {
		var waits bool
		err := c.QueryRow(t.Context(), "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = to_regclass($1))", schema+".tracks").Scan(&waits)
		return err == nil && waits
	})
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := waitfor.Receive(t, "the table is opened", opened); err != nil {
		t.Error(err)
	}
}

// Programs of an earlier version go on saving to a table that was upgraded.
func TestEarlierVersionsSaveToAnUpgradedTable(t *testing.T) {
	schema := newSchema(t)
	table := openTable(t, open(t, serverURL(t), &postgres.Options{Schema: schema}))
	_, err := connect(t).Exec(t.Context(), "INSERT INTO "+schema+`.tracks (id, market, page, explicit, status, cached_at, expires_at, name, headers, payload)
		VALUES ('a', 'DE', 1, true, 200, now(), 'infinity', 'one', NULL, '{}')`)
	if err != nil {
		t.Fatal(err)
	}
	e := only(t, table, driver.Selection{Parts: driver.Payload | driver.Meta | driver.Usage})
	if string(e.Payload) != "{}" || e.PayloadSum != 0 || e.MetaSum != 0 || time.Since(e.UsedAt).Abs() > time.Hour {
		t.Errorf("the entry is %+v", e)
	}
}

// only returns the one entry that sel selects.
func only(t *testing.T, table driver.Table, sel driver.Selection) (found driver.Entry) {
	t.Helper()
	n := 0
	for e, err := range table.Entries(t.Context(), sel) {
		if err != nil {
			t.Fatal(err)
		}
		found = e
		n++
	}
	if n != 1 {
		t.Errorf("%v selects %d entries", sel, n)
	}
	return found
}
