package exchange

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/endpointcache/endpointcache/internal/rfc9111"
	"github.com/endpointcache/endpointcache/internal/urlpattern"
	"github.com/endpointcache/endpointcache/policy"
)

// layer is one policy, with what is worked out of it once.
type layer struct {
	policy policy.Policy
	urls   []urlpattern.Pattern
	err    error
}

func newLayer(p policy.Policy) *layer {
	l := &layer{policy: p, err: p.Validate()}
	if l.err != nil {
		return l
	}
	for _, u := range p.ExpireURLs {
		pattern, err := urlpattern.Parse(u.URL)
		if err != nil {
			l.err = fmt.Errorf("policy: URL pattern %q: %w", u.URL, err)
			return l
		}
		l.urls = append(l.urls, pattern)
	}
	return l
}

// expiry is what one policy says of a response. Where its status is cached only as an
// ExpireStatus names it, what ExpireURLs and Expire say of others is not about it.
func (l *layer) expiry(x *policy.Exchange, listed bool) policy.Expiry {
	p := &l.policy
	if p.ExpireFunc != nil {
		if e := p.ExpireFunc(x); !e.IsZero() {
			return e
		}
	}
	if e := p.ExpireStatus[x.Status]; !e.IsZero() {
		return e
	}
	general := p.Expire
	if x.Request != nil {
		for i, pattern := range l.urls {
			if e := p.ExpireURLs[i].Expire; !e.IsZero() && pattern.Match(x.Request) {
				general = e
				break
			}
		}
	}
	if !listed && !isDoNotCache(general) {
		return policy.Expiry{}
	}
	return general
}

func isDoNotCache(e policy.Expiry) bool { return e == policy.DoNotCache() }

// Rules are the policies that hold for an ask, by fields: the most specific one that is
// set. They are not changed once they are made.
type Rules struct {
	use                  policy.Use
	cacheControl         policy.Switch
	cookies              policy.Switch
	statuses             []int // nil: the default
	keep, serve          func(*policy.Exchange) bool
	staleIfError         time.Duration
	staleWhileRevalidate time.Duration
	staleStatuses        []int // nil: the default
	soft, hard           time.Duration
	ahead, beta          float64
	lease                time.Duration
	call                 []*layer // of the call, the innermost first
	fixed                []*layer // of the table and the exchange
	err                  error
}

// fill takes from a less specific policy what r does not have yet.
func (r *Rules) fill(l *layer) {
	p := &l.policy
	setDefault(&r.use, p.Use)
	setDefault(&r.cacheControl, p.CacheControl)
	setDefault(&r.cookies, p.Cookies)
	setDefault(&r.staleIfError, p.StaleIfError)
	setDefault(&r.staleWhileRevalidate, p.StaleWhileRevalidate)
	setDefault(&r.soft, p.SoftTimeout)
	setDefault(&r.hard, p.HardTimeout)
	setDefault(&r.ahead, p.RefreshAhead)
	setDefault(&r.beta, p.RefreshBeta)
	setDefault(&r.lease, p.Lease)
	if r.statuses == nil {
		r.statuses = p.Statuses
	}
	if r.staleStatuses == nil {
		r.staleStatuses = p.StaleStatuses
	}
	if r.keep == nil {
		r.keep = p.Keep
	}
	if r.serve == nil {
		r.serve = p.Serve
	}
	if r.err == nil {
		r.err = l.err
	}
}

func fixedRules(layers ...*layer) *Rules {
	r := &Rules{fixed: layers}
	for _, l := range layers {
		r.fill(l)
	}
	return r
}

// over returns the rules of a call with the policies, the most specific first, over r.
func (r *Rules) over(policies []policy.Policy) *Rules {
	if len(policies) == 0 {
		return r
	}
	called := &Rules{fixed: r.fixed}
	for _, p := range policies {
		called.call = append(called.call, newLayer(p))
	}
	for l := range called.all {
		called.fill(l)
	}
	return called
}

// Rules are those of the table for a call with ctx. The policies of own come before
// those of the context. The error is that of a policy which cannot be.
func (t *Table) Rules(ctx context.Context, own ...policy.Policy) (*Rules, error) {
	policies := policy.Of(ctx)
	if len(own) > 0 {
		policies = slices.Concat(own, policies)
	}
	r := t.fixed.over(policies)
	return r, r.err
}

// Controls reports whether the table's responses decide by their headers, unless a call says
// otherwise.
func (t *Table) Controls() bool { return t.fixed.Controls() }

// RulesOf are those of a call where there is no exchange.
func RulesOf(ctx context.Context) (*Rules, error) {
	r := (&Rules{}).over(policy.Of(ctx))
	return r, r.err
}

