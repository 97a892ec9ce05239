package fetch

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"sync/atomic"
	"time"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/exchange"
	"github.com/endpointcache/endpointcache/internal/keytype"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/settings"
)

// FetcherOptions are the settings of a fetcher. A nil *FetcherOptions means the defaults.
type FetcherOptions struct {
	// Gather is how long a missing key waits for the keys of other callers, to
	// share a request.Batch with them. A batch that is full does not wait. The
	// default is not to wait.
	Gather time.Duration

	// Concurrency is how many requests one FetchMany makes at once. The default
	// is 8.
	Concurrency int
}

// Fetcher returns the values of one endpoint by key: from its repository if the policies
// allow it, and otherwise from the origin. Many goroutines may use it at once. It needs no
// closing: closing the cache or the [Client] ends what is under way.
//
// All callers that want the same key at the same time share one request, whichever method
// or door of the cache they use. None of them owns it: if a caller gives up, the request
// goes on for the others, and it ends when no caller is left. Each caller gets its own copy
// of the value.
//
// If the repository fails or is slow, calls still succeed. The origin is asked, its
// response is returned without being saved, and the cache logs and counts the failure.
//
// A panic in a function of the settings or of the client reaches every caller that waits
// for the key, or for another key of the same batch.
type Fetcher[K comparable, V any] struct {
	client   *Client
	source   *source[K]
	settings settings.RepositorySettings[K, V]
	repo     *repository.ResponseRepository[K, V] // nil: nothing is kept
	key      *keytype.Type
	table    *exchange.Table                // of the declaration
	placed   atomic.Pointer[exchange.Table] // of the client's origin; nil: it is not known yet
	opts     FetcherOptions
	shared   *batcher[K, V] // of the flights of all callers; nil: they are not gathered
	renewals *batcher[K, V] // of the background; nil: they are sent one by one
}

// Create adds a repository to the cache, as cache.CreateRepository does, and returns the
// fetcher of its values.
func Create[K comparable, V any](ctx context.Context, c *cache.ResponseCache, client *Client, s settings.RepositorySettings[K, V], opts *FetcherOptions) (*Fetcher[K, V], error) {
	if s.BaseURL == "" && c != nil && !exchange.OfCache(c).HasOrigin() && client != nil && client.base != nil && client.base.Host != "" {
		s.BaseURL = (&url.URL{Scheme: client.base.Scheme, Host: client.base.Host, Path: client.base.Path, RawPath: client.base.RawPath}).String()
	}
	repo, err := cache.CreateRepository(ctx, c, s)
	if err != nil {
		return nil, err
	}
	f, err := New(client, repo, opts)
	if err != nil {
		c.Remove(s.Name)
	}
	return f, err
}

// New returns the fetcher of a repository, whose settings say how the origin is asked.
// The repository's cache or store stays the caller's to close.
func New[K comparable, V any](c *Client, repo *repository.ResponseRepository[K, V], opts *FetcherOptions) (*Fetcher[K, V], error) {
	if repo == nil {
		return nil, errors.New("fetch: the repository is nil")
	}
	f, err := newFetcher(c, repo, opts)
	if err == nil {
		f.repo = f.bind(repo)
	}
	return f, err
}

// Uncached returns a fetcher without a repository: each call asks the origin. Callers
// that want one key at the same time still share a request.
func Uncached[K comparable, V any](c *Client, s settings.RepositorySettings[K, V], opts *FetcherOptions) (*Fetcher[K, V], error) {
	x, err := exchange.New(exchange.Options{})
	if err != nil {
		return nil, err
	}
	repo, err := repository.New(context.Background(), &exchange.Store{Exchange: x}, s, nil)
	if err != nil {
		return nil, fmt.Errorf("fetch: %w", err)
	}
	return newFetcher(c, repo, opts)
}

