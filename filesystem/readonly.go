package filesystem

import (
	"errors"
	"fmt"
)

// ErrReadOnly means that a folder of the store may be read and not changed: it is on a
// file system that is mounted read-only, or this user may not write to it. Tables that
// are there can be opened and read nevertheless. It comes wrapped, with the system's
// error: use [errors.Is].
var ErrReadOnly = errors.New("the folder may not be written")

// unlessReadOnly is the error of what a call tidies up besides, which does not matter
// where nothing may be written.
func unlessReadOnly(err error) error {
	if errors.Is(err, ErrReadOnly) {
		return nil
	}
	return err
}

// writing is the error of a change.
func writing(err error) error {
	if err != nil && mayNotWrite(err) {
		return fmt.Errorf("%w: %w", ErrReadOnly, err)
	}
	return err
}
