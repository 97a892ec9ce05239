package exchange

import (
	"math"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/head"
	"github.com/endpointcache/endpointcache/internal/rfc9111"
	"github.com/endpointcache/endpointcache/policy"
)

var noon = time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)

const (
	minute = time.Minute
	hour   = time.Hour
)

// had is a response that was asked for an hour before noon and expires at an instant
// from noon, with headers in pairs of name and value.
func had(expires time.Duration, headers ...string) *Stored {
	h := make(http.Header)
	for i := 0; i+1 < len(headers); i += 2 {
		h.Add(headers[i], headers[i+1])
	}
	return &Stored{
		Entry: driver.Entry{Status: http.StatusOK, CachedAt: noon.Add(-hour), ExpiresAt: noon.Add(expires)},
		Head:  head.Head{Header: h},
	}
}

// forever is a response that does not expire.
func forever(headers ...string) *Stored {
	s := had(0, headers...)
	s.Entry.ExpiresAt = time.Time{}
	return s
}

// termsOf are those of a request that can be sent twice, with the directives of its
// Cache-Control, under a policy of the call.
func termsOf(t *testing.T, p policy.Policy, asked string) *Terms {
	t.Helper()
	rules := fixedRules(newLayer(policy.Policy{})).over([]policy.Policy{p})
	if rules.err != nil {
		t.Fatal(rules.err)
	}
	terms := &Terms{Rules: rules, Repeatable: true}
	if rules.Controls() {
		terms.Directives = rfc9111.ParseRequestDirectives(http.Header{"Cache-Control": {asked}})
	}
	return terms
}

func (v verdict) String() string {
	return [...]string{"fetchIt", "serveIt", "serveAndRenew", "revalidateIt", "unanswered", "completeIt"}[v]
}

