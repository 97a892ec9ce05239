package transport_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/transport"
)

func TestExpiryInAllForms(t *testing.T) {
	day := time.Date(2030, 1, 1, 0, 0, 0, 0, time.FixedZone("east", 2*3600))
	for _, test := range []struct {
		name   string
		expire policy.Expiry
		stored bool
		live   bool                      // right after it was saved
		at     func(time.Time) time.Time // when it expires, by the time of the save
	}{
		{"a duration", policy.After(time.Minute), true, true, func(now time.Time) time.Time { return now.Add(time.Minute) }},
		{"zero: at once", policy.After(0), true, false, func(now time.Time) time.Time { return now }},
		{"a negative duration: at once", policy.After(-time.Hour), true, false, func(now time.Time) time.Time { return now }},
		{"the longest duration", policy.After(1<<63 - 1), true, true, func(now time.Time) time.Time { return now.Add(1<<63 - 1).Truncate(time.Microsecond) }},
		{"an instant in another zone", policy.At(day), true, true, func(time.Time) time.Time { return day.UTC() }},
		{"an instant in the past", policy.At(day.AddDate(-20, 0, 0)), true, false, func(time.Time) time.Time { return day.AddDate(-20, 0, 0).UTC() }},
		{"never", policy.Never(), true, true, func(time.Time) time.Time { return time.Time{} }},
		{"do not cache", policy.DoNotCache(), false, false, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			h, _ := startOrigin(t, &options{Policy: policy.Policy{Expire: test.expire}})
			req := h.request(http.MethodGet, "/a", "")
			h.do(req)
			entry, stored := h.entry(req)
			if stored != test.stored {
				t.Fatalf("stored is %v, want %v", stored, test.stored)
			}
			if resp, _ := h.get("/a"); hit(resp) != test.live {
				t.Errorf("the next one hits is %v, want %v", hit(resp), test.live)
			}
			if stored && !entry.ExpiresAt.Equal(test.at(h.clock.Now())) {
				t.Errorf("it expires at %v, want %v", entry.ExpiresAt, test.at(h.clock.Now()))
			}
		})
	}
}

// The zero time is one that nobody set: it must not keep a response for ever.
func TestAnInstantThatIsNotSetIsInThePast(t *testing.T) {
	h, _ := startOrigin(t, &options{Policy: policy.Policy{Expire: policy.At(time.Time{})}})
	h.get("/a")
	if resp, _ := h.get("/a"); hit(resp) {
		t.Error("it hits")
	}
}

func TestAResponseIsServedUntilItExpires(t *testing.T) {
	h, _ := startOrigin(t, &options{Policy: policy.Policy{Expire: policy.After(time.Minute)}})
	h.steps(
		step{body: "body 1", asked: 1},
		step{after: time.Minute - time.Microsecond, body: "body 1", hit: true, asked: 1},
		step{after: time.Microsecond, body: "body 2", asked: 2},
		step{body: "body 2", hit: true, asked: 2},
	)
}

// The end of a subscription, say, is in the body.
func TestAnExpiryFromAFieldOfTheBody(t *testing.T) {
	until := func(x *policy.Exchange) policy.Expiry {
		var body struct{ ValidUntil time.Time }
		if json.Unmarshal(x.Body, &body) != nil || body.ValidUntil.IsZero() {
			return policy.Expiry{}
		}
		return policy.At(body.ValidUntil)
	}
	h, o := startOrigin(t, &options{Policy: policy.Policy{ExpireFunc: until, Expire: policy.After(time.Hour)}})
	now := h.clock.Now()
	for path, test := range map[string]struct {
		body string
		want time.Time
	}{
		"/field":  {`{"ValidUntil": "` + now.Add(42*time.Second).Format(time.RFC3339) + `"}`, now.Add(42 * time.Second)},
		"/none":   {`{}`, now.Add(time.Hour)},
		"/broken": {`<html>`, now.Add(time.Hour)},
	} {
		o.fixed = test.body
		h.get(path)
		if entry, ok := h.entry(h.request(http.MethodGet, path, "")); !ok || !entry.ExpiresAt.Equal(test.want) {
			t.Errorf("%s: it expires at %v, want %v", path, entry.ExpiresAt, test.want)
		}
	}
}

