package transport

import (
	"context"
	"maps"
	"math"
	"net/http"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/rfc9111"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/repository"
)

// call is one request to the transport.
type call struct {
	t      *Transport
	base   http.RoundTripper
	caller *http.Request // never changed
	req    *http.Request // the same, or a copy whose body can be read again
	rules  *rules
	asked  rfc9111.Directives // of the request, in Cache-Control mode

	repository *repository.Responses // nil: none has the request
	key        driver.Key
	readOnly   bool // its response is not one of the key, as HEAD's
	looked     int  // how often what a fetch has left was looked for
}

// newCall finds the request's repository, key and policy. The error is that of a
// policy which cannot be.
func (t *Transport) newCall(req *http.Request) (*call, error) {
	c := &call{t: t, caller: req, req: req}
	if t.invalid != nil {
		return c, t.invalid
	}
	layers := callLayers(policy.Of(req.Context()))
	c.rules = t.rules("", layers)
	if c.rules.err != nil {
		return c, c.rules.err
	}
	if t.cache == nil || req.URL == nil || layers != nil && c.rules.use == Disabled && c.callDisables() {
		return c, nil
	}
	c.route(layers)
	if c.repository != nil {
		c.rules = t.rules(c.repository.Name(), layers)
	}
	if c.controls() {
		c.asked = rfc9111.ParseRequestDirectives(req.Header)
	}
	if c.rules.use == Disabled {
		c.repository = nil
	}
	return c, nil
}

// callDisables reports whether it is the call itself that turns the cache off:
// then not even its body is looked at.
func (c *call) callDisables() bool {
	for _, l := range c.rules.call {
		if l.policy.Use != 0 {
			return l.policy.Use == Disabled
		}
	}
	return false
}

// route finds the repository and the key.
func (c *call) route(layers []*layer) {
	if len(c.caller.Header["Upgrade"]) > 0 {
		return // it asks for another protocol
	}
	method := c.caller.Method
	var some func(*repository.Responses) bool
	switch method {
	case "", http.MethodGet, http.MethodHead:
	default:
		if !c.t.cachedSomewhere(method, layers) {
			return
		}
		some = func(r *repository.Responses) bool { return c.t.cached(method, r, layers) }
	}
	if c.caller.Body != nil && c.caller.Body != http.NoBody {
		copied := *c.caller // taking the key may replace the body
		c.req = &copied
		if body := c.caller.Body; c.caller.GetBody == nil {
			// The key may read it, and it may not come: net/http, too, closes
			// it when its caller gives up.
			defer context.AfterFunc(c.context(), func() { _ = body.Close() })()
		}
	}
	if method == http.MethodHead {
		c.routeHead(layers)
		return
	}
	whole := withoutRange(c.req)
	c.repository, c.key, _ = c.t.route(whole, some)
	c.takeBody(whole)
}

// takeBody takes over the body of a copy of the request that a key was taken from,
// which may have read and replaced it.
func (c *call) takeBody(copied *http.Request) {
	if c.req != c.caller {
		c.req.Body, c.req.GetBody = copied.Body, copied.GetBody
	}
}

// routeHead lets a HEAD be answered by the response to a GET. What the origin
// answers to a HEAD is saved only where that has a key of its own.
func (c *call) routeHead(layers []*layer) {
	get := *withoutRange(c.req)
	get.Method = http.MethodGet
	r, key, ok := c.t.route(&get, nil)
	c.takeBody(&get)
	own, ownKey, ownOK := c.t.route(c.req, nil)
	switch {
	case !ok:
		c.repository, c.key = own, ownKey
	case ownOK && (own != r || string(driver.AppendKey(nil, ownKey)) != string(driver.AppendKey(nil, key))):
		c.repository, c.key = own, ownKey
		c.answeredByGet(r, key, layers)
	default:
		c.repository, c.key, c.readOnly = r, key, true
	}
}

// answeredByGet makes the call one for the GET's response where there is one that
// is live.
func (c *call) answeredByGet(r *repository.Responses, key driver.Key, layers []*layer) {
	get := *c
	get.repository, get.key, get.rules = r, key, c.t.rules(r.Name(), layers)
	if get.rules.use == Disabled {
		return
	}
	if s, err := get.lookup(); err == nil && s != nil && s.entry.Status == http.StatusOK && (s.fresh(c.t.cache.Now()) || get.rules.use == Offline) {
		c.repository, c.key, c.readOnly = r, key, true
	}
}

// withoutRange is the request for the whole of what a request may want a part of.
func withoutRange(req *http.Request) *http.Request {
	if len(req.Header["Range"]) == 0 && len(req.Header["If-Range"]) == 0 {
		return req
	}
	whole := *req
	whole.Header = maps.Clone(req.Header)
	whole.Header.Del("Range")
	whole.Header.Del("If-Range")
	return &whole
}

// route asks the cache for the repository and key of a request. One that cannot be
// told is none.
func (t *Transport) route(req *http.Request, some func(*repository.Responses) bool) (*repository.Responses, driver.Key, bool) {
	r, key, ok, err := t.cache.RouteAmong(req, some)
	if err != nil {
		t.counts.unkeyed.Add(1)
		t.log.Warn("endpointcache: the key of a request cannot be told", "error", err)
	}
	if !ok {
		return nil, nil, false
	}
	return r, key, true
}

