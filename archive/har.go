package archive

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/request"
)

// WriteHAR writes the responses that the query selects as a HAR 1.2 document.
func WriteHAR(ctx context.Context, w io.Writer, from *cache.Contents, q cache.Query) (int, error) {
	return 0, errors.ErrUnsupported
}

// HARTarget says how the entries of a HAR become stored responses.
type HARTarget struct {
	Repository string // the catch-all repository for requests that no table's endpoint matches; empty: they are skipped
	Any        *request.AnyOptions
	Expire     time.Duration
}

// ReadHAR saves the responses of a HAR document, of a browser's too, and returns how many, and how many were skipped.
func ReadHAR(ctx context.Context, r io.Reader, to *cache.Contents, t HARTarget) (saved, skipped int, err error) {
	return 0, 0, errors.ErrUnsupported
}
