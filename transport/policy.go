package transport

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// Policy says what is cached and for how long. It is given for all repositories
// ([Options].Policy), for one ([Options].Repositories) and for a call
// ([WithPolicy]); of each field, the most specific one that is set holds. The
// zero value says nothing. docs/transport.md has the precedence as a table.
type Policy struct {
	// Use is how stored responses are used. The default is [UseCache].
	Use Use

	// CacheControl is [On] where responses and requests decide by their
	// headers, as in a private cache of RFC 9111. The default is [Off]: the
	// policy alone decides.
	CacheControl Switch

	// ExpireFunc, ExpireStatus, ExpireURLs and Expire tell when a response
	// expires; of one policy, the first that says so. ExpireStatus names
	// statuses that are cached besides Statuses, with an expiry of their own:
	// {404: After(time.Minute)}. Where no policy tells, the repository's
	// expiry holds. With CacheControl, what the response says of its freshness
	// goes before the policies of the repository and the cache, though neither
	// before that of the call nor before [DoNotCache].
	ExpireFunc   func(*Exchange) Expiry
	ExpireStatus map[int]Expiry
	ExpireURLs   []URLExpiry
	Expire       Expiry

	// Statuses are those of the responses that are cached. The default is
	// 200, 301 and 308; with CacheControl, those which RFC 9111 allows. 206
	// and 304 are no whole responses and never cached.
	Statuses []int

	// Methods are those of the requests that are cached, besides GET and
	// HEAD and those which a repository's pattern names.
	Methods []string

	// Keep is asked before a response is saved, Serve before a stored one is
	// used. What it refuses is not saved, or fetched anew.
	Keep  func(*Exchange) bool
	Serve func(*Exchange) bool

	// StaleIfError is how long after its expiry a response may stand in for
	// one that could not be had: the origin cannot be reached, or its status is
	// 500, 502, 503 or 504. The default is what the response allows
	// (RFC 5861), with CacheControl and an origin that cannot be reached a day.
	// Negative: never.
	StaleIfError time.Duration

	// StaleWhileRevalidate is how long after its expiry a response is used
	// once more while it is fetched anew in the background. The default is
	// what the response allows with CacheControl (RFC 5861). Negative: never.
	StaleWhileRevalidate time.Duration
}

// Use is how a request uses what is stored.
type Use uint8

// How a request uses what is stored.
const (
	_            Use = iota
	UseCache         // serve what is live, fetch the rest
	Revalidate       // ask the origin whether what is stored still holds
	Reload           // fetch, whatever is stored, and save
	OnlyIfCached     // serve what is live; 504 for the rest; never the network
	Offline          // serve what is stored, expired or not; 504 for the rest
	Disabled         // neither read nor save: as if there were no cache
)

// Switch is a setting that may be left to a less specific policy.
type Switch uint8

// The positions of a [Switch].
const (
	_ Switch = iota
	On
	Off
)

// Expiry is when a response expires, counted from when it is saved. The zero
// value says nothing.
type Expiry struct {
	kind expiryKind
	in   time.Duration
	at   time.Time
}

type expiryKind uint8

const (
	unset expiryKind = iota
	after
	at
	never
	doNotCache
)

// After is an expiry after d. Zero or less: at once, so that each use asks the
// origin whether the response still holds.
func After(d time.Duration) Expiry { return Expiry{kind: after, in: max(d, 0)} }

// At is an expiry at an instant.
func At(t time.Time) Expiry { return Expiry{kind: at, at: t} }

// Never is for responses that do not expire.
func Never() Expiry { return Expiry{kind: never} }

// DoNotCache is for responses that are not saved.
func DoNotCache() Expiry { return Expiry{kind: doNotCache} }

// instant is when what is saved now expires; zero: never.
func (e Expiry) instant(now time.Time) time.Time {
	switch e.kind {
	case after:
		return now.Add(e.in)
	case at:
		if e.at.IsZero() { // as time.Time, it is long ago; as an expiry, it would be never
			return now
		}
		return e.at
	default:
		return time.Time{}
	}
}

