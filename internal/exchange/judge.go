package exchange

import (
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/endpointcache/endpointcache/internal/redirect"
	"github.com/endpointcache/endpointcache/internal/rfc9111"
	"github.com/endpointcache/endpointcache/policy"
)

// Terms are what an ask demands of its answer.
type Terms struct {
	Rules      *Rules
	Directives rfc9111.Directives // of the request, where headers decide
	Values     bool               // the caller is a typed one: a response without a value is of no use
	Repeatable bool               // the request can be sent twice
	Range      http.Header        // of a request for ranges of the response; nil: it is for the whole
	Completes  bool               // a response of which a part is stored may be completed
}

// verdict is what is to be done with what is stored.
type verdict uint8

const (
	fetchIt       verdict = iota // the origin is asked for the response
	serveIt                      // what is stored is the answer
	serveAndRenew                // it is the answer, and meanwhile the origin is asked
	revalidateIt                 // the origin is asked whether what is stored still holds
	unanswered                   // there is no answer without the origin, which is not to be asked
	completeIt                   // the origin is asked for what the stored part lacks
)

// ground is what a verdict rests on, or why what is stored is of no use.
type ground uint8

const (
	nothingStored  ground = iota
	isFresh               // it has not expired, and nothing else speaks against it
	isStaleEnough         // it has expired, but no longer ago than the request lets it
	hasExpired            // longer ago than anything lets it
	isDueAhead            // it is fresh, and to be renewed before it expires
	mayBeRenewed          // it has expired, and may be served while it is renewed
	isOutdated            // an invalidation has made it old
	lacksBytes            // it is not all that is asked for
	policyOffline         // the policy serves what there is
	policyReloads         // the policy has the origin asked for the response
	policyAsks            // the policy has the origin asked whether it still holds
	isImmutable           // it is fresh, and says that it does not change before it expires
	requestAsks           // the request says no-cache
	requestIsFussy        // it is fresh, but not as the request's Cache-Control asks for
	policyDisables        // the policy has it as if there were no cache
	isUnreadable          // its head cannot be decoded
	hasNoValue            // it has no value that a typed call could return
	isOtherVariant        // the request has other headers that it varies by
	isOtherCoding         // it is coded, and not as the request wants it
	isUnaskedPart         // it is a part, which is not for the request
	leadsBack             // it is a redirect that would lead to itself
	policyRefuses         // the policy's Serve refuses it
	originAlone           // the request is one that only the origin can answer
)

// ofNoUse reports whether what is stored is of no use, not even where the origin fails.
func (g ground) ofNoUse() bool { return g >= policyDisables || g == lacksBytes }

// judge decides whether a stored response, nil for none, may be used at now, and says on what
// ground. Random is a number from 0 to 1, which decides about early renewals.
func judge(s *Stored, t *Terms, now time.Time, random float64) (verdict, ground) {
	forward := fetchIt
	switch {
	case t.neverForward():
		forward = unanswered
	case s != nil && rfc9111.HasValidator(s.Head.Header) && t.Repeatable:
		forward = revalidateIt
	}
	switch {
	case s == nil:
		return forward, nothingStored
	case t.answeredBy(s):
	case forward == unanswered:
		return unanswered, lacksBytes
	case t.completes(s, now):
		return completeIt, lacksBytes
	default:
		return fetchIt, lacksBytes
	}
	switch t.Rules.Use() {
	case policy.Offline:
		if s.old {
			return forward, isOutdated
		}
		return serveIt, policyOffline
	case policy.Reload:
		return fetchIt, policyReloads
	case policy.Revalidate:
		if t.Rules.Controls() && s.control().Immutable && s.Fresh(now) {
			return serveIt, isImmutable // RFC 8246, section 2
		}
		return forward, policyAsks
	default:
	}
	switch {
	case s.old:
		return forward, isOutdated
	case t.Rules.Controls() && t.Directives.NoCache:
		return forward, requestAsks
	}
	renews := forward != unanswered && t.Repeatable && !s.isPart()
	fresh := s.Fresh(now)
	switch {
	case t.satisfiedBy(s, now):
		if renews && t.Rules.dueAhead(s, now, random) {
			return serveAndRenew, isDueAhead
		}
		if !fresh {
			return serveIt, isStaleEnough
		}
		return serveIt, isFresh
	case renews && !fresh && s.Staleness(now) <= t.renewable(s):
		return serveAndRenew, mayBeRenewed
	case fresh:
		return forward, requestIsFussy
	}
	return forward, hasExpired
}

