package transport

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/credential"
	"github.com/endpointcache/endpointcache/internal/exchange"
	"github.com/endpointcache/endpointcache/internal/rfc9111"
	"github.com/endpointcache/endpointcache/internal/whose"
	"github.com/endpointcache/endpointcache/policy"
)

// call is one request to the transport.
type call struct {
	t      *Transport
	base   sender
	caller *http.Request // never changed
	req    *http.Request // the same, or a copy whose body can be read again
	rules  *exchange.Rules
	asked  rfc9111.Directives // of the request, in Cache-Control mode

	table    *exchange.Table // nil: none has the request
	key      driver.Key
	placed   bool // they are those of its origin and identity
	readOnly bool // its response is not one of the key, as HEAD's

	writes []addition // what the request makes old by the cache's declarations

	handedOver bool // the request's body is that of the request to the origin
	ours       bool // the cache itself sends it
}

// newCall finds the request's table, key and policy. The error is that of a policy which
// cannot be, or of a router.
func (t *Transport) newCall(req *http.Request, base sender) (*call, error) {
	c := &call{t: t, base: base, caller: req, req: req}
	var err error
	if t.cache == nil || req.URL == nil {
		c.rules, err = exchange.RulesOf(c.context())
		return c, err
	}
	c.rules, err = t.cache.Rules(c.context())
	c.ours = t.cache.Sends(c.context())
	if err != nil || c.ours || c.rules.CallUses(policy.Disabled) {
		return c, err // where the call turns the cache off, not even its body is looked at
	}
	if err := c.route(); err != nil {
		return c, err
	}
	if c.table != nil {
		if c.rules, err = c.table.Rules(c.context()); err != nil {
			return c, err
		}
		if !c.placed && c.rules.Use() != policy.Disabled {
			c.table, c.key = c.place(c.table, c.key)
		}
	}
	if c.rules.Controls() {
		c.asked = rfc9111.ParseRequestDirectives(req.Header)
	}
	if c.rules.Use() == policy.Disabled {
		c.table = nil
	}
	return c, nil
}

