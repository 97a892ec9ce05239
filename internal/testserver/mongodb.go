package testserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// MongoDB is an empty server of its protocol: mongod where PATH has one, otherwise
// FerretDB, which lacks some of what MongoDB has. It asks for no password, and
// listens on 127.0.0.1 alone. Its methods are for one goroutine.
type MongoDB struct {
	folder  *folder
	program string
	args    []string
	ready   string // what it writes when it listens
	port    int
	process *process
}

const (
	// ferretDB is the package of FerretDB's program.
	ferretDB = "github.com/endpointcache/endpointcache/internal/testserver/ferretdb"

	// ferretDBProgram is the variable of that program, where it is built already: each
	// time takes more than a second.
	ferretDBProgram = "MONGODB_TEST_PROGRAM"
)

// StartMongoDB starts a server, which the caller has to stop. The context is about
// the start alone. FerretDB is built first, which takes some seconds, or minutes where
// it has to be downloaded.
func StartMongoDB(ctx context.Context, o *Options) (*MongoDB, error) {
	m := &MongoDB{}
	var err error
	if m.folder, err = newFolder(o.dir(), "mongodb"); err != nil {
		return nil, err
	}
	if programs, missing := findPrograms(ctx, []string{"mongod"}); missing == nil {
		err = m.useMongod(filepath.Join(programs, "mongod"))
	} else if err = m.useFerretDB(ctx); o.durable() {
		m.args = append([]string{"-durable"}, m.args...)
	}
	if err == nil {
		err = onFreePort(ctx, func(port int) error {
			m.port = port
			return m.start(ctx)
		})
	}
	if err != nil {
		return nil, errors.Join(err, m.folder.remove())
	}
	return m, nil
}

func (m *MongoDB) useMongod(program string) error {
	data := m.folder.file("data")
	m.program, m.args = program, []string{"--dbpath", data, "--bind_ip", "127.0.0.1", "--nounixsocket", "--port"}
	m.ready = "Waiting for connections"
	if err := os.Mkdir(data, 0o700); err != nil {
		return err
	}
	return m.folder.give(data)
}

func (m *MongoDB) useFerretDB(ctx context.Context) error {
	m.args, m.ready = []string{"-port"}, "listening on"
	if m.program = os.Getenv(ferretDBProgram); m.program != "" {
		return nil
	}
	m.program = m.folder.file("ferretdb")
	// #nosec G204 -- a program of this project
	build := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-mod=readonly", "-ldflags=-s -w",
		"-tags=ferretdb_no_postgresql", "-o", m.program, ferretDB)
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: no mongod on PATH, and FerretDB cannot be built: %w: %s", errNotInstalled, err, strings.TrimSpace(string(out)))
	}
	return m.folder.give(m.program)
}

func (m *MongoDB) start(ctx context.Context) error {
	args := append(m.args[:len(m.args):len(m.args)], strconv.Itoa(m.port))
	started, err := startProcess(m.folder, m.program, args...)
	if err != nil {
		return err
	}
	err = started.await(ctx, func() (bool, error) {
		out, err := started.output()
		return strings.Contains(out, m.ready), err
	})
	if err != nil {
		if out := strings.ToLower(started.lastLines()); strings.Contains(out, "address already in use") {
			err = fmt.Errorf("%w: %w", errPortTaken, err)
		}
		return err
	}
	m.process = started
	return nil
}

// URL returns where a client finds the server.
func (m *MongoDB) URL() string { return "mongodb://" + address(m.port) + "/endpointcache_test" }

// Kill ends the server at once, as a crash would: connections break.
func (m *MongoDB) Kill() error {
	if m.process == nil {
		return nil
	}
	err := m.process.stop() // by no signal but that
	m.process = nil
	return err
}

// Restart ends the server, if it runs, and starts it on the same port, with the same
// data.
func (m *MongoDB) Restart(ctx context.Context) error {
	if err := m.Kill(); err != nil {
		return err
	}
	return m.start(ctx)
}

// Stop ends the server and removes its folder. It does not wait for clients.
func (m *MongoDB) Stop() error { return errors.Join(m.Kill(), m.folder.remove()) }
