//go:build !unix

package main

import (
	"os"
	"os/exec"
)

func ownGroup(*exec.Cmd) {}

func signalGroup(cmd *exec.Cmd, s os.Signal) {
	if cmd.Process.Signal(s) != nil {
		_ = cmd.Process.Kill() // the system has no such signal
	}
}

func groupRuns(*exec.Cmd) bool { return false }

func exitCodeOf(state *os.ProcessState) int { return state.ExitCode() }