func TestJudge(t *testing.T) {
	tag := []string{"Etag", `"1"`}
	use := func(u policy.Use) policy.Policy { return policy.Policy{Use: u} }
	controls := policy.Policy{CacheControl: policy.On}
	controlsAnd := func(u policy.Use) policy.Policy { return policy.Policy{CacheControl: policy.On, Use: u} }
	swr := policy.Policy{StaleWhileRevalidate: minute}
	ahead := policy.Policy{RefreshAhead: 0.1}
	for _, test := range []struct {
		sentence string
		stored   *Stored
		policy   policy.Policy
		asked    string // Cache-Control of the request
		want     verdict
	}{
		{"what is not there is fetched", nil, policy.Policy{}, "", fetchIt},
		{"what is fresh is served", had(minute), policy.Policy{}, "", serveIt},
		{"what never expires is served", forever(), policy.Policy{}, "", serveIt},
		{"what expires now has expired", had(0), policy.Policy{}, "", fetchIt},
		{"what has expired and has a validator is revalidated", had(-minute, tag...), policy.Policy{}, "", revalidateIt},
		{"directives of the request count in Cache-Control mode alone", had(minute, tag...), policy.Policy{}, "no-cache", serveIt},

		{"Revalidate asks though it is fresh", had(minute, tag...), use(policy.Revalidate), "", revalidateIt},
		{"Revalidate fetches what has no validator", had(minute), use(policy.Revalidate), "", fetchIt},
		{"Revalidate fetches what is not there", nil, use(policy.Revalidate), "", fetchIt},
		{"Revalidate believes an immutable response", had(minute, "Etag", `"1"`, "Cache-Control", "immutable"), controlsAnd(policy.Revalidate), "", serveIt},
		{"but not one that has expired", had(-minute, "Etag", `"1"`, "Cache-Control", "immutable"), controlsAnd(policy.Revalidate), "", revalidateIt},
		{"nor outside Cache-Control mode", had(minute, "Etag", `"1"`, "Cache-Control", "immutable"), use(policy.Revalidate), "", revalidateIt},
		{"Reload fetches, whatever is there", had(minute, tag...), use(policy.Reload), "", fetchIt},
		{"OnlyIfCached serves what is fresh", had(minute), use(policy.OnlyIfCached), "", serveIt},
		{"OnlyIfCached has no answer where it has expired", had(-minute, tag...), use(policy.OnlyIfCached), "", unanswered},
		{"OnlyIfCached has no answer where there is nothing", nil, use(policy.OnlyIfCached), "", unanswered},
		{"OnlyIfCached does not renew", had(-minute, tag...), policy.Policy{Use: policy.OnlyIfCached, StaleWhileRevalidate: hour}, "", unanswered},
		{"OnlyIfCached does not renew ahead", had(minute), policy.Policy{Use: policy.OnlyIfCached, RefreshAhead: 0.1}, "", serveIt},
		{"Offline serves what has expired", had(-999 * hour), use(policy.Offline), "", serveIt},
		{"Offline has no answer where there is nothing", nil, use(policy.Offline), "", unanswered},

		{"no-cache asks though it is fresh", had(minute, tag...), controls, "no-cache", revalidateIt},
		{"no-cache fetches what has no validator", had(minute), controls, "no-cache", fetchIt},
		{"max-age asks for what is not older", had(minute, tag...), controls, "max-age=3599", revalidateIt},
		{"max-age takes what is as old", had(minute, tag...), controls, "max-age=3600", serveIt},
		{"min-fresh asks for what stays fresh", had(minute, tag...), controls, "min-fresh=61", revalidateIt},
		{"min-fresh takes what stays fresh for as long", had(minute, tag...), controls, "min-fresh=60", serveIt},
		{"max-stale takes what has expired not longer ago", had(-minute), controls, "max-stale=60", serveIt},
		{"max-stale does not take what has expired longer ago", had(-minute - 1), controls, "max-stale=60", fetchIt},
		{"max-stale is not for what must be revalidated", had(-minute, "Cache-Control", "must-revalidate"), controls, "max-stale=60", fetchIt},
		{"only-if-cached serves what is fresh", had(minute), controls, "only-if-cached", serveIt},
		{"only-if-cached has no answer otherwise", had(-minute), controls, "only-if-cached", unanswered},

		{"the policy lets it be renewed after its expiry", had(-minute), swr, "", serveAndRenew},
		{"for as long as it says", had(-minute - 1), swr, "", fetchIt},
		{"the response lets it be renewed in Cache-Control mode", had(-minute, "Cache-Control", "stale-while-revalidate=60"), controls, "", serveAndRenew},
		{"not outside", had(-minute, "Cache-Control", "stale-while-revalidate=60"), policy.Policy{}, "", fetchIt},
		{"nor where it must be revalidated", had(-minute, "Cache-Control", "stale-while-revalidate=60, must-revalidate"), controls, "", fetchIt},
		{"nor where the request bounds the age", had(-minute, "Cache-Control", "stale-while-revalidate=60"), controls, "max-age=9999", fetchIt},
		{"nor where the policy forbids it", had(-minute, "Cache-Control", "stale-while-revalidate=60"), policy.Policy{CacheControl: policy.On, StaleWhileRevalidate: -1}, "", fetchIt},

		{"in the last tenth of its life it is renewed", had(hour / 9), ahead, "", serveAndRenew},
		{"not before", had(hour/9 + time.Second), ahead, "", serveIt},
		{"what never expires is not renewed", forever(), ahead, "", serveIt},
	} {
		terms := termsOf(t, test.policy, test.asked)
		if got, _ := judge(test.stored, terms, noon, 0.5); got != test.want {
			t.Errorf("%s: %v, want %v", test.sentence, got, test.want)
		}
	}
}

// A body that can be read but once cannot be sent for a question, nor in the background.
func TestJudgeOfARequestThatCannotBeRepeated(t *testing.T) {
	for sentence, test := range map[string]struct {
		stored *Stored
		policy policy.Policy
		want   verdict
	}{
		"it does not ask whether something holds": {had(-minute, "Etag", `"1"`), policy.Policy{}, fetchIt},
		"it does not renew what has expired":      {had(-minute), policy.Policy{StaleWhileRevalidate: hour}, fetchIt},
		"it does not renew ahead":                 {had(minute), policy.Policy{RefreshAhead: 0.5}, serveIt},
	} {
		terms := termsOf(t, test.policy, "")
		terms.Repeatable = false
		if got, _ := judge(test.stored, terms, noon, 0.5); got != test.want {
			t.Errorf("%s: %v, want %v", sentence, got, test.want)
		}
	}
}

