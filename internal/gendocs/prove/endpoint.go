package prove

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"slices"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/pages"
	"github.com/endpointcache/endpointcache/prefetch"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/settings"
)

// Endpoint is a generated declaration of an operation.
type Endpoint interface {
	path() string
	name() string
	open(ctx context.Context, c *cache.ResponseCache, client *fetch.Client) error

	// keys checks that the requests of all keys are of the operation, and lead back to their
	// keys.
	keys(ctx context.Context, base *url.URL, op *Operation) (int, error)

	// send asks for all keys by a client over the cache.
	send(ctx context.Context, base *url.URL, client *http.Client) error

	// stored checks that the repository has all keys and no others.
	stored(ctx context.Context) error

	// prefetch returns how many keys were fetched.
	prefetch(ctx context.Context) (int, error)

	// walk returns how many pages a listing has, 0 where it is none.
	walk(ctx context.Context) (int, error)
}

// Of is the declaration of the GET of a path of the document.
func Of[K comparable, V any](path string, s settings.RepositorySettings[K, V]) Endpoint {
	return &endpoint[K, V]{of: path, settings: s}
}

// Paged is Of for a listing.
func Paged[K comparable, V any](path string, s settings.RepositorySettings[K, V], next pages.Next[K, V]) Endpoint {
	return &endpoint[K, V]{of: path, settings: s, next: next}
}

type endpoint[K comparable, V any] struct {
	of       string
	settings settings.RepositorySettings[K, V]
	next     pages.Next[K, V]
	all      []K
	fetcher  *fetch.Fetcher[K, V]
}

func (e *endpoint[K, V]) path() string { return e.of }
func (e *endpoint[K, V]) name() string { return e.settings.Name }

func (e *endpoint[K, V]) open(ctx context.Context, c *cache.ResponseCache, client *fetch.Client) (err error) {
	e.fetcher, err = fetch.Create(ctx, c, client, e.settings, nil)
	return err
}

func (e *endpoint[K, V]) keys(ctx context.Context, base *url.URL, op *Operation) (int, error) {
	keys, err := keysOf[K]()
	if err != nil {
		return 0, err
	}
	s, err := e.settings.Resolve()
	if err != nil {
		return 0, err
	}
	sent := make(map[string]K)
	for _, key := range keys {
		req, err := s.Endpoint.Request(ctx, base, key)
		if err != nil {
			return 0, fmt.Errorf("no request for %+v: %w", key, err)
		}
		got, ok, err := s.Endpoint.Key(req)
		if err != nil || !ok || got != key {
			return 0, fmt.Errorf("%s has the key %+v, not %+v: %v, %v", req.URL, got, key, ok, err)
		}
		text := fmt.Sprint(req.Method, req.URL, req.Header)
		if other, ok := sent[text]; ok {
			return 0, fmt.Errorf("%+v and %+v are one request: %s", other, key, text)
		}
		sent[text] = key
		if err := op.conforms(req, key); err != nil {
			return 0, fmt.Errorf("%s: %w", req.URL, err)
		}
	}
	e.all = keys
	return len(keys), nil
}

// conforms reports what a request has that the document does not, or lacks.
func (o *Operation) conforms(req *http.Request, key any) error {
	groups := o.path.FindStringSubmatch(req.URL.EscapedPath())
	if groups == nil {
		return fmt.Errorf("the path is not one of %s", o.Path)
	}
	for i, name := range wildcard.FindAllString(o.Path, -1) {
		value, err := url.PathUnescape(groups[i+1])
		if err != nil {
			return err
		}
		for _, f := range fieldsOf(reflect.TypeOf(key)) {
			if f.in == "path" && "{"+f.name+"}" == name {
				if want := fmt.Sprint(reflect.ValueOf(key).Field(f.index)); value != want {
					return fmt.Errorf("%s is %q, not %q", name, value, want)
				}
			}
		}
	}
	query, err := url.ParseQuery(req.URL.RawQuery)
	if err != nil {
		return err
	}
	for name := range query {
		if !o.knows(name) {
			return fmt.Errorf("the document has no parameter %s", name)
		}
	}
	for _, name := range o.Required {
		if !query.Has(name) {
			return fmt.Errorf("it has no %s", name)
		}
	}
	return nil
}

func (e *endpoint[K, V]) send(ctx context.Context, base *url.URL, client *http.Client) error {
	for _, key := range e.all {
		req, err := e.fetcher.Repository().Settings().Endpoint.Request(ctx, base, key)
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		if err := drain(resp); err != nil {
			return err
		}
	}
	return nil
}

func (e *endpoint[K, V]) stored(ctx context.Context) error {
	missing := make(map[K]bool)
	for _, key := range e.all {
		missing[key] = true
	}
	for key, err := range e.fetcher.Repository().Keys(ctx) {
		if err != nil {
			return err
		}
		if !missing[key] {
			return fmt.Errorf("the repository has %+v, which is another's", key)
		}
		delete(missing, key)
	}
	if len(missing) > 0 {
		return fmt.Errorf("the repository lacks %d of %d keys, such as %+v", len(missing), len(e.all), first(missing))
	}
	return nil
}

func first[K comparable](m map[K]bool) (k K) {
	for k = range m {
		return k
	}
	return k
}

func (e *endpoint[K, V]) prefetch(ctx context.Context) (int, error) {
	result, err := prefetch.Run(ctx, e.fetcher, slices.Values(e.all), nil)
	if err != nil {
		return 0, err
	}
	if done := result.Fetched + result.Cached; done != len(e.all) {
		return 0, fmt.Errorf("%d of %d keys: %v", done, len(e.all), result.Causes)
	}
	return result.Fetched, nil
}

func (e *endpoint[K, V]) walk(ctx context.Context) (n int, err error) {
	if e.next == nil {
		return 0, nil
	}
	repo := e.fetcher.Repository()
	if _, err := repo.Clear(ctx, repository.All); err != nil {
		return 0, err
	}
	var seen []K
	for page, err := range pages.Walk(ctx, e.fetcher, e.all[0], e.next, &pages.Options{MaxPages: 3}) {
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

var errStatus = errors.New("the status is no success")