func newFetcher[K comparable, V any](c *Client, repo *repository.ResponseRepository[K, V], opts *FetcherOptions) (*Fetcher[K, V], error) {
	s := repo.Settings()
	source, err := newSource(c, s)
	if err != nil {
		return nil, err
	}
	f := &Fetcher[K, V]{client: c, source: source, settings: s, table: exchange.OfRepository(repo.Responses)}
	if f.key, err = keytype.Of[K](); err != nil {
		return nil, fmt.Errorf("fetch: %w", err)
	}
	if err := f.checkScope(); err != nil {
		return nil, err
	}
	if f.table.Scoped() {
		source.signer = c.signer
	}
	_, _ = f.at(context.Background(), nil) // the calls try it again
	if opts != nil {
		f.opts = *opts
	}
	switch {
	case f.opts.Gather < 0:
		return nil, fmt.Errorf("fetch: repository %q: Gather is %v: it cannot be negative", s.Name, f.opts.Gather)
	case f.opts.Concurrency < 0:
		return nil, fmt.Errorf("fetch: repository %q: Concurrency is %d: it cannot be negative", s.Name, f.opts.Concurrency)
	case f.opts.Concurrency == 0:
		f.opts.Concurrency = 8
	}
	if s.Batch != nil {
		f.renewals = newBatcher(f, max(gatherRenewals, f.opts.Gather))
		if f.opts.Gather > 0 {
			f.shared = newBatcher(f, f.opts.Gather)
		}
	}
	return f, nil
}

// gatherRenewals is how long the first renewal of a batch waits for others. No caller
// waits for it.
const gatherRenewals = 250 * time.Millisecond

// Settings are those of the repository.
func (f *Fetcher[K, V]) Settings() settings.RepositorySettings[K, V] { return f.settings }

// Repository returns the repository that values are kept in, nil for a fetcher that
// keeps none. Its typed calls are about the origin that the fetcher's client asks.
func (f *Fetcher[K, V]) Repository() *repository.ResponseRepository[K, V] { return f.repo }

// Client returns the client that sends the fetcher's requests.
func (f *Fetcher[K, V]) Client() *Client { return f.client }

// Requests is how many requests the fetcher has sent so far, each attempt counted.
func (f *Fetcher[K, V]) Requests() int64 { return f.source.traffic.Requests() }

// Decode returns the value of an entry that [Fetcher.FetchEntry] has returned. One
// that cannot be decoded is a repository.DecodeError.
func (f *Fetcher[K, V]) Decode(key K, entry repository.Entry) (V, error) {
	return f.decode(key, entry.Payload)
}

func (f *Fetcher[K, V]) decode(key K, body []byte) (V, error) {
	value, err := f.settings.Payload.Decode(body)
	if err != nil {
		var none V
		return none, f.decodeError(key, err)
	}
	return value, nil
}

func (f *Fetcher[K, V]) decodeError(key K, err error) error {
	return &repository.DecodeError{Repository: f.settings.Name, Key: key, Err: err}
}

// driverKey appends the key, as stores have it, to values.
func (c *caller[K, V]) driverKey(ctx context.Context, values driver.Key, key *K) (driver.Key, error) {
	f := c.f
	values, err := c.appendIdentity(ctx, values, key)
	if err != nil {
		return nil, err
	}
	values, err = f.key.AppendValues(values, reflect.ValueOf(key).Elem())
	if err != nil {
		return nil, fmt.Errorf("fetch: repository %q: %w", f.settings.Name, err)
	}
	return values, nil
}

// enter lets a call begin. Otherwise the client or the cache is closed; else leave is
// due.
func (f *Fetcher[K, V]) enter() error {
	if !f.client.closing.enter() {
		return fmt.Errorf("fetch: %w", ErrClosed)
	}
	if !f.table.Exchange().Enter() {
		f.client.closing.leave()
		return fmt.Errorf("fetch: %w", exchange.ErrClosed)
	}
	return nil
}

func (f *Fetcher[K, V]) leave() {
	f.table.Exchange().Leave()
	f.client.closing.leave()
}