// URLExpiry is the expiry of the responses to some URLs.
type URLExpiry struct {
	// URL is a host, or a host and path, such as "api.example.com",
	// "*.example.com/v1/charts" or "example.com:8443/*/latest", after a scheme
	// or not. It is for the URLs of that host whose path is the pattern's or
	// goes on below it. A star stands for one label of the host, or all the
	// first ones; in the path for one whole segment. Without a port it is for the
	// scheme's own.
	URL    string
	Expire Expiry
}

// Exchange is a request and its response, to be read only.
type Exchange struct {
	Request *http.Request // its body may have been read
	Status  int
	Header  http.Header
	Body    []byte
}

type policyKey struct{}

// layered is the policy of a context, over that of the context around it.
type layered struct {
	policy Policy
	parsed parsedPolicy
	err    error
	outer  *layered
}

// WithPolicy returns a context whose requests have the policy p, above those of
// the transport and of ctx itself. To turn the cache off for one call:
//
//	req = req.WithContext(transport.WithPolicy(ctx, transport.Policy{Use: transport.Disabled}))
//
// A policy that cannot be is the error of the requests made with it.
func WithPolicy(ctx context.Context, p Policy) context.Context {
	outer, _ := ctx.Value(policyKey{}).(*layered)
	l := newLayer(p)
	l.outer = outer
	return context.WithValue(ctx, policyKey{}, l)
}

func newLayer(p Policy) *layered {
	l := &layered{policy: p}
	l.parsed, l.err = p.parse()
	return l
}

// parsedPolicy is what is worked out of a policy once.
type parsedPolicy struct{ urls []urlPattern }

// Validate reports what keeps a policy from being used.
func (p Policy) Validate() error {
	_, err := p.parse()
	return err
}

func (p Policy) parse() (parsedPolicy, error) {
	var parsed parsedPolicy
	if p.Use > Disabled || p.CacheControl > Off {
		return parsed, errors.New("transport: policy: Use or CacheControl is none of the constants")
	}
	for _, u := range p.ExpireURLs {
		pattern, err := parseURLPattern(u.URL)
		if err != nil {
			return parsed, fmt.Errorf("transport: policy: URL pattern %q: %w", u.URL, err)
		}
		parsed.urls = append(parsed.urls, pattern)
	}
	statuses := slices.Clone(p.Statuses)
	for status, e := range p.ExpireStatus {
		if e.kind == unset {
			return parsed, fmt.Errorf("transport: policy: the expiry of status %d is not set", status)
		}
		statuses = append(statuses, status)
	}
	for _, status := range statuses {
		if status < 200 || status > 999 || status == http.StatusPartialContent || status == http.StatusNotModified {
			return parsed, fmt.Errorf("transport: policy: responses of status %d cannot be cached", status)
		}
	}
	return parsed, nil
}

// expiry is what one policy says of a response. Where its status is cached only as an
// ExpireStatus names it, what ExpireURLs and Expire say of others is not about it.
func (l *layered) expiry(x *Exchange, listed bool) Expiry {
	p := &l.policy
	if p.ExpireFunc != nil {
		if e := p.ExpireFunc(x); e.kind != unset {
			return e
		}
	}
	if e := p.ExpireStatus[x.Status]; e.kind != unset {
		return e
	}
	general := p.Expire
	for i, pattern := range l.parsed.urls {
		if e := p.ExpireURLs[i].Expire; e.kind != unset && pattern.match(x.Request) {
			general = e
			break
		}
	}
	if !listed && general.kind != doNotCache {
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
	call                 *layered   // those of the call
	fixed                []*layered // those of the repository and the cache
	err                  error
}

// fill takes from a less specific policy what r does not have yet.
func (r *rules) fill(l *layered) {
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
func (r *rules) all(yield func(*layered) bool) {
	for l := r.call; l != nil; l = l.outer {
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
func (r *rules) callExpiry(x *Exchange) Expiry {
	for l := r.call; l != nil; l = l.outer {
		if e := l.expiry(x, r.listed(x.Status)); e.kind != unset {
			return e
		}
	}
	return Expiry{}
}

// fixedExpiry is what the repository's and the cache's policies say of a response.
func (r *rules) fixedExpiry(x *Exchange) Expiry {
	for _, l := range r.fixed {
		if e := l.expiry(x, r.listed(x.Status)); e.kind != unset {
			return e
		}
	}
	return Expiry{}
}
