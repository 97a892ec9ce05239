package pages

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/internal/hostname"
	"github.com/endpointcache/endpointcache/request"
)

// follow returns the key for a URL that the page with the key from tells.
func follow[K comparable, P any](ctx context.Context, f *fetch.Fetcher[K, P], from K, text string) (none K, err error) {
	endpoint, base := f.Settings().Endpoint, f.Client().Base()
	if endpoint == nil {
		return none, errors.New("the repository has no endpoint, which takes keys out of URLs")
	}
	asked, err := endpoint.Request(ctx, base, from)
	if err != nil {
		return none, err
	}
	target, err := asked.URL.Parse(text)
	switch {
	case err != nil:
		return none, errors.New("the URL of the next page cannot be parsed") // not err, which has all of it
	case target.Scheme != "http" && target.Scheme != "https":
		return none, fmt.Errorf("%w: its URL has the scheme %q", ErrForeign, target.Scheme)
	}
	req, err := recognized(ctx, endpoint, base, from)
	if err != nil {
		return none, err
	}
	if host := hostOf(target); host != hostOf(asked.URL) && host != hostOf(req.URL) {
		return none, fmt.Errorf("%w: its URL has the host %s, not %s", ErrForeign, host, hostOf(asked.URL))
	}
	if err := moveTo(req, target, base); err != nil {
		return none, err
	}
	key, ok, err := endpoint.Key(req)
	if err == nil && !ok {
		err = fmt.Errorf("%w: the endpoint does not have its URL", ErrForeign)
	}
	return key, err
}

// recognized is the request for key as the endpoint takes a key from it. Where the
// base has another host than the endpoint, that is one to the endpoint's own.
func recognized[K comparable](ctx context.Context, endpoint request.Endpoint[K], base *url.URL, key K) (*http.Request, error) {
	host := &url.URL{}
	if base != nil {
		host.Scheme, host.Host = base.Scheme, base.Host
	}
	req, err := endpoint.Request(ctx, host, key)
	if err != nil {
		return nil, err
	}
	if _, ok, err := endpoint.Key(req); err == nil && ok {
		return req, nil
	}
	if own, err := endpoint.Request(ctx, &url.URL{}, key); err == nil {
		return own, nil
	}
	return req, nil
}

// moveTo gives a request the path and the query of target, without the path that the
// base has before the endpoint's. An origin behind a proxy may tell it without.
func moveTo(req *http.Request, target, base *url.URL) error {
	path := target.EscapedPath()
	if base != nil {
		prefix := strings.TrimSuffix(base.EscapedPath(), "/")
		if rest, ok := strings.CutPrefix(path, prefix); ok && strings.HasPrefix(rest, "/") {
			path = rest
		}
	}
	location := url.URL{Scheme: req.URL.Scheme, Host: req.URL.Host, RawPath: path, RawQuery: target.RawQuery}
	var err error
	if location.Path, err = url.PathUnescape(path); err != nil {
		return errors.New("the path of the next page cannot be parsed")
	}
	req.URL = &location
	return nil
}

// hostOf is the host of a URL in small letters, with its port where that is not the
// scheme's default.
func hostOf(u *url.URL) string {
	name, port := hostname.Lower(u.Hostname()), u.Port()
	if port == "" || u.Scheme == "https" && port == "443" || u.Scheme == "http" && port == "80" {
		return name
	}
	return net.JoinHostPort(name, port)
}
