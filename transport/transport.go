package transport

import (
	"errors"
	"net/http"
	"sync"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/internal/credential"
	"github.com/endpointcache/endpointcache/internal/exchange"
	"github.com/endpointcache/endpointcache/policy"
)

// Options are the settings of a transport. A nil *Options means the defaults. The
// declarations and the cache say what is cached and for how long; see package policy.
type Options struct {
	// Base makes the requests that the cache does not answer. The default is
	// [http.DefaultTransport].
	Base http.RoundTripper
}

// Transport is an [http.RoundTripper] that answers from a cache if it can, and otherwise
// fetches the response and saves it. Many goroutines may use it at once. It needs no
// closing: what it does in the background belongs to the cache.
type Transport struct {
	cache *exchange.Cache // nil: nothing is cached
	base  sender
	name  string // the cache's, as Cache-Status has it
}

// New returns a transport over c, which stays the caller's to close. With a nil c
// nothing is cached.
func New(c *cache.ResponseCache, opts *Options) *Transport {
	t := &Transport{base: newSender(http.DefaultTransport), name: statusName("")}
	if opts != nil && opts.Base != nil {
		t.base = newSender(opts.Base)
	}
	if c != nil {
		t.cache = exchange.OfCache(c)
		t.name = statusName(c.Name())
	}
	return t
}

// RoundTrip implements [http.RoundTripper].
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	return t.roundTrip(req, t.base)
}

// Do is RoundTrip for clients that take something with this method. To put the
// cache in front of such a one, see [Doer].
func (t *Transport) Do(req *http.Request) (*http.Response, error) {
	return t.roundTrip(req, t.base)
}

// Intercept is the transport as a middleware: next makes the requests that the
// cache does not answer, instead of the base. Equal requests at one time share
// the next of one of them.
func (t *Transport) Intercept(req *http.Request, next func(*http.Request) (*http.Response, error)) (*http.Response, error) {
	if next == nil {
		closeBody(req)
		return nil, errors.New("transport: next is nil")
	}
	return t.roundTrip(req, newSender(roundTripper(next)))
}

// Doer makes a base of what sends requests with a method Do, as [http.Client] and
// the clients of many SDKs have it:
//
//	cached := transport.New(c, &transport.Options{Base: transport.Doer(client)})
//	resp, err := cached.Do(req)
//
// Where it follows redirects itself, the last response is what is kept for the first URL;
// that of another host only if the RedirectHosts of the repository's settings name it.
func Doer(client interface {
	Do(req *http.Request) (*http.Response, error)
}) http.RoundTripper {
	return roundTripper(client.Do)
}

// sender is a base transport, and what it adds to requests, which is found out when it is
// about to send the first one: not before its owner has set it up.
type sender struct {
	http.RoundTripper
	signer func() credential.Signer // nil for nothing
}

func newSender(base http.RoundTripper) sender {
	return sender{base, sync.OnceValue(func() credential.Signer { return credential.SignerOf(base) })}
}

type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip implements [http.RoundTripper].
func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func (t *Transport) roundTrip(req *http.Request, base sender) (*http.Response, error) {
	c, err := t.newCall(req, base)
	if err != nil {
		closeBody(req)
		return nil, err
	}
	switch {
	case c.table != nil:
		return c.do()
	case c.neverForward() && !c.ours:
		closeBody(req)
		if t.cache != nil {
			t.cache.CountUnanswered(c.context())
		}
		return c.gatewayTimeout(), nil
	}
	if t.cache != nil {
		t.cache.CountBypassed(c.context())
	}
	resp, err := base.RoundTrip(c.req)
	if err == nil && resp != nil && t.cache != nil && !c.ours && c.rules.Use() != policy.Disabled {
		t.invalidateAfter(req, resp, c.writes, base.signer())
		resp, err = t.keepForGet(req, resp, base)
	}
	if resp != nil {
		resp.Request = credential.AsSent(req, resp.Request)
	}
	return resp, err
}

// CloseIdleConnections closes those of the base, for [http.Client].
func (t *Transport) CloseIdleConnections() {
	if base, ok := t.base.RoundTripper.(interface{ CloseIdleConnections() }); ok {
		base.CloseIdleConnections()
	}
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
}
