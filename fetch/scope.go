package fetch

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/identity"
	"github.com/endpointcache/endpointcache/internal/credential"
	"github.com/endpointcache/endpointcache/internal/endpoint"
	"github.com/endpointcache/endpointcache/internal/exchange"
	"github.com/endpointcache/endpointcache/internal/whose"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/settings"
)

// checkScope refuses a fetcher whose client is known to send credentials, if the settings do
// not say who may be given the responses.
func (f *Fetcher[K, V]) checkScope() error {
	if f.table.Scope != settings.Undeclared {
		return nil
	}
	var sends string
	probe := f.bare()
	carried, ok := credential.Carried(probe, func(c credential.Credential) bool {
		return !endpoint.Separates(f.settings.Endpoint, c.Place, c.Name)
	})
	switch signer := f.client.signer; {
	case ok:
		sends = carried.String() + " of BaseURL"
	case signer != nil && (f.client.base == nil || signer.Covers(probe)):
		sends = "the credentials that the client's transport adds"
	default:
		return nil
	}
	return fmt.Errorf("fetch: repository %q: %s: %w", f.settings.Name, sends, settings.ErrScope)
}

// caller is what the keys of a call have in common: the table of the client's origin, and
// the identity.
type caller[K comparable, V any] struct {
	f        *Fetcher[K, V]
	table    *exchange.Table
	identity string // with which keys begin, where the table is scoped
	each     bool   // each key has its own, which its request tells
	storeErr error  // why the table is not known, so that it is one which keeps nothing
}

// caller finds out about a call. An example of its keys, nil for none, tells the origin where
// the client's is not known.
func (f *Fetcher[K, V]) caller(ctx context.Context, example *K) (c caller[K, V], err error) {
	c.f = f
	c.table, c.storeErr = f.at(ctx, example)
	if !f.table.Scoped() {
		return c, nil
	}
	if whose.Of(ctx) == "" && (f.table.AsksIdentity() || f.source.headers) {
		c.each = true
		return c, nil
	}
	c.identity, err = f.identity(ctx, f.bare())
	return c, err
}

// Identify returns a context whose calls on the fetcher's Repository are on behalf of the
// identity that the fetcher's own calls with ctx have: the one that ctx names, or that of the
// client's credentials. It returns ctx itself if the repository is not settings.PerIdentity.
func (f *Fetcher[K, V]) Identify(ctx context.Context) (context.Context, error) {
	if !f.table.Scoped() {
		return ctx, nil
	}
	value, err := f.identity(ctx, f.bare())
	if err != nil {
		return ctx, err
	}
	return whose.With(ctx, value), nil
}

// bare is a request with what all requests of the client have in common.
func (f *Fetcher[K, V]) bare() *http.Request {
	req := &http.Request{Method: http.MethodGet, URL: &url.URL{}, Header: make(http.Header)}
	if base := f.client.base; base != nil {
		req.URL, req.Host = base, base.Host
	}
	return req
}

// identity is that of a request, which the client has not changed yet.
func (f *Fetcher[K, V]) identity(ctx context.Context, req *http.Request) (string, error) {
	value, ok, err := f.table.RequestIdentity(ctx, req.WithContext(ctx), f.client.signer)
	switch {
	case err != nil:
		return "", fmt.Errorf("fetch: repository %q: identity: %w", f.settings.Name, err)
	case !ok:
		return "", fmt.Errorf("fetch: repository %q: %w", f.settings.Name, identity.ErrMissing)
	}
	return value, nil
}

// appendIdentity appends the identity of a key's request to the values of its key.
func (c *caller[K, V]) appendIdentity(ctx context.Context, values driver.Key, key *K) (driver.Key, error) {
	if !c.table.Scoped() {
		return values, nil
	}
	if !c.each {
		return append(values, c.identity), nil
	}
	req, err := c.f.source.request(ctx, c.f.client.base, *key)
	if err != nil {
		req = c.f.bare() // it is asked for in a batch, or not at all
	}
	value, err := c.f.identity(ctx, req)
	return append(values, value), err
}

// width is how many values a key has.
func (c *caller[K, V]) width() int {
	if c.table.Scoped() {
		return 1 + len(c.f.key.Fields)
	}
	return len(c.f.key.Fields)
}

// at is the table of the origin that the client asks. Where the store does not tell, it is
// one that keeps nothing, for this call, and the error says why.
func (f *Fetcher[K, V]) at(ctx context.Context, example *K) (placed *exchange.Table, err error) {
	based := f.client.base != nil && f.client.base.Host != ""
	if placed := f.placed.Load(); placed != nil && (based || placed.HasAllOrigins()) {
		return placed, nil
	}
	switch {
	case based:
		placed, err = f.table.AtBase(ctx, f.client.base)
	case example == nil:
		return f.table.View(), nil
	default:
		req, err := f.source.request(ctx, f.client.base, *example)
		if err != nil {
			return f.table.View(), nil //nolint:nilerr // the request will tell
		}
		if placed, err = f.table.AtRequest(ctx, req); err != nil {
			return f.table.Detached(req), err
		}
	}
	if err != nil {
		return f.table.DetachedBase(f.client.base), err
	}
	f.placed.Store(placed)
	return placed, nil
}

// bind is a repository whose typed calls are about the client's origin.
func (f *Fetcher[K, V]) bind(repo *repository.ResponseRepository[K, V]) *repository.ResponseRepository[K, V] {
	bound := *repo
	bound.Responses = exchange.Bind(repo.Responses, func(ctx context.Context) (*exchange.Table, error) {
		placed, err := f.at(ctx, nil)
		if err == nil && !placed.Keeps() {
			err = exchange.ErrUnkept
		}
		if err != nil {
			return nil, fmt.Errorf("repository %q: %w", repo.Name(), err)
		}
		return placed, nil
	}).(*repository.Responses)
	return &bound
}

// current is the table of the client's origin, as far as it is known.
func (f *Fetcher[K, V]) current() *exchange.Table {
	if placed := f.placed.Load(); placed != nil {
		return placed
	}
	return f.table.View()
}