func TestAnExpiryByURL(t *testing.T) {
	h, _ := startOrigin(t, nil)
	host := strings.TrimPrefix(h.server.URL, "http://")
	byURL := policy.Policy{ExpireURLs: []policy.URLExpiry{
		{URL: host + "/v1/*/latest", Expire: policy.After(time.Second)},
		{URL: host + "/v1", Expire: policy.After(time.Minute)},
		{URL: "https://" + host, Expire: policy.After(time.Microsecond)},
		{URL: host + "/private", Expire: policy.DoNotCache()},
		{URL: host + "/img*", Expire: policy.After(2 * time.Minute)},
		{URL: "*/anywhere", Expire: policy.After(3 * time.Minute)}, // the port is not the scheme's own
	}}
	cached := h.another(&options{Policy: byURL})
	for path, want := range map[string]time.Duration{
		"/v1/charts/latest":       time.Second,
		"/v1/charts/latest/x":     time.Second,
		"/v1/charts/latest?x=y":   time.Second,
		"/v1/charts":              time.Minute,
		"/v1":                     time.Minute,
		"/v10":                    7 * 24 * time.Hour,
		"/V1":                     7 * 24 * time.Hour,
		"/other/v1/charts/latest": 7 * 24 * time.Hour,
		"/private/x":              0,
		"/private?v1":             0,
		"/img1/x":                 2 * time.Minute,
		"/x/img1":                 7 * 24 * time.Hour,
		"/anywhere/x":             3 * time.Minute,
	} {
		req := h.request(http.MethodGet, path, "")
		resp, err := cached.RoundTrip(req)
		check(t, err)
		bodyOf(t, resp)
		entry, ok := h.entry(req)
		if ok != (want != 0) || ok && entry.ExpiresAt.Sub(h.clock.Now()) != want {
			t.Errorf("%s: stored is %v, until %v, want %v", path, ok, entry.ExpiresAt.Sub(h.clock.Now()), want)
		}
	}
}

func bodyOf(t testing.TB, resp *http.Response) string {
	t.Helper()
	var b strings.Builder
	_, err := copyAll(&b, resp)
	check(t, err)
	return b.String()
}

func TestWhichStatusesAreStored(t *testing.T) {
	with404 := policy.Policy{Statuses: []int{404}}
	negative := policy.Policy{ExpireStatus: map[int]policy.Expiry{404: policy.After(time.Minute), 410: policy.Never()}}
	none := policy.Policy{Statuses: []int{}}
	controls := policy.Policy{CacheControl: policy.On}
	only200 := policy.Policy{CacheControl: policy.On, Statuses: []int{200}}
	for _, test := range []struct {
		name   string
		policy policy.Policy
		header string // Cache-Control of the response
		want   []int
		not    []int
	}{
		{"by default", policy.Policy{}, "", []int{200, 301, 308}, []int{201, 203, 204, 206, 300, 302, 303, 304, 307, 400, 401, 404, 410, 429, 500, 503}},
		{"those of the policy, and no others", with404, "", []int{404}, []int{200, 206, 301, 304, 410}},
		{"none", none, "", nil, []int{200, 301, 404}},
		{"those with an expiry, besides", negative, "", []int{200, 301, 404, 410}, []int{206, 304, 500}},
		{"204 where it is named", policy.Policy{Statuses: []int{204}}, "", []int{204}, []int{200}},
		{"Cache-Control mode: with a freshness, all but parts and those that forbid it", controls, "max-age=60", []int{200, 201, 204, 301, 302, 307, 404, 410, 500, 503}, []int{206, 304, 428, 429, 431, 511}},
		{"Cache-Control mode: without, none", controls, "", nil, []int{200, 301, 404, 500}},
		{"Cache-Control mode: those of the policy", only200, "max-age=60", []int{200}, []int{206, 301, 404}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var header []string
			if test.header != "" {
				header = []string{"Cache-Control", test.header}
			}
			h, o := startOrigin(t, &options{Policy: test.policy})
			for stored, statuses := range map[bool][]int{true: test.want, false: test.not} {
				for _, status := range statuses {
					o.answer(status, header...)
					req := h.request(http.MethodGet, "/"+http.StatusText(status), "")
					first, body := h.do(req)
					if first.StatusCode != status {
						t.Errorf("%d: the caller gets %d", status, first.StatusCode)
					}
					_, got := h.entry(req)
					second, again := h.do(req)
					if got != stored || hit(second) != stored {
						t.Errorf("%d: stored is %v, the next one hits is %v, want %v", status, got, hit(second), stored)
					}
					if second.StatusCode != status || hit(second) && body != again {
						t.Errorf("%d: then %d %q, not %q", status, second.StatusCode, again, body)
					}
				}
			}
		})
	}
}

