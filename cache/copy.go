package cache

import (
	"context"
	"errors"
)

// CopyOptions are the settings of a copy. A nil *CopyOptions means the defaults.
type CopyOptions struct {
	// Repositories are those that are copied; with none, the whole store is.
	Repositories []string

	// Replace lets entries of the target be replaced by others of the same key. Without it, what the target
	// has newer, by when it was requested, stays.
	Replace bool

	// Progress is told how far the copy is, by one goroutine at a time; may be nil.
	Progress func(CopyProgress)
}

// CopyProgress is how far a copy is.
type CopyProgress struct {
	Table   string
	Entries int   // of those to copy that were looked at
	Total   int   // to look at, as counted at the beginning
	Copied  int   // written; the others were there
	Kept    int   // left alone, as the target has newer ones
	Bytes   int64 // written
}

// CopyTo copies what the cache's store holds to that of another cache: tables, declarations, entries as they
// are stored (compressed or sealed ones too), and what was made old. Entries that are equal in both are not written again, so a copy that
// was interrupted goes on where it was when it is begun anew. Entries that are saved meanwhile may be left out.
func (c *ResponseCache) CopyTo(ctx context.Context, to *ResponseCache, opts *CopyOptions) (CopyProgress, error) {
	return CopyProgress{}, errors.ErrUnsupported
}
