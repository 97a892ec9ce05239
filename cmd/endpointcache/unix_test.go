//go:build unix

package main

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/endpointcache/endpointcache/internal/waitfor"
)

// A device or a pipe is written to, and no file takes its place.
func TestExportToAPipe(t *testing.T) {
	p := filled(t, newLocation(t, "sqlite"))
	want := p.succeeds(t, "export", "--jsonl")
	pipe := filepath.Join(t.TempDir(), "pipe")
	check(t, syscall.Mkfifo(pipe, 0o600))
	for _, args := range [][]string{{}, {"--force"}} {
		read := make(chan string)
		go func() {
			text, err := os.ReadFile(pipe)
			if err != nil {
				t.Error(err)
			}
			read <- string(text)
		}()
		p.succeeds(t, append([]string{"export", "--jsonl", "-o", pipe}, args...)...)
		info, err := os.Lstat(pipe)
		check(t, err)
		if info.Mode()&os.ModeNamedPipe == 0 {
			t.Fatalf("the pipe has become %v", info.Mode())
		}
		if got := waitfor.Receive(t, "the export", read); got != want {
			t.Errorf("the pipe has %q", got)
		}
	}
}

// A command that a signal ends has the exit code that it has in a shell.
func TestACommandThatIsKilled(t *testing.T) {
	p := newLocation(t, "sqlite")
	// What runs in the background of a script may ignore SIGINT.
	for signal, want := range map[string]int{"TERM": 143, "KILL": 137} {
		if r := p.run(t, "", "record", "http://127.0.0.1:1", "--", "sh", "-c", "kill -"+signal+" $$"); r.code != want {
			t.Errorf("after SIG%s it ends with %d, want %d: %s", signal, r.code, want, r.stderr)
		}
	}
}
