//go:build !cgo

package sqlite_test

const driverName = "sqlite" // as modernc.org/sqlite registers itself

// unsynced opens a file whose commits are not flushed to the disk: many are
// made.
func unsynced(path string) string { return "file:" + path + "?_pragma=synchronous(0)" }
