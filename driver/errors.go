package driver

import (
	"errors"
	"fmt"
)

// Errors that a caller can act on. They come wrapped: use [errors.Is].
var (
	// ErrClosed is returned by every call after Close.
	ErrClosed = errors.New("store is closed")

	// ErrSchema is wrapped by [SchemaError].
	ErrSchema = errors.New("table has another schema")

	// ErrTooLarge means that the store cannot hold an entry of that size.
	ErrTooLarge = errors.New("entry is too large for the store")

	// ErrReadOnly means that a store is not to be changed, or may not be: it was opened to be
	// read, or the system lets its user do no more. Opening a table that is not there is this
	// error, too.
	ErrReadOnly = errors.New("the store may only be read")

	// ErrAbsent means that a store was to be opened to be read where none has ever been: the
	// file, folder, schema or database is absent, or has no table of a cache.
	ErrAbsent = errors.New("there is no cache")
)

// SchemaError tells that a table which is already there does not fit the
// repository that is to use it: another key type, or no table of ours at all.
// Nothing was changed.
type SchemaError struct {
	Table string
	Want  string // what was asked for
	Have  string // what is there
}

func (e *SchemaError) Error() string {
	return fmt.Sprintf("%v: want %s, have %s", ErrSchema, e.Want, e.Have)
}

// Unwrap returns [ErrSchema].
func (e *SchemaError) Unwrap() error { return ErrSchema }

// OpError is the error of an operation on a store.
type OpError struct {
	Store string // the store's kind
	Op    string // the operation, such as "get"
	Table string // the table's name, or empty
	Err   error
}

func (e *OpError) Error() string {
	if e.Table == "" {
		return fmt.Sprintf("%s: %s: %v", e.Store, e.Op, e.Err)
	}
	return fmt.Sprintf("%s: %s %q: %v", e.Store, e.Op, e.Table, e.Err)
}

// Unwrap returns the cause.
func (e *OpError) Unwrap() error { return e.Err }
