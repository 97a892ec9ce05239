package pages

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/repository"
)

// Errors that end a walk. They come wrapped: use [errors.Is].
var (
	// ErrLoop means that a page leads to one that has been there before.
	ErrLoop = errors.New("the listing leads back to a page that it has had")

	// ErrMaxPages means that the listing has more pages than
	// [Options.MaxPages].
	ErrMaxPages = errors.New("the listing has too many pages")

	// ErrForeign means that a page leads to a URL which is not one of the
	// endpoint's, or has another host.
	ErrForeign = errors.New("the next page is not one of the endpoint's")
)

// Options are the settings of a walk. A nil *Options means the defaults.
type Options struct {
	// MaxPages is how many pages there may be. A listing with more ends with
	// ErrMaxPages. The default is 10,000.
	MaxPages int

	// Fetch are options for each page, such as fetch.Refresh.
	Fetch []fetch.Option
}

// Page is one page of a listing.
type Page[K comparable, P any] struct {
	Key   K
	Value P

	// Entry is the response itself. Its Payload is not to be changed.
	Entry repository.Entry

	follow func(url string) (K, error)
}

// Cached reports whether the page was in the repository already.
func (p *Page[K, P]) Cached() bool { return !p.Entry.CachedAt.IsZero() }

// Follow returns the key of the page with that URL, which may be relative to this
// page's. A URL of another host, or that is not one of the endpoint's requests, is an
// error that wraps [ErrForeign]. The scheme is not looked at, nor is the URL itself
// ever asked for: it is the endpoint that builds the request for the key.
func (p *Page[K, P]) Follow(url string) (K, error) { return p.follow(url) }

// Next tells the key of the page after one. ok is false where that is the last.
type Next[K comparable, P any] func(page *Page[K, P]) (next K, ok bool, err error)

// Walk returns the pages of a listing from the one with the key first on, in their
// order. Each is fetched when the loop gets to it, from the endpoint's repository where
// it has it, so to break off the loop ends the walk.
//
// An error, which comes without a page, ends it. It is what fetching the page or next
// has failed with, as [fetch.Endpoint.Fetch] says, or wraps [ErrLoop], [ErrMaxPages] or
// [ErrForeign]. An API that answers 404 after its last page ends with an error that
// wraps fetch.ErrAbsent.
//
// The sequence may be used several times. A page belongs to the caller.
func Walk[K comparable, P any](ctx context.Context, e *fetch.Endpoint[K, P], first K, next Next[K, P], opts *Options) iter.Seq2[*Page[K, P], error] {
	return func(yield func(*Page[K, P], error) bool) {
		w, err := newWalk(e, next, opts)
		if err != nil {
			yield(nil, err)
			return
		}
		key, more := first, true
		for more {
			page, err := w.fetch(ctx, key)
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(page, nil) {
				return
			}
			if key, more, err = w.after(page); err != nil {
				yield(nil, err)
				return
			}
		}
	}
}

// walk is one use of a sequence.
type walk[K comparable, P any] struct {
	endpoint *fetch.Endpoint[K, P]
	next     Next[K, P]
	max      int
	opts     []fetch.Option
	seen     map[K]struct{}
}

func newWalk[K comparable, P any](e *fetch.Endpoint[K, P], next Next[K, P], opts *Options) (*walk[K, P], error) {
	w := &walk[K, P]{endpoint: e, next: next, max: 10_000, seen: make(map[K]struct{})}
	if opts != nil {
		w.opts = opts.Fetch
		if opts.MaxPages != 0 {
			w.max = opts.MaxPages
		}
	}
	switch {
	case e == nil:
		return nil, errors.New("pages: the endpoint is nil")
	case next == nil:
		return nil, errors.New("pages: next is nil")
	case w.max < 0:
		return nil, fmt.Errorf("pages: MaxPages is %d: it cannot be negative", w.max)
	}
	return w, nil
}

func (w *walk[K, P]) fetch(ctx context.Context, key K) (*Page[K, P], error) {
	w.seen[key] = struct{}{}
	entry, err := w.endpoint.FetchEntry(ctx, key, w.opts...)
	if err != nil {
		return nil, w.failed(err)
	}
	value, err := w.endpoint.Decode(key, entry)
	if err != nil {
		return nil, w.failed(err)
	}
	return &Page[K, P]{Key: key, Value: value, Entry: entry, follow: func(url string) (K, error) {
		return follow(ctx, w.endpoint, key, url)
	}}, nil
}

// after returns the key of the page after one, if there is another.
func (w *walk[K, P]) after(page *Page[K, P]) (key K, more bool, err error) {
	key, more, err = w.next(page)
	if err == nil && more {
		if _, again := w.seen[key]; again {
			err = ErrLoop
		} else if len(w.seen) == w.max {
			err = ErrMaxPages
		}
	}
	if err != nil {
		return key, false, w.failed(err)
	}
	return key, more, nil
}

func (w *walk[K, P]) failed(err error) error {
	return fmt.Errorf("pages: repository %q: page %d: %w", w.endpoint.Settings().Name, len(w.seen), err)
}
