// Package cache holds many repositories on one store and routes requests to
// them.
package cache

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/endpoint"
	"github.com/endpointcache/endpointcache/internal/expire"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/settings"
)

// Options are the settings of a cache. A nil *Options means the defaults.
type Options struct {
	// Name is the cache's name, for those who have several. It may be empty.
	Name string

	// Expire is how long responses live whose repository does not say
	// otherwise. The default is [settings.DefaultExpire].
	Expire time.Duration

	// Router names the repository that a request belongs to, or none by an
	// empty string. A name that the cache does not have is an error of the call,
	// [ErrNotFound]. The default is the repository whose endpoint matches; of
	// several the one whose endpoint is the most specific, see package request,
	// of those the first created.
	Router func(*http.Request) string

	// Now is the clock; the default is [time.Now].
	Now func() time.Time
}

// ResponseCache is a collection of repositories on one store. Its methods that
// take requests and responses route each to its repository, those of a bulk
// call also to several, in one bulk operation for each: GetResponse, GetResponses,
// SaveResponse, SaveResponses, DeleteResponse and DeleteResponses, see
// repository.Routed. Many goroutines may use it at once.
type ResponseCache struct {
	repository.Routed
	store driver.Store
	opts  Options

	mu      sync.RWMutex
	members []*member // in the order of creation; those being created have no repository
	ranked  []*member // in the order in which they are asked for a request
}

type member struct {
	name        string
	endpoint    any // request.Endpoint[K]
	typed       any // *repository.ResponseRepository[K, V]
	responses   *repository.Responses
	specificity endpoint.Specificity
}

// Errors of the collection. They come wrapped: use [errors.Is].
var (
	// ErrExists means that the cache has a repository of that name, or of one
	// that differs only in case.
	ErrExists = errors.New("repository exists already")

	// ErrNotFound means that the cache has no repository of that name.
	ErrNotFound = errors.New("no such repository")

	// ErrSamePattern means that another repository answers for all requests of
	// this one, which would never be used: by the same endpoint, or by a pattern
	// that matches the same, however its wildcards are named. It does not occur
	// where the cache has a Router.
	ErrSamePattern = errors.New("another repository has the same endpoint")

	// ErrType means that a repository has other type parameters.
	ErrType = errors.New("repository is of another type")
)

// New returns a cache without repositories on the store, which it takes over:
// [ResponseCache.Close] closes it.
func New(store driver.Store, opts *Options) (*ResponseCache, error) {
	c := &ResponseCache{store: store}
	if opts != nil {
		c.opts = *opts
	}
	if store == nil {
		return nil, errors.New("cache: the store is nil")
	}
	if err := expire.Validate(c.opts.Expire); err != nil {
		return nil, fmt.Errorf("cache: %w", err)
	}
	c.Routed = repository.NewRouted(c.route)
	return c, nil
}

// Name is the cache's name.
func (c *ResponseCache) Name() string { return c.opts.Name }

// Kind is the kind of the cache's store, such as "sqlite".
func (c *ResponseCache) Kind() string { return c.store.Traits().Kind }

// Close closes the store. Afterwards, all calls on the cache and its
// repositories that need it return driver.ErrClosed.
func (c *ResponseCache) Close() error { return c.store.Close() }

