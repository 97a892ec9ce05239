package testserver

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Postgres is a PostgreSQL server with an empty database. It listens on
// 127.0.0.1 alone. Its methods are for one goroutine.
type Postgres struct {
	folder   *folder
	programs string // the folder of initdb and postgres
	settings []string
	port     int
	password string
	process  *process
}

// postgresFolders are where systems keep the programs that they do not put on PATH.
var postgresFolders = []string{
	"/usr/lib/postgresql/*/bin",
	"/usr/pgsql-*/bin",
	"/opt/homebrew/opt/postgresql*/bin",
	"/usr/local/opt/postgresql*/bin",
	"/usr/local/pgsql/bin",
	"/Library/PostgreSQL/*/bin",
	"/Applications/Postgres.app/Contents/Versions/*/bin",
}

// StartPostgres starts a server, which the caller has to stop. The context is
// about the start alone.
func StartPostgres(ctx context.Context, o *Options) (*Postgres, error) {
	programs, err := findPrograms(ctx, []string{"initdb", "postgres"}, postgresFolders...)
	if err != nil {
		return nil, err
	}
	p := &Postgres{programs: programs, password: rand.Text()}
	if !o.durable() {
		p.settings = []string{"fsync=off", "full_page_writes=off"}
	}
	if p.folder, err = newFolder(o.dir(), "postgres"); err != nil {
		return nil, err
	}
	if err = p.initialize(ctx); err == nil {
		err = onFreePort(ctx, func(port int) error {
			p.port = port
			return p.start(ctx)
		})
	}
	if err != nil {
		return nil, errors.Join(err, p.folder.remove())
	}
	return p, nil
}

// initialize makes the files of the database.
func (p *Postgres) initialize(ctx context.Context) error {
	passwordFile, err := p.folder.write("password", p.password)
	if err != nil {
		return err
	}
	return runProgram(ctx, p.folder, filepath.Join(p.programs, "initdb"), "--pgdata="+p.folder.file("data"),
		"--username=postgres", "--auth=scram-sha-256", "--pwfile="+passwordFile,
		"--encoding=UTF8", "--locale=C", "--no-sync")
}

func (p *Postgres) start(ctx context.Context) error {
	args := []string{"-D", p.folder.file("data"), "-p", strconv.Itoa(p.port)}
	for _, setting := range append([]string{
		"listen_addresses=127.0.0.1",
		"unix_socket_directories=", // their paths would be too long for some systems
		"max_connections=200",      // packages are tested at once
	}, p.settings...) {
		args = append(args, "-c", setting)
	}
	started, err := startProcess(p.folder, filepath.Join(p.programs, "postgres"), args...)
	if err != nil {
		return err
	}
	if err := started.await(ctx, func() (bool, error) { return p.ready(started) }); err != nil {
		if strings.Contains(started.lastLines(), "could not create any TCP/IP sockets") {
			err = fmt.Errorf("%w: %w", errPortTaken, err)
		}
		return err
	}
	p.process = started
	return nil
}

// ready reads what the server says of itself in its lock file: the first line is
// its process, the eighth its state. A port that answers might be another's.
func (p *Postgres) ready(started *process) (bool, error) {
	text, err := readFile(filepath.Join(p.folder.file("data"), "postmaster.pid"))
	lines := strings.Split(text, "\n")
	return err == nil && len(lines) > 7 && lines[0] == strconv.Itoa(started.cmd.Process.Pid) &&
		strings.TrimSpace(lines[7]) == "ready", err
}

// URL returns where a client finds the server, with the password of its superuser.
func (p *Postgres) URL() string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword("postgres", p.password),
		Host:     address(p.port),
		Path:     "/postgres",
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

// Kill ends the server at once, as a crash would: connections break, and the next
// start repairs the data.
func (p *Postgres) Kill() error { return p.end(syscall.SIGQUIT) }

// Restart ends the server in an orderly way, if it runs, and starts it on the same
// port, with the same data.
func (p *Postgres) Restart(ctx context.Context) error {
	if err := p.end(os.Interrupt, syscall.SIGQUIT); err != nil {
		return err
	}
	return p.start(ctx)
}

// Stop ends the server and removes its folder. It does not wait for clients.
func (p *Postgres) Stop() error {
	return errors.Join(p.end(os.Interrupt, syscall.SIGQUIT), p.folder.remove())
}

func (p *Postgres) end(signals ...os.Signal) error {
	if p.process == nil {
		return nil
	}
	err := p.process.stop(signals...)
	p.process = nil
	return err
}
