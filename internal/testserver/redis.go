package testserver

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Redis is an empty Redis or Valkey server. It listens on 127.0.0.1 alone. Its methods
// are for one goroutine.
type Redis struct {
	folder   *folder
	program  string
	client   string // the command line
	settings []string
	port     int
	password string
	process  *process
}

// redisFolders are where systems keep the programs that not all users have on PATH.
var redisFolders = []string{"/usr/bin", "/usr/local/bin", "/opt/homebrew/bin"}

var redisPackages = map[string]string{"apt-get": "redis-server", "dnf": "valkey", "brew": "redis"}

// findRedis returns the programs of the server and of its command line.
func findRedis(ctx context.Context) (server, client string, err error) {
	var errs []error
	for _, name := range []string{"redis", "valkey"} {
		server, client = name+"-server", name+"-cli"
		dir, err := findPrograms(ctx, []string{server, client}, redisFolders...)
		if err == nil {
			return filepath.Join(dir, server), filepath.Join(dir, client), nil
		}
		errs = append(errs, err)
	}
	return "", "", errors.Join(errs...)
}

// StartRedis starts a server, which the caller has to stop. The context is about the
// start alone. What the server is told survives its end, unless it is durable: then it
// writes what it holds to the disk from time to time, as it does by default.
func StartRedis(ctx context.Context, o *Options) (*Redis, error) {
	return startRedis(ctx, o, rand.Text())
}

// startRedis starts a server with a password and settings, such as "--databases", "1".
func startRedis(ctx context.Context, o *Options, password string, settings ...string) (*Redis, error) {
	program, client, err := findRedis(ctx)
	if err != nil {
		return nil, err
	}
	r := &Redis{program: program, client: client, password: password, settings: settings}
	if !o.durable() {
		r.settings = append([]string{"--save", "", "--appendonly", "yes", "--appendfsync", "no"}, settings...)
	}
	if r.folder, err = newFolder(o.dir(), "redis"); err != nil {
		return nil, err
	}
	// Arguments can be seen by everyone on the machine.
	secret := fmt.Sprintf("requirepass %s\nmasterauth %[1]s\n", password)
	if _, err = r.folder.write("redis.conf", secret); err == nil {
		err = onFreePort(ctx, func(port int) error {
			r.port = port
			return r.start(ctx)
		})
	}
	if err != nil {
		return nil, errors.Join(err, r.folder.remove())
	}
	return r, nil
}

func (r *Redis) start(ctx context.Context) error {
	args := append([]string{r.folder.file("redis.conf"), "--bind", "127.0.0.1", "--port", strconv.Itoa(r.port), "--dir", r.folder.path, "--repl-diskless-sync-delay", "0"}, r.settings...)
	started, err := startProcess(r.folder, r.program, args...)
	if err != nil {
		return err
	}
	err = started.await(ctx, func() (bool, error) {
		out, err := started.output()
		return strings.Contains(out, "Ready to accept connections"), err
	})
	if err != nil {
		if strings.Contains(started.lastLines(), "already in use") {
			err = fmt.Errorf("%w: %w", errPortTaken, err)
		}
		return err
	}
	r.process = started
	return nil
}

// do runs a command on the server by its command line: a client in Go would have to be
// compiled before any server starts.
func (r *Redis) do(ctx context.Context, args ...string) (string, error) {
	args = append([]string{"-h", "127.0.0.1", "-p", strconv.Itoa(r.port)}, args...)
	cmd := exec.CommandContext(ctx, r.client, args...) // #nosec G204 -- a program that was looked for
	cmd.Env = append(os.Environ(), "REDISCLI_AUTH="+r.password)
	out, err := cmd.Output()
	answer := strings.TrimSpace(string(out))
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", r.client, err, answer)
	}
	for _, refused := range []string{"ERR ", "NOAUTH ", "WRONGPASS "} {
		if strings.HasPrefix(answer, refused) {
			return "", errors.New(answer)
		}
	}
	return answer, nil
}

// URL returns where a client finds the server, with its password.
func (r *Redis) URL() string {
	u := url.URL{Scheme: "redis", User: url.UserPassword("", r.password), Host: address(r.port), Path: "/0"}
	return u.String()
}

// Kill ends the server at once, as a crash would.
func (r *Redis) Kill() error { return r.end() }

// Suspend lets the server answer nobody until it is resumed. Its connections stay.
func (r *Redis) Suspend() error { return r.process.suspend() }

// Resume ends what Suspend has begun: the server answers what it was asked meanwhile.
func (r *Redis) Resume() error { return r.process.resume() }

// Restart ends the server in an orderly way, if it runs, and starts it on the same
// port, with the data that it kept.
func (r *Redis) Restart(ctx context.Context) error {
	if err := r.end(syscall.SIGTERM); err != nil {
		return err
	}
	return r.start(ctx)
}

// Stop ends the server and removes its folder. It does not wait for clients.
func (r *Redis) Stop() error {
	err := r.end()
	// A child that was saving for a replica may write for a moment more.
	removed := r.folder.remove()
	for deadline := time.Now().Add(patience / 10); removed != nil && time.Now().Before(deadline); removed = r.folder.remove() {
		time.Sleep(pollTime)
	}
	return errors.Join(err, removed)
}

func (r *Redis) end(signals ...os.Signal) error {
	if r.process == nil {
		return nil
	}
	err := r.process.stop(signals...)
	r.process = nil
	return err
}
