package redirect

import (
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
)

// web is all hosts. The path of a request tells where it is redirected to:
// "/to/https/evil.test/to/…". The query tells the status, 302 if it is empty.
type web struct{ got []*http.Request }

func (w *web) RoundTrip(req *http.Request) (*http.Response, error) {
	w.got = append(w.got, req)
	resp := &http.Response{
		StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: make(http.Header), Body: http.NoBody, Request: req,
	}
	switch next, ok := strings.CutPrefix(req.URL.EscapedPath(), "/to/"); {
	case !ok:
	case strings.HasPrefix(next, "same/"):
		resp.Header.Set("Location", "/"+strings.TrimPrefix(next, "same/"))
	default:
		scheme, rest, _ := strings.Cut(next, "/")
		resp.Header.Set("Location", scheme+"://"+rest+"?"+req.URL.RawQuery)
	}
	if resp.Header.Get("Location") != "" {
		resp.StatusCode = http.StatusFound
		if strings.Contains(req.URL.RawQuery, "307") {
			resp.StatusCode = http.StatusTemporaryRedirect
		}
	}
	return resp, nil
}

// secrets are the headers of a request that may be secret.
func secrets(req *http.Request) (names []string) {
	for name := range req.Header {
		if !harmless[name] {
			names = append(names, name)
		}
	}
	return names
}

func get(t *testing.T, url string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"Authorization", "Cookie", "Proxy-Authorization", "X-Api-Key", "X-Auth-Token", "Api-Secret", "X-Tenant", "Referer", "X-Signature", "Www-Authenticate",
	} {
		req.Header.Set(name, "secret")
	}
	req.Header["x-lower"] = []string{"secret"}
	req.Header.Set("Accept", "text/plain")
	req.Header.Set("User-Agent", "test")
	return req
}

func TestSecretsStayWhereTheyBelong(t *testing.T) {
	for _, test := range []struct {
		from string
		stay bool
	}{
		{"https://api.test/to/same/x", true},
		{"https://api.test/to/https/api.test/x", true},
		{"https://api.test/to/https/API.Test:443/x", true},
		{"http://api.test/to/http/api.test:80/x", true},
		{"http://api.test/to/https/api.test/x", true},
		{"http://api.test:80/to/https/api.test:443/x", true},
		{"http://localhost:8080/to/http/localhost:8080/x", true},
		{"https://[2001:DB8::1]/to/https/[2001:db8::1]:443/x", true},

		{"https://api.test/to/http/api.test/x", false},
		{"https://api.test/to/https/evil.test/x", false},
		{"https://api.test/to/https/www.api.test/x", false},
		{"https://www.api.test/to/https/api.test/x", false},
		{"https://api.test/to/https/api.test.evil.test/x", false},
		{"https://api.test/to/https/api.test:8443/x", false},
		{"https://api.test/to/https/api.test:80/x", false},
		{"http://api.test/to/http/api.test:443/x", false},
		{"http://localhost:8080/to/http/localhost:8081/x", false},
		{"http://localhost:8080/to/https/localhost:8443/x", false},
		{"http://localhost:8080/to/https/localhost/x", false},
		{"http://api.test/to/https/api.test:80/x", false},
		{"http://127.0.0.1/to/http/localhost/x", false},
		{"https://[::1]/to/https/[::2]/x", false},
		{"https://git.test/to/https/g%C4%B0t.test/x", false},               // gİt, in small letters by Unicode git
		{"https://stra%C3%9Fe.test/to/https/stra%E1%BA%9Ee.test/x", false}, // ß and ẞ, of which IDNA makes different hosts
		{"https://api.test/to/https/api.test@evil.test/x", false},
		{"https://api.test/to/https/evil.test/to/https/api.test/x", false},
		{"https://api.test/to/https/evil.test/to/same/to/https/api.test/to/same/x", false},
		{"http://api.test/to/https/api.test/to/http/api.test/x", false},
		{"https://api.test/to/same/to/https/evil.test/x", false},
	} {
		w := &web{}
		client := Client{&http.Client{Transport: w}}
		resp, err := client.Do(get(t, test.from))
		if err != nil {
			t.Errorf("%s: %v", test.from, err)
			continue
		}
		resp.Body.Close()
		last := w.got[len(w.got)-1]
		if got := secrets(last); (len(got) > 0) != test.stay {
			t.Errorf("%s: the last request has %q", test.from, got)
		}
		if last.Header.Get("Accept") != "text/plain" || last.Header.Get("User-Agent") != "test" {
			t.Errorf("%s: the last request has %v", test.from, last.Header)
		}
		if stays := Hosts(nil).Stay(resp.Request, nil); stays != test.stay && !strings.Contains(test.from, "https/api.test/to/http/") {
			t.Errorf("%s: its answer counts: %v", test.from, stays)
		}
	}
}

