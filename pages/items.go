package pages

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"time"

	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/settings"
)

// Item is one item of a listing, with the key that was told for it.
type Item[K comparable, V any] struct {
	Key   K
	Value V
}

// Split takes a page apart: the items as they stand in it, byte for byte, in their
// order. Those that are nil are left out. [payload.Array] makes one.
type Split func(page []byte) ([][]byte, error)

// Into returns the pages of walk, each after its items were saved in the repository of
// the endpoint to, all at once. An endpoint without a repository keeps none.
//
// An item is saved as if it had been fetched alone: its own bytes, with those headers of
// the page that hold for it. split takes the items out of a page, and key tells
// the key of one; ok is false for an item that is not to be saved. Items of a page that
// has just been fetched replace what there is. Those of a page that was cached are saved
// only where there is no live entry, and expire as if they had been saved with the page,
// unless opts say when.
//
// A page whose items could not all be taken comes together with an error: a
// repository.DecodeError for each item that cannot be decoded, what split returned, or
// what is wrong with opts. The loop may go on nevertheless. A store that fails or is slow
// is no error, but logged and counted by the endpoint, see fetch.Endpoint.Keep.
func Into[K comparable, P any, IK comparable, IV any](
	ctx context.Context,
	walk iter.Seq2[*Page[K, P], error],
	to *fetch.Endpoint[IK, IV],
	split Split,
	key func(page K, item IV) (key IK, ok bool),
	opts ...repository.SaveOption,
) iter.Seq2[*Page[K, P], error] {
	return func(yield func(*Page[K, P], error) bool) {
		for page, err := range walk {
			if page != nil {
				_, itemErr := keep(ctx, page, to, split, key, opts)
				err = errors.Join(err, itemErr)
			}
			if !yield(page, err) {
				return
			}
		}
	}
}

// Items returns the items of the pages of walk, one by one in their order, after those
// of a page were saved as [Into] does it. What fails comes as an error without an
// item, before the items of its page that have not failed; after one that was about
// items the loop may go on.
func Items[K comparable, P any, IK comparable, IV any](
	ctx context.Context,
	walk iter.Seq2[*Page[K, P], error],
	to *fetch.Endpoint[IK, IV],
	split Split,
	key func(page K, item IV) (key IK, ok bool),
	opts ...repository.SaveOption,
) iter.Seq2[Item[IK, IV], error] {
	return func(yield func(Item[IK, IV], error) bool) {
		for page, err := range walk {
			var items []Item[IK, IV]
			if page != nil {
				var itemErr error
				items, itemErr = keep(ctx, page, to, split, key, opts)
				err = errors.Join(err, itemErr)
			}
			if err != nil && !yield(Item[IK, IV]{}, err) {
				return
			}
			for _, item := range items {
				if !yield(item, nil) {
					return
				}
			}
		}
	}
}

// keep takes the items out of a page and saves those that have a key.
func keep[K comparable, P any, IK comparable, IV any](
	ctx context.Context,
	page *Page[K, P],
	to *fetch.Endpoint[IK, IV],
	split Split,
	key func(K, IV) (IK, bool),
	opts []repository.SaveOption,
) ([]Item[IK, IV], error) {
	if to == nil || split == nil || key == nil {
		return nil, errors.New("pages: the items have no endpoint, split or key")
	}
	// The page is the caller's to change, also while a slow store still reads its items.
	raws, err := split(bytes.Clone(page.Entry.Payload))
	if err != nil {
		return nil, fmt.Errorf("pages: items of a page: %w", err)
	}
	part, err := partOf(page.Entry)
	if err != nil {
		return nil, fmt.Errorf("pages: items of a page: %w", err)
	}
	items := make([]Item[IK, IV], 0, len(raws))
	found := make([]repository.Decoded[IK, IV], 0, len(raws))
	var failed []error
	for _, raw := range raws {
		if raw == nil {
			continue
		}
		entry := part
		entry.Payload = raw
		var none IK
		value, err := to.Decode(none, entry)
		if err != nil {
			failed = append(failed, fmt.Errorf("pages: item of a page: %w", err))
			continue
		}
		item := Item[IK, IV]{Value: value}
		var ok bool
		if item.Key, ok = key(page.Key, value); ok {
			found = append(found, repository.Decoded[IK, IV]{Key: item.Key, Entry: entry, Value: value})
		}
		items = append(items, item)
	}
	failed = append(failed, save(ctx, to, page.Entry.CachedAt, found, opts))
	return items, errors.Join(failed...)
}

// save saves items of a page that was saved at cachedAt, which is zero where it was
// not cached.
func save[K comparable, V any](ctx context.Context, to *fetch.Endpoint[K, V], cachedAt time.Time, items []repository.Decoded[K, V], opts []repository.SaveOption) error {
	keep := to.Keep
	if repo := to.Repository(); repo != nil && !cachedAt.IsZero() {
		keep = to.KeepMissing
		if d := repo.Expire(); d != settings.NeverExpire {
			opts = append([]repository.SaveOption{repository.ExpireAt(cachedAt.Add(d))}, opts...)
		}
	}
	if err := keep(ctx, items, opts...); err != nil {
		return fmt.Errorf("pages: %w", err)
	}
	return nil
}

// partOf is the entry of an item of a page, without its payload. It has the headers
// that are about no more than that: an ETag or a Link is the page's.
func partOf(page repository.Entry) (repository.Entry, error) {
	head, err := page.Head()
	if err != nil {
		return repository.Entry{}, err
	}
	header := make(http.Header)
	for _, name := range []string{"Content-Type", "Date", "Age", "Cache-Control", "Expires"} {
		if values := head.Header.Values(name); len(values) > 0 {
			header[name] = values
		}
	}
	return repository.NewEntry(http.StatusOK, repository.Head{Header: header, Proto: head.Proto}, nil)
}
