//go:build unix && !linux

package testserver

import "syscall"

// attributes are those of a server's process. It has a process group of its own, so
// that an interrupt at the terminal does not end it before the tests.
func attributes(owner *account) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Credential: owner.credential()}
}