// CreateRepository adds the repository that s describes to the cache, with its
// table in the store, which it creates where it is absent.
//
// The error is [ErrExists] where the cache has one of that name, [ErrSamePattern]
// where it has one for the same requests, and a driver.SchemaError where the table is
// there for another key.
func CreateRepository[K comparable, V any](ctx context.Context, c *ResponseCache, s settings.RepositorySettings[K, V]) (*repository.ResponseRepository[K, V], error) {
	s, err := s.Resolve()
	if err != nil {
		return nil, fmt.Errorf("cache: create repository: %w", err)
	}
	m := &member{name: s.Name, endpoint: s.Endpoint, specificity: endpoint.SpecificityOf(s.Endpoint)}
	if err := c.reserve(m); err != nil {
		return nil, fmt.Errorf("cache: create repository %q: %w", s.Name, err)
	}
	r, err := repository.New(ctx, c.store, s, &repository.Options{Expire: c.opts.Expire, Now: c.opts.Now})
	if err != nil {
		c.remove(m)
		return nil, fmt.Errorf("cache: create repository: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	m.typed, m.responses = r, r.Responses
	// Inserted behind all that are as specific.
	at := slices.IndexFunc(c.ranked, func(other *member) bool {
		return other.specificity.Compare(m.specificity) < 0
	})
	if at < 0 {
		at = len(c.ranked)
	}
	c.ranked = slices.Insert(slices.Clone(c.ranked), at, m)
	return r, nil
}

func (c *ResponseCache) reserve(m *member) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, other := range c.members {
		if strings.EqualFold(other.name, m.name) {
			return ErrExists
		}
		if c.opts.Router == nil && endpoint.Hides(other.endpoint, m.endpoint) {
			return fmt.Errorf("%w: %q", ErrSamePattern, other.name)
		}
	}
	c.members = append(slices.Clip(c.members), m)
	return nil
}

func (c *ResponseCache) remove(m *member) {
	c.mu.Lock()
	defer c.mu.Unlock()
	not := func(members []*member) []*member {
		return slices.DeleteFunc(slices.Clone(members), func(other *member) bool { return other == m })
	}
	c.members, c.ranked = not(c.members), not(c.ranked)
}

func (c *ResponseCache) member(name string) *member {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for _, m := range c.members {
		if m.name == name && m.responses != nil {
			return m
		}
	}
	return nil
}

// Repository returns the cache's repository of that name. The error is
// [ErrNotFound], or [ErrType] where its types are not K and V.
func Repository[K comparable, V any](c *ResponseCache, name string) (*repository.ResponseRepository[K, V], error) {
	m := c.member(name)
	if m == nil {
		return nil, fmt.Errorf("cache: %w: %q", ErrNotFound, name)
	}
	r, ok := m.typed.(*repository.ResponseRepository[K, V])
	if !ok {
		return nil, fmt.Errorf("cache: %w: %q is a %T", ErrType, name, m.typed)
	}
	return r, nil
}

// Responses returns the repository of that name without its types, and whether
// there is one.
func (c *ResponseCache) Responses(name string) (*repository.Responses, bool) {
	if m := c.member(name); m != nil {
		return m.responses, true
	}
	return nil, false
}

// Repositories yields the repositories by name, in the order of their creation.
// The loop's body may change the collection; the iteration is over what it was.
func (c *ResponseCache) Repositories() iter.Seq2[string, *repository.Responses] {
	return func(yield func(string, *repository.Responses) bool) {
		for _, r := range c.snapshot() {
			if !yield(r.Name(), r) {
				return
			}
		}
	}
}

func (c *ResponseCache) snapshot() []*repository.Responses {
	c.mu.RLock()
	defer c.mu.RUnlock()
	var all []*repository.Responses
	for _, m := range c.members {
		if m.responses != nil {
			all = append(all, m.responses)
		}
	}
	return all
}

// Len is how many repositories there are.
func (c *ResponseCache) Len() int { return len(c.snapshot()) }

// Remove takes the repository of that name out of the cache and reports whether
// there was one. Its table stays in the store with all it holds, and those who
// have the repository may go on using it.
func (c *ResponseCache) Remove(name string) bool {
	m := c.member(name)
	if m == nil {
		return false
	}
	c.remove(m)
	return true
}

// Now is the time by the cache's clock.
func (c *ResponseCache) Now() time.Time {
	if c.opts.Now == nil {
		return time.Now()
	}
	return c.opts.Now()
}

// Count returns how many entries of all repositories are in that state.
func (c *ResponseCache) Count(ctx context.Context, state repository.State) (int, error) {
	return c.sum(func(r *repository.Responses) (int, error) { return r.Count(ctx, state) })
}

// Clear removes the entries in that state from all repositories and returns how
// many there were. Tables of the store that belong to no repository of the
// cache stay as they are.
func (c *ResponseCache) Clear(ctx context.Context, state repository.State) (int, error) {
	return c.sum(func(r *repository.Responses) (int, error) { return r.Clear(ctx, state) })
}

func (c *ResponseCache) sum(of func(*repository.Responses) (int, error)) (sum int, err error) {
	for _, r := range c.snapshot() {
		n, err := of(r)
		sum += n
		if err != nil {
			return sum, err
		}
	}
	return sum, nil
}

// Route returns the repository that req belongs to and its key there, and
// whether there is one.
func (c *ResponseCache) Route(req *http.Request) (*repository.Responses, driver.Key, bool, error) {
	return c.route(req)
}

// RouteAmong is [ResponseCache.Route] for some of the repositories. The others
// are not asked, and so do not read the request's body.
func (c *ResponseCache) RouteAmong(req *http.Request, some func(*repository.Responses) bool) (*repository.Responses, driver.Key, bool, error) {
	return c.routeAmong(req, some)
}

func (c *ResponseCache) route(req *http.Request) (*repository.Responses, driver.Key, bool, error) {
	return c.routeAmong(req, nil)
}

func (c *ResponseCache) routeAmong(req *http.Request, some func(*repository.Responses) bool) (*repository.Responses, driver.Key, bool, error) {
	if req == nil {
		return nil, nil, false, nil
	}
	if c.opts.Router != nil {
		name := c.opts.Router(req)
		if name == "" {
			return nil, nil, false, nil
		}
		m := c.member(name)
		if m == nil {
			return nil, nil, false, fmt.Errorf("cache: router: %w: %q", ErrNotFound, name)
		}
		if some != nil && !some(m.responses) {
			return nil, nil, false, nil
		}
		key, ok, err := m.responses.Match(req)
		return m.responses, key, ok, err
	}
	c.mu.RLock()
	ranked := c.ranked // never changed in place
	c.mu.RUnlock()
	var failed []error
	for _, m := range ranked {
		if some != nil && !some(m.responses) {
			continue
		}
		key, ok, err := m.responses.Match(req)
		if ok {
			return m.responses, key, true, nil
		}
		failed = append(failed, err)
	}
	return nil, nil, false, errors.Join(failed...)
}