func TestA204ComesBackWithoutABody(t *testing.T) {
	h, o := startOrigin(t, &options{Policy: policy.Policy{Statuses: []int{204}}})
	o.answer(204)
	h.get("/a")
	resp, body := h.get("/a")
	if !hit(resp) || resp.StatusCode != 204 || body != "" || resp.ContentLength != 0 || resp.Status != "204 No Content" {
		t.Errorf("%v %s, length %d, body %q", hit(resp), resp.Status, resp.ContentLength, body)
	}
}

// Nothing is there yet: that is kept for a minute, and then asked again.
func TestAMissingResourceIsRemembered(t *testing.T) {
	h, o := startOrigin(t, &options{Policy: policy.Policy{
		Expire: policy.After(time.Hour), ExpireStatus: map[int]policy.Expiry{404: policy.After(time.Minute), 410: policy.Never()},
	}})
	o.answer(404)
	h.steps(
		step{status: 404, body: "body 1", asked: 1},
		step{after: time.Minute - 1000, status: 404, body: "body 1", hit: true, asked: 1},
	)
	o.answer(200)
	h.steps(
		step{after: 1000, body: "body 2", asked: 2},
		step{after: time.Hour - 1000, body: "body 2", hit: true, asked: 2},
	)
	o.answer(410)
	h.steps(
		step{after: 1000, status: 410, asked: 3},
		step{after: 9999 * time.Hour, status: 410, hit: true, asked: 3},
	)
}

// The expired response can still be had by callers that take it.
func TestAFailureIsNotStoredInPlaceOfWhatExpired(t *testing.T) {
	h, o := startOrigin(t, &options{Policy: policy.Policy{Expire: policy.After(time.Minute)}})
	h.steps(step{body: "body 1", asked: 1})
	o.answer(500)
	h.steps(step{after: time.Hour, status: 500, asked: 2}, step{status: 500, asked: 3})
	if entry, _ := h.entry(h.request(http.MethodGet, "/a", "")); string(entry.Payload) != "body 1" {
		t.Errorf("%q is stored", entry.Payload)
	}
}

