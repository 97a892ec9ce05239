// Package policy says what is cached and for how long. Every door of the library obeys it:
// transports, typed calls and prefetch.
//
// A [Policy] is given for a cache, for one of its repositories and, with [With], for a
// call. For each field, the most specific policy that sets it applies: the call's (the
// innermost first), then the repository's, then the cache's.
package policy

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"time"

	"github.com/endpointcache/endpointcache/internal/urlpattern"
)

// ErrTimeout is the error of a request to the origin that took longer than a policy's
// HardTimeout, wrapped.
var ErrTimeout = errors.New("the origin did not answer within the policy's time limit")

// Policy says what is cached and for how long. It can be set for all repositories of a
// cache, for one of them, or for a call ([With]); for each field, the most specific policy
// that sets it applies. The zero value sets nothing. A policy that is in use must not be
// changed.
//
// Its functions are called by many goroutines at once. A panic in one of them does not end
// the program: the response in question is neither saved nor served, and the cache counts
// the panic.
type Policy struct {
	// Use is how stored responses are used. The default is [UseCache].
	Use Use

	// CacheControl [On] lets the headers of responses and requests decide, as in a private
	// cache by RFC 9111. The default is [Off]: only the policy decides.
	CacheControl Switch

	// ExpireFunc, ExpireStatus, ExpireURLs and Expire say when a response expires; within a
	// policy, the first that does decides. ExpireStatus names statuses that are cached in
	// addition to Statuses, with their own expiry: {404: After(time.Minute)}. If no policy
	// sets an expiry, the repository's applies. With CacheControl, what the response says
	// about its freshness takes precedence over the policies of the repository and the
	// cache, but not over the call's, nor over [DoNotCache].
	ExpireFunc   func(*Exchange) Expiry
	ExpireStatus map[int]Expiry
	ExpireURLs   []URLExpiry
	Expire       Expiry

	// Statuses are those of the responses that are cached. The default is 200, 301 and 308;
	// with CacheControl, those which RFC 9111 allows. Never cached are 206 and 304, which
	// are not complete responses, and 412 and 416, which answer the condition or range of
	// one request. With CacheControl, a 206 is kept as a part of the response of status 200.
	Statuses []int

	// Cookies [On] keeps the Set-Cookie headers of responses and replays them with every
	// hit. The default is [Off]: they reach only the caller whose request was answered with
	// them, and are not stored. A cookie is usually one user's session. With [On], everyone
	// who asks for the same key gets the session of whoever asked first, and it comes back
	// after it has ended. So it is only for responses whose cookies are the same for all.
	Cookies Switch

	// Methods are those of the requests that are cached, besides GET and
	// HEAD and those which a repository's pattern names.
	Methods []string

	// Keep is asked before a response is saved, Serve before a stored one is used. If Keep
	// refuses, the response is not saved; if Serve refuses, it is fetched again.
	Keep  func(*Exchange) bool
	Serve func(*Exchange) bool

	// StaleIfError is how long after its expiry a response may be served if the origin
	// cannot be reached, or answers with one of StaleStatuses. The default applies only
	// with CacheControl: what the response allows (RFC 5861), or else a day if the origin
	// cannot be reached. Negative: never.
	StaleIfError time.Duration

	// StaleWhileRevalidate is how long after its expiry a response is still served while it
	// is fetched again in the background. The default is what the response allows with
	// CacheControl (RFC 5861). Negative: never.
	StaleWhileRevalidate time.Duration

	// StaleStatuses are the statuses of the origin for which a stored response may be
	// served instead, for as long as StaleIfError says. They are of class 4xx or 5xx; 429
	// may be among them. The default is 500, 502, 503 and 504. Empty, but not nil: none.
	StaleStatuses []int

	// SoftTimeout is how long a caller waits for the origin before it is answered with what
	// is stored, if that may be used stale. The request to the origin goes on, and its
	// response is saved. If nothing usable is stored, the caller keeps waiting. The default
	// is no limit. Negative: none.
	SoftTimeout time.Duration

	// HardTimeout is how long the origin may take to answer before the
	// request is given up, as if the origin could not be reached. The default
	// is no limit but that of the call's context. Negative: none.
	HardTimeout time.Duration

	// RefreshAhead is the last share of a response's life, above 0 and below
	// 1, in which a read begins its renewal in the background: with 0.1, a
	// response that lives for an hour is renewed by a read in its last six
	// minutes. The default is not to. Negative: never.
	RefreshAhead float64

	// RefreshBeta lets a read begin the renewal early with a probability that
	// grows towards the expiry, so that many readers do not all begin it at
	// once: XFetch, of Vattani, Chierichetti and Lowenstein, "Optimal
	// Probabilistic Cache Stampede Prevention". 1 is the paper's, more is
	// earlier. The default is not to. Negative: never.
	RefreshBeta float64

	// Lease lets one process at a time ask the origin for a key, among all that use the
	// store: the others wait for what it stores, as callers within a process do anyway. It
	// is how long a process that dies meanwhile keeps the others from asking; while it
	// lives, it may take as long as it needs to. Some seconds are a good choice. The clocks
	// of the machines have to agree to within a fraction of it, or else the origin may be
	// asked more often. It is at least 100 milliseconds.
	//
	// It costs a fetch two operations of the store before the request. If the store fails,
	// each process asks. Waiting callers are answered with what is stored where
	// StaleWhileRevalidate or SoftTimeout lets them. Calls that want news, such as those
	// with [Reload], do not wait for others. The default is no lease. Negative: none.
	Lease time.Duration
}

