package pages

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"time"

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

	// Cached tells that the page was in the repository already.
	Cached bool

	asOf   time.Time // when the origin was asked for it
	follow func(url string) (K, error)
}

// Follow returns the key of the page with that URL, which may be relative to this
// page's. A URL of another host, or that is not one of the endpoint's requests, is an
// error that wraps [ErrForeign]. The scheme is not looked at, nor is the URL itself
// ever asked for: it is the endpoint that builds the request for the key.
func (p *Page[K, P]) Follow(url string) (K, error) { return p.follow(url) }

// Next tells the key of the page after one. ok is false where that is the last.
type Next[K comparable, P any] func(page *Page[K, P]) (next K, ok bool, err error)

// Walk returns the pages of a listing from the one with the key first on, in their
// order. Each is fetched when the loop gets to it, from the fetcher's repository where
// it has it, so to break off the loop ends the walk.
//
// A page that was cached may lead to one that the origin has no more, as a cursor has
// expired: it answers 400, 404, 410 or 422. Then the cached page is fetched anew, though
// the loop has had it, and the walk goes on from where it leads to now.
//
// An error, which comes without a page, ends it. It is what fetching the page or next
// has failed with, as [fetch.Fetcher.Fetch] says, or wraps [ErrLoop], [ErrMaxPages] or
// [ErrForeign]. An API that answers 404 after its last page ends with an error that
// wraps fetch.ErrAbsent.
//
// The sequence may be used several times. A page belongs to the caller.
func Walk[K comparable, P any](ctx context.Context, f *fetch.Fetcher[K, P], first K, next Next[K, P], opts *Options) iter.Seq2[*Page[K, P], error] {
	return func(yield func(*Page[K, P], error) bool) {
		w, err := newWalk(f, next, opts)
		if err != nil {
			yield(nil, err)
			return
		}
		page, err := w.fetch(ctx, first)
		for page != nil && err == nil {
			if !yield(page, nil) {
				return
			}
			page, err = w.after(ctx, page)
		}
		if err != nil {
			yield(nil, err)
		}
	}
}

// walk is one use of a sequence.
type walk[K comparable, P any] struct {
	fetcher *fetch.Fetcher[K, P]
	next    Next[K, P]
	max     int
	opts    []fetch.Option
	seen    map[K]struct{}
}

func newWalk[K comparable, P any](f *fetch.Fetcher[K, P], next Next[K, P], opts *Options) (*walk[K, P], error) {
	w := &walk[K, P]{fetcher: f, next: next, max: 10_000, seen: make(map[K]struct{})}
	if opts != nil {
		w.opts = opts.Fetch
		if opts.MaxPages != 0 {
			w.max = opts.MaxPages
		}
	}
	switch {
	case f == nil:
		return nil, errors.New("pages: the fetcher is nil")
	case next == nil:
		return nil, errors.New("pages: next is nil")
	case w.max < 0:
		return nil, fmt.Errorf("pages: MaxPages is %d: it cannot be negative", w.max)
	}
	return w, nil
}

func (w *walk[K, P]) fetch(ctx context.Context, key K, opts ...fetch.Option) (*Page[K, P], error) {
	w.seen[key] = struct{}{}
	page := &Page[K, P]{Key: key, asOf: time.Now(), follow: func(url string) (K, error) {
		return follow(ctx, w.fetcher, key, url)
	}}
	var err error
	if page.Entry, page.Cached, err = w.fetcher.FetchEntry(ctx, key, append(slices.Clip(w.opts), opts...)...); err != nil {
		return nil, w.failed(err)
	}
	if !page.Entry.CachedAt.IsZero() {
		page.asOf = page.Entry.CachedAt
	}
	if page.Value, err = w.fetcher.Decode(key, page.Entry); err != nil {
		return nil, w.failed(err)
	}
	return page, nil
}

// after returns the page after one, nil if that is the last.
func (w *walk[K, P]) after(ctx context.Context, page *Page[K, P]) (*Page[K, P], error) {
	key, more, err := w.leadsTo(page)
	if err != nil || !more {
		return nil, err
	}
	following, err := w.fetch(ctx, key)
	if err == nil || !page.Cached || !isLost(err) {
		return following, err
	}
	again, anewErr := w.fetch(ctx, page.Key, fetch.Refresh())
	if anewErr != nil {
		return nil, err
	}
	anew, more, anewErr := w.next(again)
	switch {
	case anewErr != nil:
		return nil, w.failed(anewErr)
	case !more:
		return nil, nil
	case anew == key:
		return nil, err
	}
	delete(w.seen, key) // the listing has no such page
	if err := w.check(anew); err != nil {
		return nil, err
	}
	return w.fetch(ctx, anew)
}

// isLost reports whether the origin does not know the page, or its cursor, any more.
func isLost(err error) bool {
	var status *fetch.StatusError
	if errors.As(err, &status) && (status.Code == http.StatusBadRequest || status.Code == http.StatusUnprocessableEntity) {
		return true
	}
	return errors.Is(err, fetch.ErrAbsent)
}

// leadsTo returns the key of the page after one, if there is another.
func (w *walk[K, P]) leadsTo(page *Page[K, P]) (key K, more bool, err error) {
	key, more, err = w.next(page)
	switch {
	case err != nil:
		return key, false, w.failed(err)
	case more:
		err = w.check(key)
	}
	return key, more, err
}

// check tells why there cannot be a page of that key, nil where there can.
func (w *walk[K, P]) check(key K) error {
	if _, again := w.seen[key]; again {
		return w.failed(ErrLoop)
	}
	if len(w.seen) == w.max {
		return w.failed(ErrMaxPages)
	}
	return nil
}

func (w *walk[K, P]) failed(err error) error {
	return fmt.Errorf("pages: repository %q: page %d: %w", w.fetcher.Settings().Name, len(w.seen), err)
}