func TestAUserOfARedirectIsNotSent(t *testing.T) {
	for from, want := range map[string]string{
		"https://me:pw@api.test/to/same/x":                                           "me:pw",
		"https://api.test/to/https/other:pw@api.test/x":                              "",
		"https://me:pw@api.test/to/https/other:pw@api.test/x":                        "",
		"https://me:pw@api.test/to/https/me:pw@api.test/x":                           "me:pw",
		"https://me:pw@api.test/to/https/me:pw@evil.test/x":                          "",
		"https://me:pw@api.test/to/https/evil.test/to/https/me:pw@api.test/to/same/": "",
	} {
		w := &web{}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, from, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := Client{&http.Client{Transport: w}}.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		user, password, _ := w.got[len(w.got)-1].BasicAuth()
		if got := strings.Trim(user+":"+password, ":"); got != want {
			t.Errorf("%s: the user %q is sent, want %q", from, got, want)
		}
	}
}

// The URL of the request may have a secret in its query.
func TestNoRefererElsewhere(t *testing.T) {
	for from, want := range map[string]bool{"https://api.test/to/same/x?api_key=secret": true, "https://api.test/to/https/evil.test/x?api_key=secret": false} {
		w := &web{}
		req := get(t, from)
		req.Header.Del("Referer")
		resp, err := Client{&http.Client{Transport: w}}.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got := w.got[1].Header.Get("Referer"); (got != "") != want {
			t.Errorf("%s: the Referer is %q", from, got)
		}
	}
}

func TestTheOwnersCheckIsAsked(t *testing.T) {
	refused := errors.New("refused")
	for _, test := range []struct {
		own  Check
		want error
	}{
		{func(*http.Request, []*http.Request) error { return refused }, refused},
		{func(req *http.Request, via []*http.Request) error { // as resty's policies do
			for name, values := range via[0].Header {
				req.Header[name] = values
			}
			return nil
		}, nil},
		{func(req *http.Request, _ []*http.Request) error {
			req.Header.Set("X-Api-Key", "another host's")
			return nil
		}, nil},
	} {
		w := &web{}
		owner := &http.Client{Transport: w, CheckRedirect: test.own}
		resp, err := Client{owner}.Do(get(t, "https://api.test/to/https/evil.test/x"))
		if !errors.Is(err, test.want) {
			t.Errorf("error %v, want %v", err, test.want)
		}
		if resp != nil {
			resp.Body.Close()
		}
		for _, req := range w.got[1:] {
			for _, name := range secrets(req) {
				if req.Header.Get(name) == "secret" || req.Header[name][0] == "secret" {
					t.Errorf("%s is sent", name)
				}
			}
		}
	}
	w := &web{}
	last := get(t, "https://api.test"+strings.Repeat("/to/same", 11)+"/x")
	if _, err := (Client{&http.Client{Transport: w}}).Do(last); err == nil || !strings.Contains(err.Error(), "stopped after 10 redirects") || len(w.got) != 10 {
		t.Errorf("after %d requests: %v", len(w.got), err)
	}
}

// Cookies of a jar are for the hosts that have set them.
func TestAJarIsAsked(t *testing.T) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	other := &url.URL{Scheme: "https", Host: "other.test"}
	jar.SetCookies(other, []*http.Cookie{{Name: "own", Value: "1"}})
	w := &web{}
	resp, err := Client{&http.Client{Transport: w, Jar: jar}}.Do(get(t, "https://api.test/to/https/other.test/x"))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if got := w.got[1].Header.Get("Cookie"); got != "own=1" {
		t.Errorf("the other host gets the cookies %q", got)
	}
}