// Rules are those of a call that belongs to no table.
func (x *Exchange) Rules(ctx context.Context) (*Rules, error) {
	r := x.fixed.over(policy.Of(ctx))
	return r, r.err
}

// Use is how stored responses are used.
func (r *Rules) Use() policy.Use {
	if r.use == 0 {
		return policy.UseCache
	}
	return r.use
}

// CallUses reports whether it is the call's own policy that says so.
func (r *Rules) CallUses(use policy.Use) bool {
	for _, l := range r.call {
		if l.policy.Use != 0 {
			return l.policy.Use == use
		}
	}
	return false
}

// Controls reports whether responses and requests decide by their headers.
func (r *Rules) Controls() bool { return r.cacheControl == policy.On }

// NeverForward reports whether the origin must not be asked by a request with these headers. Where the
// call itself turns the cache off, its headers are not looked at.
func (r *Rules) NeverForward(request http.Header) bool {
	use := r.Use()
	return use == policy.OnlyIfCached || use == policy.Offline ||
		r.Controls() && !r.CallUses(policy.Disabled) && rfc9111.ParseRequestDirectives(request).OnlyIfCached
}

// Cookies reports whether cookies are kept and replayed.
func (r *Rules) Cookies() bool { return r.cookies == policy.On }

// Adds reports whether a policy adds the method to those that are cached.
func (r *Rules) Adds(method string) bool {
	for l := range r.all {
		if slices.Contains(l.policy.Methods, method) {
			return true
		}
	}
	return false
}

// plain reports whether a live entry is the answer whatever else is known of it.
func (r *Rules) plain() bool {
	return r.Use() == policy.UseCache && !r.Controls() && r.serve == nil && !r.renewsAhead()
}

// defaultStatuses are cached where no policy says so: a value, and the redirects
// that are permanent.
var defaultStatuses = []int{http.StatusOK, http.StatusMovedPermanently, http.StatusPermanentRedirect}

// defaultStaleStatuses are those that a stored response may stand in for, RFC 5861,
// section 4.
var defaultStaleStatuses = []int{
	http.StatusInternalServerError, http.StatusBadGateway,
	http.StatusServiceUnavailable, http.StatusGatewayTimeout,
}

// allows reports whether responses of that status are cached by the policies.
func (r *Rules) allows(status int) bool {
	if status == http.StatusPartialContent || status == http.StatusNotModified {
		return false
	}
	for l := range r.all {
		if _, ok := l.policy.ExpireStatus[status]; ok {
			return true
		}
	}
	return r.listed(status)
}

// listed reports whether a status is one of those that are cached alike.
func (r *Rules) listed(status int) bool {
	if r.statuses == nil {
		return slices.Contains(defaultStatuses, status)
	}
	return slices.Contains(r.statuses, status)
}

// failed reports whether a status is one that a stored response may stand in for.
func (r *Rules) failed(status int) bool {
	if r.staleStatuses == nil {
		return slices.Contains(defaultStaleStatuses, status)
	}
	return slices.Contains(r.staleStatuses, status)
}

// asksExpiry reports whether a function decides about the expiry.
func (r *Rules) asksExpiry() bool {
	for l := range r.all {
		if l.policy.ExpireFunc != nil {
			return true
		}
	}
	return false
}

// decidesByBody reports whether a function decides by the body whether a response is
// kept.
func (r *Rules) decidesByBody() bool { return r.keep != nil || r.asksExpiry() }

// looksAtRequests reports whether a policy decides by the request.
func (r *Rules) looksAtRequests() bool {
	for l := range r.all {
		p := &l.policy
		if p.ExpireFunc != nil || p.ExpireURLs != nil || p.Keep != nil || p.Serve != nil {
			return true
		}
	}
	return false
}

// all yields the policies, the most specific first.
func (r *Rules) all(yield func(*layer) bool) {
	for _, l := range r.call {
		if !yield(l) {
			return
		}
	}
	for _, l := range r.fixed {
		if !yield(l) {
			return
		}
	}
}

// callExpiry is what the call's policies say of a response.
func (r *Rules) callExpiry(x *policy.Exchange) policy.Expiry {
	return r.expiryOf(r.call, x)
}

// fixedExpiry is what the table's and the exchange's policies say of a response.
func (r *Rules) fixedExpiry(x *policy.Exchange) policy.Expiry {
	return r.expiryOf(r.fixed, x)
}

func (r *Rules) expiryOf(layers []*layer, x *policy.Exchange) policy.Expiry {
	for _, l := range layers {
		if e := l.expiry(x, r.listed(x.Status)); !e.IsZero() {
			return e
		}
	}
	return policy.Expiry{}
}
