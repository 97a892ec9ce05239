package transport

import (
	"context"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestDirectives(t *testing.T) {
	const s = time.Second
	number := func(d time.Duration) seconds { return seconds{Duration: d, set: true} }
	invalid := seconds{set: true, invalid: true}
	for _, test := range []struct {
		name  string
		lines []string
		want  directives
	}{
		{"none", nil, directives{}},
		{"empty", []string{"", ",", " , ,\t"}, directives{}},
		{"all flags", []string{"no-store, no-cache, must-revalidate, must-understand, public, immutable, only-if-cached"}, directives{
			noStore: true, noCache: true, mustRevalidate: true, mustUnderstand: true, public: true, immutable: true, onlyIfCached: true,
		}},
		{"all numbers", []string{"max-age=1, min-fresh=2, max-stale=3, stale-while-revalidate=4, stale-if-error=5"}, directives{
			maxAge: number(s), minFresh: number(2 * s), maxStale: number(3 * s), staleWhileRevalidate: number(4 * s), staleIfError: number(5 * s),
		}},
		{"several lines", []string{"no-store", "max-age=1"}, directives{noStore: true, maxAge: number(s)}},
		{"any letter case", []string{"No-Store, MAX-AGE=1"}, directives{noStore: true, maxAge: number(s)}},
		{"space", []string{" no-store ,\tmax-age = 1 "}, directives{noStore: true, maxAge: number(s)}},
		{"no space", []string{"no-store,max-age=1"}, directives{noStore: true, maxAge: number(s)}},
		{"a quoted number", []string{`max-age="1", no-store`}, directives{maxAge: number(s), noStore: true}},
		{"a comma in a quoted string", []string{`x="a, no-store", max-age=1`}, directives{maxAge: number(s)}},
		{"a quote in a quoted string", []string{`x="a\", no-store", max-age=1`}, directives{maxAge: number(s)}},
		{"an escaped digit", []string{`max-age="\1"`}, directives{maxAge: number(s)}},
		{"a quoted string that does not end", []string{`x="a, no-store`, "max-age=1"}, directives{maxAge: number(s)}},
		{"a backslash at the end", []string{`x="a\`}, directives{}},
		{"text after a quoted string", []string{`max-age="1"x, no-store`}, directives{maxAge: number(s), noStore: true}},
		{"single quotes are no quotes", []string{"max-age='1'"}, directives{maxAge: invalid}},
		{"the first of several", []string{"max-age=1, max-age=2", "max-age=3"}, directives{maxAge: number(s)}},
		{"the first of several, though invalid", []string{"max-age=x, max-age=2"}, directives{maxAge: invalid}},
		{"no number", []string{"max-age"}, directives{maxAge: invalid}},
		{"an empty number", []string{"max-age="}, directives{maxAge: invalid}},
		{"a fraction", []string{"max-age=1.5"}, directives{maxAge: invalid}},
		{"a sign", []string{"max-age=-1"}, directives{maxAge: invalid}},
		{"a plus", []string{"max-age=+1"}, directives{maxAge: invalid}},
		{"two numbers", []string{"max-age=1 2"}, directives{maxAge: invalid}},
		{"a leading zero", []string{"max-age=001"}, directives{maxAge: number(s)}},
		{"a large number", []string{"max-age=99999999999999999999999999"}, directives{maxAge: number((math.MaxInt32 + 1) * s)}},
		{"max-stale without a number", []string{"max-stale"}, directives{maxStale: number((math.MaxInt32 + 1) * s)}},
		{"no-cache of some headers", []string{`no-cache="Set-Cookie"`}, directives{noCache: true}},
		{"private", []string{`private="X", private`}, directives{}},
		{"for others", []string{"s-maxage=1, proxy-revalidate, no-transform, x, y=z"}, directives{}},
		{"names that begin like others", []string{"no-store-x, xno-store, no_store, max-age-x=1"}, directives{}},
		{"garbage", []string{"=, ==, =1, ;no-store, \"no-store\", \x00=\xff"}, directives{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := parseDirectives(http.Header{"Cache-Control": test.lines}); got != test.want {
				t.Errorf("%+v\nwant %+v", got, test.want)
			}
		})
	}
}

func FuzzDirectives(f *testing.F) {
	for _, line := range []string{"", "max-age=1", `x="a\", b", no-store`, `"`, "=", `a="\`, "a=b=c,,"} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		d := parseDirectives(http.Header{"Cache-Control": {line}})
		for _, n := range []seconds{d.maxAge, d.minFresh, d.maxStale, d.staleIfError, d.staleWhileRevalidate} {
			if n.Duration < 0 || (n.invalid || n.Duration != 0) && !n.set || n.invalid && n.Duration != 0 {
				t.Errorf("%q: %+v", line, n)
			}
		}
		// On a line of its own, before another, it says the same.
		other := parseDirectives(http.Header{"Cache-Control": {line, "x"}})
		if other != d {
			t.Errorf("%q: with another line %+v, alone %+v", line, other, d)
		}
	})
}

func TestDates(t *testing.T) {
	want := time.Date(1994, 11, 6, 8, 49, 37, 0, time.UTC)
	for _, date := range []string{
		"Sun, 06 Nov 1994 08:49:37 GMT",
		"sun, 06 nov 1994 08:49:37 gmt",
		"SUN, 06 NOV 1994 08:49:37 GMT",
		"Sunday, 06-Nov-94 08:49:37 GMT",
		"Sun Nov  6 08:49:37 1994",
		"Mon, 06 Nov 1994 08:49:37 GMT", // the weekday says nothing more
	} {
		if got, ok := parseDate(date); !ok || !got.Equal(want) {
			t.Errorf("%q is %v, %v", date, got, ok)
		}
	}
	for _, date := range []string{
		"", "0", "-1", "GMT", "now", "784111777",
		"Sun, 6 Nov 1994 08:49:37 GMT",
		"Sun, 06 Nov 1994 8:49:37 GMT",
		"Sun,  06 Nov 1994 08:49:37 GMT",
		"Sun, 06  Nov 1994 08:49:37 GMT",
		"Sun, 06 Nov 1994  08:49:37 GMT",
		"Sun, 06 Nov 1994 08:49 GMT",
		"Sun, 06 Nov 1994 08:49:37",
		"Sun, 06 Nov 1994 08:49:37 UTC",
		"Sun, 06 Nov 1994 08:49:37 CET",
		"Sun, 06 Nov 1994 08:49:37 +0000",
		"Sun, 06 Nov 1994 08:49:37 GMT ",
		" Sun, 06 Nov 1994 08:49:37 GMT",
		"Sun, 06 Nov 1994 08:49:37.5 GMT",
		"Sun, 32 Nov 1994 08:49:37 GMT",
		"Sun, 06 Nov 94 08:49:37 GMT",
		"Sun 06 Nov 1994 08:49:37 GMT",
		"06 Nov 1994 08:49:37 GMT",
		"1994-11-06T08:49:37Z",
		"Sun Nov 6 08:49:37 1994",
	} {
		if got, ok := parseDate(date); ok {
			t.Errorf("%q is %v", date, got)
		}
	}
	if _, ok := headerDate(http.Header{"Date": {"Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 GMT"}}, "Date"); ok {
		t.Error("several dates are one")
	}
}

// answered is when the responses of these tests come.
var answered = time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)

func date(after time.Duration) string { return answered.Add(after).Format(http.TimeFormat) }

func TestInitialAge(t *testing.T) {
	const s = time.Second
	for _, test := range []struct {
		name   string
		header http.Header
		delay  time.Duration
		want   time.Duration
	}{
		{"nothing", nil, 0, 0},
		{"the delay of the answer", nil, 3 * s, 3 * s},
		{"Age and delay", http.Header{"Age": {"10"}}, 3 * s, 13 * s},
		{"Date", http.Header{"Date": {date(-10 * s)}}, 3 * s, 10 * s},
		{"the greater of Date and Age", http.Header{"Age": {"10"}, "Date": {date(-11 * s)}}, 0, 11 * s},
		{"and the other way round", http.Header{"Age": {"12"}, "Date": {date(-11 * s)}}, 0, 12 * s},
		{"Date in the future", http.Header{"Date": {date(time.Hour)}}, 0, 0},
		{"Date that is none", http.Header{"Date": {"now"}}, 0, 0},
		{"the first of a list", http.Header{"Age": {"10, 20"}}, 0, 10 * s},
		{"the first of lines", http.Header{"Age": {"10", "20"}}, 0, 10 * s},
		{"Age that is negative", http.Header{"Age": {"-10"}}, 0, 0},
		{"Age that is none", http.Header{"Age": {"ten"}}, 0, 0},
		{"Age with a fraction", http.Header{"Age": {"10.0"}}, 0, 0},
		{"a clock that goes backwards", nil, -3 * s, 0},
		{"a large Age", http.Header{"Age": {"99999999999999999999"}}, 0, (math.MaxInt32 + 1) * s},
	} {
		if got := initialAge(test.header, answered.Add(-test.delay), answered); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

func TestLifetime(t *testing.T) {
	for _, test := range []struct {
		name   string
		header http.Header
		want   time.Duration
		said   bool
	}{
		{"nothing", nil, 0, false},
		{"max-age", http.Header{"Cache-Control": {"max-age=60"}}, time.Minute, true},
		{"max-age before Expires", http.Header{"Cache-Control": {"max-age=60"}, "Expires": {date(time.Hour)}}, time.Minute, true},
		{"max-age=0 before Expires", http.Header{"Cache-Control": {"max-age=0"}, "Expires": {date(time.Hour)}}, 0, true},
		{"max-age that is none before Expires", http.Header{"Cache-Control": {"max-age=x"}, "Expires": {date(time.Hour)}}, 0, true},
		{"s-maxage is not ours", http.Header{"Cache-Control": {"s-maxage=60"}}, 0, false},
		{"Expires", http.Header{"Expires": {date(time.Minute)}}, time.Minute, true},
		{"Expires from Date", http.Header{"Expires": {date(time.Minute)}, "Date": {date(-time.Minute)}}, 2 * time.Minute, true},
		{"Expires from a Date that is none", http.Header{"Expires": {date(time.Minute)}, "Date": {"x"}}, time.Minute, true},
		{"Expires in the past", http.Header{"Expires": {date(-time.Minute)}}, 0, true},
		{"Expires: 0", http.Header{"Expires": {"0"}}, 0, true},
		{"empty Expires", http.Header{"Expires": {""}}, 0, true},
		{"several Expires", http.Header{"Expires": {date(time.Minute), date(time.Minute)}}, 0, true},
	} {
		got, said := lifetime(test.header, parseDirectives(test.header), answered)
		if got != test.want || said != test.said {
			t.Errorf("%s: %v, %v, want %v, %v", test.name, got, said, test.want, test.said)
		}
	}
}

func TestHeuristic(t *testing.T) {
	ago := func(d time.Duration) http.Header { return http.Header{"Last-Modified": {date(-d)}} }
	for _, test := range []struct {
		name   string
		status int
		header http.Header
		want   time.Duration
	}{
		{"a tenth", 200, ago(10 * time.Hour), time.Hour},
		{"of the time until Date", 200, http.Header{"Last-Modified": {date(-10 * time.Hour)}, "Date": {date(-5 * time.Hour)}}, time.Hour / 2},
		{"a week at most", 200, ago(365 * 24 * time.Hour), 7 * 24 * time.Hour},
		{"not without Last-Modified", 200, nil, 0},
		{"not of one that is none", 200, http.Header{"Last-Modified": {"x"}}, 0},
		{"not of one in the future", 200, ago(-time.Hour), 0},
		{"of a 404", 404, ago(10 * time.Hour), time.Hour},
		{"not of a 500", 500, ago(10 * time.Hour), 0},
		{"not of a 302", 302, ago(10 * time.Hour), 0},
		{"of a 302 that is public", 302, http.Header{"Last-Modified": {date(-10 * time.Hour)}, "Cache-Control": {"public"}}, time.Hour},
	} {
		if got := heuristic(test.status, test.header, parseDirectives(test.header), answered); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

func TestVariants(t *testing.T) {
	for _, test := range []struct {
		name, header string
		a, b         []string // nil: absent
		same         bool
	}{
		{"absent", "X", nil, nil, true},
		{"absent is not empty", "X", nil, []string{""}, false},
		{"space beside commas", "X", []string{"a , b"}, []string{"a,b"}, true},
		{"space in a value", "X", []string{"a b"}, []string{"ab"}, false},
		{"space beside quoted commas", "X", []string{`"a , b"`}, []string{`"a,b"`}, false},
		{"lines", "X", []string{"a", "b"}, []string{"a, b"}, true},
		{"order", "X", []string{"a, b"}, []string{"b, a"}, false},
		{"letter case", "X", []string{"a"}, []string{"A"}, false},
		{"languages in their own order, of one weight", "Accept-Language", []string{"en, de"}, []string{"de, en"}, false},
		{"order of languages", "Accept-Language", []string{"en, de;q=0.5"}, []string{"de;q=0.5, en"}, true},
		{"weights", "Accept-Language", []string{"en;q=0.5, de"}, []string{"de;q=0.5, en"}, false},
		{"letter case of codings", "Accept-Encoding", []string{"GZIP; Q=1"}, []string{"gzip;q=1"}, true},
		{"order of types", "Accept", []string{"text/html, text/plain"}, []string{"text/plain, text/html"}, false},
	} {
		request := func(values []string) http.Header {
			if values == nil {
				return http.Header{}
			}
			return http.Header{test.header: values}
		}
		vary := http.Header{"Vary": {test.header}}
		if got := variant(vary, request(test.a)) == variant(vary, request(test.b)); got != test.same {
			t.Errorf("%s: they are the same is %v, want %v", test.name, got, test.same)
		}
	}
	request := http.Header{"A": {"1"}, "B": {"2"}}
	want := variant(http.Header{"Vary": {"A, B"}}, request)
	for _, vary := range [][]string{{"b, a"}, {"B", "A"}, {"A,B,a"}, {" A , , B"}} {
		if variant(http.Header{"Vary": vary}, request) != want {
			t.Errorf("Vary: %q is not A, B", vary)
		}
	}
	vary := http.Header{"Vary": {"X-Tenant"}}
	for written, other := range map[string]http.Header{
		"as x-tenant": {"x-tenant": {"2"}},
		"not at all":  {},
		"twice":       {"x-tenant": {"1"}, "X-TENANT": {"2"}},
	} {
		if variant(vary, http.Header{"x-tenant": {"1"}}) == variant(vary, other) {
			t.Errorf("a header whose name is in lower case is the same as one that is written %s", written)
		}
	}
	if variant(vary, http.Header{"x-tenant": {"1"}}) != variant(vary, http.Header{"X-Tenant": {"1"}}) {
		t.Error("how a header's name is written makes a difference")
	}
	if strings.Contains(variant(http.Header{"Vary": {"Cookie"}}, http.Header{"Cookie": {"secret"}}), "secret") {
		t.Error("it tells a secret")
	}
}

func TestByteRange(t *testing.T) {
	stored := http.Header{"Etag": {`"1"`}, "Last-Modified": {"Mon, 02 Jan 2006 15:04:05 GMT"}}
	for _, test := range []struct {
		spec, condition string
		first, last     int64
		ok              bool
	}{
		{"bytes=0-0", "", 0, 0, true},
		{"bytes=0-9", "", 0, 9, true},
		{"bytes=0-", "", 0, 9, true},
		{"bytes=9-", "", 9, 9, true},
		{"bytes=5-99", "", 5, 9, true},
		{"bytes=-3", "", 7, 9, true},
		{"bytes=-99", "", 0, 9, true},
		{"bytes=-0", "", 0, 0, false},
		{"bytes=10-", "", 0, 0, false},
		{"bytes=5-4", "", 0, 0, false},
		{"bytes=-", "", 0, 0, false},
		{"bytes=", "", 0, 0, false},
		{"bytes", "", 0, 0, false},
		{"", "", 0, 0, false},
		{"lines=0-1", "", 0, 0, false},
		{"bytes=0-1,3-4", "", 0, 0, false},
		{"bytes=a-b", "", 0, 0, false},
		{"bytes=--1", "", 0, 0, false},
		{"bytes=+1-2", "", 0, 0, false},
		{"bytes=0-99999999999999999999", "", 0, 0, false},
		{"bytes=0-9223372036854775807", "", 0, 0, false},
		{"bytes=0-1", `"1"`, 0, 1, true},
		{"bytes=0-1", `"2"`, 0, 0, false},
		{"bytes=0-1", `W/"1"`, 0, 0, false},
		{"bytes=0-1", "Mon, 02 Jan 2006 15:04:05 GMT", 0, 1, true},
		{"bytes=0-1", "Mon, 02 Jan 2006 15:04:06 GMT", 0, 0, false},
	} {
		request := http.Header{"Range": {test.spec}}
		if test.condition != "" {
			request.Set("If-Range", test.condition)
		}
		first, last, ok := byteRange(request, stored, 10)
		if first != test.first || last != test.last || ok != test.ok {
			t.Errorf("%q if %q: %d-%d, %v, want %d-%d, %v", test.spec, test.condition, first, last, ok, test.first, test.last, test.ok)
		}
	}
	if _, _, ok := byteRange(http.Header{"Range": {"bytes=0-"}}, nil, 0); ok {
		t.Error("an empty body has a part")
	}
}

func TestURLPatterns(t *testing.T) {
	for _, test := range []struct {
		pattern  string
		match    []string
		mismatch []string
	}{
		{"api.com", []string{
			"https://api.com", "http://api.com/", "https://api.com/any/path?q#f", "https://API.com", "https://api.com.", "https://api.com:443/", "http://api.com:80",
			"https://user:password@api.com/", "HTTPS://api.com",
		}, []string{
			"https://api.com.evil.org", "https://evil.org/api.com", "https://xapi.com", "https://www.api.com", "https://api.co", "https://api.com:8443",
			"https://api.com:80", "http://api.com:443", "https://api.com@evil.org", "https://evil.org?api.com", "https://evil.org#api.com", "https://api-com", "https://apicom",
		}},
		{"https://api.com", []string{"https://api.com/a", "https://api.com:443"}, []string{"http://api.com", "http://api.com:443"}},
		{"HTTPS://Api.Com.", []string{"https://api.com/a"}, []string{"http://api.com"}},
		{"api.com:8443", []string{"https://api.com:8443/a", "http://api.com:8443"}, []string{"https://api.com", "https://api.com:84430"}},
		{"api.com:443", []string{"https://api.com", "https://api.com:443", "http://api.com:443"}, []string{"http://api.com"}},
		{"*.api.com", []string{"https://v1.api.com", "https://a.b.api.com"}, []string{"https://api.com", "https://xapi.com", "https://v1.api.com.evil.org", "https://v1.api.com@evil.org"}},
		{"*", []string{"https://api.com/a", "http://10.0.0.1"}, []string{"https://api.com:8443"}},
		{"*/v1", []string{"https://api.com/v1", "https://a.b/v1/c"}, []string{"https://api.com/v2"}},
		{"*:8080/v1", []string{"http://localhost:8080/v1"}, []string{"http://localhost/v1"}},
		{"api.com/v1", []string{"https://api.com/v1", "https://api.com/v1/", "https://api.com/v1/tracks", "https://api.com/v1?q", "https://api.com/%76%31"}, []string{
			"https://api.com/", "https://api.com/v10", "https://api.com/V1", "https://api.com/x/v1", "https://api.com//v1", "https://api.com/v1%2Ftracks", "https://api.com/?v1",
		}},
		{"api.com/v1/", []string{"https://api.com/v1", "https://api.com/v1/x"}, nil},
		{"api.com/*/latest", []string{"https://api.com/charts/latest", "https://api.com/charts/latest/x"}, []string{"https://api.com/latest", "https://api.com/a/b/latest", "https://api.com/charts"}},
		{"api.com/a%2Fb", []string{"https://api.com/a%2fb", "https://api.com/a%2Fb/c"}, []string{"https://api.com/a/b"}},
		{"api.com/é", []string{"https://api.com/%C3%A9", "https://api.com/é"}, []string{"https://api.com/e"}},
		{"[::1]:8080/v1", []string{"http://[::1]:8080/v1"}, []string{"http://[::1]/v1", "http://[::2]:8080/v1"}},
		{"[2001:DB8::1]", []string{"https://[2001:db8::1]/a"}, []string{"https://[2001:db8::1]:8443/a"}},
		{"10.0.0.1:8080", []string{"http://10.0.0.1:8080/"}, []string{"http://10.0.0.10:8080/", "http://110.0.0.1:8080/"}},
		{"localhost", []string{"http://localhost/"}, []string{"http://localhost.evil.org/"}},
	} {
		p, err := parseURLPattern(test.pattern)
		if err != nil {
			t.Errorf("%q: %v", test.pattern, err)
			continue
		}
		for want, urls := range map[bool][]string{true: test.match, false: test.mismatch} {
			for _, raw := range urls {
				u, err := url.Parse(raw)
				if err != nil {
					t.Fatal(err)
				}
				if got := p.match(&http.Request{URL: u}); got != want {
					t.Errorf("%q matches %s is %v, want %v", test.pattern, raw, got, want)
				}
			}
		}
	}
	p, _ := parseURLPattern("*")
	if p.match(&http.Request{}) {
		t.Error("a request without a URL matches")
	}
}

func FuzzURLPatterns(f *testing.F) {
	f.Add("api.com/v1/*", "https://api.com/v1/x")
	f.Add("*.api.com:8443", "https://user@a.api.com:8443/%2F")
	f.Add("[::1]", "http://[::1%25eth0]/")
	f.Add("*", "//")
	f.Fuzz(func(t *testing.T, pattern, raw string) {
		p, err := parseURLPattern(pattern)
		u, urlErr := url.Parse(raw)
		if err != nil || urlErr != nil {
			return
		}
		req := &http.Request{URL: u}
		if !p.match(req) {
			return
		}
		// What matches has the pattern's last label at its end.
		last := p.labels[len(p.labels)-1]
		if host := strings.TrimSuffix(strings.ToLower(u.Hostname()), "."); last != "*" && !strings.HasSuffix(host, last) {
			t.Errorf("%q matches the host %q", pattern, host)
		}
		// So does a longer path, and another query.
		longer := *u
		longer.RawQuery = "x=y"
		if !p.match(&http.Request{URL: &longer}) {
			t.Errorf("%q matches %q, but not with a query", pattern, raw)
		}
		longer.Host += ".evil.org"
		if last != "*" && longer.Port() == u.Port() && p.match(&http.Request{URL: &longer}) {
			t.Errorf("%q matches %q", pattern, longer.String())
		}
	})
}

// A slow save holds up others of its own key alone.
func TestVariantsOfDifferentKeysAreSavedAtOneTime(t *testing.T) {
	var v variants
	v.init()
	ended, end := context.WithCancel(t.Context())
	end()
	done, err := v.saving(t.Context(), flightKey{repository: "r", key: "a"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.saving(ended, flightKey{repository: "r", key: "a", reload: true}); err == nil {
		t.Error("two save variants of one key")
	}
	free := 0
	for i := range 100 {
		short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		if done, err := v.saving(short, flightKey{repository: "r", key: strconv.Itoa(i)}); err == nil {
			free++
			done()
		}
		cancel()
	}
	if free < 50 {
		t.Errorf("%d of 100 other keys are free", free)
	}
	done()
}
