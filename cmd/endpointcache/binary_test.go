package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/creack/pty"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/settings"
)

// built is the path of the program, which is built once for all tests that need a process.
var built = sync.OnceValues(func() (path string, err error) {
	folder, err := os.MkdirTemp("", "endpointcache-tool-")
	if err != nil {
		return "", err
	}
	path = filepath.Join(folder, "endpointcache")
	if out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput(); err != nil {
		return path, fmt.Errorf("go build: %w: %s", err, out)
	}
	return path, nil
})

var isBuilt bool

func TestMain(m *testing.M) {
	code := m.Run()
	if isBuilt {
		path, _ := built()
		os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// command is the program as a process, on the store.
func (p *location) command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	isBuilt = true
	path, err := built()
	check(t, err)
	command := exec.CommandContext(t.Context(), path, args...)
	command.Env = append(os.Environ(), storeVariable+"="+p.url)
	return command
}

// Whoever reads the output may stop reading.
func TestOutputIntoAPipeThatIsClosed(t *testing.T) {
	p := newLocation(t, "sqlite")
	c := p.cache(t, nil)
	r, err := cache.CreateRepository(t.Context(), c, pages)
	check(t, err)
	rows := 100_000
	if testing.Short() {
		rows = 10_000
	}
	values := make(map[pageKey]string)
	for i := range rows {
		values[pageKey{i, false}] = "page"
	}
	check(t, r.SaveMany(t.Context(), values))
	check(t, c.Close())
	for _, args := range [][]string{{"keys", "--limit", "0"}, {"find", "--limit", "0", "--json"}} {
		command := p.command(t, args...)
		var stderr bytes.Buffer
		command.Stderr = &stderr
		stdout, err := command.StdoutPipe()
		check(t, err)
		check(t, command.Start())
		_, err = io.ReadFull(stdout, make([]byte, 1000))
		check(t, err)
		check(t, stdout.Close())
		if err := command.Wait(); err != nil || stderr.Len() > 0 {
			t.Errorf("%q ends with %v and prints %q", args, err, &stderr)
		}
	}
	if out, err := p.command(t, "keys", "--limit", "0").Output(); err != nil || bytes.Count(out, []byte("\n")) != rows+1 {
		t.Errorf("%d lines are printed: %v", bytes.Count(out, []byte("\n")), err)
	}
}

func TestInterrupt(t *testing.T) {
	begun, release := make(chan struct{}), make(chan struct{})
	origin := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(begun)
		<-release
	}))
	defer origin.Close()
	defer close(release)
	p := newLocation(t, "sqlite")
	c := p.cache(t, nil)
	r, err := cache.CreateRepository(t.Context(), c, settings.RepositorySettings[string, string]{
		Name: "texts", Pattern: "GET /texts/{id}", BaseURL: origin.URL, Payload: payload.String(),
	})
	check(t, err)
	check(t, r.Save(t.Context(), "a", "text"))
	check(t, c.Close())
	command := p.command(t, "diff", origin.URL+"/texts/a")
	var stderr bytes.Buffer
	command.Stderr = &stderr
	check(t, command.Start())
	waitfor.Receive(t, "the request at the origin", begun)
	check(t, command.Process.Signal(os.Interrupt))
	err = command.Wait()
	if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.ExitCode() != exitInterrupted || strings.Contains(stderr.String(), "goroutine") {
		t.Errorf("it ends with %v and prints %q", err, &stderr)
	}
}

