package cache

import (
	"context"
	"errors"
	"fmt"

	"github.com/endpointcache/endpointcache/internal/exchange"
)

// CopyOptions are the settings of a copy. A nil *CopyOptions means the defaults.
type CopyOptions struct {
	// Repositories are those that are copied, by name; with none, all are.
	Repositories []string

	// Replace lets entries of the target be replaced that are newer, by when they were requested.
	// Without it, they stay.
	Replace bool

	// Progress is told how far the copy is, at the beginning and after each batch of entries, by the
	// goroutine that copies; may be nil.
	Progress func(CopyProgress)
}

// CopyProgress is how far a copy is.
type CopyProgress struct {
	Table    string // that is being copied, as the source has it
	Entries  int    // that were looked at, with variants
	Total    int    // to look at, as counted at the beginning
	Copied   int    // written; the others were there
	Kept     int    // left alone, as the target has newer ones
	Damaged  int    // left out: to the source's readers, they are not there either
	TooLarge int    // left out, as the target cannot hold them
	Bytes    int64  // of the bodies that were written, as they are stored
}

// ErrSameStore means that a store was to be copied to itself.
var ErrSameStore = exchange.ErrSameStore

// CopyTo copies what the cache's store holds to that of another cache, and returns how far it
// came: the entries with their times, as they are stored, so also compressed ones, and those that are
// sealed with keys which the program does not have; variants; what is remembered of the
// declarations, and of the origins; and which entries were made old by an invalidation.
// Leases, and what limits requests, are not copied. It changes nothing in the source.
//
// An entry that is equal in both is not written again, so a copy that was interrupted, or killed,
// goes on where it was when it is begun anew. Entries that are saved meanwhile may be left out.
// The cache needs no repositories, and neither does the other one. Tables of the target may have
// entries of their own, and other names.
//
// The error wraps [ErrNotFound] where the store has no repository of that name, [ErrSameStore]
// where both are one store, [driver.ErrSchema] where the target has entries of a repository by
// another declaration, which it names beside the source's, and [driver.ErrTooLarge] where all was
// copied but for entries that the target cannot hold. Before one of the first three, nothing was copied.
//

func (c *ResponseCache) CopyTo(ctx context.Context, to *ResponseCache, opts *CopyOptions) (CopyProgress, error) {
	if c == nil || to == nil {
		return CopyProgress{}, fmt.Errorf("cache: copy: %w", errNoCache)
	}
	if opts == nil {
		opts = &CopyOptions{}
	}
	if ctx == nil {
		return CopyProgress{}, fmt.Errorf("cache: copy: %w", errNoContext)
	}
	o := exchange.CopyOptions{Repositories: opts.Repositories, Replace: opts.Replace}
	if opts.Progress != nil {
		o.Progress = func(p exchange.CopyProgress) { opts.Progress(CopyProgress(p)) }
	}
	p, err := c.exchange.CopyTo(ctx, to.exchange, o)
	if unknown, ok := errors.AsType[*exchange.NoRepositoryError](err); ok {
		err = fmt.Errorf("%w: %q", ErrNotFound, unknown.Name)
	}
	if err != nil {
		err = fmt.Errorf("cache: copy: %w", err)
	}
	return CopyProgress(p), err
}
