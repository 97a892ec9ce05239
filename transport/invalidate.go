package transport

import (
	"net/http"
	"net/url"
	"slices"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/credential"
	"github.com/endpointcache/endpointcache/internal/exchange"
	"github.com/endpointcache/endpointcache/internal/rfc9111"
)

// invalidateAfter removes what an unsafe request has made outdated, RFC 9111,
// section 4.4: the responses of its own URL, and of those on the same host that its response
// points to, or that WebDAV's COPY and MOVE write to.
func (t *Transport) invalidateAfter(req *http.Request, base http.RoundTripper, resp *http.Response) {
	if rfc9111.SafeMethod(req.Method) || resp.StatusCode < 200 || resp.StatusCode > 399 || req.URL == nil {
		return
	}
	outdated := make(map[*exchange.Table][]driver.Key)
	signer := credential.SignerOf(base)
	t.outdate(req, req.URL, signer, outdated)
	for _, reference := range [...]string{
		resp.Header.Get("Location"), resp.Header.Get("Content-Location"), req.Header.Get("Destination"),
	} {
		target, err := req.URL.Parse(reference)
		if err == nil && reference != "" && target.Host == req.URL.Host && target.Scheme == req.URL.Scheme && target.String() != req.URL.String() {
			t.outdate(req, target, signer, outdated)
		}
	}
	for r, keys := range outdated {
		r.Outdate(req.Context(), keys)
	}
}

// outdate adds the keys of a URL's responses to those that are outdated, as a GET and
// a HEAD with the headers of req would find them, but for those that a write alone has.
func (t *Transport) outdate(req *http.Request, target *url.URL, signer credential.Signer, outdated map[*exchange.Table][]driver.Key) {
	header := req.Header.Clone()
	for _, name := range [...]string{
		"Content-Type", "Content-Length", "Content-Encoding", "Range", "If-Range",
		"Destination", "Overwrite", "Depth", "If", "Lock-Token", "Timeout",
	} {
		header.Del(name)
	}
	found := false
	for _, method := range [...]string{http.MethodGet, http.MethodHead} {
		get := (&http.Request{Method: method, URL: target, Header: header, Host: req.Host}).WithContext(req.Context())
		r, key, ok, err := t.route(get, nil)
		if err != nil || !ok {
			continue
		}
		if r, key, ok = r.PlaceChanged(get.Context(), get, key, signer); !ok {
			continue
		}
		if !slices.ContainsFunc(outdated[r], func(other driver.Key) bool { return slices.Equal(other, key) }) {
			outdated[r] = append(outdated[r], key)
		}
		found = found || method == http.MethodGet
	}
	if found {
		t.cache.CountInvalidated()
	}
}