// neverForward reports whether the origin must not be asked.
func (t *Terms) neverForward() bool {
	return t.Rules.Use() == policy.OnlyIfCached || t.Rules.Use() == policy.Offline || t.Directives.OnlyIfCached
}

// wantsNews reports whether the caller asks for what the origin knows now: the answer
// to a request that was sent before is of no use to it, RFC 9111, section 5.2.1.4.
func (t *Terms) wantsNews() bool {
	use := t.Rules.Use()
	return use == policy.Reload || use == policy.Revalidate || use == policy.Disabled || t.Rules.Controls() && t.Directives.NoCache
}

// satisfiedBy reports whether s may be served as it is.
func (t *Terms) satisfiedBy(s *Stored, now time.Time) bool {
	fresh := s.Fresh(now)
	if !t.Rules.Controls() {
		return fresh
	}
	asked := &t.Directives
	if asked.MaxAge.Set && !asked.MaxAge.Invalid && s.Age(now) > asked.MaxAge.Duration {
		return false
	}
	if asked.MinFresh.Set && s.Staleness(now) > -asked.MinFresh.Duration {
		return false
	}
	if !fresh && asked.MaxStale.Set && !asked.MaxStale.Invalid {
		return s.mayBeStale() && s.Staleness(now) <= asked.MaxStale.Duration
	}
	return fresh
}

