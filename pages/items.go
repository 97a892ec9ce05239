package pages

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/internal/exchange"
	"github.com/endpointcache/endpointcache/repository"
)

// Item is one item of a listing, with the key that was told for it.
type Item[K comparable, V any] struct {
	Key   K
	Value V
}

// ItemsOf takes the items out of a page, as they stand in it, byte for byte, in their
// order. Those that are nil are left out. [payload.Array] makes one.
type ItemsOf func(page []byte) ([][]byte, error)

// Into returns the pages of walk, each after its items were saved in the repository of
// the fetcher to, all at once. A fetcher without a repository keeps none.
//
// An item is saved as if it had been fetched alone when its page was: its own bytes, with
// those headers of the page that hold for it. So it expires as long after that as the
// repository, or one of opts, says, and replaces nothing that is newer than the page,
// which may have been cached for days. items takes the items out of a page, and key
// tells the key of one; ok is false for an item that is not to be saved.
//
// A page whose items could not all be taken comes together with an error: a
// repository.DecodeError for each item that cannot be decoded, what items returned, or
// what is wrong with opts. The loop may go on nevertheless. A store that fails or is slow
// is no error, but logged and counted by the cache.
func Into[K comparable, P any, IK comparable, IV any](
	ctx context.Context,
	walk iter.Seq2[*Page[K, P], error],
	to *fetch.Fetcher[IK, IV],
	items ItemsOf,
	key func(page K, item IV) (key IK, ok bool),
	opts ...repository.SaveOption,
) iter.Seq2[*Page[K, P], error] {
	return func(yield func(*Page[K, P], error) bool) {
		for page, err := range walk {
			if page != nil {
				_, itemErr := keep(ctx, page, to, items, key, opts)
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
	to *fetch.Fetcher[IK, IV],
	items ItemsOf,
	key func(page K, item IV) (key IK, ok bool),
	opts ...repository.SaveOption,
) iter.Seq2[Item[IK, IV], error] {
	return func(yield func(Item[IK, IV], error) bool) {
		for page, err := range walk {
			var taken []Item[IK, IV]
			if page != nil {
				var itemErr error
				taken, itemErr = keep(ctx, page, to, items, key, opts)
				err = errors.Join(err, itemErr)
			}
			if err != nil && !yield(Item[IK, IV]{}, err) {
				return
			}
			for _, item := range taken {
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
	to *fetch.Fetcher[IK, IV],
	items ItemsOf,
	key func(K, IV) (IK, bool),
	opts []repository.SaveOption,
) ([]Item[IK, IV], error) {
	if to == nil || items == nil || key == nil {
		return nil, errors.New("pages: the items have no fetcher, or there is no function for them or for their keys")
	}
	// The page is the caller's to change, also while a slow store still reads its items.
	raws, err := items(bytes.Clone(page.Entry.Payload))
	if err != nil {
		return nil, fmt.Errorf("pages: items of a page: %w", err)
	}
	part, err := partOf(page.Entry)
	if err != nil {
		return nil, fmt.Errorf("pages: items of a page: %w", err)
	}
	taken := make([]Item[IK, IV], 0, len(raws))
	found := make(map[IK]repository.Entry, len(raws))
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
			found[item.Key] = entry
		}
		taken = append(taken, item)
	}
	if ctx, err = to.Identify(ctx); err != nil {
		return taken, errors.Join(append(failed, err)...)
	}
	failed = append(failed, save(ctx, to.Repository(), found, append(opts[:len(opts):len(opts)], repository.AsOf(page.asOf))))
	return taken, errors.Join(failed...)
}

// save saves items, where there is a repository. An error is one of the options.
func save[K comparable, V any](ctx context.Context, repo *repository.ResponseRepository[K, V], items map[K]repository.Entry, opts []repository.SaveOption) error {
	if repo == nil {
		return nil
	}
	if err := repo.SaveEntries(ctx, nil, opts...); err != nil {
		return fmt.Errorf("pages: %w", err)
	}
	table := exchange.OfRepository(repo.Responses).View()
	err := table.Try(ctx, "save", len(items), func(ctx context.Context) error { return repo.SaveEntries(ctx, items, opts...) })
	if !errors.Is(err, driver.ErrTooLarge) {
		return nil
	}
	for key, entry := range items { // one is, and the others are not to be lost
		if err := table.Try(ctx, "save", 1, func(ctx context.Context) error { return repo.SaveEntry(ctx, key, entry, opts...) }); err != nil {
			table.Exchange().Logger().Warn("endpointcache: save failed", "repository", repo.Name(), "error", err)
		}
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