func TestStandsIn(t *testing.T) {
	day := 24 * time.Hour
	allowed, never := policy.Policy{StaleIfError: hour}, policy.Policy{StaleIfError: -1}
	controls := policy.Policy{CacheControl: policy.On}
	for _, test := range []struct {
		sentence    string
		stored      *Stored
		policy      policy.Policy
		asked       string
		unreachable bool
		want        bool
	}{
		{"nothing cannot stand in", nil, allowed, "", true, false},
		{"by default nothing does", had(-minute), policy.Policy{}, "", true, false},
		{"not even what is fresh", had(minute), policy.Policy{}, "", true, false},
		{"the policy allows it", had(-hour), allowed, "", false, true},
		{"for as long as it says", had(-hour - 1), allowed, "", false, false},
		{"what never expires stands in", forever(), allowed, "", false, true},
		{"the policy may forbid it", had(-1), never, "", true, false},
		{"a caller that reloads wants what is new", had(-1), policy.Policy{StaleIfError: hour, Use: policy.Reload}, "", true, false},
		{"a caller that revalidates takes it", had(-1), policy.Policy{StaleIfError: hour, Use: policy.Revalidate}, "", true, true},
		{"a failure needs a word in Cache-Control mode", had(-1), controls, "", false, false},
		{"an origin that cannot be reached does not, for a day", had(-day), controls, "", true, true},
		{"and no longer", had(-day - 1), controls, "", true, false},
		{"the response's word counts", had(-minute, "Cache-Control", "stale-if-error=60"), controls, "", false, true},
		{"also where it says less than a day", had(-minute-1, "Cache-Control", "stale-if-error=60"), controls, "", true, false},
		{"the request's word counts", had(-minute), controls, "stale-if-error=60", false, true},
		{"the longer of both", had(-minute, "Cache-Control", "stale-if-error=1"), controls, "stale-if-error=60", false, true},
		{"the policy's word goes before both", had(-minute, "Cache-Control", "stale-if-error=1"), policy.Policy{CacheControl: policy.On, StaleIfError: hour}, "", false, true},
		{"must-revalidate forbids it", had(-1, "Cache-Control", "must-revalidate, stale-if-error=60"), controls, "", true, false},
		{"no-cache of the request forbids it", had(-1), controls, "no-cache", true, false},
		{"even where the policy allows it", had(-1), policy.Policy{CacheControl: policy.On, StaleIfError: hour}, "no-cache", true, false},
	} {
		if got := termsOf(t, test.policy, test.asked).standsIn(test.stored, test.unreachable, noon); got != test.want {
			t.Errorf("%s: %t, want %t", test.sentence, got, test.want)
		}
	}
}

func TestStandsInSoon(t *testing.T) {
	controls := policy.Policy{CacheControl: policy.On}
	for _, test := range []struct {
		sentence string
		stored   *Stored
		policy   policy.Policy
		asked    string
		want     bool
	}{
		{"nothing cannot stand in", nil, policy.Policy{}, "", false},
		{"what has expired long ago does where nothing bounds it", had(-999 * hour), policy.Policy{}, "", true},
		{"the policy bounds it", had(-hour), policy.Policy{StaleIfError: hour}, "", true},
		{"and no longer", had(-hour - 1), policy.Policy{StaleIfError: hour}, "", false},
		{"the policy may forbid it", had(-1), policy.Policy{StaleIfError: -1}, "", false},
		{"not for a caller that reloads", had(-1), policy.Policy{Use: policy.Reload}, "", false},
		{"not for a caller that revalidates", had(-1), policy.Policy{Use: policy.Revalidate}, "", false},
		{"not for a request with no-cache", had(-1), controls, "no-cache", false},
		{"not where it must be revalidated", had(-1, "Cache-Control", "must-revalidate"), controls, "", false},
		{"in Cache-Control mode otherwise, too", had(-1), controls, "", true},
	} {
		if got := termsOf(t, test.policy, test.asked).standsInSoon(test.stored, noon); got != test.want {
			t.Errorf("%s: %t, want %t", test.sentence, got, test.want)
		}
	}
}

