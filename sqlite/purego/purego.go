// Package purego lets a program that is built without cgo use package sqlite. It has
// nothing to call; one import in any file of the program is enough:
//
//	import _ "github.com/endpointcache/endpointcache/sqlite/purego"
//
// The driver is modernc.org/sqlite, SQLite translated to Go: it needs no C compiler, is
// easy to cross-compile, and takes about 1.5 times the time of github.com/mattn/go-sqlite3.
// In a program that is built with cgo the import adds nothing, and package sqlite uses
// the latter. This package is a module of its own, so that programs that do not need it
// do not download it.
package purego
