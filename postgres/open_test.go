package postgres_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/postgres"
)

func TestOpenChecksItsOptions(t *testing.T) {
	for reason, opts := range map[string]postgres.Options{
		"Schema":           {Schema: strings.Repeat("x", 64)},
		"no text":          {TablePrefix: "\x00"},
		"StatementTimeout": {StatementTimeout: time.Microsecond},
		"negative":         {ClearEvery: -1},
		"OnClear":          {OnClear: func(string, int, error) {}},
		"Tables[\"a\"]":    {Tables: map[string]postgres.TableOptions{"a": {Payload: 3}}},
	} {
		// Nothing is connected to.
		if _, err := postgres.Open(t.Context(), "postgres://nowhere.invalid/x", &opts); err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("the error is %v, want one that tells %q", err, reason)
		}
	}
	if _, err := postgres.New(t.Context(), nil, nil); err == nil {
		t.Error("a nil pool is no error")
	}
	pool, err := pgxpool.New(t.Context(), "postgres://nowhere.invalid/x")
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if _, err := postgres.New(t.Context(), pool, &postgres.Options{ApplicationName: "a"}); err == nil || !strings.Contains(err.Error(), "ApplicationName") {
		t.Errorf("a setting that New cannot make: %v", err)
	}
}

func TestNoErrorTellsThePassword(t *testing.T) {
	const secret = "s3cr3t"
	for _, text := range []string{
		"postgres://user:" + secret + "@127.0.0.1:1/db",
		"postgres://user:" + secret + "@127.0.0.1:99999999/db",
		"postgres://user:" + secret + "@host:port/db",
		"postgres://user:" + secret + "%zz@127.0.0.1/db",
		"postgres://user:" + secret + "@127.0.0.1/db?sslmode=odd",
		"postgres://user:" + secret + "@127.0.0.1/db?pool_max_conns=odd",
		"postgres://127.0.0.1:1/db?user=user&password=" + secret,
		"postgres://127.0.0.1/db?password=" + secret + "&sslmode=odd",
		"postgres://127.0.0.1 /db?password=" + secret,
		"host=127.0.0.1 port=1 user=user password=" + secret,
		"host=127.0.0.1 port=odd user=user password=" + secret,
		"host=127.0.0.1 port=1 password='" + secret + "' sslmode=odd",
		"host=127.0.0.1 port=1 password = '" + secret,
		"host=127.0.0.1 port=1 password = " + secret + ` x\`,
		secret,
		"postgres://user:" + secret + "`: x@127.0.0.1:y/db",
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		_, err := postgres.Open(ctx, text, nil)
		cancel()
		if err == nil {
			t.Errorf("%s is no error", text)
		} else if strings.Contains(err.Error(), secret) {
			t.Errorf("%s: the error tells the password: %v", text, err)
		} else {
			t.Log(err)
		}
	}
}

// A server that accepts connections and says nothing.
func TestOpenEndsWithItsContext(t *testing.T) {
	silent, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	waitfor.End(t, "Open ends with its context", func() {
		_, err := postgres.Open(ctx, "postgres://user@"+silent.Addr().String()+"/db?sslmode=disable", nil)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
	cancel()
	if _, err := postgres.Open(ctx, serverURL(t), nil); err == nil {
		t.Error("a context that is done is no error")
	}
}

func TestTheCallersPoolStaysOpen(t *testing.T) {
	pool := newPool(t, pgx.QueryExecModeCacheStatement)
	s, err := postgres.New(t.Context(), pool, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := pool.Ping(t.Context()); err != nil {
		t.Errorf("the pool was closed: %v", err)
	}
}

func TestSettingsReachTheServer(t *testing.T) {
	schema := newSchema(t)
	s := open(t, serverURL(t), &postgres.Options{Schema: schema, ApplicationName: schema, StatementTimeout: time.Second})
	table := openTable(t, s)
	if err := table.Put(t.Context(), []driver.Entry{track(1)}); err != nil {
		t.Fatal(err)
	}
	c := connect(t)
	var sessions int
	if err := c.QueryRow(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1", schema).Scan(&sessions); err != nil || sessions == 0 {
		t.Errorf("%d sessions of that name, %v", sessions, err)
	}
	tx, err := c.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(context.Background())
	if _, err := tx.Exec(t.Context(), "LOCK TABLE "+schema+".tracks"); err != nil {
		t.Fatal(err)
	}
	if _, err := table.Count(t.Context(), driver.Filter{}); err == nil || !strings.Contains(err.Error(), "statement timeout") {
		t.Errorf("a statement beyond its time: %v", err)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	open(t, withParameter(t, "application_name", schema+"_url"), nil)
	if err := c.QueryRow(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1", schema+"_url").Scan(&sessions); err != nil || sessions == 0 {
		t.Errorf("%d sessions of the url's name, %v", sessions, err)
	}
}

func TestADatabaseOfAnotherEncodingIsRefused(t *testing.T) {
	url := withParameter(t, "dbname", newDatabase(t, "ENCODING 'LATIN1' LOCALE 'C'"))
	if _, err := postgres.Open(t.Context(), url, nil); err == nil || !strings.Contains(err.Error(), "LATIN1") {
		t.Errorf("the error is %v", err)
	}
}

// Another process would not find keys that the server has converted.
func TestTextIsNotConverted(t *testing.T) {
	schema := newSchema(t)
	e := track(1)
	e.Key[0] = "日本é"
	latin := openTable(t, open(t, withParameter(t, "client_encoding", "LATIN1"), &postgres.Options{Schema: schema}))
	if err := latin.Put(t.Context(), []driver.Entry{e}); err != nil {
		t.Fatal(err)
	}
	other := openTable(t, open(t, serverURL(t), &postgres.Options{Schema: schema}))
	if n, err := other.Delete(t.Context(), []driver.Key{e.Key}); err != nil || n != 1 {
		t.Errorf("delete removed %d, %v", n, err)
	}
	pool := newPool(t, pgx.QueryExecModeCacheStatement, func(c *pgxpool.Config) { c.ConnConfig.RuntimeParams["client_encoding"] = "LATIN1" })
	if _, err := postgres.New(t.Context(), pool, nil); err == nil || !strings.Contains(err.Error(), "LATIN1") {
		t.Errorf("the error is %v", err)
	}
}

// Through a pooler of transactions, prepared statements are on another's
// connection.
func TestAStatementThatIsGoneIsExplained(t *testing.T) {
	pool := newPool(t, pgx.QueryExecModeCacheStatement, func(c *pgxpool.Config) { c.MaxConns = 1 })
	s, err := postgres.New(t.Context(), pool, &postgres.Options{Schema: newSchema(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	table := openTable(t, s)
	get := func() error {
		return table.Get(t.Context(), []driver.Key{track(1).Key}, driver.Selection{}, func(int, driver.Entry) {})
	}
	if err := get(); err != nil {
		t.Fatal(err)
	}
	if _, err := pool.Exec(t.Context(), "DEALLOCATE ALL", pgx.QueryExecModeSimpleProtocol); err != nil {
		t.Fatal(err)
	}
	if err := get(); err == nil || !strings.Contains(err.Error(), "NoPrepare") {
		t.Errorf("the error is %v", err)
	}
}
