package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"time"
)

// grace is how long the command may go on after a signal.
const grace = 10 * time.Second

// runCommand runs the command with more variables in its environment, passes the
// signals on, and returns its exit code.
func runCommand(args, env []string, signals <-chan os.Signal) (exitCode int, err error) {
	// #nosec G204 -- that is what the program is for
	cmd := exec.CommandContext(context.Background(), args[0], args[1:]...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	ownGroup(cmd)
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()

	var overdue <-chan time.Time
	for {
		select {
		case s := <-signals:
			signalGroup(cmd, s)
			if overdue == nil {
				overdue = time.After(grace)
			}
		case <-overdue:
			signalGroup(cmd, os.Kill)
		case err := <-ended:
			if overdue != nil {
				endGroup(cmd)
			}
			var failed *exec.ExitError
			if err != nil && !errors.As(err, &failed) {
				return 0, err
			}
			return exitCodeOf(cmd.ProcessState), nil
		}
	}
}

// endGroup waits for what an interrupted command has left behind, as go test leaves
// its tests, and kills what does not end.
func endGroup(cmd *exec.Cmd) {
	for deadline := time.Now().Add(grace); groupRuns(cmd); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			signalGroup(cmd, os.Kill)
			return
		}
	}
}
