package transport

import (
	"context"
	"net/http"
	"net/url"

	"github.com/endpointcache/endpointcache/internal/credential"
	"github.com/endpointcache/endpointcache/internal/exchange"
	"github.com/endpointcache/endpointcache/internal/rfc9111"
	"github.com/endpointcache/endpointcache/internal/weborigin"
)

// invalidateAfter makes old what an unsafe request has changed, RFC 9111, section 4.4: the
// responses of its own URL, and of those on the same origin that its response points to, or
// that WebDAV's COPY and MOVE write to; and what the declarations of writes name.
func (t *Transport) invalidateAfter(req *http.Request, resp *http.Response, writes []addition, signer credential.Signer) {
	if rfc9111.SafeMethod(req.Method) || resp.StatusCode < 200 || resp.StatusCode > 399 || req.URL == nil {
		return
	}
	inv := t.cache.NewInvalidation()
	t.addURL(inv, req, req.URL, signer)
	for _, reference := range [...]string{
		resp.Header.Get("Location"), resp.Header.Get("Content-Location"), req.Header.Get("Destination"),
	} {
		if target, ok := pointedTo(req, reference); ok {
			t.addURL(inv, req, target, signer)
		}
	}
	for _, add := range writes {
		if err := add(req.Context(), inv); err != nil {
			t.cache.Unkeyed(err)
		}
	}
	inv.Try(req.Context())
}

// pointedTo is the URL that a message refers to, as requests of the same client have it;
// false where that is another origin's, or that of req.
func pointedTo(req *http.Request, reference string) (*url.URL, bool) {
	if reference == "" {
		return nil, false
	}
	target, err := req.URL.Parse(reference)
	if err != nil {
		return nil, false
	}
	named := *req.URL // as its Host header names it, which may be asked at another address
	named.Host = req.Host
	switch weborigin.Of(target) {
	case weborigin.Of(req.URL):
	case weborigin.Of(&named):
		target.Host = req.URL.Host
	default:
		return nil, false
	}
	return target, target.String() != req.URL.String()
}

// addURL adds what is stored for a URL: all entries, where an endpoint tells which these
// are, and those that a GET and a HEAD with the headers of req would find.
func (t *Transport) addURL(inv *exchange.Invalidation, req *http.Request, target *url.URL, signer credential.Signer) {
	found := false
	for _, method := range [...]string{http.MethodGet, http.MethodHead} {
		read := getLike(req, target)
		read.Method = method
		if method == http.MethodGet {
			for _, table := range t.cache.Tables() {
				found = inv.RequestURL(table, read) || found
			}
		}
		table, key, ok, err := t.route(read, nil)
		if err != nil || !ok {
			continue
		}
		placed, whole, identified := table.Written(req.Context(), read, key, signer)
		if identified {
			inv.Keys(placed, whole)
		}
		inv.URL(placed, whole)
		found = found || method == http.MethodGet
	}
	if found {
		t.cache.CountInvalidated()
	}
}

// addition adds to an invalidation what a request makes old.
type addition func(context.Context, *exchange.Invalidation) error

// declared are the writes that the call's request is one of. They are asked before it is
// sent, as a key may be in its body.
func (c *call) declared(writes []*exchange.Write) (matched []addition) {
	for _, w := range writes {
		add, ok, err := w.Match(c.req)
		if err != nil {
			c.t.cache.Unkeyed(err)
		}
		if err == nil && ok {
			matched = append(matched, add)
		}
	}
	return matched
}
