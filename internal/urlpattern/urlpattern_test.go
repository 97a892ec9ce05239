package urlpattern

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/endpointcache/endpointcache/internal/hostname"
)

func TestWhichURLsAPatternIsFor(t *testing.T) {
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
		{"*", []string{"https://api.com/a", "http://10.0.0.1", "https://api.com:8443", "http://[::1]:80/a", "https://localhost:1", "ftp://a.b:2121/c", "/a", ""}, nil},
		{"*/", []string{"https://api.com:8443", "/a"}, nil},
		{"https://*", []string{"https://api.com/a", "https://api.com:8443"}, []string{"http://api.com", "http://api.com:443"}},
		{"*/v1", []string{"https://api.com/v1", "https://a.b/v1/c", "http://a.b:8080/v1", "https://[::1]:8443/v1/c"}, []string{"https://api.com/v2", "https://api.com", "https://v1"}},
		{"http://*/v1/charts", []string{"http://a.b/v1/charts", "http://a.b:8080/v1/charts/x"}, []string{"https://a.b/v1/charts", "http://a.b/v1"}},
		{"*:8080/v1", []string{"http://localhost:8080/v1"}, []string{"http://localhost/v1"}},
		{"api.com/v1", []string{"https://api.com/v1", "https://api.com/v1/", "https://api.com/v1/tracks", "https://api.com/v1?q", "https://api.com/%76%31"}, []string{
			"https://api.com/", "https://api.com/v10", "https://api.com/V1", "https://api.com/x/v1", "https://api.com//v1", "https://api.com/v1%2Ftracks", "https://api.com/?v1",
		}},
		{"api.com/v1/", []string{"https://api.com/v1", "https://api.com/v1/x"}, nil},
		{"api.com/*/latest", []string{"https://api.com/charts/latest", "https://api.com/charts/latest/x"}, []string{"https://api.com/latest", "https://api.com/a/b/latest", "https://api.com/charts"}},
		{"api.com/img*", []string{"https://api.com/img", "https://api.com/img1", "https://api.com/img1/a", "https://api.com/img%2F1"}, []string{
			"https://api.com/im", "https://api.com/Img1", "https://api.com/x/img1", "https://api.com:8443/img1", "https://api.com/ximg",
		}},
		{"api.com/*.json", []string{"https://api.com/a.json", "https://api.com/.json", "https://api.com/a.b.json", "https://api.com/a%2Ejson"}, []string{
			"https://api.com/a.json5", "https://api.com/a/b.json", "https://api.com/ajson", "https://api.com/a?.json",
		}},
		{"api.com/v*/a*b*c/x", []string{"https://api.com/v1/abc/x", "https://api.com/v/a-b-b-c/x/y"}, []string{"https://api.com/v1/acb/x", "https://api.com/v1/ab/c/x", "https://api.com/v1/abc"}},
		{"api.com/a*a", []string{"https://api.com/aa", "https://api.com/aba"}, []string{"https://api.com/a"}},
		{"api.com/ab*ba", []string{"https://api.com/abba"}, []string{"https://api.com/aba"}},
		{"api.com/é*", []string{"https://api.com/%C3%A9a"}, []string{"https://api.com/%C3a"}},
		{"api.com/%2A", []string{"https://api.com/*", "https://api.com/%2a"}, []string{"https://api.com/a"}},
		{"*.api.com/*", []string{"https://v1.api.com/a"}, []string{"https://v1.api.com", "https://v1.api.com/", "https://v1.api.com:8443/a"}},
		{"api.com/a%2Fb", []string{"https://api.com/a%2fb", "https://api.com/a%2Fb/c"}, []string{"https://api.com/a/b"}},
		{"api.com/é", []string{"https://api.com/%C3%A9", "https://api.com/é"}, []string{"https://api.com/e"}},
		{"[::1]:8080/v1", []string{"http://[::1]:8080/v1"}, []string{"http://[::1]/v1", "http://[::2]:8080/v1"}},
		{"[2001:DB8::1]", []string{"https://[2001:db8::1]/a"}, []string{"https://[2001:db8::1]:8443/a"}},
		{"10.0.0.1:8080", []string{"http://10.0.0.1:8080/"}, []string{"http://10.0.0.10:8080/", "http://110.0.0.1:8080/"}},
		{"git.example", []string{"https://GIT.example"}, []string{"https://gİt.example"}},
		{"straße.example", []string{"https://STRAßE.example"}, []string{"https://straẞe.example"}},
		{"localhost", []string{"http://localhost/"}, []string{"http://localhost.evil.org/"}},
	} {
		p, err := Parse(test.pattern)
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
				if got := p.Match(&http.Request{URL: u}); got != want {
					t.Errorf("%q matches %s is %v, want %v", test.pattern, raw, got, want)
				}
			}
		}
	}
	p, _ := Parse("*")
	if p.Match(&http.Request{}) {
		t.Error("a request without a URL matches")
	}
}

func TestPatternsThatCannotBe(t *testing.T) {
	for name, pattern := range map[string]string{
		"an empty one":                   "",
		"a scheme alone":                 "https://",
		"a path alone":                   "/v1",
		"another scheme":                 "ftp://example.com",
		"a star as the scheme":           "*://example.com",
		"a query":                        "example.com/a?b=c",
		"a fragment":                     "example.com/a#b",
		"a user":                         "user@example.com",
		"space":                          "example.com /a",
		"a star in a label":              "api*.example.com",
		"a star in the middle of a host": "api.*.com",
		"two stars as labels":            "*.*.com",
		"two stars as the host":          "**",
		"two stars in a path":            "example.com/**",
		"two stars beside text":          "example.com/a**b",
		"an escape":                      "example.com/%zz",
		"an escape beside a star":        "example.com/%2*",
		"a port that is none":            "example.com:http",
		"a port that is empty":           "example.com:",
		"a port that is a star":          "example.com:*",
		"a port that is too large":       "example.com:65536",
		"a host with many colons":        "a:b:c",
		"an empty label":                 "api..example.com",
	} {
		if _, err := Parse(pattern); err == nil {
			t.Errorf("%s: %q has no error", name, pattern)
		}
	}
}

func FuzzPatterns(f *testing.F) {
	f.Add("api.com/v1/*", "https://api.com/v1/x")
	f.Add("*.api.com:8443", "https://user@a.api.com:8443/%2F")
	f.Add("[::1]", "http://[::1%25eth0]/")
	f.Add("*", "//")
	f.Add("*/v*/a*b*c", "https://api.com:8443/v1/a-b-c")
	f.Add("api.com/%2A*.json", "https://api.com/*a.json")
	f.Fuzz(func(t *testing.T, pattern, raw string) {
		p, err := Parse(pattern)
		u, urlErr := url.Parse(raw)
		if err != nil || urlErr != nil {
			return
		}
		req := &http.Request{URL: u}
		if !p.Match(req) {
			return
		}
		// What matches has the pattern's last label at its end.
		last := p.labels[len(p.labels)-1]
		if host := strings.TrimSuffix(hostname.Lower(u.Hostname()), "."); last != "*" && !strings.HasSuffix(host, last) {
			t.Errorf("%q matches the host %q", pattern, host)
		}
		// So does a longer path, and another query.
		longer := *u
		longer.RawQuery = "x=y"
		if !p.Match(&http.Request{URL: &longer}) {
			t.Errorf("%q matches %q, but not with a query", pattern, raw)
		}
		longer.Host += ".evil.org"
		if last != "*" && longer.Port() == u.Port() && p.Match(&http.Request{URL: &longer}) {
			t.Errorf("%q matches %q", pattern, longer.String())
		}
	})
}