// route finds the table and the key.
func (c *call) route() error {
	if len(c.caller.Header["Upgrade"]) > 0 {
		return nil // it asks for another protocol
	}
	method := c.caller.Method
	var some func(*exchange.Table) bool
	var writes []*exchange.Write
	switch method {
	case "", http.MethodGet, http.MethodHead:
	default:
		if !rfc9111.SafeMethod(method) {
			writes = c.t.cache.Writes()
		}
		if len(writes) == 0 && !c.cachedSomewhere(method) {
			return nil
		}
		some = func(t *exchange.Table) bool { return c.cached(t, method) }
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
	if c.writes = c.declared(writes); len(c.writes) > 0 {
		return nil // a write is no read, whatever is cached
	}
	if some != nil && !c.cachedSomewhere(method) {
		return nil
	}
	if method == http.MethodHead {
		return c.routeHead()
	}
	whole := withoutRange(c.req)
	var err error
	c.table, c.key, _, err = c.t.route(whole, some)
	c.takeBody(whole)
	return err
}

// place finds the table of the call's origin and the key of its identity, no table for a
// call that is not to be cached.
func (c *call) place(table *exchange.Table, key driver.Key) (*exchange.Table, driver.Key) {
	placed, whole, ok, err := table.Place(c.context(), c.req, key, c.base.signer())
	if !ok {
		if err != nil {
			c.t.cache.Unplaced(table, err)
		}
		return nil, nil
	}
	return placed, whole // of an error of the store, the guard has told
}

// cached reports whether requests of that method are cached in the table.
func (c *call) cached(t *exchange.Table, method string) bool {
	rules, err := t.Rules(c.context())
	return err == nil && t.CachesMethod(method, rules)
}

func (c *call) cachedSomewhere(method string) bool {
	for _, t := range c.t.cache.Tables() {
		if c.cached(t, method) {
			return true
		}
	}
	return false
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
func (c *call) routeHead() error {
	get := *withoutRange(c.req)
	get.Method = http.MethodGet
	table, key, ok, err := c.t.route(&get, nil)
	if err != nil {
		return err
	}
	c.takeBody(&get)
	own, ownKey, ownOK, err := c.t.route(c.req, nil)
	switch {
	case err != nil:
		return err
	case !ok:
		c.table, c.key = own, ownKey
	case ownOK && (own != table || string(driver.AppendKey(nil, ownKey)) != string(driver.AppendKey(nil, key))):
		c.table, c.key = own, ownKey
		return c.answeredByGet(table, key)
	default:
		c.table, c.key, c.readOnly = table, key, true
	}
	return nil
}

// answeredByGet makes the call one for the GET's response where there is one that
// may be served.
func (c *call) answeredByGet(table *exchange.Table, key driver.Key) error {
	get := *c
	if get.table, get.key = c.place(table, key); get.table == nil {
		return nil
	}
	table = get.table
	var err error
	if get.rules, err = table.Rules(c.context()); err != nil || get.rules.Use() == policy.Disabled {
		return err
	}
	if c.t.cache.Answers(c.context(), get.ask()) {
		c.table, c.key, c.readOnly, c.placed = table, get.key, true, true
	}
	return nil
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

// route asks the cache for the table and key of a request. One that cannot be told is
// none; that a router names no repository is an error.
func (t *Transport) route(req *http.Request, some func(*exchange.Table) bool) (*exchange.Table, driver.Key, bool, error) {
	table, key, ok, err := t.cache.Route(req, some)
	if exchange.IsMisrouted(err) {
		return nil, nil, false, err
	}
	if err != nil {
		t.cache.Unkeyed(err)
	}
	if !ok {
		return nil, nil, false, nil
	}
	return table, key, true, nil
}

func (c *call) context() context.Context { return c.caller.Context() }

// neverForward reports whether the origin must not be asked.
func (c *call) neverForward() bool {
	use := c.rules.Use()
	return use == policy.OnlyIfCached || use == policy.Offline || c.asked.OnlyIfCached
}

// ask is the call as the exchange knows it.
func (c *call) ask() *exchange.Ask {
	isGet := c.caller.Method == "" || c.caller.Method == http.MethodGet
	ranged := len(c.req.Header["Range"]) > 0
	partial := rfc9111.IsConditional(c.req.Header) || ranged
	a := &exchange.Ask{
		Terms: exchange.Terms{
			Rules: c.rules, Directives: c.asked,
			// A request that asks whether something still holds may have to be
			// repeated without.
			Repeatable: !hasBody(c.req) || c.req.GetBody != nil,
			Completes:  isGet && !partial && !hasBody(c.req),
		},
		Table: c.table, Key: c.key,
		Request: c.caller, Door: c,
		Cancel:   c.caller.Cancel, //nolint:staticcheck // some still use it
		Alone:    rfc9111.HasPrecondition(c.req.Header),
		Partial:  partial,
		ReadOnly: c.readOnly,
	}
	if isGet && ranged { // a range of anything else has no meaning, RFC 9110, section 14.2
		a.Range = rangeOf(c.req.Header)
	}
	return a
}

// do answers a request that has a table.
func (c *call) do() (*http.Response, error) {
	began := c.t.cache.Began()
	answer, err := c.t.cache.RoundTrip(c.context(), c.ask())
	c.table.TellAnswer(c.context(), answer, err, began)
	if !c.handedOver {
		closeBody(c.req)
	}
	switch {
	case errors.Is(err, exchange.ErrUnanswered):
		return c.gatewayTimeout(), nil
	case err != nil:
		return nil, err
	case answer.Response != nil:
		answer.Response.Request = c.answered(answer.Response.Request)
		return answer.Response, nil
	}
	resp, err := c.respond(answer.Stored, answer.Outcome)
	if err == nil {
		maps.Copy(resp.Header, answer.Cookies)
	}
	return resp, err
}

// answered is the call's request as its response has it, which was answered as the one to
// sent; nil for one from the store. Whoever keeps the response above has to know whose it is.
func (c *call) answered(sent *http.Request) *http.Request {
	if c.table.Scoped() {
		_, named := whose.Name(c.key[0].(string))
		if signer := c.base.signer(); named || signer != nil && signer.Covers(c.req) {
			return credential.OnBehalf(c.caller)
		}
	}
	return credential.AsSent(c.caller, sent)
}

// Begin implements [exchange.Door] with a request that shares nothing with the caller's,
// which is the caller's again as soon as it is answered.
func (c *call) Begin(f *exchange.Flight) (exchange.Send, *http.Request) {
	ctx := f.Context()
	if signer := c.base.signer(); signer != nil && c.table.Scoped() {
		ctx = credential.WithSigner(ctx, signer) // the key has what it adds
	}
	own := c.req.Clone(ctx)
	// With a Timeout, http.Client ends the request by it, beside its context.
	own.Cancel = nil //nolint:staticcheck // it is the first caller's alone
	repeats := hasBody(own) && own.GetBody != nil
	c.handedOver = hasBody(own) && !repeats
	return func(context.Context, http.Header) (*http.Response, []byte, bool, error) {
		ctx, outgoing := exchange.Begin(own.Context(), own.Method, 1, f.Conditional())
		defer outgoing.Abandon()
		req := own
		if outgoing != nil {
			req = own.WithContext(ctx)
		}
		if f.Amends() {
			req = req.Clone(ctx)
			f.Amend(req.Header)
		}
		if repeats {
			body, err := own.GetBody()
			if err != nil {
				return nil, nil, false, fmt.Errorf("transport: get the request's body: %w", err)
			}
			req.Body = body
		}
		resp, err := c.base.RoundTrip(req) //nolint:bodyclose // it is the exchange's
		outgoing.Receives(resp, err)
		return resp, nil, false, err
	}, own
}

// Build implements [exchange.Door].
func (c *call) Build() *http.Request { return c.caller }

// Landed implements [exchange.Door].
func (*call) Landed(*exchange.Flight) {}

// Launch implements [exchange.Door]: each request is sent as it begins.
func (*call) Launch(...*exchange.Flight) {}

func hasBody(req *http.Request) bool { return req.Body != nil && req.Body != http.NoBody }
