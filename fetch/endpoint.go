package fetch

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/settings"
)

// EndpointOptions are the settings of an endpoint. A nil *EndpointOptions means the
// defaults.
type EndpointOptions struct {
	// Gather is how long a missing key waits for others, of other callers, to
	// share a request.Batch with. A batch that is full does not wait. The
	// default is not to wait.
	Gather time.Duration

	// Concurrency is how many requests one FetchMany makes at once. The default
	// is 8.
	Concurrency int

	// StoreTimeout is the longest that a caller waits for each operation on the
	// store, and once more for every thousand keys of it. One that goes on
	// nevertheless is not waited for by Close either. The default is 5 seconds.
	StoreTimeout time.Duration

	// Logger is told of what went wrong beside the requests: a store that
	// failed. The default is [slog.Default]. It is given no header or body.
	Logger *slog.Logger
}

// Endpoint is one endpoint of an API: values for keys, from its repository where it
// has them and from the origin otherwise. Many goroutines may use it at once. It
// needs no closing of its own: [Client.Close] ends what goes on.
//
// Of all callers who want one key at the same time, whichever method they use, one
// request is made. It does not belong to any: who gives up leaves it to the others, and it
// ends when nobody is left. Each gets a value of its own.
//
// A repository that fails or is slow is no error of a call. The origin is asked
// then, what came is returned without being saved, and the failure is
// logged and counted.
//
// A panic in a function of the settings or of the client is that of every caller who
// waits for the key, or for another one of the same batch.
type Endpoint[K comparable, V any] struct {
	client   *Client
	source   *Source[K]
	settings settings.RepositorySettings[K, V]
	repo     *repository.ResponseRepository[K, V] // nil: nothing is kept
	opts     EndpointOptions
	usual    saveOptions // where a call has none
	flights  flights[K, V]
	saver    saver[K, V]
	counts   counters
}

// New returns the endpoint of a repository, whose settings say how the origin is
// asked. The repository's store stays the caller's to close, after the client.
func New[K comparable, V any](c *Client, repo *repository.ResponseRepository[K, V], opts *EndpointOptions) (*Endpoint[K, V], error) {
	if repo == nil {
		return nil, errors.New("fetch: the repository is nil")
	}
	e, err := Uncached(c, repo.Settings(), opts)
	if err != nil {
		return nil, err
	}
	e.repo = repo
	return e, nil
}

// Uncached returns an endpoint without a repository: each call asks the origin.
// Callers who want one key at the same time still share a request.
func Uncached[K comparable, V any](c *Client, s settings.RepositorySettings[K, V], opts *EndpointOptions) (*Endpoint[K, V], error) {
	source, err := NewSource(c, s)
	if err != nil {
		return nil, err
	}
	if s, err = s.Resolve(); err != nil {
		return nil, fmt.Errorf("fetch: %w", err)
	}
	e := &Endpoint[K, V]{client: c, source: source, settings: s}
	if opts != nil {
		e.opts = *opts
	}
	if err := e.opts.validate(); err != nil {
		return nil, fmt.Errorf("fetch: repository %q: %w", s.Name, err)
	}
	e.opts.setDefaults()
	e.flights.byKey, e.flights.gathering = make(map[K]*flight[K, V]), make(map[any]*trip[K, V])
	return e, nil
}

func (o *EndpointOptions) validate() error {
	switch {
	case o.Gather < 0:
		return fmt.Errorf("Gather is %v: it cannot be negative", o.Gather)
	case o.Concurrency < 0:
		return fmt.Errorf("Concurrency is %d: it cannot be negative", o.Concurrency)
	case o.StoreTimeout < 0:
		return fmt.Errorf("StoreTimeout is %v: it cannot be negative", o.StoreTimeout)
	}
	return nil
}

func (o *EndpointOptions) setDefaults() {
	if o.Concurrency == 0 {
		o.Concurrency = 8
	}
	if o.StoreTimeout == 0 {
		o.StoreTimeout = 5 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
}

// Settings are those of the repository.
func (e *Endpoint[K, V]) Settings() settings.RepositorySettings[K, V] { return e.settings }

// Repository is where values are kept, nil for an endpoint that keeps none.
func (e *Endpoint[K, V]) Repository() *repository.ResponseRepository[K, V] { return e.repo }

// Client sends the endpoint's requests.
func (e *Endpoint[K, V]) Client() *Client { return e.client }
