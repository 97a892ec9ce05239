package postgres_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/postgres"
)

func TestWhatIsNoTableOfOursIsLeftAlone(t *testing.T) {
	c := connect(t)
	for _, tt := range []struct{ create, have string }{
		{"CREATE TABLE %s.tracks (id TEXT PRIMARY KEY, title TEXT)", "title"},
		{"CREATE TABLE %s.tracks ()", "no repository's"},
		{"CREATE VIEW %s.tracks AS SELECT 1 AS id", "view"},
		{"CREATE SEQUENCE %s.tracks", "sequence"},
		{`CREATE TABLE %s.tracks (id TEXT, market TEXT COLLATE "C", page BIGINT, explicit BOOLEAN, status INT, cached_at TIMESTAMPTZ, expires_at TIMESTAMPTZ,
			name TEXT, headers JSONB, payload BYTEA, _key BYTEA, PRIMARY KEY (id, market, page, explicit))`, "collation"},
		{`CREATE TABLE %s.tracks (id TEXT COLLATE "C", market TEXT COLLATE "C", page BIGINT, explicit BOOLEAN, status INT, cached_at TIMESTAMPTZ,
			expires_at TIMESTAMPTZ, name TEXT, headers JSONB, payload BYTEA, _key BYTEA)`, "no repository's"},
	} {
		schema := newSchema(t)
		for _, text := range []string{"CREATE SCHEMA " + schema, strings.ReplaceAll(tt.create, "%s", schema)} {
			if _, err := c.Exec(t.Context(), text); err != nil {
				t.Fatal(err)
			}
		}
		s := open(t, serverURL(t), &postgres.Options{Schema: schema})
		_, err := s.OpenTable(t.Context(), tracks)
		var different *driver.SchemaError
		if !errors.As(err, &different) || !strings.Contains(different.Have, tt.have) {
			t.Errorf("%s: %v", tt.create, err)
		}
	}
}

func TestAnotherTypeOfPayloadIsAnotherSchema(t *testing.T) {
	schema := newSchema(t)
	openTable(t, open(t, serverURL(t), &postgres.Options{Schema: schema}))
	s := open(t, serverURL(t), &postgres.Options{Schema: schema, Tables: map[string]postgres.TableOptions{"tracks": {Payload: postgres.JSONB}}})
	_, err := s.OpenTable(t.Context(), tracks)
	if !errors.Is(err, driver.ErrSchema) || !strings.Contains(err.Error(), "payload jsonb") || !strings.Contains(err.Error(), "payload bytea") {
		t.Errorf("the error is %v", err)
	}
}

// As many processes do that start at once. The schema is absent, too.
func TestManyStoresCreateOneTableAtOnce(t *testing.T) {
	schema := newSchema(t)
	var wait sync.WaitGroup
	for range 24 {
		wait.Add(1)
		go func() {
			defer wait.Done()
			s, err := postgres.Open(t.Context(), serverURL(t), &postgres.Options{Schema: schema})
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Close()
			if _, err := s.OpenTable(t.Context(), tracks); err != nil {
				t.Error(err)
			}
		}()
	}
	wait.Wait()
}

// A user who may read and write, but not create, can use a table that is there.
func TestWithoutTheRightToCreate(t *testing.T) {
	c := connect(t)
	schema := newSchema(t)
	table := openTable(t, open(t, serverURL(t), &postgres.Options{Schema: schema}))
	role := schema + "_role"
	for _, text := range []string{
		"CREATE ROLE " + role,
		"GRANT USAGE ON SCHEMA " + schema + " TO " + role,
		"GRANT ALL ON ALL TABLES IN SCHEMA " + schema + " TO " + role,
	} {
		if _, err := c.Exec(t.Context(), text); err != nil {
			t.Skip(err)
		}
	}
	defer c.Exec(context.Background(), "DROP OWNED BY "+role+"; DROP ROLE "+role)
	if err := table.Put(t.Context(), []driver.Entry{track(1)}); err != nil {
		t.Fatal(err)
	}
	as := func(schema string) *postgres.Store {
		return open(t, withParameter(t, "role", role), &postgres.Options{Schema: schema})
	}
	table = openTable(t, as(schema))
	if n, err := table.Delete(t.Context(), []driver.Key{track(1).Key}); err != nil || n != 1 {
		t.Errorf("delete removed %d, %v", n, err)
	}
	albums := tracks
	albums.Name = "albums"
	if _, err := as(schema).OpenTable(t.Context(), albums); err == nil || !strings.Contains(err.Error(), "permission denied for schema") {
		t.Errorf("a table that may not be created: %v", err)
	}
	if _, err := as(newSchema(t)).OpenTable(t.Context(), albums); err == nil || !strings.Contains(err.Error(), "permission denied for database") {
		t.Errorf("a schema that may not be created: %v", err)
	}
}