func TestDueAhead(t *testing.T) {
	slow := func(expires, took time.Duration) *Stored {
		s := had(expires)
		s.note(tookNote, strconv.FormatInt(took.Milliseconds(), 10))
		return s
	}
	beta := func(b float64) policy.Policy { return policy.Policy{RefreshBeta: b} }
	for _, test := range []struct {
		sentence string
		stored   *Stored
		policy   policy.Policy
		random   float64
		want     bool
	}{
		{"not without a policy", slow(1, hour), policy.Policy{}, 0.5, false},
		{"not where the policy forbids it", slow(1, hour), policy.Policy{RefreshAhead: -1, RefreshBeta: -1}, 0.5, false},
		{"in the last half of the life", had(hour), policy.Policy{RefreshAhead: 0.5}, 0.5, true},
		{"not in the first", had(hour + 1), policy.Policy{RefreshAhead: 0.5}, 0.5, false},
		{"not what has expired, which is renewed by other rules", had(0), policy.Policy{RefreshAhead: 0.5}, 0.5, false},
		{"not what never expires", forever(), policy.Policy{RefreshAhead: 0.5, RefreshBeta: 1}, 0.5, false},
		{"by chance: took times beta times -ln random is what is left", slow(time.Second, time.Second), beta(1), 1 / math.E, true},
		{"not a moment earlier", slow(time.Second+time.Millisecond, time.Second), beta(1), 1 / math.E, false},
		{"a larger beta is earlier", slow(2*time.Second, time.Second), beta(2), 1 / math.E, true},
		{"an origin that takes longer is asked earlier", slow(2*time.Second, 2*time.Second), beta(1), 1 / math.E, true},
		{"hardly where the draw is high", slow(time.Second, time.Second), beta(1), 0.999, false},
		{"not where it is not known how long the origin took", had(time.Second), beta(1), 1 / math.E, false},
		{"a draw of nothing is none", slow(time.Second, time.Second), beta(1), 0, false},
	} {
		rules := termsOf(t, test.policy, "").Rules
		if got := rules.dueAhead(test.stored, noon, test.random); got != test.want {
			t.Errorf("%s: %t, want %t", test.sentence, got, test.want)
		}
	}
}

func TestLeadsToItself(t *testing.T) {
	byPath := func(req *http.Request) bool { return req.Method == http.MethodGet && req.URL.Path == "/a" }
	for _, test := range []struct {
		sentence string
		method   string
		status   int
		location string
		want     bool
	}{
		{"to another path it does not", "GET", 301, "/b", false},
		{"to another scheme it does", "GET", 301, "https://example.com/a", true},
		{"to another host it does, where the key has none", "GET", 308, "//www.example.com/a", true},
		{"to another spelling it does", "GET", 302, "/%61", true},
		{"relative to the request it does", "GET", 307, "a?x", true},
		{"without a target it does not", "GET", 301, "", false},
		{"with a target that is none it does not", "GET", 301, "http://[", false},
		{"a 300 is a choice", "GET", 300, "/a", false},
		{"a 200 is no redirect", "GET", 200, "/a", false},
		{"after a POST, See Other leads to a GET", "POST", 303, "/a", true},
		{"and 307 to another POST", "POST", 307, "/a", false},
	} {
		req, err := http.NewRequestWithContext(t.Context(), test.method, "http://example.com/a", nil)
		if err != nil {
			t.Fatal(err)
		}
		h := make(http.Header)
		if test.location != "" {
			h.Set("Location", test.location)
		}
		if got := leadsToItself(test.status, h, req, byPath); got != test.want {
			t.Errorf("%s: %t, want %t", test.sentence, got, test.want)
		}
	}
}
