package exchange

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/endpointcache/endpointcache/internal/head"
	"github.com/endpointcache/endpointcache/internal/human"
	"github.com/endpointcache/endpointcache/internal/rfc9111"
	"github.com/endpointcache/endpointcache/internal/whose"
)

// telling tells in words what the judges have decided about a stored response.
type telling struct {
	a        *Ask
	stored   *Stored
	mark     markTold // of one that is old
	now      time.Time
	declared bool
}

// NotAsked is the sentence about a request without an answer.
const NotAsked = "The policy or the request does not let the origin be asked: there is no answer."

// reasons are sentences, the deciding one first.
func (g *telling) reasons(v verdict, on ground, e *Explanation) []string {
	list := []string{g.deciding(v, on, e)}
	add := func(told bool, format string, args ...any) {
		if told {
			list = append(list, fmt.Sprintf(format, args...))
		}
	}
	s, header := g.stored, g.stored.Head.Header
	add(v == unanswered, NotAsked)
	add(Gone(s.Entry.Status) && on != hasNoValue, "It says that the origin has nothing: its status is %d.", s.Entry.Status)
	add(s.isPart() && on != isUnaskedPart && on != lacksBytes, "It is a part of a response: %s.", g.part())
	forwards := v != serveIt && v != serveAndRenew
	add(forwards && e.StandsInUntil.After(g.now), "Where the origin cannot be reached, it stands in for another %s.", another(g.now, e.StandsInUntil))
	add(on == isFresh && !e.RenewableUntil.IsZero(), "After its expiry it is served for another %s while it is renewed.", another(e.ExpiresAt, e.RenewableUntil))
	add(on == isFresh && e.Validator, "It has %s, so that the origin can be asked whether it still holds when it has expired.", validator(header))
	add(on == isFresh && g.a.Rules.beta > 0, "The policy's RefreshBeta may have a read renew it earlier, by chance.")
	add(g.a.Rules.Controls() && rfc9111.Varies(header) && on != isOtherVariant, "It varies by %s: requests that differ in that get another response.", varied(header))
	if g.a.Table.Scoped() && len(g.a.Key) > 0 {
		value, _ := g.a.Key[0].(string)
		name, named := whose.Name(value)
		add(named, "It is kept for the identity %s alone.", quoted(name))
		add(!named, "It is kept for one identity alone, which a digest of its credentials stands for.")
	}
	add(!g.declared, "This is by its times and headers: the policy of the program that has the repository may differ.")
	return list
}

// deciding is the sentence about the ground of a verdict.
func (g *telling) deciding(v verdict, on ground, e *Explanation) string {
	s, header := g.stored, g.stored.Head.Header
	left := e.ExpiresAt.Sub(g.now)
	switch on {
	case isFresh:
		return g.fresh(e) + "."
	case isImmutable:
		return g.fresh(e) + ", and says that it is immutable: the policy's Revalidate does not apply."
	case isStaleEnough:
		return g.expired(e) + ", which the request's max-stale allows."
	case isDueAhead:
		return g.fresh(e) + ", which is so late in its life that it is renewed ahead in the background."
	case mayBeRenewed:
		return fmt.Sprintf("%s, and may be served for another %s while it is renewed in the background.", g.expired(e), another(g.now, e.RenewableUntil))
	case hasExpired:
		if g.a.Rules.Controls() && s.control().NoCache && !s.Entry.ExpiresAt.After(s.Entry.CachedAt.Add(noCacheWithin)) {
			return "The response says no-cache" + g.then(v, header)
		}
		return g.expired(e) + g.then(v, header)
	case isOutdated:
		return g.outdated() + g.then(v, header)
	case lacksBytes:
		return "It is a part of a response, " + g.part() + ": the origin is asked for what is missing, or for the whole."
	case policyOffline:
		if left <= 0 && !e.ExpiresAt.IsZero() {
			return g.expired(e) + ", but the policy is Offline: what is stored is served."
		}
		return g.fresh(e) + ", and the policy is Offline: what is stored is served."
	case policyReloads:
		return "The policy is Reload: the origin is asked, whatever is stored."
	case policyAsks:
		return "The policy is Revalidate" + g.then(v, header)
	case policyDisables:
		return "The policy is Disabled: nothing stored is used."
	case requestAsks:
		return "The request says no-cache" + g.then(v, header)
	case requestIsFussy:
		return g.fresh(e) + ", but the request's Cache-Control asks for a fresher one" + g.then(v, header)
	default:
		return g.ofNoUse(on)
	}
}

