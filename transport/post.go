package transport

import (
	"context"
	"net/http"
	"net/url"

	"github.com/endpointcache/endpointcache/internal/exchange"
	"github.com/endpointcache/endpointcache/internal/rfc9111"
	"github.com/endpointcache/endpointcache/internal/weborigin"
)

// keepForGet keeps the response to a POST for later GETs of the same URL, where it says
// that it is what they would get, and for how long: RFC 9110, section 9.3.3. It returns
// the response that the caller gets.
func (t *Transport) keepForGet(req *http.Request, resp *http.Response, base sender) (*http.Response, error) {
	if req.Method != http.MethodPost || resp.StatusCode != http.StatusOK || req.URL == nil || resp.Body == nil || !tellsOfItself(req.URL, resp.Header) {
		return resp, nil
	}
	if sent := resp.Request; sent != nil && (sent.Method != req.Method || sent.URL == nil || sent.URL.String() != req.URL.String()) {
		return resp, nil // the base has followed a redirect
	}
	d := rfc9111.ParseDirectives(resp.Header)
	if life, explicit := rfc9111.Lifetime(resp.Header, d, t.cache.Now()); !explicit || life <= 0 {
		return resp, nil
	}
	c, err := t.newCall(getLike(req, req.URL), base)
	if err != nil || c.table == nil || !c.rules.Controls() || c.neverForward() {
		return resp, nil //nolint:nilerr // the POST has been answered
	}
	ask := c.ask()
	ask.Alone, ask.Partial, ask.Door = true, false, &answered{c, resp}
	answer, err := t.cache.RoundTrip(req.Context(), ask)
	if err != nil {
		return nil, err
	}
	return answer.Response, nil
}

// answered is the door of a request that has been answered already.
type answered struct {
	*call
	resp *http.Response
}

// Begin implements [exchange.Door].
func (a *answered) Begin(*exchange.Flight) (exchange.Send, *http.Request) {
	return func(context.Context, http.Header) (*http.Response, []byte, bool, error) {
		return a.resp, nil, false, nil
	}, a.caller
}

// tellsOfItself reports whether a response says by its Content-Location that it is the
// representation of the URL that was asked.
func tellsOfItself(asked *url.URL, h http.Header) bool {
	locations := h["Content-Location"]
	if len(locations) != 1 {
		return false
	}
	target, err := asked.Parse(locations[0])
	return err == nil && weborigin.Of(target) == weborigin.Of(asked) &&
		pathOf(target) == pathOf(asked) && target.RawQuery == asked.RawQuery
}

func pathOf(u *url.URL) string {
	if path := u.EscapedPath(); path != "" {
		return path
	}
	return "/"
}

// notOfReads are headers of a request that are about what it sends, writes to, or wants a
// part or a condition of.
var notOfReads = [...]string{
	"Content-Type", "Content-Length", "Content-Encoding", "Content-Language", "Content-Location",
	"Range", "If-Range", "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since",
	"Destination", "Overwrite", "Depth", "If", "Lock-Token", "Timeout",
}

// getLike is a GET of a URL with the headers of another request.
func getLike(req *http.Request, target *url.URL) *http.Request {
	header := req.Header.Clone()
	for _, name := range notOfReads {
		header.Del(name)
	}
	return (&http.Request{Method: http.MethodGet, URL: target, Header: header, Host: req.Host}).WithContext(req.Context())
}
