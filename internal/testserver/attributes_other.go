//go:build !unix

package testserver

import (
	"errors"
	"syscall"
)

// Where there are neither users to change to nor parents that signal, a killed
// test leaves its server and folder behind.

func attributes(*account) *syscall.SysProcAttr { return nil }

func guard(string) (dismiss func(), err error) { return func() {}, nil }

func (p *process) suspend() error { return errors.ErrUnsupported }

func (p *process) resume() error { return errors.ErrUnsupported }
