//go:build !unix

package access

import "os"

// Others are no permissions: here, a file's mode does not tell.
const Others os.FileMode = 0

// Mine is always true: here, each user has folders of their own.
func Mine(os.FileInfo) bool { return true }

// OthersMayWrite is false: here, a folder's mode does not tell.
func OthersMayWrite(os.FileInfo) bool { return false }

// Writable reports whether a file or folder does not have the attribute of those that
// may only be read.
func Writable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && (info.IsDir() || info.Mode().Perm()&0o200 != 0)
}
