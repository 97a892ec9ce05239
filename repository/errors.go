package repository

import "fmt"

// DecodeError tells that a body is not what the repository's payload handler
// takes: of a response that was to be saved, or of an entry that was saved when
// V was another type. It wraps the handler's error.
type DecodeError struct {
	Repository string
	Key        any // the entry's K, or nil where it is not known
	Err        error
}

func (e *DecodeError) Error() string {
	if e.Key == nil {
		return fmt.Sprintf("repository %q: decode payload: %v", e.Repository, e.Err)
	}
	return fmt.Sprintf("repository %q: decode payload of %+v: %v", e.Repository, e.Key, e.Err)
}

// Unwrap returns the handler's error.
func (e *DecodeError) Unwrap() error { return e.Err }
