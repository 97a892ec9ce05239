// Package cache holds many repositories on one store and routes requests to them. A cache
// also holds what its fetchers and transports share: the default policy, the requests under
// way, and the counts of outcomes.
package cache

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/hooks"
	"github.com/endpointcache/endpointcache/internal/endpoint"
	"github.com/endpointcache/endpointcache/internal/exchange"
	"github.com/endpointcache/endpointcache/internal/whose"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/redact"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/settings"
)

// Options are the settings of a cache. A nil *Options means the defaults.
type Options struct {
	// Name is the cache's name, for programs that have several. It may be empty.
	Name string

	// Expire is how long responses live whose repository does not say
	// otherwise. The default is [settings.DefaultExpire].
	Expire time.Duration

	// Policy says more about what is cached and for how long. Each of its fields applies if
	// neither a call's policy nor the repository's sets it.
	Policy policy.Policy

	// Scope is the scope of repositories that declare none.
	Scope settings.Scope

	// Identity returns on whose behalf a request is made, for repositories that are
	// settings.PerIdentity and have no such function of their own, if the call's context
	// names no identity. An empty string is for a request that does not tell. The default is
	// that a digest of the request's credentials stands for the identity.
	Identity func(*http.Request) string

	// BaseURL is that of the API, for repositories that declare none; see
	// [settings.RepositorySettings]. It matters only where typed calls come before the first
	// request, and the store has the responses of several origins.
	BaseURL string

	// Router returns the name of the repository that a request belongs to, or an empty
	// string for none. If the cache has no repository of that name, the call returns
	// [ErrNotFound]. By default, a request belongs to the repository whose endpoint matches
	// it; if several match, to the one with the most specific endpoint (see package
	// request), or else to the one created first.
	Router func(*http.Request) string

	// MaxBody is the size in bytes of the largest body that is kept. A body is held in
	// memory while it arrives, and takes one and a half times MaxBody at most until it is
	// complete. The default is 64 MiB.
	MaxBody int64

	// MaxInFlight is the total size in bytes of all bodies that are held in memory while
	// they arrive. Beyond that, some wait until others have been saved. The default is four
	// times MaxBody, and it is at least one and a half times MaxBody.
	MaxInFlight int64

	// FinishTimeout and FinishBytes apply when a caller of the transport closes a body
	// before its end. They limit how long, and for how many bytes, the rest is read so that
	// the response can be saved. The defaults are 5 seconds and 1 MiB.
	FinishTimeout time.Duration
	FinishBytes   int64

	// StreamAfter is how long a response of unknown length may take to end. One that takes
	// longer is a stream: no further caller shares it, and it is not stored. The default is
	// 10 seconds.
	StreamAfter time.Duration

	// StoreTimeout is how long an answer waits at most for each operation on the store; an
	// operation on many keys may take as long again for every thousand of them. The default
	// is a second. Calls on repositories themselves wait as long as their context allows.
	StoreTimeout time.Duration

	// RenewTimeout limits a renewal in the background. The default is 30 seconds.
	RenewTimeout time.Duration

	// Redact says what of responses is not stored, besides what never is. Repositories add
	// to it by their settings.
	Redact redact.Rules

	// Limit bounds how much the store keeps, in all its tables together. Repositories may
	// have limits of their own besides. The default is no limit.
	Limit settings.Limit

	// KeepExpired is how long an expired entry stays stored, to be confirmed by the origin
	// or to stand in for it: at least as long as the policies of the cache and the repository
	// let it. It is removed in the background then. The default is [settings.DefaultExpire]; a
	// negative value keeps entries until they are cleared. Stores that remove what has expired
	// by themselves do not use it.
	KeepExpired time.Duration

	// ClearEvery is how often the cache looks for what is to be removed so. The default is a
	// minute. Where the store has no index of expiries, which is the filesystem, a look takes
	// long, and they are fewer: they take up to a hundredth of the time.
	ClearEvery time.Duration

	// DigestKey is the secret that the digests in keys are made with, such as those of a
	// catch-all for tokens: 16 bytes or more. By default, the store keeps one, which all
	// caches on it share. Whoever can read all of the store can read that key, too, and find
	// short secrets by trying; against that, give one that is kept elsewhere. With another
	// key, nothing is found that was stored before.
	DigestKey []byte

	// Logger gets a line about problems that do not make a call fail. The default is
	// [slog.Default]. The lines contain no URL, header or body.
	Logger *slog.Logger

	// Hooks are called with what the cache does. The default is none.
	Hooks hooks.Hooks

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
	store    driver.Store
	exchange *exchange.Exchange
	opts     Options

	mu      sync.RWMutex
	members []*member // in the order of creation; those being created have no repository
	ranked  []*member // in the order in which they are asked for a request
	writes  []*exchange.Write
}

