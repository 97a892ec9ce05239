package testserver

import (
	"context"
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/endpointcache/endpointcache/internal/testenv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// openDir is a folder that the server's user can reach, as t.TempDir is not.
func openDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "testserver-test-")
	if err == nil {
		err = os.Chmod(dir, 0o777)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func expectEmpty(t *testing.T, dir string) {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil || len(files) > 0 {
		t.Errorf("left behind: %v %v", files, err)
	}
}

func startPostgres(t *testing.T, o *Options) *Postgres {
	t.Helper()
	p, err := StartPostgres(t.Context(), o)
	if errors.Is(err, errNotInstalled) {
		testenv.Skip(t, err.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Stop() })
	return p
}

// query runs statements on a connection of its own and returns the last one's
// first value.
func query(t *testing.T, url, sql string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	results, err := conn.PgConn().Exec(t.Context(), sql).ReadAll()
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	last := results[len(results)-1]
	if len(last.Rows) == 0 {
		return ""
	}
	return string(last.Rows[0][0])
}

func TestPostgres(t *testing.T) {
	dir := openDir(t)
	begin := time.Now()
	p := startPostgres(t, &Options{Dir: dir})
	t.Logf("started in %v", time.Since(begin))
	url := p.URL()
	for setting, want := range map[string]string{
		"fsync": "off", "synchronous_commit": "on", "listen_addresses": "127.0.0.1", "server_encoding": "UTF8",
	} {
		if got := query(t, url, "SHOW "+setting); got != want {
			t.Errorf("%s is %s, want %s", setting, got, want)
		}
	}
	for name, again := range map[string]func(context.Context) error{
		"restart":     p.Restart,
		"after crash": func(ctx context.Context) error { return errors.Join(p.Kill(), p.Restart(ctx)) },
	} {
		query(t, url, "CREATE TABLE kept AS SELECT '"+name+"' AS text")
		if err := again(t.Context()); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if p.URL() != url {
			t.Errorf("%s: the URL is another", name)
		}
		if got := query(t, url, "SELECT text FROM kept"); got != name {
			t.Errorf("%s: the table has %q", name, got)
		}
		query(t, url, "DROP TABLE kept")
	}
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
	expectEmpty(t, dir)
	if conn, err := net.Dial("tcp", address(p.port)); err == nil {
		conn.Close()
		t.Error("the server is still there")
	}
	if err := p.Stop(); err != nil {
		t.Errorf("the second stop: %v", err)
	}
}

// Each server has its own port, folder and password.
func TestPostgresBesideAnother(t *testing.T) {
	dir := openDir(t)
	first, second := startPostgres(t, &Options{Dir: dir}), startPostgres(t, &Options{Dir: dir, Durable: true})
	if got := query(t, second.URL(), "SHOW fsync"); got != "on" {
		t.Errorf("fsync of a durable server is %s", got)
	}
	if first.password == second.password || first.port == second.port {
		t.Error("two servers are alike")
	}
	if err := errors.Join(first.Stop(), second.Stop()); err != nil {
		t.Error(err)
	}
	expectEmpty(t, dir)
}

func TestPostgresPortTaken(t *testing.T) {
	p := startPostgres(t, nil)
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	thief, err := net.Listen("tcp", address(p.port))
	if err != nil {
		t.Fatal(err)
	}
	defer thief.Close()
	if err := p.Restart(t.Context()); !errors.Is(err, errPortTaken) {
		t.Errorf("a restart on a port that is taken: %v", err)
	}
}

func TestPostgresGivesUp(t *testing.T) {
	dir := openDir(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := StartPostgres(ctx, &Options{Dir: dir}); err == nil {
		t.Error("it started without time")
	}
	expectEmpty(t, dir)
	if _, err := StartPostgres(t.Context(), &Options{Dir: dir + "/absent"}); err == nil {
		t.Error("it started without a folder")
	}
}

func TestPgBouncer(t *testing.T) {
	dir := openDir(t)
	behind := startPostgres(t, &Options{Dir: dir})
	b, err := StartPgBouncer(t.Context(), behind.URL(), &Options{Dir: dir})
	if errors.Is(err, errNotInstalled) {
		testenv.Skip(t, err.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
	if got := query(t, b.URL(), "SELECT current_database() || current_user"); got != "postgrespostgres" {
		t.Errorf("behind the pooler is %s", got)
	}
	if err := errors.Join(b.Stop(), behind.Stop()); err != nil {
		t.Error(err)
	}
	expectEmpty(t, dir)
	for _, url := range []string{"", "postgres:///postgres", "127.0.0.1:5432", "%"} {
		if _, err := StartPgBouncer(t.Context(), url, nil); err == nil {
			t.Errorf("a pooler in front of %q", url)
		}
	}
}