// On a terminal, the program asks.
func TestConfirmationOnATerminal(t *testing.T) {
	p := filled(t, newLocation(t, "sqlite"))
	for _, answer := range []string{"n\n", "\n", "\x04", "\x03", "y\n"} {
		command := p.command(t, "rm", "--status", "404")
		terminal, err := pty.Start(command)
		if err != nil {
			t.Skip("there are no terminals here:", err)
		}
		var shown bytes.Buffer
		ask := make(chan struct{})
		done := make(chan struct{})
		go func() {
			defer close(done)
			asked := false
			for buf := make([]byte, 1024); ; {
				n, err := terminal.Read(buf)
				shown.Write(buf[:n])
				if !asked && bytes.Contains(shown.Bytes(), []byte("[y/N]")) {
					asked = true
					close(ask)
				}
				if err != nil {
					return
				}
			}
		}()
		waitfor.Receive(t, "the question", ask)
		_, err = terminal.WriteString(answer)
		check(t, err)
		err = command.Wait()
		terminal.Close()
		<-done
		want := map[string]int{"y\n": exitOK, "\x03": exitInterrupted}[answer]
		if answer != "y\n" && want == 0 {
			want = exitError
		}
		if code := command.ProcessState.ExitCode(); code != want {
			t.Errorf("after %q it ends with %d, %v, want %d: %s", answer, code, err, want, &shown)
		}
		if !strings.Contains(shown.String(), "1 of 11 entries") {
			t.Errorf("it shows %q", &shown)
		}
	}
	if r := p.run(t, "", "find", "--status", "404"); r.code != exitNothing {
		t.Errorf("what was to be deleted is there: %+v", r)
	}
}

func TestTimes(t *testing.T) {
	p := filled(t, newLocation(t, "sqlite"))
	command := p.command(t, "show", "tracks", "harder", "--local")
	command.Env = append(command.Env, "TZ=Asia/Tokyo")
	if out, err := command.Output(); err != nil || !strings.Contains(string(out), "2126-11-29 20:55:00 JST") {
		t.Errorf("it prints %s, %v", out, err)
	}
}

func TestCompletion(t *testing.T) {
	p := filled(t, newLocation(t, "sqlite"))
	for line, want := range map[string]string{
		"endpointcache find tr": "tracks\n", "endpointcache show " + p.url + " pa": "pages\n", "endpointcache cp " + p.url + " sqlite:new.db tr": "tracks\n",
		"endpointcache export sqlite:none.db tr": "", "endpointcache replay --repository tr": "tracks\n",
		"endpointcache ve": "verify\n", "endpointcache find --named-": "--named-prefix\n", "endpointcache find --sort na": "name\n",
		"endpointcache clear --e": "--expired\n",
	} {
		command := p.command(t)
		command.Env = append(command.Env, "COMP_LINE="+line)
		if out, err := command.Output(); err != nil || string(out) != want {
			t.Errorf("%q is completed by %q, %v, want %q", line, out, err, want)
		}
	}
}

// What is completed is a word as it stands, and nothing is read that may not come.
func TestCompletionDoesNoHarm(t *testing.T) {
	p := newLocation(t, "sqlite")
	dir := t.TempDir()
	file, pipe := filepath.Join(dir, "names.jsonl"), filepath.Join(dir, "pipe")
	check(t, os.WriteFile(file, []byte(`{"format":"endpointcache","version":1}
{"table":{"name":"tracks","repository":"tracks","key":[{"name":"id","kind":"string"}]}}
{"table":{"name":"t;$(true)","repository":"t;$(true)","key":[{"name":"id","kind":"string"}]}}
{"response":{"table":"tracks","key":["a"],"status":200,"cachedAt":"2026-11-29T12:00:00Z"}}
{"response":{"table":"t;$(true)","key":["a"],"status":200,"cachedAt":"2026-11-29T12:00:00Z"}}
{"end":{"responses":2}}
`), 0o600))
	if r := p.run(t, "", "import", file, "--yes"); r.code != 0 {
		t.Fatalf("%+v", r)
	}
	lines := []string{"endpointcache find t"}
	if err := exec.CommandContext(t.Context(), "mkfifo", pipe).Run(); err == nil {
		lines = append(lines, "endpointcache find --keys "+pipe+" t", "endpointcache find --keys="+pipe+" t")
	}
	for _, line := range lines {
		command := p.command(t)
		command.Env = append(command.Env, "COMP_LINE="+line)
		if out, err := command.Output(); err != nil || string(out) != "tracks\n" {
			t.Errorf("%q is completed by %q, %v", line, out, err)
		}
	}
}
