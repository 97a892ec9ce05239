package repository

import (
	"fmt"

	"github.com/endpointcache/endpointcache/internal/keytype"
	"github.com/endpointcache/endpointcache/internal/secret"
)

// DecodeError tells that a body is not what the repository's payload handler
// takes: of a response that was to be saved, or of an entry that was saved when
// V was another type. It wraps the handler's error, which may have a piece of the body: its
// own text has none that could be a secret.
type DecodeError struct {
	Repository string
	Key        any // the entry's K, or nil where it is not known
	Err        error
}

func (e *DecodeError) Error() string {
	why := secret.MaskValues(e.Err.Error())
	if e.Key == nil {
		return fmt.Sprintf("repository %q: decode payload: %s", e.Repository, why)
	}
	return fmt.Sprintf("repository %q: decode payload of %s: %s", e.Repository, keytype.Show(e.Key), why)
}

// Unwrap returns the handler's error.
func (e *DecodeError) Unwrap() error { return e.Err }
