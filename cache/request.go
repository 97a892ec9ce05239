package cache

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/credential"
	"github.com/endpointcache/endpointcache/internal/declared"
	"github.com/endpointcache/endpointcache/internal/exchange"
	"github.com/endpointcache/endpointcache/settings"
)

// ErrNoRequest means that nobody knows what a request for a stored response looks like.
var ErrNoRequest = errors.New("the request is not known")

// Request returns the request that a stored response answers, as its repository's endpoint makes
// it: that of the cache, or else as far as the store remembers it. It is for the origin that the
// response came from; where the store does not know that, as with settings.AnyBaseURL, e.Origin
// can tell one. It has the body that the key tells, but no credentials: for a response of
// one identity, or of a repository that is settings.Shared, the caller adds them. It lacks headers
// that are not part of the key, such as those that a response varies by. e is one of these
// contents; its body is not needed.
//
// The request has the key of e, apart from an identity. Where there is none that is known to have
// it, the error wraps [ErrNoRequest]: the key has a digest or a credential, nobody knows
// the endpoint, or the store does not know the origin. It wraps [ErrNotFound] where there
// is no such table.
func (s *Contents) Request(ctx context.Context, e Stored) (*http.Request, error) {
	listed, t, err := s.find(ctx, e.Table)
	if err != nil {
		return nil, err
	}
	entry, err := e.entry(t)
	if err != nil {
		return nil, fmt.Errorf("cache: request: %w", err)
	}
	return s.request(ctx, listed, t, entry.Key, e.Origin)
}

func (s *Contents) request(ctx context.Context, listed declared.Table, t *exchange.Table, key driver.Key, otherwise string) (*http.Request, error) {
	none := func(err error) (*http.Request, error) {
		return nil, fmt.Errorf("cache: %w: table %q: %w", ErrNoRequest, t.Spec().Name, err)
	}
	if t.Request == nil || t.Match == nil {
		return none(errNoEndpoint)
	}
	base, err := baseOf(listed, t, otherwise)
	if err != nil {
		return none(err)
	}
	own := t.OwnKey(key)
	req, err := base.request(ctx, t, own)
	if err != nil {
		return none(err)
	}
	// What the API sees has the key: a gateway takes the path of the base off.
	seen, err := base.withoutPath().request(ctx, t, own)
	if err != nil {
		return none(err)
	}
	match, ok, err := t.Match(seen)
	switch {
	case err != nil:
		return none(err)
	case !ok || !slices.Equal(match, own):
		return none(errors.New("the key has what is not in it, such as a digest"))
	}
	if c, has := credential.Carried(req, func(credential.Credential) bool { return true }); has {
		return none(fmt.Errorf("it has a credential: %v", c))
	}
	return req, nil
}

var errNoEndpoint = errors.New("its endpoint is not known")

// base is what comes before the path of an endpoint.
type base struct {
	url  *url.URL // nil: what the endpoint says
	host string   // that is to answer, if it is another one than the URL's
}

// baseOf is that of the table's origin, or of another one where that is not known.
func baseOf(listed declared.Table, t *exchange.Table, otherwise string) (base, error) {
	origin := listed.Origin
	if origin == "" && !t.Undeclared() && t.Origin != settings.AnyBaseURL {
		origin = t.Origin
	}
	if origin = cmp.Or(origin, otherwise); origin == "" {
		return base{}, nil
	}
	return parseBase(origin)
}

// parseBase reads an origin as a store remembers it: "https://host", with the path of a gateway, or
// "https://named@asked" for a host that is asked by another's name.
func parseBase(origin string) (b base, err error) {
	scheme, rest, _ := strings.Cut(origin, "://")
	if named, asked, ok := strings.Cut(rest, "@"); ok {
		b.host, rest = named, asked
	}
	if b.url, err = url.Parse(scheme + "://" + rest); err != nil {
		return base{}, errors.New("its origin cannot be parsed")
	}
	return b, nil
}

func (b base) withoutPath() base {
	if b.url == nil {
		return b
	}
	own := *b.url
	own.Path, own.RawPath, own.RawQuery = "", "", ""
	return base{&own, b.host}
}

func (b base) request(ctx context.Context, t *exchange.Table, key driver.Key) (*http.Request, error) {
	req, err := t.Request(ctx, b.url, key)
	if err == nil && b.host != "" {
		req.Host = b.host
	}
	return req, err
}
