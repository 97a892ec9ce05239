package testserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

const (
	patience = time.Minute // for a server to be ready, or to stop; only one that hangs takes it
	pollTime = 5 * time.Millisecond
)

// process is a server that runs. It is told to stop by a signal, and is killed
// where it does not, or, as far as the system can, when this process ends.
type process struct {
	cmd  *exec.Cmd
	log  string        // the file that it writes to
	from int64         // where its part of the log begins
	done chan struct{} // closed when it has ended
}

// startProcess starts a program as the folder's user; it writes to the folder's log.
func startProcess(f *folder, program string, args ...string) (*process, error) {
	log, err := os.OpenFile(f.file("log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }() // the process writes to it
	from, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	// #nosec G204 -- the programs of this machine's servers
	p := &process{cmd: exec.CommandContext(context.Background(), program, args...), log: log.Name(), from: from, done: make(chan struct{})}
	p.cmd.Dir, p.cmd.Env = f.path, cleanEnv()
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = attributes(f.owner)

	started := make(chan error)
	go func() {
		// The system ends the server with the thread that started it.
		runtime.LockOSThread()
		defer close(p.done)
		err := p.cmd.Start()
		started <- err
		if err == nil {
			_ = p.cmd.Wait() // its log tells more than its status
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// runProgram runs a program to its end, as the folder's user. An error has its output.
func runProgram(ctx context.Context, f *folder, program string, args ...string) error {
	// #nosec G204 -- the programs of this machine's servers
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.Env = f.path, cleanEnv()
	cmd.SysProcAttr = attributes(f.owner)
	// The system ends the program with the thread that started it. Without the lock that
	// could be one on which another goroutine runs by now, and which ends with it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", filepath.Base(program), err, strings.TrimSpace(string(out)))
	}
	return nil
}

// await waits until ready is true. Where the process ends first, or its time is
// over, the error has the end of its log, and the process has ended.
func (p *process) await(ctx context.Context, ready func() (bool, error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errors.New("it did not become ready"))
	defer cancel()
	for {
		ok, err := ready()
		if ok && err == nil {
			return nil
		}
		if err == nil {
			select {
			case <-p.done:
				err = errors.New("it ended at once")
			case <-ctx.Done():
				err = context.Cause(ctx)
			case <-time.After(pollTime):
				continue
			}
		}
		_ = p.stop(syscall.SIGQUIT)
		return fmt.Errorf("%s: %w: %s", filepath.Base(p.cmd.Path), err, p.lastLines())
	}
}

// stop sends the signals, one after the other, and at last kills the process. It
// returns when the process has ended.
func (p *process) stop(signals ...os.Signal) error {
	for _, s := range append(signals, os.Kill) {
		if p.cmd.Process.Signal(s) != nil {
			continue // it has ended, or the system has no such signal
		}
		select {
		case <-p.done:
			return nil
		case <-time.After(patience / 2):
		}
	}
	select {
	case <-p.done:
		return nil
	case <-time.After(patience / 2):
		return fmt.Errorf("%s does not end", filepath.Base(p.cmd.Path))
	}
}

// output returns what the process wrote.
func (p *process) output() (string, error) {
	text, err := readFile(p.log)
	if err != nil || int64(len(text)) < p.from {
		return "", err
	}
	return text[p.from:], nil
}

func (p *process) lastLines() string {
	text, err := p.output()
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-5):], "; ")
}

// cleanEnv is the environment without what makes servers differ between machines.
func cleanEnv() []string {
	env := []string{"LC_ALL=C"}
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "PG") && !strings.HasPrefix(variable, "LC_") && !strings.HasPrefix(variable, "LANG") {
			env = append(env, variable)
		}
	}
	return env
}
