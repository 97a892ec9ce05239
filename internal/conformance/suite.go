package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
)

//go:embed package.json package-lock.json .npmrc origin.mjs client.mjs
var files embed.FS

// An edition is one state of the suite, with how many of its tests apply.
type edition struct {
	name      string
	parts     []string // the folders of the suite that are needed
	engine    string   // the folder of the client and the server
	applies   tally
	optional  map[string]int    // how many optional tests are passed, by the name of the keying
	withdrawn map[string]string // tests that a later state took back, with the reason
}

// The repository went on without a new version number: both editions call
// themselves 0.4.5.
var (
	released = edition{
		"npm release", []string{"asset", "client", "lib", "server", "tests"}, "", tally{"required": 115, "optional": 82, "check": 86},
		map[string]int{"default": 73, "declared": 78, "vary": 79}, withdrawn,
	}
	repository = edition{
		"repository", []string{"test-engine", "tests"}, "test-engine", tally{"required": 143, "optional": 94, "check": 93},
		map[string]int{"default": 86, "declared": 90, "vary": 91}, nil,
	}
)

// A suite is installed and ready to be run.
type suite struct {
	edition edition
	server  string // the module that starts the origin
	dir     string // of the suite
	temp    string
	verbose bool
	origin  *exec.Cmd
}

// openSuite installs what npm has to, and copies the suite, or the checkout where the
// options name one, to a folder of its own.
func openSuite(ctx context.Context, o options, strict bool) (*suite, error) {
	for _, tool := range []string{"node", "npm"} {
		if _, err := exec.LookPath(tool); err != nil {
			return nil, fmt.Errorf("the suite is a program of node, and %s is not on this machine (node 20.18 or newer is needed): %w", tool, err)
		}
	}
	home, err := install(ctx)
	if err != nil {
		return nil, err
	}
	// Below the installed packages, so that a checkout finds those it imports.
	temp, err := os.MkdirTemp(home, "run-")
	if err != nil {
		return nil, err
	}
	s := &suite{temp: temp, verbose: o.verbose}
	if err = s.lay(home, o.suite); err == nil && strict {
		err = makeStrict(s.dir, s.edition)
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(temp))
	}
	return s, nil
}

// lay puts the scripts and a copy of the suite into place.
func (s *suite) lay(home, checkout string) error {
	if err := os.CopyFS(s.temp, files); err != nil {
		return err
	}
	s.edition = repository
	if checkout == "" {
		s.edition, checkout = released, filepath.Join(home, "node_modules", "http-cache-tests")
	}
	s.dir = filepath.Join(s.temp, "suite")
	s.server = filepath.Join(s.dir, s.edition.engine, "server", "server.mjs")
	for _, part := range s.edition.parts {
		if err := os.CopyFS(filepath.Join(s.dir, part), os.DirFS(filepath.Join(checkout, part))); err != nil {
			return fmt.Errorf("%s is not a checkout of the suite's repository: %w", checkout, err)
		}
	}
	return nil
}

// install returns the folder with the packages of the lock file. It is made
// once for each lock file.
func install(ctx context.Context) (string, error) {
	lock, err := files.ReadFile("package-lock.json")
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	home := filepath.Join(cache, "endpointcache-conformance", fmt.Sprintf("%x", sha256.Sum256(lock))[:16])
	if _, err := os.Stat(home); err == nil {
		return home, nil
	}
	if err := os.MkdirAll(filepath.Dir(home), 0o750); err != nil {
		return "", err
	}
	// Elsewhere first: a folder under its name is a whole one.
	temp, err := os.MkdirTemp(filepath.Dir(home), "install-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(temp) }()
	if err := os.CopyFS(temp, files); err != nil {
		return "", err
	}
	npm := exec.CommandContext(ctx, "npm", "ci")
	npm.Dir = temp
	if out, err := npm.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm ci: %w\n%s", err, out)
	}
	if err := os.Rename(temp, home); err != nil {
		if _, statErr := os.Stat(home); statErr != nil {
			return "", err
		}
		// Another run was faster.
	}
	return home, nil
}

// node is a command in the suite's folder.
func (s *suite) node(ctx context.Context, script string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "node", append([]string{"--no-warnings", filepath.Join(s.temp, script)}, args...)...) // #nosec G204 -- own scripts
	cmd.Dir = s.dir
	cmd.Stderr = os.Stderr
	return cmd
}

var listening = regexp.MustCompile(`^Listening on http://(127\.0\.0\.1:\d+)/$`)

// startOrigin returns the address of the suite's server, which runs until the
// suite is closed.
func (s *suite) startOrigin(ctx context.Context) (string, error) {
	cmd := s.node(ctx, "origin.mjs", s.server)
	cmd.Env = append(os.Environ(), "npm_config_protocol=http", "npm_config_port=0",
		"npm_config_pidfile="+filepath.Join(s.temp, "pid"))
	// Held open: the origin ends with it, however this process ends.
	if _, err := cmd.StdinPipe(); err != nil {
		return "", err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", err
	}
	s.origin = cmd
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if m := listening.FindStringSubmatch(lines.Text()); m != nil {
			go s.drain(stdout)
			return m[1], nil
		}
	}
	return "", errors.Join(errors.New("the suite's origin did not start"), lines.Err())
}

// drain keeps the origin from blocking on what it prints.
func (s *suite) drain(r io.Reader) {
	w := io.Discard
	if s.verbose {
		w = os.Stderr
	}
	_, _ = io.Copy(w, r)
}

// runClient runs the tests that match against the proxy at url, and those that
// they depend on.
func (s *suite) runClient(ctx context.Context, url, pattern string) ([]*result, error) {
	out := filepath.Join(s.temp, "results.json")
	cmd := s.node(ctx, "client.mjs", s.dir, url, out, pattern)
	if s.verbose {
		cmd.Stdout = os.Stderr
	}
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("the suite's client: %w", err)
	}
	data, err := os.ReadFile(out)
	if err != nil {
		return nil, err
	}
	return parseResults(data)
}

func parseResults(data []byte) ([]*result, error) {
	var results []*result
	if err := json.Unmarshal(data, &results); err != nil {
		return nil, fmt.Errorf("the suite's results: %w", err)
	}
	return results, nil
}

func (s *suite) close() error {
	if s.origin != nil {
		_ = s.origin.Process.Kill()
		_ = s.origin.Wait() // it was killed, and says so
	}
	return os.RemoveAll(s.temp)
}
