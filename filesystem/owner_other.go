//go:build !unix

package filesystem

import "os"

// othersMayWrite is false: here, a folder's mode does not tell.
func othersMayWrite(os.FileInfo) bool { return false }

// mine is always true: here, each user has a folder for temporary files.
func mine(os.FileInfo) bool { return true }