type member struct {
	name        string
	endpoint    any // request.Endpoint[K]
	declared    any // *repository.Declared[K, V]
	typed       any // *repository.ResponseRepository[K, V], nil before it is asked for
	responses   *repository.Responses
	table       *exchange.Table
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
	// where the cache has a Router. It also means that a write was declared twice.
	ErrSamePattern = errors.New("there is another declaration with the same endpoint")

	// ErrType means that a repository has other type parameters.
	ErrType = errors.New("repository is of another type")

	errNoCache   = errors.New("the cache is nil")
	errNoContext = errors.New("the context is nil")
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
	o := &c.opts
	var err error
	if err := settings.ValidateBaseURL(o.BaseURL); err != nil {
		return nil, fmt.Errorf("cache: %w", err)
	}
	if o.ClearEvery < 0 {
		return nil, errors.New("cache: ClearEvery is negative: to keep what has expired, set KeepExpired so")
	}
	c.exchange, err = exchange.New(exchange.Options{
		Upkeep: exchange.Upkeep{
			Limit: o.Limit, ClearEvery: cmp.Or(o.ClearEvery, time.Minute), KeepExpired: cmp.Or(o.KeepExpired, settings.DefaultExpire),
		},
		Scope: o.Scope, Identity: o.Identity, Origin: o.BaseURL,
		Hooks: o.Hooks, Store: store.Traits().Kind,
		Name: o.Name, Expire: o.Expire, Policy: o.Policy, Now: o.Now, Logger: o.Logger, DigestKey: o.DigestKey, Redact: o.Redact,
		Limits: exchange.Limits{
			MaxBody: o.MaxBody, MaxInFlight: o.MaxInFlight,
			FinishTimeout: o.FinishTimeout, FinishBytes: o.FinishBytes, StreamAfter: o.StreamAfter,
			StoreTimeout: o.StoreTimeout, RenewTimeout: o.RenewTimeout,
		},
	})
	if err != nil {
		return nil, fmt.Errorf("cache: %w", err)
	}
	c.exchange.Use(store)
	c.Routed = exchange.RoutedBy(c.route).(repository.Routed)
	return c, nil
}

func init() {
	exchange.OfCache = func(cache any) *exchange.Cache {
		c := cache.(*ResponseCache)
		return &exchange.Cache{Exchange: c.exchange, Route: c.routeAmong, Tables: c.tables, Writes: c.declaredWrites}
	}
}

// Name is the cache's name.
func (c *ResponseCache) Name() string { return c.opts.Name }

// Kind is the kind of the cache's store, such as "sqlite".
func (c *ResponseCache) Kind() string { return c.store.Traits().Kind }

// Stats returns counts of the answers so far, by whichever door they were asked for.
func (c *ResponseCache) Stats() Stats { return Stats(c.exchange.Stats()) }

// Close waits for what goes on in the background, and closes the store then. What has come
// is still saved. Typed calls that wait for the origin fail, and their requests end; a
// renewal that a transport has begun, or the rest of a body that was closed early, may take
// RenewTimeout or FinishTimeout. A response that a caller reads from a transport goes on.
// Afterwards, calls on the cache and its repositories that need the store, and typed
// fetches, return driver.ErrClosed, wrapped; transports ask the origin alone. Closing
// twice is not an error.
func (c *ResponseCache) Close() error {
	return errors.Join(c.exchange.Close(), c.store.Close())
}

// CreateRepository adds the repository that s describes to the cache, with its
// table in the store, which it creates where it is absent.
//
// If the entries there were stored by another declaration, it migrates them, or does what
// Changed of the settings says. A migration takes as long as to read and write them all, once
// for all processes, which wait for it until their ctx is done. If one ends before that, another
// goes on, after 15 seconds at most.
//
// The error is [ErrExists] where the cache has one of that name, [ErrSamePattern]
// where it has one for the same requests, a settings.ChangedError where the entries are of
// another declaration, and a driver.SchemaError where the table is there for another key and
// the store remembers no declaration of it.
func CreateRepository[K comparable, V any](ctx context.Context, c *ResponseCache, s settings.RepositorySettings[K, V]) (*repository.ResponseRepository[K, V], error) {
	if err := Declare(ctx, c, s); err != nil {
		return nil, err
	}
	return Repository[K, V](c, s.Name)
}

