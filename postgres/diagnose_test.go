package postgres_test

import (
	"context"
	"net/url"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/tracktest"
	"github.com/endpointcache/endpointcache/postgres"
)

func execute(tb testing.TB, c *pgx.Conn, statements ...string) {
	tb.Helper()
	for _, text := range statements {
		if _, err := c.Exec(tb.Context(), text); err != nil {
			tb.Fatalf("%s: %v", text, err)
		}
	}
}

func TestFindings(t *testing.T) {
	schema := newSchema(t)
	s := open(t, serverURL(t), &postgres.Options{Schema: schema})
	tracktest.WantFinding(t, s, false, "schema", "created with the first table", driver.Good)
	table := openTable(t, s)
	entries, _ := trackEntries(20)
	tracktest.Put(t, table, entries...)
	tracktest.WantFinding(t, s, false, "schema", "may create tables", driver.Good)
	tracktest.WantFinding(t, s, false, "tables", "1, ", driver.Good)
	tracktest.WantFinding(t, s, true, "rows", "20 can be read", driver.Good)
	tracktest.WantFinding(t, s, false, "pooler", "none", driver.Good)
	tracktest.WantFinding(t, s, false, "changes of others", "NOTIFY", driver.Good)
	tracktest.WantFinding(t, s, false, "clock", "agrees", driver.Good)
}

func TestFindingsOfSettings(t *testing.T) {
	schema := newSchema(t)
	s := open(t, serverURL(t), &postgres.Options{Schema: schema, StatementTimeout: 1e9, Unlogged: true})
	openTable(t, s)
	tracktest.WantFinding(t, s, false, "timeouts", "statement 1s", driver.Warning)
	tracktest.WantFinding(t, s, false, "unlogged tables", "1 table", driver.Warning)
	s = open(t, withParameter(t, "default_transaction_read_only", "on"), &postgres.Options{Schema: schema})
	tracktest.WantFinding(t, s, false, "role", "may only read", driver.Warning)
	s = open(t, withParameter(t, "statement_timeout", "1min"), &postgres.Options{Schema: schema})
	tracktest.WantFinding(t, s, false, "timeouts", "statement 1min", driver.Good)
}

func TestFindingsBehindAPooler(t *testing.T) {
	schema := newSchema(t)
	for _, tt := range []struct {
		noPrepare bool
		level     driver.Level
	}{{true, driver.Good}, {false, driver.Warning}} {
		s := open(t, poolerURL(t), &postgres.Options{Schema: schema, NoPrepare: tt.noPrepare})
		tracktest.WantFinding(t, s, false, "pooler", "stands between", tt.level)
		tracktest.WantFinding(t, s, false, "changes of others", "pooler", driver.Warning)
	}
}

func TestFindingsOfPrivileges(t *testing.T) {
	schema, c := newSchema(t), connect(t)
	openTable(t, open(t, serverURL(t), &postgres.Options{Schema: schema}))
	reader := schema + "reader"
	execute(t, c, "CREATE ROLE "+reader+" LOGIN PASSWORD 'secret'", "GRANT USAGE ON SCHEMA "+schema+" TO "+reader)
	t.Cleanup(func() {
		for _, text := range []string{"DROP OWNED BY " + reader, "DROP ROLE " + reader} {
			if _, err := c.Exec(context.Background(), text); err != nil {
				t.Error(err)
			}
		}
	})
	u, err := url.Parse(serverURL(t))
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(reader, "secret")
	s := open(t, u.String(), &postgres.Options{Schema: schema})
	tracktest.WantFinding(t, s, false, "schema", "may not create tables", driver.Warning)
	tracktest.WantFinding(t, s, false, "tables that may not be read", "1 table", driver.Fault)
	execute(t, c, "GRANT SELECT ON ALL TABLES IN SCHEMA "+schema+" TO "+reader)
	tracktest.WantFinding(t, s, true, "tables that may not be written", "1 table", driver.Warning)
	tracktest.WantFinding(t, s, true, "rows", "0 can be read", driver.Good)
	execute(t, c, "REVOKE ALL ON SCHEMA "+schema+" FROM "+reader)
	tracktest.WantFinding(t, s, false, "schema", "may not use", driver.Fault)
}

func TestFindingsOfIndexes(t *testing.T) {
	schema, c := newSchema(t), connect(t)
	s := open(t, serverURL(t), &postgres.Options{Schema: schema})
	openTable(t, s)
	if _, err := c.Exec(t.Context(), "CREATE EXTENSION IF NOT EXISTS amcheck"); err != nil {
		t.Skip("the server has no amcheck: ", err)
	}
	tracktest.WantFinding(t, s, true, "indexes", "as they should be", driver.Good)
}

// What was deleted is dead until it is vacuumed, and no transaction in the database may see
// it any more: other tests have some.
func TestCompactFreesWhatWasDeleted(t *testing.T) {
	s := open(t, withParameter(t, "dbname", newDatabase(t, "")), nil)
	table := openTable(t, s)
	entries, _ := trackEntries(3_000)
	tracktest.Put(t, table, entries...)
	if _, err := table.Clear(t.Context(), driver.Filter{}); err != nil {
		t.Fatal(err)
	}
	freed, err := s.Compact(t.Context())
	if err != nil || freed < 100<<10 {
		t.Errorf("%d bytes were freed, %v", freed, err)
	}
}
