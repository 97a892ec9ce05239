// Package archive writes stored responses to files that other programs read, and reads them back: HAR 1.2, which
// browsers and HTTP tools open, and JSON lines, which keep every part.
package archive

import (
	"context"
	"errors"
	"io"
	"iter"

	"github.com/endpointcache/endpointcache/cache"
)

// WriteLines writes the responses that the query selects as JSON lines: first a line for each table with its declaration, then
// one for each response, with all its parts. It returns how many responses it has written.
func WriteLines(ctx context.Context, w io.Writer, from *cache.Contents, q cache.Query) (int, error) {
	return 0, errors.ErrUnsupported
}

// ReadLines saves what WriteLines has written, and returns how many responses.
func ReadLines(ctx context.Context, r io.Reader, to *cache.Contents) (int, error) {
	return 0, errors.ErrUnsupported
}

// WriteHAR writes the responses that the query selects as a HAR 1.2 document.
func WriteHAR(ctx context.Context, w io.Writer, from *cache.Contents, q cache.Query) (int, error) {
	return 0, errors.ErrUnsupported
}

// HARTarget says how the entries of a HAR become stored responses.
type HARTarget struct {
	Repository string // the catch-all repository for requests that no table's endpoint matches; empty: they are skipped
}

// ReadHAR saves the responses of a HAR document, of a browser's too, and returns how many, and how many were skipped.
func ReadHAR(ctx context.Context, r io.Reader, to *cache.Contents, t HARTarget) (saved, skipped int, err error) {
	return 0, 0, errors.ErrUnsupported
}

var _ = iter.Seq[int](nil)
