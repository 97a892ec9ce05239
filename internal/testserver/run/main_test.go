//go:build unix

package main

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/endpointcache/endpointcache/internal/testenv"
	"github.com/endpointcache/endpointcache/internal/waitfor"
)

var executable string // this program, built

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "run-test-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	executable = filepath.Join(dir, "run")
	if out, err := exec.Command("go", "build", "-o", executable, ".").CombinedOutput(); err != nil {
		panic(fmt.Sprintf("go build: %v\n%s", err, out))
	}
	return m.Run()
}

// program runs with a folder for its temporary files.
type program struct {
	*testing.T
	tmp string
}

func newProgram(t *testing.T) *program {
	t.Helper()
	tmp, err := os.MkdirTemp("", "run-test-")
	if err == nil {
		err = os.Chmod(tmp, 0o777) // the servers' user reaches it
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(tmp) })
	return &program{t, tmp}
}

func (p *program) command(env []string, args ...string) *exec.Cmd {
	cmd := exec.Command(executable, args...)
	cmd.Env = append(os.Environ(), "TMPDIR="+p.tmp)
	cmd.Env = append(cmd.Env, env...)
	cmd.Stderr = os.Stderr
	return cmd
}

// none are variables with which no server is started.
var none = []string{"POSTGRES_TEST_URL=postgres://there", "PGBOUNCER_TEST_URL=postgres://there"}

// own are variables with which the servers are started.
var own = []string{"POSTGRES_TEST_URL=", "PGBOUNCER_TEST_URL=", "CI="}

// expectNothing waits until what the program made is gone.
func (p *program) expectNothing() {
	p.Helper()
	waitfor.True(p, "nothing is left behind", func() bool {
		left, _ := filepath.Glob(filepath.Join(p.tmp, "*"))
		return len(left) == 0
	})
}

func TestExitCode(t *testing.T) {
	p := newProgram(t)
	for script, want := range map[string]int{
		"exit 0": 0, "exit 7": 7, "kill -9 $$": 137, `test "$POSTGRES_TEST_URL" = postgres://there`: 0,
	} {
		cmd := p.command(none, "sh", "-c", script)
		if _ = cmd.Run(); cmd.ProcessState.ExitCode() != want {
			t.Errorf("%s: exit code %d, want %d", script, cmd.ProcessState.ExitCode(), want)
		}
	}
	cmd := p.command(none, filepath.Join(t.TempDir(), "absent"))
	cmd.Stderr = nil
	if _ = cmd.Run(); cmd.ProcessState.ExitCode() != exitFailed {
		t.Errorf("without a command: exit code %d", cmd.ProcessState.ExitCode())
	}
}

func TestStandardStreams(t *testing.T) {
	cmd := newProgram(t).command(none, "sh", "-c", "cat; echo err >&2")
	var out, errs strings.Builder
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader("in"), &out, &errs
	if err := cmd.Run(); err != nil || out.String() != "in" || errs.String() != "err\n" {
		t.Errorf("%v: %q %q", err, out.String(), errs.String())
	}
}

// started runs the program with servers and a command that prints their URL and
// then the script; it returns when the URL is printed.
func (p *program) started(script string) (cmd *exec.Cmd, server string, out *bufio.Scanner) {
	p.Helper()
	cmd = p.command(own, "sh", "-c", `echo "$POSTGRES_TEST_URL"; `+script)
	pipe, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		p.Fatal(err)
	}
	p.Cleanup(func() { cmd.Process.Kill() })
	out = bufio.NewScanner(pipe)
	if !out.Scan() {
		p.Fatal("no URL")
	}
	if out.Text() == "" {
		testenv.Skip(p.T, "there is no PostgreSQL")
	}
	u, err := url.Parse(out.Text())
	if err != nil {
		p.Fatal(err)
	}
	if !answers(u.Host) {
		p.Fatalf("nobody listens at %s", u.Host)
	}
	return cmd, u.Host, out
}

func answers(server string) bool {
	conn, err := net.Dial("tcp", server)
	if err == nil {
		conn.Close()
	}
	return err == nil
}

func TestServersAreRemoved(t *testing.T) {
	p := newProgram(t)
	cmd, server, _ := p.started("exit 3")
	if _ = cmd.Wait(); cmd.ProcessState.ExitCode() != 3 {
		t.Errorf("exit code %d", cmd.ProcessState.ExitCode())
	}
	if answers(server) {
		t.Error("the server still runs")
	}
	p.expectNothing()
}

// A signal reaches what the command has started, and that may end in its own way.
func TestSignals(t *testing.T) {
	p := newProgram(t)
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		cmd, server, out := p.started(`sh -c 'trap "echo asked; exit 0" INT TERM; echo ready; while :; do sleep 0.1; done'; exit 9`)
		out.Scan()
		if err := cmd.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
		if !out.Scan() || out.Text() != "asked" {
			t.Errorf("%v: the command was not told", s)
		}
		_ = cmd.Wait()
		if code := cmd.ProcessState.ExitCode(); code != 9 && code != 128+int(s) {
			t.Errorf("%v: exit code %d", s, code)
		}
		if answers(server) {
			t.Errorf("%v: the server still runs", s)
		}
		p.expectNothing()
	}
}

// Nothing stays where nobody is left to clear up.
func TestKilled(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("a server does not end with the process that started it")
	}
	p := newProgram(t)
	cmd, server, _ := p.started("exec sleep 3")
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	p.expectNothing()
	waitfor.True(t, "the server ends", func() bool { return !answers(server) })
}

// What ran the program may be gone without a signal.
func TestParentIsGone(t *testing.T) {
	p := newProgram(t)
	parent := exec.Command("sh", "-c", fmt.Sprintf(`%q sh -c 'echo ready; exec sleep 60' & wait`, executable))
	parent.Env = p.command(own).Env
	pipe, err := parent.StdoutPipe()
	if err == nil {
		err = parent.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	bufio.NewScanner(pipe).Scan()
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	p.expectNothing()
	_ = parent.Wait()
}

// Without a command the variables are printed, and the servers run on.
func TestServers(t *testing.T) {
	p := newProgram(t)
	cmd := p.command(own)
	pipe, err := cmd.StdoutPipe()
	if err = errors.Join(err, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	out := bufio.NewScanner(pipe)
	if !out.Scan() || !strings.HasPrefix(out.Text(), "POSTGRES_TEST_URL") {
		t.Errorf("printed %q", out.Text())
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("after an interrupt: %v", err)
	}
	p.expectNothing()
}