// noCacheWithin is how long after the request a response may have come that expires at once.
const noCacheWithin = time.Minute

// ofNoUse is the sentence about a stored response that is no answer.
func (g *telling) ofNoUse(on ground) string {
	s := g.stored
	switch on {
	case isUnreadable:
		if head.IsSealed(s.Entry.Header) {
			return "It is sealed, and its keys are not here: it counts as a miss."
		}
		return "Its headers cannot be decoded: it counts as a miss."
	case hasNoValue:
		return fmt.Sprintf("Its status is %d, which has no value for a typed call: the origin is asked.", s.Entry.Status)
	case isOtherVariant:
		return "It varies by " + varied(s.Head.Header) + ", in which the request differs from those that were answered: the origin is asked."
	case isOtherCoding:
		return "It is coded as " + quoted(s.Head.Header.Get("Content-Encoding")) + ", as the request was that it answered, and this one is not: the origin is asked."
	case isUnaskedPart:
		return "It is a part of a response, which is used for requests with a Range alone, and where the policy has CacheControl on: the origin is asked."
	case leadsBack:
		return "It is a redirect that would lead to itself: the origin is asked."
	case originAlone:
		return "The request is to be done only where the origin's state is as its If-Match or If-Unmodified-Since says: the origin is asked."
	case policyRefuses:
		return "The policy's Serve refuses it: the origin is asked."
	default:
		return "Nothing is stored: the origin is asked."
	}
}

func (g *telling) fresh(e *Explanation) string {
	if e.ExpiresAt.IsZero() {
		return "It never expires"
	}
	return "It is fresh for another " + another(g.now, e.ExpiresAt)
}

func (g *telling) expired(e *Explanation) string {
	if g.now.Sub(e.ExpiresAt) < time.Second {
		return "It has just expired"
	}
	return "It expired " + human.Between(e.ExpiresAt, g.now) + " ago"
}

func (g *telling) outdated() string {
	if g.mark.since.IsZero() {
		return "An invalidation has made it old"
	}
	ago := g.now.Sub(g.mark.since)
	if ago < time.Second {
		return "An invalidation of " + g.mark.about + " has just made it old"
	}
	return "An invalidation of " + g.mark.about + " made it old " + human.Duration(ago) + " ago"
}

// then is the end of a sentence: what becomes of it.
func (g *telling) then(v verdict, header http.Header) string {
	switch {
	case v == revalidateIt:
		return ", and it has " + validator(header) + ": the origin is asked whether it still holds."
	case v == unanswered:
		return "."
	case rfc9111.HasValidator(header):
		return ": the origin is asked for it anew."
	}
	return ", and it has neither an ETag nor a Last-Modified: the origin is asked for it anew."
}

func validator(h http.Header) string {
	if h.Get("Etag") != "" {
		return "an ETag"
	}
	return "a Last-Modified"
}

// part tells which bytes there are of a part.
func (g *telling) part() string {
	p := g.stored.parts
	if p.Size > 0 {
		return human.Count(p.Len()) + " of " + human.Things(p.Size, "byte", "bytes")
	}
	return human.Things(len(g.stored.Entry.Payload), "byte", "bytes")
}

// mostQuoted bounds what is told of a name.
const mostQuoted = 100

func quoted(text string) string {
	return strconv.Quote(abridged(text))
}

// abridged is a text of bounded length.
func abridged(text string) string {
	if len(text) > mostQuoted {
		text = strings.ToValidUTF8(text[:mostQuoted], "") + "…"
	}
	return strings.ToValidUTF8(text, "�")
}

// varied are the headers by which a response varies.
func varied(header http.Header) string {
	return abridged(strings.Join(slices.Collect(rfc9111.Elements(header, "Vary")), ", "))
}

// another is the end of "for another": how long it is from one instant to another.
func another(from, to time.Time) string {
	if to.Sub(from) < time.Second {
		return "moment"
	}
	return human.Between(from, to)
}