// renewable is how long after its expiry s may be served while it is renewed.
func (t *Terms) renewable(s *Stored) time.Duration {
	limit := t.Rules.staleWhileRevalidate
	if t.Rules.Controls() {
		if !s.mayBeStale() || t.Directives.MaxAge.Set || t.Directives.MinFresh.Set {
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

// standsIn reports whether s may be the answer where the origin could not be reached,
// or has failed with a status.
func (t *Terms) standsIn(s *Stored, unreachable bool, now time.Time) bool {
	if s == nil || s.old || t.Rules.Use() == policy.Reload {
		return false
	}
	limit := t.standIn(s, unreachable)
	return limit > 0 && s.Staleness(now) <= limit
}

// standIn is how long after its expiry s stands in for such an answer: not at all where it is
// not positive.
func (t *Terms) standIn(s *Stored, unreachable bool) time.Duration {
	limit := t.Rules.staleIfError
	if t.Rules.Controls() {
		if !s.mayBeStale() || t.Directives.NoCache {
			return 0
		}
		if limit == 0 {
			ours, asked := s.control().StaleIfError, t.Directives.StaleIfError
			limit = max(ours.Duration, asked.Duration)
			if unreachable && !ours.Set && !asked.Set {
				limit = maxDisconnected
			}
		}
	}
	return limit
}

// standsInSoon reports whether s may be the answer where the origin takes longer than
// the soft limit. Where nothing bounds how long s may be used after its expiry, the
// limit is the caller's wish to have an answer now.
func (t *Terms) standsInSoon(s *Stored, now time.Time) bool {
	switch {
	case s == nil || s.old || t.wantsNews() || t.Rules.staleIfError < 0:
		return false
	case t.Rules.Controls() && !s.mayBeStale():
		return false
	}
	return t.Rules.staleIfError == 0 || s.Staleness(now) <= t.Rules.staleIfError
}

// useful reports whether an entry of that status can be an answer at all.
func (t *Terms) useful(status int) bool {
	return !t.Values || hasValue(status) || Gone(status)
}

// renewsAhead reports whether reads may begin renewals before expiry.
func (r *Rules) renewsAhead() bool { return r.ahead > 0 || r.beta > 0 }

// dueAhead reports whether a read of s begins its renewal though it is fresh: in the
// last share of its life, or by the rule of XFetch, with random from 0 to 1.
func (r *Rules) dueAhead(s *Stored, now time.Time, random float64) bool {
	if !r.renewsAhead() || s.Entry.ExpiresAt.IsZero() || !s.Fresh(now) {
		return false
	}
	left := s.Entry.ExpiresAt.Sub(now)
	life := s.Entry.ExpiresAt.Sub(s.Entry.CachedAt)
	if r.ahead > 0 && float64(left) <= r.ahead*float64(life) {
		return true
	}
	if r.beta <= 0 || random <= 0 {
		return false
	}
	return float64(s.took())*r.beta*-math.Log(random) >= float64(left)
}

// tookNote is how long the origin took to answer, in milliseconds, where the policy
// renews by the rule of XFetch.
const tookNote = "took"

func (s *Stored) took() time.Duration {
	ms, _ := strconv.ParseInt(s.Head.Notes[tookNote], 10, 32)
	return time.Duration(ms) * time.Millisecond
}

// leadsToItself reports whether a response is a redirect to a request of the same key.
// Served from the cache it would never end; the origin may mean another scheme, host or
// spelling.
func leadsToItself(status int, h http.Header, req *http.Request, sameKey func(*http.Request) bool) bool {
	location := h.Get("Location")
	if !redirects(status) || location == "" || req == nil || req.URL == nil {
		return false
	}
	target, err := req.URL.Parse(location)
	if err != nil {
		return false
	}
	next := *req
	next.URL, next.Host = target, ""
	if status == http.StatusSeeOther && req.Method != http.MethodHead {
		next.Method, next.Body, next.GetBody, next.ContentLength = http.MethodGet, nil, nil, 0
	}
	return hasKey(&next, sameKey)
}

// redirects reports whether clients follow a response of that status.
func redirects(status int) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}

// hasKey reports whether a request that was sent has the key, or cannot be said not to: the
// key may be in a body that has been read.
func hasKey(req *http.Request, sameKey func(*http.Request) bool) bool {
	if req.Body == nil || req.Body == http.NoBody {
		return sameKey(req)
	}
	if req.GetBody == nil {
		return true
	}
	body, err := req.GetBody()
	if err != nil {
		return true
	}
	defer body.Close() //nolint:errcheck // it was only looked at
	unread := *req
	unread.Body = body
	return sameKey(&unread)
}

// cameBack reports whether a redirect of a request with the same key has led to req, with
// others between them. That redirect, served from the cache, would lead here again.
func cameBack(req *http.Request, sameKey func(*http.Request) bool) bool {
	for before := range redirect.Way(req, nil) {
		if before.URL != nil && hasKey(before, sameKey) {
			return true
		}
	}
	return false
}

// leadsToItself reports whether a response is a redirect that would lead to itself, where
// it is served from the cache.
func (a *Ask) leadsToItself(status int, h http.Header) bool {
	return a.compares(status, func(req *http.Request, sameKey func(*http.Request) bool) bool {
		return leadsToItself(status, h, req, sameKey)
	})
}

// cameBack reports whether a redirect that is stored has led to the request already.
func (a *Ask) cameBack(status int) bool { return a.compares(status, cameBack) }

// compares tells about a redirect by the keys of requests. One whose key cannot be told
// counts as another's where nothing else can be said.
func (a *Ask) compares(status int, tell func(req *http.Request, sameKey func(*http.Request) bool) bool) bool {
	if !redirects(status) || a.Table.Match == nil {
		return false
	}
	is := false
	told := a.Table.x.call(func() {
		is = tell(a.request(), func(req *http.Request) bool {
			key, ok, err := a.Table.Match(req)
			return err == nil && ok && encodeKey(key) == encodeKey(a.Table.OwnKey(a.Key))
		})
	})
	return is || !told
}
