package testserver

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
)

// PgBouncer is a connection pooler in front of a PostgreSQL server. It lends a
// connection for a transaction, so that nothing else of a session lasts. It
// listens on 127.0.0.1 alone. Its methods are for one goroutine.
type PgBouncer struct {
	folder  *folder
	url     url.URL
	process *process
}

// pgBouncerFolders are where systems keep the program that not all users have on PATH.
var pgBouncerFolders = []string{"/usr/sbin", "/usr/local/sbin", "/opt/homebrew/bin", "/usr/local/bin"}

// StartPgBouncer starts a pooler in front of the server with this URL, which the
// caller has to stop. Users and databases are the server's. The context is about
// the start alone.
func StartPgBouncer(ctx context.Context, postgresURL string, o *Options) (*PgBouncer, error) {
	programs, err := findPrograms(ctx, []string{"pgbouncer"}, pgBouncerFolders...)
	if err != nil {
		return nil, err
	}
	behind, err := url.Parse(postgresURL)
	if err != nil || behind.Hostname() == "" || behind.User == nil {
		return nil, errors.New("the URL of the server is not of the form postgres://user:password@host/database")
	}
	b := &PgBouncer{url: *behind}
	b.url.RawQuery = "sslmode=disable"
	if b.folder, err = newFolder(o.dir(), "pgbouncer"); err != nil {
		return nil, err
	}
	err = onFreePort(ctx, func(port int) error {
		b.url.Host = address(port)
		return b.start(ctx, filepath.Join(programs, "pgbouncer"), behind)
	})
	if err != nil {
		return nil, errors.Join(err, b.folder.remove())
	}
	return b, nil
}

func (b *PgBouncer) start(ctx context.Context, program string, behind *url.URL) error {
	password, _ := behind.User.Password()
	users, err := b.folder.write("users.txt", quote(behind.User.Username())+" "+quote(password)+"\n")
	if err != nil {
		return err
	}
	port := behind.Port()
	if port == "" {
		port = "5432"
	}
	config, err := b.folder.write("pgbouncer.ini", fmt.Sprintf(`[databases]
* = host=%s port=%s
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %s
unix_socket_dir =
auth_type = scram-sha-256
auth_file = %s
pool_mode = transaction
max_client_conn = 500
default_pool_size = 20
`, behind.Hostname(), port, b.url.Port(), users))
	if err != nil {
		return err
	}
	started, err := startProcess(b.folder, program, config)
	if err != nil {
		return err
	}
	err = started.await(ctx, func() (bool, error) {
		out, err := started.output()
		return strings.Contains(out, "listening on "+b.url.Host), err
	})
	if err != nil {
		if strings.Contains(started.lastLines(), "nowhere to listen on") {
			err = fmt.Errorf("%w: %w", errPortTaken, err)
		}
		return err
	}
	b.process = started
	return nil
}

// quote is the form of a name or password in the file of users.
func quote(text string) string { return `"` + strings.ReplaceAll(text, `"`, `""`) + `"` }

// URL returns where a client finds the pooler.
func (b *PgBouncer) URL() string { return b.url.String() }

// Stop ends the pooler and removes its folder. It does not wait for clients.
func (b *PgBouncer) Stop() error {
	var err error
	if b.process != nil {
		err = b.process.stop() // its versions differ in the signals; it keeps nothing
		b.process = nil
	}
	return errors.Join(err, b.folder.remove())
}