func TestWhichMethodsAreCached(t *testing.T) {
	for _, test := range []struct {
		name    string
		policy  policy.Policy // the transport's
		call    policy.Policy
		methods []string
		cached  bool
	}{
		{"reads, by default", policy.Policy{}, policy.Policy{}, []string{"GET", "HEAD"}, true},
		{"nothing else, by default", policy.Policy{}, policy.Policy{}, []string{"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "QUERY", "UNKNOWN", "get"}, false},
		{"those of the policy", policy.Policy{Methods: []string{"POST", "QUERY"}}, policy.Policy{}, []string{"GET", "POST", "QUERY"}, true},
		{"not those that it does not name", policy.Policy{Methods: []string{"POST", "QUERY"}}, policy.Policy{}, []string{"PUT", "post"}, false},
		{"those of the call", policy.Policy{}, policy.Policy{Methods: []string{"POST"}}, []string{"POST", "GET"}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			h, _ := startOrigin(t, &options{Policy: test.policy})
			for _, method := range test.methods {
				send := func(body string) *http.Response {
					req := h.request(method, "/"+method, "")
					if method == "POST" || method == "QUERY" {
						req = h.request(method, "/"+method, body)
					}
					resp, _ := h.do(with(req, test.call))
					return resp
				}
				send("x")
				if got := hit(send("x")); got != test.cached {
					t.Errorf("%s: cached is %v, want %v", method, got, test.cached)
				}
				if (method == "POST" || method == "QUERY") && hit(send("y")) {
					t.Errorf("%s: another body hits", method)
				}
			}
		})
	}
}

func TestFilters(t *testing.T) {
	good := func(x *policy.Exchange) bool {
		return string(x.Body) != "body 1" && x.Request != nil && x.Status == 200
	}
	for _, test := range []struct {
		name   string
		policy policy.Policy
		steps  []step
	}{
		{"what Keep refuses reaches the caller and is not stored", policy.Policy{Keep: good}, []step{
			{body: "body 1", asked: 1}, {body: "body 2", asked: 2}, {body: "body 2", hit: true, asked: 2},
		}},
		{"what Serve refuses is fetched anew", policy.Policy{Serve: good}, []step{
			{body: "body 1", asked: 1}, {body: "body 2", asked: 2}, {body: "body 2", hit: true, asked: 2},
		}},
		{"what Serve refuses is not served offline either", policy.Policy{Serve: good}, []step{
			{body: "body 1", asked: 1}, {policy: policy.Policy{Use: policy.Offline}, status: 504, asked: 1},
		}},
		{"what Serve refuses does not stand in for an error", policy.Policy{Serve: good, StaleIfError: time.Hour}, []step{
			{body: "body 1", asked: 1}, {policy: policy.Policy{Statuses: []int{}}, body: "body 2", asked: 2},
		}},
		{"a Keep that panics keeps nothing", policy.Policy{Keep: func(*policy.Exchange) bool { panic("oops") }}, []step{
			{body: "body 1", asked: 1}, {body: "body 2", asked: 2},
		}},
		{"a Serve that panics serves nothing", policy.Policy{Serve: func(*policy.Exchange) bool { panic("oops") }}, []step{
			{body: "body 1", asked: 1}, {body: "body 2", asked: 2},
		}},
		{"an ExpireFunc that panics keeps nothing", policy.Policy{ExpireFunc: func(*policy.Exchange) policy.Expiry { panic("oops") }}, []step{
			{body: "body 1", asked: 1}, {body: "body 2", asked: 2},
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			h, _ := startOrigin(t, &options{Policy: test.policy})
			h.steps(test.steps...)
			panics := h.transport.Stats().Panics
			if want := strings.Contains(test.name, "panic"); (panics > 0) != want {
				t.Errorf("%d panics are counted", panics)
			}
		})
	}
}

func TestUse(t *testing.T) {
	use := func(u policy.Use) policy.Policy { return policy.Policy{Use: u} }
	const hour = time.Hour
	for _, test := range []struct {
		name   string
		header []string
		steps  []step
	}{
		{"Revalidate asks the origin, and takes a 304", []string{"Etag", `"1"`}, []step{
			{body: "body 1", asked: 1}, {policy: use(policy.Revalidate), body: "body 1", hit: true, asked: 2}, {body: "body 1", hit: true, asked: 2},
		}},
		{"Revalidate fetches what has no validator", nil, []step{
			{body: "body 1", asked: 1}, {policy: use(policy.Revalidate), body: "body 2", asked: 2}, {body: "body 2", hit: true, asked: 2},
		}},
		{"Revalidate fetches what is not there", nil, []step{
			{policy: use(policy.Revalidate), body: "body 1", asked: 1}, {body: "body 1", hit: true, asked: 1},
		}},
		{"a 304 of Revalidate starts the lifetime anew", []string{"Etag", `"1"`}, []step{
			{body: "body 1", asked: 1}, {after: hour / 2, policy: use(policy.Revalidate), body: "body 1", hit: true, asked: 2},
			{after: hour - 1000, body: "body 1", hit: true, asked: 2}, {after: 1000, body: "body 1", hit: true, asked: 3},
		}},
		{"Reload fetches whole and saves", []string{"Etag", `"1"`}, []step{
			{body: "body 1", asked: 1}, {policy: use(policy.Reload), body: "body 2", asked: 2}, {body: "body 2", hit: true, asked: 2},
		}},
		{"OnlyIfCached serves what is live", nil, []step{
			{body: "body 1", asked: 1}, {policy: use(policy.OnlyIfCached), body: "body 1", hit: true, asked: 1},
		}},
		{"OnlyIfCached is a 504 for what is expired", []string{"Etag", `"1"`}, []step{
			{body: "body 1", asked: 1}, {after: hour, policy: use(policy.OnlyIfCached), status: 504, asked: 1},
		}},
		{"OnlyIfCached is a 504 for what is not there", nil, []step{
			{policy: use(policy.OnlyIfCached), status: 504}, {body: "body 1", asked: 1},
		}},
		{"OnlyIfCached renews nothing in the background", nil, []step{
			{body: "body 1", asked: 1},
			{after: hour, policy: policy.Policy{Use: policy.OnlyIfCached, StaleWhileRevalidate: hour}, status: 504, asked: 1},
		}},
		{"Offline serves what is expired", nil, []step{
			{body: "body 1", asked: 1}, {after: 9999 * hour, policy: use(policy.Offline), body: "body 1", hit: true, asked: 1},
		}},
		{"Offline is a 504 for what is not there", nil, []step{
			{policy: use(policy.Offline), status: 504},
		}},
		{"Offline does what it says, whatever the request's headers", []string{"Etag", `"1"`}, []step{
			{headers: []string{"If-Match", `"1"`}, policy: use(policy.Offline), status: 504},
			{headers: []string{"Range", "bytes=0-1"}, policy: use(policy.Offline), status: 504},
			{headers: []string{"If-None-Match", `"1"`}, policy: use(policy.Offline), status: 504},
		}},
		{"Disabled neither reads nor saves", nil, []step{
			{body: "body 1", asked: 1}, {policy: use(policy.Disabled), body: "body 2", asked: 2}, {body: "body 1", hit: true, asked: 2},
		}},
		{"Disabled deletes nothing that is expired", []string{"Etag", `"1"`}, []step{
			{body: "body 1", asked: 1}, {after: hour, policy: use(policy.Disabled), body: "body 2", asked: 2}, {body: "body 1", hit: true, asked: 3},
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			h, _ := startOrigin(t, &options{Policy: policy.Policy{Expire: policy.After(hour)}}, test.header...)
			h.steps(test.steps...)
		})
	}
}

func TestOfflineNeverReachesTheNetwork(t *testing.T) {
	for name, use := range map[string]policy.Use{"Offline": policy.Offline, "OnlyIfCached": policy.OnlyIfCached} {
		t.Run(name, func(t *testing.T) {
			p := policy.Policy{Use: use, StaleIfError: time.Hour, StaleWhileRevalidate: time.Hour}
			h, _ := startOrigin(t, &options{Policy: p})
			none := h.another(&options{Policy: p})
			none.cache.Remove("all")
			bare := transport.New(nil, &transport.Options{Base: h.base})
			for _, method := range []string{"GET", "HEAD", "POST", "DELETE", "OPTIONS", "UNKNOWN"} {
				for _, cached := range []*transport.Transport{h.transport.Transport, none.Transport, bare} {
					req := h.request(method, "/a", "")
					if cached == bare {
						req = with(req, p)
					}
					resp, err := cached.RoundTrip(req)
					check(t, err)
					body := bodyOf(t, resp)
					if resp.StatusCode != http.StatusGatewayTimeout || (body == "") != (method == "HEAD") || resp.Request != req {
						t.Errorf("%s: %d %q", method, resp.StatusCode, body)
					}
					if status := resp.Header.Get("Cache-Status"); strings.HasPrefix(status, ";") || status == "" {
						t.Errorf("%s: Cache-Status: %s", method, status)
					}
				}
			}
			h.wantRequests(0)
		})
	}
}

func TestARepositoryCanBeDisabledOrOffline(t *testing.T) {
	h, _ := startOrigin(t, &options{Repositories: map[string]policy.Policy{"all": {Use: policy.Disabled}}})
	h.steps(step{body: "body 1", asked: 1}, step{body: "body 2", asked: 2})
	h.steps(
		step{policy: policy.Policy{Use: policy.UseCache}, body: "body 3", asked: 3},
		step{policy: policy.Policy{Use: policy.UseCache}, body: "body 3", hit: true, asked: 3},
		step{body: "body 4", asked: 4},
	)
	if bypassed := h.transport.Stats().Bypassed; bypassed != 3 {
		t.Errorf("%d have bypassed the cache, want 3", bypassed)
	}
}

// Disabling ends with its context, also where what was done with it failed.
func TestDisabledEndsWithItsContext(t *testing.T) {
	h, o := startOrigin(t, nil)
	h.get("/a")
	func() {
		defer func() { _ = recover() }()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		o.fail()
		req := h.request(http.MethodGet, "/a", "").WithContext(policy.With(ctx, policy.Policy{Use: policy.Disabled}))
		if _, err := h.transport.RoundTrip(req); err == nil {
			t.Error("the origin's error does not reach the caller")
		}
		panic("in the middle")
	}()
	if resp, _ := h.get("/a"); !hit(resp) {
		t.Error("the cache is still disabled")
	}
}

func TestThePolicyOfAnInnerContextWins(t *testing.T) {
	h, _ := startOrigin(t, nil)
	outer := policy.With(t.Context(), policy.Policy{Use: policy.Disabled})
	inner := policy.With(outer, policy.Policy{Use: policy.UseCache})
	h.do(h.request(http.MethodGet, "/a", "").WithContext(inner))
	if resp, _ := h.do(h.request(http.MethodGet, "/a", "").WithContext(inner)); !hit(resp) {
		t.Error("the inner context's policy does not hold")
	}
	if resp, _ := h.do(h.request(http.MethodGet, "/a", "").WithContext(outer)); hit(resp) {
		t.Error("the inner context's policy holds for the outer one")
	}
}

// An expiry is told when a response is saved; how a policy changes later makes no
// difference to what is stored.
func TestAPerCallExpiryLastsBeyondTheCall(t *testing.T) {
	h, _ := startOrigin(t, &options{Policy: policy.Policy{Expire: policy.After(time.Minute)}})
	h.steps(
		step{policy: policy.Policy{Expire: policy.After(time.Hour)}, body: "body 1", asked: 1},
		step{after: time.Hour - 1000, body: "body 1", hit: true, asked: 1},
		step{after: 1000, body: "body 2", asked: 2},
	)
}

func TestStandingInForAFailureOutsideCacheControlMode(t *testing.T) {
	for _, test := range []struct {
		name   string
		policy policy.Policy
		change func(*origin)
		after  time.Duration // since the expiry
		want   bool
	}{
		{"503, by default", policy.Policy{}, func(o *origin) { o.answer(503) }, 0, false},
		{"503, in time", policy.Policy{StaleIfError: time.Hour}, func(o *origin) { o.answer(503) }, time.Hour, true},
		{"503, too late", policy.Policy{StaleIfError: time.Hour}, func(o *origin) { o.answer(503) }, time.Hour + 1000, false},
		{"no connection, in time", policy.Policy{StaleIfError: time.Hour}, (*origin).fail, time.Hour, true},
		{"no connection, by default", policy.Policy{}, (*origin).fail, 0, false},
		{"500", policy.Policy{StaleIfError: time.Hour}, func(o *origin) { o.answer(500) }, 0, true},
		{"502", policy.Policy{StaleIfError: time.Hour}, func(o *origin) { o.answer(502) }, 0, true},
		{"504", policy.Policy{StaleIfError: time.Hour}, func(o *origin) { o.answer(504) }, 0, true},
		{"501 is an answer", policy.Policy{StaleIfError: time.Hour}, func(o *origin) { o.answer(501) }, 0, false},
		{"404 is an answer", policy.Policy{StaleIfError: time.Hour}, func(o *origin) { o.answer(404) }, 0, false},
		{"429 is an answer", policy.Policy{StaleIfError: time.Hour}, func(o *origin) { o.answer(429) }, 0, false},
		{"a reload wants what is new", policy.Policy{StaleIfError: time.Hour, Use: policy.Reload}, func(o *origin) { o.answer(503) }, 0, false},
		{"never, where it is negative", policy.Policy{StaleIfError: -1}, func(o *origin) { o.answer(503) }, 0, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			h, o := startOrigin(t, &options{Policy: policy.Policy{Expire: policy.After(time.Minute)}}, "Etag", `"1"`)
			h.get("/a")
			h.clock.Advance(time.Minute + test.after)
			test.change(o)
			resp, err := h.transport.RoundTrip(with(h.request(http.MethodGet, "/a", ""), test.policy))
			got := err == nil && resp.StatusCode == 200
			if err == nil {
				if body := bodyOf(t, resp); got && body != "body 1" {
					t.Errorf("the body is %q", body)
				}
			}
			if got != test.want {
				t.Errorf("the stored one stands in is %v, want %v", got, test.want)
			}
		})
	}
}