func (c *call) controls() bool { return c.rules.cacheControl == On }

func (c *call) context() context.Context { return c.caller.Context() }

// neverForward reports whether the origin must not be asked.
func (c *call) neverForward() bool {
	return c.rules.use == OnlyIfCached || c.rules.use == Offline || c.asked.OnlyIfCached
}

// verdict is what is to be done with what is stored.
type verdict uint8

const (
	fetchIt        verdict = iota
	serveIt                // it is the answer
	serveAndRenew          // it is the answer, this once; meanwhile it is fetched
	revalidateIt           // the origin is asked whether it still holds
	gatewayTimeout         // there is no answer without the origin
)

// maxLooks is how often a call looks again for what others have fetched: with a slow
// store and many requests, something would have landed each time.
const maxLooks = 3

// do answers a request that has a repository.
func (c *call) do() (*http.Response, error) {
	if rfc9111.HasPrecondition(c.req.Header) && !c.neverForward() {
		return c.alone(nil)
	}
	seen := c.t.flights.landed()
	if c.looked >= maxLooks {
		seen = math.MaxInt64
	}
	s, err := c.lookup()
	if err != nil {
		closeBody(c.req)
		return nil, err
	}
	if s != nil && c.rules.serve != nil && !c.t.permits(c.rules.serve, s.exchange(c.caller)) {
		s = nil
	}
	switch c.judge(s) {
	case serveIt:
		return c.serve(s)
	case serveAndRenew:
		c.t.renew(c, s, seen)
		return c.serve(s)
	case revalidateIt:
		return c.fetch(s, true, seen)
	case gatewayTimeout:
		closeBody(c.req)
		return c.gatewayTimeout(), nil
	default:
		return c.fetch(s, false, seen)
	}
}

func (c *call) serve(s *stored) (*http.Response, error) {
	closeBody(c.req)
	c.t.counts.hits.Add(1)
	return c.respond(s, outcome{hit: true})
}

func (c *call) judge(s *stored) verdict {
	now := c.t.cache.Now()
	// A request that asks whether s still holds may have to be repeated without.
	repeatable := !hasBody(c.req) || c.req.GetBody != nil
	forward := fetchIt
	switch {
	case c.neverForward():
		forward = gatewayTimeout
	case s != nil && rfc9111.HasValidator(s.head.Header) && repeatable:
		forward = revalidateIt
	}
	if s == nil {
		return forward
	}
	switch c.rules.use {
	case Offline:
		return serveIt
	case Reload:
		return fetchIt
	case Revalidate:
		if c.controls() && s.control().Immutable && s.fresh(now) {
			return serveIt // RFC 8246, section 2
		}
		return forward
	case UseCache, OnlyIfCached, Disabled:
	}
	if c.controls() && c.asked.NoCache {
		return forward
	}
	if c.satisfies(s, now) {
		return serveIt
	}
	if forward != gatewayTimeout && repeatable && !s.fresh(now) && s.staleness(now) <= c.renewable(s) {
		return serveAndRenew
	}
	return forward
}

// satisfies reports whether s may be served as it is.
func (c *call) satisfies(s *stored, now time.Time) bool {
	fresh := s.fresh(now)
	if !c.controls() {
		return fresh
	}
	asked := &c.asked
	if asked.MaxAge.Set && !asked.MaxAge.Invalid && s.age(now) > asked.MaxAge.Duration {
		return false
	}
	if asked.MinFresh.Set && s.staleness(now) > -asked.MinFresh.Duration {
		return false
	}
	if !fresh && asked.MaxStale.Set && !asked.MaxStale.Invalid {
		return s.mayBeStale() && s.staleness(now) <= asked.MaxStale.Duration
	}
	return fresh
}

// renewable is how long after its expiry s may be served while it is renewed.
func (c *call) renewable(s *stored) time.Duration {
	limit := c.rules.staleWhileRevalidate
	if c.controls() {
		if !s.mayBeStale() || c.asked.MaxAge.Set || c.asked.MinFresh.Set {
			return -1
		}
		if limit == 0 {
			limit = s.control().StaleWhileRevalidate.Duration
		}
	}
	if limit <= 0 {
		return -1
	}
	return limit
}

// maxDisconnected is how long after its expiry a response stands in where the
// origin cannot be reached and nothing says how long it may.
const maxDisconnected = 24 * time.Hour

// standsIn reports whether s may be the answer where the origin could not be
// reached, or has failed with a status.
func (c *call) standsIn(s *stored, unreachable bool) bool {
	if s == nil || c.rules.use == Reload {
		return false
	}
	limit := c.rules.staleIfError
	if c.controls() {
		if !s.mayBeStale() || c.asked.NoCache {
			return false
		}
		if limit == 0 {
			ours, asked := s.control().StaleIfError, c.asked.StaleIfError
			limit = max(ours.Duration, asked.Duration)
			if unreachable && !ours.Set && !asked.Set {
				limit = maxDisconnected
			}
		}
	}
	return limit > 0 && s.staleness(c.t.cache.Now()) <= limit
}
