package prove

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"time"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/identity"
	"github.com/endpointcache/endpointcache/memory"
	"github.com/endpointcache/endpointcache/origin"
	"github.com/endpointcache/endpointcache/transport"
)

// Figures tell how much was tried.
type Figures struct {
	Endpoints, Keys, Requests int
	Typed, Listings           int
}

// Run tries all endpoints of a document, and some of them by their types. create is the
// generated function that makes all repositories.
func Run(ctx context.Context, d *Document, create func(context.Context, *cache.ResponseCache) error, endpoints []*Endpoint, some []Typed) (*Figures, error) {
	ctx = identity.With(ctx, "a user") // those who are kept apart need one
	s := &server{document: d}
	api := httptest.NewServer(s)
	defer api.Close()
	base, err := url.Parse(api.URL)
	if err != nil {
		return nil, err
	}
	t := &trial{d: d, s: s, base: base, endpoints: endpoints, typed: some, figures: Figures{Endpoints: len(endpoints), Typed: len(some)}}
	if err := t.keys(ctx); err != nil {
		return nil, err
	}
	return &t.figures, errors.Join(
		inCache(func(c *cache.ResponseCache) error {
			if err := create(ctx, c); err != nil {
				return err
			}
			return t.routes(ctx, c)
		}),
		inCache(func(c *cache.ResponseCache) error { return t.prefetches(ctx, c) }),
	)
}

func inCache(do func(c *cache.ResponseCache) error) error {
	store, err := memory.New(nil)
	if err != nil {
		return err
	}
	c, err := cache.New(store, &cache.Options{StoreTimeout: time.Minute}) // machines are busy
	if err != nil {
		return err
	}
	return errors.Join(do(c), c.Close())
}

type trial struct {
	d         *Document
	s         *server
	base      *url.URL
	endpoints []*Endpoint
	typed     []Typed
	figures   Figures
}

// each calls do for all endpoints, and joins what it returns with what the server says.
func (t *trial) each(do func(e *Endpoint, op *Operation) error) error {
	var errs []error
	for _, e := range t.endpoints {
		op := t.d.operation(e.path)
		if op == nil {
			errs = append(errs, fmt.Errorf("the document has no GET %s", e.path))
			continue
		}
		if err := do(e, op); err != nil {
			errs = append(errs, fmt.Errorf("GET %s, %s: %w", e.path, e.name, err))
		}
	}
	return errors.Join(append(errs, t.count())...)
}

func (t *trial) count() error {
	requests, problems := t.s.taken()
	t.figures.Requests += requests
	var errs []error
	for _, problem := range problems {
		errs = append(errs, errors.New(problem))
	}
	return errors.Join(errs...)
}

func (t *trial) keys(ctx context.Context) error {
	return t.each(func(e *Endpoint, op *Operation) error {
		err := e.makeRequests(ctx, t.base, op)
		t.figures.Keys += len(e.requests)
		return err
	})
}

// routes sends all requests through a transport over all repositories, twice.
func (t *trial) routes(ctx context.Context, c *cache.ResponseCache) error {
	cached := transport.New(c, nil)
	send := func(e *Endpoint, op *Operation) error { return e.send(ctx, credentials{cached, op.Secured}) }
	if err := t.each(send); err != nil {
		return err
	}
	if err := t.each(func(e *Endpoint, _ *Operation) error { return e.stored(ctx, c) }); err != nil {
		return err
	}
	before := t.figures.Requests
	if before != t.figures.Keys {
		return fmt.Errorf("%d keys took %d requests", t.figures.Keys, before)
	}
	if err := t.each(send); err != nil {
		return err
	}
	if n := t.figures.Requests - before; n > 0 {
		return fmt.Errorf("the second time, clients made %d requests", n)
	}
	return nil
}

// prefetches prefetches some of the endpoints, twice, and walks those that are listings.
func (t *trial) prefetches(ctx context.Context, c *cache.ResponseCache) error {
	if err := t.open(ctx, c); err != nil {
		return err
	}
	keys, fetched := 0, 0
	run := func(some Typed, e *Endpoint) error {
		n, err := some.prefetch(ctx, e.keys)
		fetched += n
		keys += len(e.keys)
		return err
	}
	before := t.figures.Requests
	if err := t.eachTyped(run); err != nil {
		return err
	}
	if n := t.figures.Requests - before; n != keys || fetched != keys {
		return fmt.Errorf("%d of %d keys were fetched, by %d requests", fetched, keys, n)
	}
	if err := t.eachTyped(run); err != nil {
		return err
	}
	if n := t.figures.Requests - before; n != fetched {
		return fmt.Errorf("the second prefetch made %d requests", n-fetched)
	}
	t.s.walk()
	return t.eachTyped(func(some Typed, e *Endpoint) error {
		n, err := some.walk(ctx, e.keys[0])
		if n > 0 {
			t.figures.Listings++
		}
		return err
	})
}

func (t *trial) eachTyped(do func(some Typed, e *Endpoint) error) error {
	var errs []error
	for _, some := range t.typed {
		for _, e := range t.endpoints {
			if e.path != some.of() || t.d.operation(e.path).Status == http.StatusNoContent {
				continue // typed calls are for values
			}
			if err := do(some, e); err != nil {
				errs = append(errs, fmt.Errorf("GET %s: %w", e.path, err))
			}
		}
	}
	return errors.Join(append(errs, t.count())...)
}

func (t *trial) open(ctx context.Context, c *cache.ResponseCache) error {
	public, err := fetch.NewClient(&fetch.Options{BaseURL: t.base.String()})
	if err != nil {
		return err
	}
	token := func(context.Context, string) (origin.Token, error) { return origin.Token{Value: "t"}, nil }
	secret, err := fetch.NewClient(&fetch.Options{BaseURL: t.base.String(), Origin: &origin.Options{
		Credentials: &origin.Credentials{Token: token},
	}})
	if err != nil {
		return err
	}
	return t.eachTyped(func(some Typed, e *Endpoint) error {
		if t.d.operation(e.path).Secured {
			return some.open(ctx, c, secret)
		}
		return some.open(ctx, c, public)
	})
}

// credentials adds a token above the cache, as clients do.
type credentials struct {
	next   http.RoundTripper
	secret bool
}

func (c credentials) RoundTrip(req *http.Request) (*http.Response, error) {
	if c.secret {
		req = req.Clone(req.Context())
		req.Header.Set("Authorization", "Bearer t")
	}
	return c.next.RoundTrip(req)
}

func drain(resp *http.Response) error {
	_, err := io.Copy(io.Discard, resp.Body)
	if resp.StatusCode >= http.StatusMultipleChoices {
		err = fmt.Errorf("%w: %s", errStatus, resp.Status)
	}
	return errors.Join(err, resp.Body.Close())
}