// All that can be asked of what is stored, by a request alone.
func TestTheCacheCanBeAskedByRequests(t *testing.T) {
	h, _ := startOrigin(t, &options{Policy: policy.Policy{Expire: policy.After(time.Minute)}})
	h.get("/a")
	h.get("/b")
	req := h.request(http.MethodGet, "/a", "")
	has := func() bool {
		resp, ok, err := h.cache.GetResponse(t.Context(), req)
		check(t, err)
		if ok {
			resp.Body.Close()
		}
		return ok
	}
	if !has() {
		t.Error("what is stored is not there")
	}
	h.clock.Advance(time.Minute)
	if has() {
		t.Error("what is expired is there")
	}
	h.do(req) // fetched anew
	if n, err := h.cache.Clear(t.Context(), repository.Expired); err != nil || n != 1 {
		t.Errorf("%d expired responses are deleted (%v), want 1", n, err)
	}
	if ok, err := h.cache.DeleteResponse(t.Context(), req); err != nil || !ok || has() {
		t.Errorf("deleted is %v (%v)", ok, err)
	}
}

func TestAClosedStoreFailsNoRequest(t *testing.T) {
	h, _ := startOrigin(t, nil)
	h.get("/a")
	check(t, h.store.Close())
	if _, _, err := h.cache.GetResponse(t.Context(), h.request(http.MethodGet, "/a", "")); !errors.Is(err, driver.ErrClosed) {
		t.Fatal(err)
	}
	if resp, body := h.get("/a"); hit(resp) || body != "body 2" {
		t.Errorf("%v %q", hit(resp), body)
	}
}

