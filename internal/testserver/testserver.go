// Package testserver starts the servers that the tests of the stores talk to,
// on free loopback ports and in temporary folders, and leaves nothing behind: so
// that the tests run with one command, and without Docker.
//
// The program in its folder run starts all of them for a command. A test asks
// for the URL of one with [testenv.URL]; one that stops, kills or restarts a server
// starts its own, as with [StartPostgres].
//
// A server is one file here, and an element of kinds.
package testserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"

	"github.com/endpointcache/endpointcache/internal/testenv"
)

// Options are of all servers. Nil and zero values are the defaults.
type Options struct {
	// Durable is true for a server that writes as it does by default. Others
	// do not wait for the disk: what they hold survives their end, but not the
	// machine's.
	Durable bool

	// Dir is where their temporary folders are made; empty is os.TempDir. All
	// users must be able to reach it where the tests run as root.
	Dir string

	// Log gets what is installed, and what the package manager says, from several
	// goroutines at once; nil discards it.
	Log io.Writer
}

// kind is a kind of server.
type kind struct {
	name     string
	variable string            // the environment variable of its URL
	after    string            // that of the server it needs; empty for none
	packages map[string]string // what holds its programs, by package manager

	// start starts one. The environment tells of the server that it needs. Its
	// error is errNotInstalled where there are no programs.
	start func(ctx context.Context, o *Options, env environment) (server, error)
}

type server interface {
	URL() string
	Stop() error
}

// kinds are the servers, and what else tests need of a machine. Each comes after the one that it
// needs.
var kinds = []kind{
	{
		name:     "PostgreSQL",
		variable: "POSTGRES_TEST_URL",
		packages: map[string]string{"apt-get": "postgresql", "dnf": "postgresql-server", "brew": "postgresql"},
		start: func(ctx context.Context, o *Options, _ environment) (server, error) {
			return StartPostgres(ctx, o)
		},
	},
	{
		name:     "PgBouncer",
		variable: "PGBOUNCER_TEST_URL",
		after:    "POSTGRES_TEST_URL",
		packages: map[string]string{"apt-get": "pgbouncer", "dnf": "pgbouncer", "brew": "pgbouncer"},
		start: func(ctx context.Context, o *Options, env environment) (server, error) {
			behind := env.get("POSTGRES_TEST_URL")
			if behind == "" {
				return nil, errors.New("there is no PostgreSQL server")
			}
			return StartPgBouncer(ctx, behind, o)
		},
	},
	{
		name:     "Redis",
		variable: "REDIS_TEST_URL",
		packages: redisPackages,
		start: func(ctx context.Context, o *Options, _ environment) (server, error) {
			return StartRedis(ctx, o)
		},
	},
	{
		name:     "Redis Cluster",
		variable: "REDIS_CLUSTER_TEST_URL",
		packages: redisPackages,
		start: func(ctx context.Context, o *Options, _ environment) (server, error) {
			return StartRedisCluster(ctx, o)
		},
	},
	{
		name:     "DynamoDB Local",
		variable: "DYNAMODB_TEST_URL",
		packages: map[string]string{"apt-get": "default-jre-headless", "dnf": "java-latest-openjdk-headless", "brew": "openjdk"},
		start: func(ctx context.Context, o *Options, _ environment) (server, error) {
			// In memory in any case: how long its file takes tells nothing of DynamoDB.
			return StartDynamoDB(ctx, &Options{Dir: o.dir(), Log: o.log()})
		},
	},
	{
		name:     "MongoDB",
		variable: "MONGODB_TEST_URL",
		start: func(ctx context.Context, o *Options, _ environment) (server, error) {
			return StartMongoDB(ctx, o)
		},
	},
	{
		name:     "Chromium",
		variable: "CHROMIUM_TEST_PATH",
		packages: map[string]string{"apt-get": "chromium", "dnf": "chromium"},
		start: func(ctx context.Context, _ *Options, _ environment) (server, error) {
			return findChromium(ctx)
		},
	},
	{
		name:     "axe-core",
		variable: "AXE_TEST_PATH",
		start: func(ctx context.Context, o *Options, _ environment) (server, error) {
			return fetchAxe(ctx, o)
		},
	},
}

// Set is the servers of one run.
type Set struct {
	env     environment
	running []server
}

// starting is a server that is being started.
type starting struct {
	done   chan struct{} // closed when there is a server or an error
	server server
	err    error
}

// Start starts a server for each variable that is not set, all at once, and installs those
// that are not there where the system's package manager can. A server that
// cannot be had is left out, and the tests are told why; in CI it is an error.
// An error leaves nothing running. The context is about the start alone.
func Start(ctx context.Context, o *Options) (*Set, error) {
	starts := make(map[string]*starting)
	for _, k := range kinds {
		if os.Getenv(k.variable) == "" {
			starts[k.variable] = &starting{done: make(chan struct{})}
		}
	}
	for _, k := range kinds {
		if own := starts[k.variable]; own != nil {
			go own.start(ctx, o, k, starts[k.after])
		}
	}
	s := &Set{}
	var failed []error
	for _, k := range kinds {
		own := starts[k.variable]
		if own == nil {
			continue
		}
		<-own.done
		switch {
		case own.err == nil:
			s.running = append(s.running, own.server)
			s.env.set(k.variable, own.server.URL())
			if m, ok := own.server.(*MongoDB); ok {
				s.env.set(ferretDBProgram, m.program)
			}
		case testenv.InCI() || ctx.Err() != nil:
			failed = append(failed, fmt.Errorf("%s: %w", k.name, own.err))
		default:
			fmt.Fprintf(o.log(), "no %s, its tests are skipped: %v\n", k.name, own.err)
			s.env.set(k.variable+testenv.ReasonSuffix, own.err.Error())
		}
	}
	if failed != nil {
		return nil, errors.Join(append(failed, s.Stop())...)
	}
	return s, nil
}

// start starts a server of a kind, after the one that it needs; nil for none.
func (s *starting) start(ctx context.Context, o *Options, k kind, needed *starting) {
	defer close(s.done)
	var env environment
	if needed != nil {
		if <-needed.done; needed.err == nil {
			env.set(k.after, needed.server.URL())
		}
	}
	s.server, s.err = k.startInstalled(ctx, o, env)
}

// installing is held while programs are installed: package managers lock their data, and
// fail who comes second.
var installing sync.Mutex

// startInstalled starts one, and installs its programs first if they are missing.
func (k kind) startInstalled(ctx context.Context, o *Options, env environment) (server, error) {
	started, err := k.start(ctx, o, env)
	if !errors.Is(err, errNotInstalled) {
		return started, err
	}
	installing.Lock()
	failed := install(ctx, k.packages, o.log())
	installing.Unlock()
	if failed != nil {
		return nil, fmt.Errorf("%w; %w", err, failed)
	}
	return k.start(ctx, o, env)
}

// Env returns the variables to add to the environment of the tests, each as
// NAME=value.
func (s *Set) Env() []string { return slices.Clone(s.env) }

// Stop stops the servers, the last first, and removes their folders.
func (s *Set) Stop() error {
	var errs []error
	for _, started := range slices.Backward(s.running) {
		errs = append(errs, started.Stop())
	}
	s.running = nil
	return errors.Join(errs...)
}

func (o *Options) log() io.Writer {
	if o == nil || o.Log == nil {
		return io.Discard
	}
	return o.Log
}

func (o *Options) dir() string {
	if o == nil || o.Dir == "" {
		return os.TempDir()
	}
	return o.Dir
}

func (o *Options) durable() bool { return o != nil && o.Durable }
