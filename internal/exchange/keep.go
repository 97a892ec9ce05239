package exchange

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/endpointcache/endpointcache/internal/rfc9111"
	"github.com/endpointcache/endpointcache/policy"
)

// mayStore reports whether a response may be saved, if it is of any use.
func (t *Terms) mayStore(status int, h http.Header) bool {
	switch status {
	case http.StatusPartialContent, http.StatusNotModified:
		return false
	case http.StatusPreconditionFailed, http.StatusRequestedRangeNotSatisfiable:
		return false // they answer conditions and ranges, which no key has
	}
	if status < 200 {
		return false
	}
	if !t.Rules.Controls() {
		return t.Rules.allows(status)
	}
	return rfc9111.MayStore(t.Directives, status, h, rfc9111.ParseDirectives(h)) &&
		(t.Rules.statuses == nil || t.Rules.allows(status))
}

// expiry is when a response expires that was answered at an instant, zero for never,
// and whether it is saved at all. Lifetime is the table's, negative for ever; age is
// how old the response was when it came. The order is that of the table in
// docs/policy.md.
func (t *Terms) expiry(x *policy.Exchange, lifetime, age time.Duration, answered time.Time) (expires time.Time, ok bool) {
	if !t.mayStore(x.Status, x.Header) {
		return time.Time{}, false
	}
	if byCall := t.Rules.callExpiry(x); !byCall.IsZero() {
		return byCall.Instant(answered)
	}
	fixed := t.Rules.fixedExpiry(x)
	if isDoNotCache(fixed) {
		return time.Time{}, false
	}
	if t.Rules.Controls() {
		return t.controlledExpiry(x, fixed, age, answered)
	}
	if fixed.IsZero() {
		fixed = policy.After(lifetime)
		if lifetime < 0 {
			fixed = policy.Never()
		}
	}
	return fixed.Instant(answered)
}

// controlledExpiry is expiry where the response's own headers come first.
func (t *Terms) controlledExpiry(x *policy.Exchange, fixed policy.Expiry, age time.Duration, answered time.Time) (expires time.Time, ok bool) {
	d := rfc9111.ParseDirectives(x.Header)
	life, explicit := rfc9111.Lifetime(x.Header, d, answered)
	byPolicy := !fixed.IsZero() && t.Rules.allows(x.Status)
	if !explicit && !byPolicy && !d.Public && !rfc9111.HeuristicStatus(x.Status) {
		return time.Time{}, false // RFC 9111, section 3: an error, say, that does not mention it
	}
	switch {
	case d.NoCache:
		return answered, rfc9111.HasValidator(x.Header)
	case explicit:
		expires = answered.Add(life - age)
	case byPolicy:
		return fixed.Instant(answered)
	default:
		expires = answered.Add(rfc9111.Heuristic(x.Status, x.Header, d, answered) - age)
	}
	if expires.Before(answered) {
		expires = answered
	}
	useful := expires.After(answered) || rfc9111.HasValidator(x.Header) ||
		d.StaleIfError.Duration > 0 || d.StaleWhileRevalidate.Duration > 0
	return expires, useful
}

// isStream reports whether a body is one that does not end.
func isStream(h http.Header) bool {
	return hasType(h, "text/event-stream") || hasType(h, "multipart/x-mixed-replace")
}

// isMultipart reports whether a body has several parts of a representation.
func isMultipart(h http.Header) bool { return hasType(h, "multipart/byteranges") }

func hasType(h http.Header, wanted string) bool {
	mediaType, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	return strings.EqualFold(strings.TrimSpace(mediaType), wanted)
}

// mayShare reports whether a response that is not kept may be the answer to other callers
// that asked for the same at the same time: a failure, which the origin should not have to
// repeat for each, of a request that changes nothing.
func (t *Terms) mayShare(method string, status int, h http.Header) bool {
	if status < 400 || !rfc9111.SafeMethod(method) || slices.Contains([]int{http.StatusUnauthorized, http.StatusProxyAuthRequired}, status) {
		return false
	}
	return !t.Rules.Controls() || !rfc9111.ParseDirectives(h).NoStore
}
