package prove

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/identity"
	"github.com/endpointcache/endpointcache/memory"
	"github.com/endpointcache/endpointcache/origin"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/transport"
)

// Run tries all endpoints of a document. create is the generated function that makes all
// repositories.
func Run(ctx context.Context, d *Document, endpoints []Endpoint, create func(context.Context, *cache.ResponseCache) error) (*Figures, error) {
	ctx = identity.With(ctx, "a user") // those who are kept apart need one
	s := &server{document: d}
	api := httptest.NewServer(s)
	defer api.Close()
	base, err := url.Parse(api.URL)
	if err != nil {
		return nil, err
	}
	c, err := open()
	if err != nil {
		return nil, err
	}
	t := &trial{d: d, s: s, c: c, base: base, endpoints: endpoints, figures: &Figures{Endpoints: len(endpoints)}}
	for _, step := range []func(context.Context) error{t.open, t.keys, t.routes, t.prefetches, t.walks} {
		if err := step(ctx); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	return t.figures, errors.Join(created(ctx, endpoints, create), c.Close())
}

// Figures tell how much was tried.
type Figures struct {
	Endpoints, Keys, Requests, Listings int
}

type trial struct {
	d         *Document
	s         *server
	c         *cache.ResponseCache
	base      *url.URL
	endpoints []Endpoint
	figures   *Figures
}

// each calls do for all endpoints, and joins what it returns.
func (t *trial) each(do func(e Endpoint, op *Operation) error) error {
	var errs []error
	for _, e := range t.endpoints {
		op := t.d.operation(e.path())
		if op == nil {
			errs = append(errs, fmt.Errorf("the document has no GET %s", e.path()))
			continue
		}
		if err := do(e, op); err != nil {
			errs = append(errs, fmt.Errorf("GET %s, %s: %w", e.path(), e.name(), err))
		}
	}
	requests, problems := t.s.taken()
	t.figures.Requests += requests
	for _, problem := range problems {
		errs = append(errs, errors.New(problem))
	}
	return errors.Join(errs...)
}

func (t *trial) open(ctx context.Context) error {
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
	return t.each(func(e Endpoint, op *Operation) error {
		if op.Secured {
			return e.open(ctx, t.c, secret)
		}
		return e.open(ctx, t.c, public)
	})
}

func (t *trial) keys(ctx context.Context) error {
	return t.each(func(e Endpoint, op *Operation) error {
		n, err := e.keys(ctx, t.base, op)
		t.figures.Keys += n
		return err
	})
}

// routes sends each key's request through a transport over all repositories.
func (t *trial) routes(ctx context.Context) error {
	cached := transport.New(t.c, nil)
	send := func(e Endpoint, op *Operation) error {
		return e.send(ctx, t.base, &http.Client{Transport: credentials{cached, op.Secured}})
	}
	if err := t.each(send); err != nil {
		return err
	}
	if err := t.each(func(e Endpoint, _ *Operation) error { return e.stored(ctx) }); err != nil {
		return err
	}
	before := t.figures.Requests
	if err := t.each(send); err != nil {
		return err
	}
	if n := t.figures.Requests - before; n > 0 {
		return fmt.Errorf("the second time, clients made %d requests", n)
	}
	_, err := t.c.Clear(ctx, repository.All)
	return err
}

func (t *trial) prefetches(ctx context.Context) error {
	fetched := 0
	run := func(e Endpoint, _ *Operation) error {
		n, err := e.prefetch(ctx)
		fetched += n
		return err
	}
	if err := t.each(run); err != nil {
		return err
	}
	if fetched != t.figures.Keys {
		return fmt.Errorf("%d of %d keys were fetched", fetched, t.figures.Keys)
	}
	before := t.figures.Requests
	if err := t.each(run); err != nil {
		return err
	}
	if n := t.figures.Requests - before; n > 0 || fetched != t.figures.Keys {
		return fmt.Errorf("the second prefetch made %d requests", n)
	}
	return nil
}

func (t *trial) walks(ctx context.Context) error {
	t.s.walk()
	return t.each(func(e Endpoint, _ *Operation) error {
		n, err := e.walk(ctx)
		if n > 0 {
			t.figures.Listings++
		}
		return err
	})
}

// created checks that the generated function makes all repositories on one cache.
func created(ctx context.Context, endpoints []Endpoint, create func(context.Context, *cache.ResponseCache) error) error {
	c, err := open()
	if err != nil {
		return err
	}
	errs := []error{create(ctx, c)}
	for _, e := range endpoints {
		if _, ok := c.Responses(e.name()); !ok {
			errs = append(errs, fmt.Errorf("the cache lacks %s", e.name()))
		}
	}
	return errors.Join(append(errs, c.Close())...)
}

func open() (*cache.ResponseCache, error) {
	store, err := memory.New(nil)
	if err != nil {
		return nil, err
	}
	return cache.New(store, nil)
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
