//go:build !(linux || darwin || freebsd || dragonfly || windows)

package mount

import "os"

// Of knows nothing here.
func Of(*os.File) (System, error) { return System{}, nil }