// Use is how a request uses what is stored. The zero value says nothing.
type Use uint8

// How a request uses what is stored.
const (
	_            Use = iota
	UseCache         // serve what is live, fetch the rest
	Revalidate       // ask the origin whether what is stored still holds
	Reload           // fetch, whatever is stored, and save
	OnlyIfCached     // serve what is live and never ask the origin: the rest is a 504, of a typed call an error
	Offline          // the same, but serve what is stored though it has expired
	Disabled         // neither read nor save: as if there were no cache
)

// Switch is a setting that may be left to a less specific policy: its zero value
// says nothing.
type Switch uint8

// The positions of a [Switch].
const (
	_ Switch = iota
	On
	Off
)

// Expiry is when a response expires, counted from when the origin answered. The zero
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

// IsZero reports whether the expiry says nothing.
func (e Expiry) IsZero() bool { return e.kind == unset }

// Instant is when a response that is saved now expires, the zero time for never, and
// whether it is kept at all: not with [DoNotCache], nor where the expiry says nothing.
func (e Expiry) Instant(now time.Time) (expires time.Time, keep bool) {
	switch e.kind {
	case after:
		return now.Add(e.in), true
	case at:
		if e.at.IsZero() { // as time.Time, it is long ago; as an expiry, it would be never
			return now, true
		}
		return e.at, true
	case never:
		return time.Time{}, true
	default:
		return time.Time{}, false
	}
}

// URLExpiry is the expiry of the responses to some URLs.
type URLExpiry struct {
	// URL is a host, or a host and path, such as "api.example.com",
	// "*.example.com/v1/charts" or "example.com:8443/*/latest", after a scheme
	// or not. It is for the URLs of that host whose path is the pattern's or
	// goes on below it. A host without a port is for the scheme's own.
	//
	// A star as the first label of the host stands for one label or more. As
	// the host alone it stands for every host and, without a port, every port:
	// "*" is for every URL, "*/v1/charts" for that path anywhere. In the path
	// a star stands for any text within its segment: "/img*", "/*.json".
	URL    string
	Expire Expiry
}

// Exchange is a request and its response, to be read only.
type Exchange struct {
	Request *http.Request // its body may have been read
	Status  int
	Header  http.Header
	Body    []byte
	Trailer http.Header // that came after the body
}

// uncacheable are the statuses of responses that are not the whole answer to any other
// request.
var uncacheable = []int{
	http.StatusPartialContent, http.StatusNotModified,
	http.StatusPreconditionFailed, http.StatusRequestedRangeNotSatisfiable,
}

// shortestLease is one that a process can extend in time.
const shortestLease = 100 * time.Millisecond

// Validate reports what keeps a policy from being used.
func (p Policy) Validate() error {
	if p.Use > Disabled || p.CacheControl > Off || p.Cookies > Off {
		return errors.New("policy: Use, CacheControl or Cookies is none of the constants")
	}
	for _, u := range p.ExpireURLs {
		if _, err := urlpattern.Parse(u.URL); err != nil {
			return fmt.Errorf("policy: URL pattern %q: %w", u.URL, err)
		}
	}
	statuses := slices.Clone(p.Statuses)
	for status, e := range p.ExpireStatus {
		if e.IsZero() {
			return fmt.Errorf("policy: the expiry of status %d is not set", status)
		}
		statuses = append(statuses, status)
	}
	for _, status := range statuses {
		if status < 200 || status > 999 || slices.Contains(uncacheable, status) {
			return fmt.Errorf("policy: responses of status %d cannot be cached", status)
		}
	}
	for _, status := range p.StaleStatuses {
		if status < 400 || status > 599 {
			return fmt.Errorf("policy: status %d among StaleStatuses is neither of class 4xx nor 5xx", status)
		}
	}
	if p.Lease > 0 && p.Lease < shortestLease {
		return fmt.Errorf("policy: Lease is %v, which is less than %v", p.Lease, shortestLease)
	}
	if !(p.RefreshAhead < 1) { // NaN is not, either
		return errors.New("policy: RefreshAhead is not below 1")
	}
	if math.IsNaN(p.RefreshBeta) || math.IsInf(p.RefreshBeta, 0) {
		return errors.New("policy: RefreshBeta is no finite number")
	}
	return nil
}