// Declare adds the repository that s describes to the cache, as [CreateRepository] does, for
// transports and for those who use its types later: [Repository] returns it. Where there are
// hundreds, as in a package that was generated of an API's document, this is compiled in a
// fraction of the time.
func Declare[K comparable, V any](ctx context.Context, c *ResponseCache, s settings.RepositorySettings[K, V]) error {
	if c == nil {
		return fmt.Errorf("cache: create repository: %w", errNoCache)
	}
	s, err := s.Resolve()
	if err != nil {
		return fmt.Errorf("cache: create repository: %w", err)
	}
	m := &member{name: s.Name, endpoint: s.Endpoint, specificity: endpoint.SpecificityOf(s.Endpoint)}
	if err := c.reserve(m); err != nil {
		return fmt.Errorf("cache: create repository %q: %w", s.Name, err)
	}
	d, err := repository.Declare(ctx, &exchange.Store{Store: c.store, Exchange: c.exchange}, s, nil)
	if err != nil {
		c.remove(m)
		return fmt.Errorf("cache: create repository: %w", err)
	}
	c.rank(m, d, d.Responses)
	return nil
}

// rank gives a member its place behind all that are as specific.
func (c *ResponseCache) rank(m *member, declared any, responses *repository.Responses) {
	c.mu.Lock()
	defer c.mu.Unlock()
	m.declared, m.responses, m.table = declared, responses, exchange.OfRepository(responses)
	at := slices.IndexFunc(c.ranked, func(other *member) bool {
		return other.specificity.Compare(m.specificity) < 0
	})
	if at < 0 {
		at = len(c.ranked)
	}
	c.ranked = slices.Insert(slices.Clone(c.ranked), at, m)
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
	if c == nil {
		return nil, fmt.Errorf("cache: %w", errNoCache)
	}
	m := c.member(name)
	if m == nil {
		return nil, fmt.Errorf("cache: %w: %q", ErrNotFound, name)
	}
	d, ok := m.declared.(*repository.Declared[K, V])
	if !ok {
		return nil, fmt.Errorf("cache: %w: %q is a %T", ErrType, name, m.declared)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if m.typed == nil {
		m.typed = repository.Typed(d)
	}
	return m.typed.(*repository.ResponseRepository[K, V]), nil
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
// there was one. Its table stays in the store with all it holds, and code that
// has the repository may go on using it.
func (c *ResponseCache) Remove(name string) bool {
	m := c.member(name)
	if m == nil {
		return false
	}
	c.remove(m)
	return true
}

// Count returns how many entries of all repositories are in that state.
func (c *ResponseCache) Count(ctx context.Context, state repository.State) (int, error) {
	return c.sum(func(r *repository.Responses) (int, error) { return r.Count(ctx, state) })
}

// Clear removes the entries in that state from all repositories and returns how
// many there were. Tables of the store that belong to no repository of the
// cache stay as they are.
func (c *ResponseCache) Clear(ctx context.Context, state repository.State) (int, error) {
	begun := c.exchange.Now()
	n, err := c.sum(func(r *repository.Responses) (int, error) { return r.Clear(ctx, state) })
	if err != nil {
		return n, err
	}
	if _, err = c.exchange.ClearVariants(ctx, state); err != nil || state != repository.All {
		return n, err
	}
	return n, c.clearMarks(ctx, begun)
}

// Identity returns the entries of one identity in all repositories that are
// settings.PerIdentity. Name is the one of identity.With, or of an Identity function.
func (c *ResponseCache) Identity(name string) *repository.Identity {
	return exchange.IdentityOf(whose.Named(name), c.created).(*repository.Identity)
}

// IdentityOf is [ResponseCache.Identity] for whoever makes a request: the identity that ctx
// names, or that the cache's Identity function finds, or that the credentials in the request
// stand for. Those that are added below the cache are not in it. Ok is false if nothing
// tells. A nil request leaves it to ctx, such as that of fetch.Fetcher.Identify.
func (c *ResponseCache) IdentityOf(ctx context.Context, req *http.Request) (_ *repository.Identity, ok bool, err error) {
	value, ok, err := c.exchange.RequestIdentity(ctx, req)
	if err != nil || !ok {
		return nil, false, err
	}
	return exchange.IdentityOf(value, c.created).(*repository.Identity), true, nil
}

// created are the tables of all repositories.
func (c *ResponseCache) created() []*exchange.Table {
	c.mu.RLock()
	defer c.mu.RUnlock()
	var tables []*exchange.Table
	for _, m := range c.members {
		if m.table != nil {
			tables = append(tables, m.table)
		}
	}
	return tables
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
