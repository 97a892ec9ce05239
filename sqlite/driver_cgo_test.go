//go:build cgo

package sqlite_test

const driverName = "sqlite3" // as github.com/mattn/go-sqlite3 registers itself

// unsynced opens a file whose commits are not flushed to the disk: many are
// made.
func unsynced(path string) string { return "file:" + path + "?_synchronous=OFF" }
