package filesystem

import (
	"errors"

	"golang.org/x/sys/windows"
)

// inUse reports whether a file may not be replaced as another program has it open.
func inUse(err error) bool {
	return errors.Is(err, windows.ERROR_SHARING_VIOLATION) || errors.Is(err, windows.ERROR_ACCESS_DENIED)
}
