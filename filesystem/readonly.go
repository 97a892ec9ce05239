package filesystem

import (
	"errors"
	"fmt"

	"github.com/endpointcache/endpointcache/driver"
)

// unlessReadOnly is the error of what a call tidies up besides, which does not matter
// where nothing may be written.
func unlessReadOnly(err error) error {
	if errors.Is(err, driver.ErrReadOnly) {
		return nil
	}
	return err
}

// writing is the error of a change: [driver.ErrReadOnly] where the folder is on a file system
// that is mounted read-only, or this user may not write to it.
func writing(err error) error {
	if err != nil && mayNotWrite(err) {
		return fmt.Errorf("%w: %w", driver.ErrReadOnly, err)
	}
	return err
}
