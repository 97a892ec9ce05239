package transport

import (
	"net/http"
	"slices"
	"time"

	"github.com/endpointcache/endpointcache/internal/urlpattern"
	"github.com/endpointcache/endpointcache/policy"
)

// layer is one of the policies that hold for a request, with what is worked out of
// it once.
type layer struct {
	policy policy.Policy
	urls   []urlpattern.Pattern // of its ExpireURLs
	err    error
}

func newLayer(p policy.Policy) *layer {
	l := &layer{policy: p, err: p.Validate()}
	for _, u := range p.ExpireURLs {
		pattern, err := urlpattern.Parse(u.URL)
		if err != nil {
			break // as Validate has told
		}
		l.urls = append(l.urls, pattern)
	}
	return l
}

// callLayers are those of a call's policies.
func callLayers(policies []policy.Policy) []*layer {
	var layers []*layer
	for _, p := range policies {
		layers = append(layers, newLayer(p))
	}
	return layers
}

// expiry is what one policy says of a response. Where its status is cached only as an
// ExpireStatus names it, what ExpireURLs and Expire say of others is not about it.
func (l *layer) expiry(x *Exchange, listed bool) Expiry {
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
	for i, pattern := range l.urls {
		if e := p.ExpireURLs[i].Expire; !e.IsZero() && pattern.Match(x.Request) {
			general = e
			break
		}
	}
	if !listed && general != DoNotCache() {
		return Expiry{}
	}
	return general
}

// rules are the policies that hold for a request, by fields: the most specific
// that is set. They are not changed once they are made.
type rules struct {
	use                  Use
	cacheControl         Switch
	statuses             []int // nil: the default
	keep, serve          func(*Exchange) bool
	staleIfError         time.Duration
	staleWhileRevalidate time.Duration
	call                 []*layer // those of the call
	fixed                []*layer // those of the repository and the cache
	err                  error
}

// fill takes from a less specific policy what r does not have yet.
func (r *rules) fill(l *layer) {
	p := &l.policy
	if r.use == 0 {
		r.use = p.Use
	}
	if r.cacheControl == 0 {
		r.cacheControl = p.CacheControl
	}
	if r.statuses == nil {
		r.statuses = p.Statuses
	}
	if r.keep == nil {
		r.keep = p.Keep
	}
	if r.serve == nil {
		r.serve = p.Serve
	}
	if r.staleIfError == 0 {
		r.staleIfError = p.StaleIfError
	}
	if r.staleWhileRevalidate == 0 {
		r.staleWhileRevalidate = p.StaleWhileRevalidate
	}
	if r.err == nil {
		r.err = l.err
	}
}

// defaultStatuses are cached where no policy says so: a value, and the redirects
// that are permanent.
var defaultStatuses = []int{http.StatusOK, http.StatusMovedPermanently, http.StatusPermanentRedirect}

// allows reports whether responses of that status are cached by the policies.
func (r *rules) allows(status int) bool {
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
func (r *rules) listed(status int) bool {
	if r.statuses == nil {
		return slices.Contains(defaultStatuses, status)
	}
	return slices.Contains(r.statuses, status)
}

// all yields the policies, the most specific first.
func (r *rules) all(yield func(*layer) bool) {
	for _, layers := range [...][]*layer{r.call, r.fixed} {
		for _, l := range layers {
			if !yield(l) {
				return
			}
		}
	}
}

// callExpiry is what the call's policies say of a response.
func (r *rules) callExpiry(x *Exchange) Expiry { return r.expiry(r.call, x) }

// fixedExpiry is what the repository's and the cache's policies say of a response.
func (r *rules) fixedExpiry(x *Exchange) Expiry { return r.expiry(r.fixed, x) }

func (r *rules) expiry(layers []*layer, x *Exchange) Expiry {
	for _, l := range layers {
		if e := l.expiry(x, r.listed(x.Status)); !e.IsZero() {
			return e
		}
	}
	return Expiry{}
}