func TestTablesAreAsTheOptionsSay(t *testing.T) {
	schema := newSchema(t)
	openTable(t, open(t, serverURL(t), &postgres.Options{Schema: schema, TablePrefix: "cache_", Unlogged: true}))
	c := connect(t)
	var persistence string
	var compression *string
	err := c.QueryRow(t.Context(), `SELECT c.relpersistence::text, nullif(to_jsonb(a)->>'attcompression', '') FROM pg_class c
		JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'payload' WHERE c.oid = $1::text::regclass`, schema+".cache_tracks").Scan(&persistence, &compression)
	if err != nil || persistence != "u" {
		t.Fatalf("persistence is %q, %v", persistence, err)
	}
	var lz4 bool
	if err := c.QueryRow(t.Context(), "SELECT coalesce((SELECT 'lz4' = ANY (enumvals) FROM pg_settings WHERE name = 'default_toast_compression'), false)").Scan(&lz4); err != nil {
		t.Fatal(err)
	}
	if lz4 && (compression == nil || *compression != "l") {
		t.Errorf("the server has LZ4, but the payload is compressed by %v", compression)
	}
}

func TestWhatIsNoTableOfOursIsNeitherListedNorDropped(t *testing.T) {
	c := connect(t)
	schema := newSchema(t)
	s := open(t, serverURL(t), &postgres.Options{Schema: schema, TablePrefix: "cache_"})
	openTable(t, s)
	openTable(t, open(t, serverURL(t), &postgres.Options{Schema: schema})) // without the prefix
	names := []string{"titles", "view", "sequence", "part"}
	for _, text := range []string{
		"CREATE TABLE %s.cache_titles (id TEXT PRIMARY KEY, title TEXT)",
		"CREATE VIEW %s.cache_view AS SELECT * FROM %[1]s.cache_tracks",
		"CREATE SEQUENCE %s.cache_sequence",
		"CREATE TABLE %s.cache_parts (LIKE %[1]s.cache_tracks, PRIMARY KEY (id, market, page, explicit)) PARTITION BY HASH (id)",
		"CREATE TABLE %s.cache_part PARTITION OF %[1]s.cache_parts FOR VALUES WITH (modulus 1, remainder 0)",
	} {
		if _, err := c.Exec(t.Context(), strings.ReplaceAll(strings.ReplaceAll(text, "%[1]s", schema), "%s", schema)); err != nil {
			t.Fatal(err)
		}
	}
	specs, err := s.Tables(t.Context())
	if err != nil || len(specs) != 2 || specs[0].Name != "parts" || specs[1].Name != "tracks" {
		t.Errorf("the tables are %v, %v", specs, err)
	}
	for _, name := range names {
		var different *driver.SchemaError
		if err := s.DropTable(t.Context(), name); !errors.As(err, &different) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := c.Exec(t.Context(), "DROP VIEW "+schema+".cache_view"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"parts", "tracks"} {
		if err := s.DropTable(t.Context(), name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if specs, err := s.Tables(t.Context()); err != nil || len(specs) != 0 {
		t.Errorf("the tables are %v, %v", specs, err)
	}
}

// A table of another key may take the place of one, on connections that have prepared
// statements for it.
func TestATableOfAnotherKeyTakesThePlaceOfOne(t *testing.T) {
	s := open(t, serverURL(t)+"&pool_max_conns=1", &postgres.Options{Schema: newSchema(t)})
	for _, value := range []driver.Value{"a", int64(1), true} {
		kind := map[driver.Value]driver.Kind{"a": driver.String, int64(1): driver.Int, true: driver.Bool}[value]
		table, err := s.OpenTable(t.Context(), driver.TableSpec{Name: "tracks", Key: []driver.Column{{Name: "id", Kind: kind}}})
		if err != nil {
			t.Fatal(err)
		}
		e := track(1)
		e.Key = driver.Key{value}
		for range 2 {
			if err := table.Put(t.Context(), []driver.Entry{e}); err != nil {
				t.Fatal(err)
			}
			found := false
			err := table.Get(t.Context(), []driver.Key{e.Key}, driver.Selection{Parts: driver.Payload}, func(int, driver.Entry) { found = true })
			if err != nil || !found {
				t.Errorf("%v: found is %v, %v", value, found, err)
			}
		}
		if err := s.DropTable(t.Context(), "tracks"); err != nil {
			t.Fatal(err)
		}
	}
}
