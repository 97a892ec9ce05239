package prove

import (
	"context"
	"fmt"
	"reflect"
	"slices"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/pages"
	"github.com/endpointcache/endpointcache/prefetch"
	"github.com/endpointcache/endpointcache/settings"
)

// Typed is a declaration that is prefetched as well, and walked if it is a listing.
type Typed interface {
	of() string

	// open adds the repository to a cache.
	open(ctx context.Context, c *cache.ResponseCache, client *fetch.Client) error

	// prefetch returns how many of the keys were fetched.
	prefetch(ctx context.Context, keys []reflect.Value) (fetched int, err error)

	// walk returns how many pages a listing has, 0 where it is none.
	walk(ctx context.Context, first reflect.Value) (int, error)
}

// With is the declaration of the GET of a path of the document. next is nil for those that are
// no listings.
func With[K comparable, V any](path string, s settings.RepositorySettings[K, V], next pages.Next[K, V]) Typed {
	return &typed[K, V]{path: path, settings: s, next: next}
}

type typed[K comparable, V any] struct {
	path     string
	settings settings.RepositorySettings[K, V]
	next     pages.Next[K, V]
	fetcher  *fetch.Fetcher[K, V]
}

func (e *typed[K, V]) of() string { return e.path }

func (e *typed[K, V]) open(ctx context.Context, c *cache.ResponseCache, client *fetch.Client) (err error) {
	e.fetcher, err = fetch.Create(ctx, c, client, e.settings, nil)
	return err
}

func (e *typed[K, V]) prefetch(ctx context.Context, keys []reflect.Value) (int, error) {
	own := make([]K, len(keys))
	for i, key := range keys {
		own[i], _ = key.Interface().(K)
	}
	result, err := prefetch.Run(ctx, e.fetcher, slices.Values(own), nil)
	if err != nil {
		return 0, err
	}
	if done := result.Fetched + result.Cached; done != len(own) {
		return 0, fmt.Errorf("%d of %d keys: %v", done, len(own), result.Causes)
	}
	return result.Fetched, nil
}

func (e *typed[K, V]) walk(ctx context.Context, first reflect.Value) (n int, err error) {
	if e.next == nil {
		return 0, nil
	}
	key, _ := first.Interface().(K)
	var seen []K
	for page, err := range pages.Walk(ctx, e.fetcher, key, e.next, &pages.Options{MaxPages: 3, Fetch: []fetch.Option{fetch.Refresh()}}) {
		if err != nil {
			return n, err
		}
		n++
		seen = append(seen, page.Key)
	}
	if n != 2 {
		return n, fmt.Errorf("%d pages, not 2: %+v", n, seen)
	}
	return n, nil
}