// A refusal lives as long as it says itself, though the endpoint's values live long.
func TestAStatusWithAnExpiryOfItsOwnDoesNotLiveAsLongAsValues(t *testing.T) {
	h, o := startOrigin(t, &options{
		Policy:       policy.Policy{ExpireStatus: map[int]policy.Expiry{404: policy.After(time.Minute)}},
		Repositories: map[string]policy.Policy{"all": {Expire: policy.After(time.Hour)}},
	})
	o.answer(404)
	h.get("/a")
	if resp, _ := h.get("/a"); !hit(resp) || resp.StatusCode != 404 {
		t.Fatalf("%d, from the cache is %t", resp.StatusCode, hit(resp))
	}
	h.clock.Advance(time.Minute)
	o.answer(200)
	if resp, _ := h.get("/a"); hit(resp) || resp.StatusCode != 200 {
		t.Errorf("%d, from the cache is %t", resp.StatusCode, hit(resp))
	}
	h.clock.Advance(59 * time.Minute)
	if resp, _ := h.get("/a"); !hit(resp) {
		t.Error("a value does not live as long as it should")
	}
}

// A response that the origin says is gone is not served again as if it were there.
func TestAReloadRemovesWhatIsGone(t *testing.T) {
	for _, use := range []policy.Use{policy.Reload, policy.Revalidate} {
		for _, status := range []int{404, 410, 500} {
			t.Run(fmt.Sprint(use, " ", status), func(t *testing.T) {
				h, o := startOrigin(t, nil)
				h.get("/a")
				o.answer(status)
				h.do(with(h.request(http.MethodGet, "/a", ""), policy.Policy{Use: use}))
				if resp, _ := h.get("/a"); hit(resp) != (status == 500) {
					t.Errorf("after a %d it is from the cache: %t", status, hit(resp))
				}
			})
		}
	}
}