func TestABodyIsNotSentElsewhere(t *testing.T) {
	allowed, err := ParseHosts([]string{"cdn.test"})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		to   string
		sent bool
	}{{"same", true}, {"https/cdn.test", true}, {"https/evil.test", false}, {"http/api.test", false}, {"http/cdn.test", false}} {
		w := &web{}
		req, err := http.NewRequestWithContext(allowed.With(t.Context()), http.MethodPost, "https://api.test/to/"+test.to+"/x?307", strings.NewReader("secret"))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := Client{&http.Client{Transport: w}}.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if sent := len(w.got) == 2; sent != test.sent || sent == (resp.StatusCode == http.StatusTemporaryRedirect) {
			t.Errorf("%s: %d requests, status %d", test.to, len(w.got), resp.StatusCode)
		}
		if test.sent {
			if body, _ := io.ReadAll(w.got[1].Body); string(body) != "secret" {
				t.Errorf("%s: the body is %q", test.to, body)
			}
		}
	}
}

func TestWhoseAnswersCount(t *testing.T) {
	for _, test := range []struct {
		hosts  string
		from   string
		counts bool
	}{
		{"cdn.test", "https://api.test/to/https/cdn.test/x", true},
		{"cdn.test", "https://api.test/to/https/cdn.test:8443/x", false},
		{"cdn.test:8443", "https://api.test/to/https/cdn.test:8443/x", true},
		{"cdn.test", "https://api.test/to/https/cdn.test/to/same/x", true},
		{"cdn.test", "https://api.test/to/https/cdn.test/to/https/api.test/x", true},
		{"cdn.test", "https://api.test/to/https/cdn.test/to/https/evil.test/x", false},
		{"cdn.test", "https://api.test/to/https/evil.test/to/https/cdn.test/x", false},
		{"cdn.test", "https://api.test/to/https/evil.test/to/https/api.test/x", false},
		{"cdn.test", "https://api.test/to/https/www.cdn.test/x", false},
		{"*.cdn.test", "https://api.test/to/https/a.b.cdn.test/x", true},
		{"*.cdn.test", "https://api.test/to/https/cdn.test/x", false},
		{"cdn.test", "https://api.test/to/http/cdn.test/x", false},
		{"http://cdn.test", "https://api.test/to/http/cdn.test/x", true},
		{"cdn.test", "http://api.test/to/http/cdn.test/x", true},
		{"https://cdn.test", "http://api.test/to/http/cdn.test/x", false},
		{"http://api.test", "https://api.test/to/http/api.test/x", true},
		{"*", "https://api.test/to/https/any.test:8443/x", true},
		{"*", "https://api.test/to/http/any.test/x", false},
		{"http://*", "https://api.test/to/http/any.test/x", true},
	} {
		hosts, err := ParseHosts([]string{test.hosts})
		if err != nil {
			t.Fatal(err)
		}
		resp, err := Client{&http.Client{Transport: &web{}}}.Do(get(t, test.from))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got := hosts.Stay(resp.Request, nil); got != test.counts {
			t.Errorf("with %s, the answer to %s counts: %v", test.hosts, test.from, got)
		}
	}
	for _, pattern := range []string{"", "cdn.test/path", "https://cdn.test/", "ftp://cdn.test", "a.*.test", "cdn.test?q"} {
		if _, err := ParseHosts([]string{pattern}); err == nil {
			t.Errorf("the pattern %q has no error", pattern)
		}
	}
}

// What a client makes by hand may lack anything.
func TestWaysThatCannotBeTold(t *testing.T) {
	if hosts := (Hosts{}); !hosts.Stay(nil, nil) || !hosts.Stay(&http.Request{}, nil) || !hosts.Stay(&http.Request{Response: &http.Response{}}, nil) {
		t.Error("without a way, the answer does not count")
	}
	circle := &http.Request{URL: &url.URL{Host: "api.test"}}
	circle.Response = &http.Response{Request: circle}
	if (Hosts{}).Stay(circle, nil) {
		t.Error("a way without an end counts")
	}
	led := &http.Response{Request: &http.Request{URL: &url.URL{Scheme: "https", Host: "other.test"}}}
	own := &http.Request{URL: &url.URL{Scheme: "https", Host: "api.test"}, Response: led}
	if !(Hosts{}).Stay(own, led) || (Hosts{}).Stay(own, nil) {
		t.Error("the way does not begin where it is to")
	}
}
