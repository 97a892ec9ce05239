//go:build unix

package testserver

import (
	"context"
	"os/exec"
	"syscall"
)

func (a *account) credential() *syscall.Credential {
	if a == nil {
		return nil
	}
	return &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid)}
}

// guard removes dir when this process has ended in any way: a shell waits for the
// end of its input, which comes then or when the guard is dismissed. A server that
// is ending meanwhile may still write, hence the second try.
func guard(dir string) (dismiss func(), err error) {
	// #nosec G204 -- dir is an argument, not part of the script
	cmd := exec.CommandContext(context.Background(), "/bin/sh", "-c", `cat; rm -rf "$1" || { sleep 2; rm -rf "$1"; }`, "sh", dir)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	input, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return func() {
		_ = input.Close()
		_ = cmd.Wait()
	}, nil
}
