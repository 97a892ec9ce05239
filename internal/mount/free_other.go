//go:build !(linux || darwin || freebsd || dragonfly)

package mount

import "errors"

// Free is an error: it is not known here.
func Free(string) (int64, error) { return 0, errors.ErrUnsupported }

// FreeFiles is an error: it is not known here.
func FreeFiles(string) (int64, error) { return 0, errors.ErrUnsupported }
