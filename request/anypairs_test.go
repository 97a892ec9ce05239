package request_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/endpointcache/endpointcache/request"
)

// spelled is a GET request whose header names are written as they are given.
func spelled(t testing.TB, header ...string) *http.Request {
	t.Helper()
	req := get(t, "https://h/")
	for i := 0; i < len(header); i += 2 {
		req.Header[header[i]] = append(req.Header[header[i]], header[i+1])
	}
	return req
}

func withHost(req *http.Request, host string) *http.Request {
	req.Host = host
	return req
}

func TestRequestsOfAnyThatDiffer(t *testing.T) {
	utm := &request.AnyOptions{IgnoreQuery: []string{"utm_*", "a"}, IgnoreHeaders: []string{"X-A"}}
	chosen := &request.AnyOptions{Headers: []string{"x-b", "User-Agent"}}
	sorted := &request.AnyOptions{SortQuery: true}
	for _, test := range []struct {
		name string
		opts *request.AnyOptions
		a, b *http.Request
	}{
		{"method", nil, get(t, "https://h/"), do(t, "HEAD", "https://h/")},
		{"method's case", nil, get(t, "https://h/"), do(t, "get", "https://h/")},
		{"scheme", nil, get(t, "https://h/"), get(t, "http://h/")},
		{"host", nil, get(t, "https://h/"), get(t, "https://h.evil.example/")},
		{"host and path", nil, get(t, "https://h/a"), get(t, "https://ha/")},
		{"port", nil, get(t, "https://h/"), get(t, "https://h:80/")},
		{"URL and body", nil, get(t, "https://h/ab"), withURL(post(t, "", "b"), t, "https://h/a")},
		{"slash", nil, get(t, "https://h/a"), get(t, "https://h/a/")},
		{"two slashes", nil, get(t, "https://h/a/b"), get(t, "https://h/a//b")},
		{"escaped slash", nil, get(t, "https://h/a/b"), get(t, "https://h/a%2fb")},
		{"escaped percent", nil, get(t, "https://h/%2541"), get(t, "https://h/A")},
		{"escaped dots", nil, get(t, "https://h/%2e%2e/b"), get(t, "https://h/../b")},
		{"path's case", nil, get(t, "https://h/a"), get(t, "https://h/A")},
		{"escaped question mark", nil, get(t, "https://h/a?b"), get(t, "https://h/a%3Fb")},
		{"empty query", nil, get(t, "https://h/"), get(t, "https://h/?")},
		{"no value", nil, get(t, "https://h/?a"), get(t, "https://h/?a=")},
		{"order", nil, get(t, "https://h/?crop=5&resize=10"), get(t, "https://h/?resize=10&crop=5")},
		{"order of one name", sorted, get(t, "https://h/?a=1&a=2"), get(t, "https://h/?a=2&a=1")},
		{"order of one name escaped", sorted, get(t, "https://h/?a=1&%61=2"), get(t, "https://h/?%61=2&a=1")},
		{"order of an array", sorted, get(t, "https://h/?a[]=1&a[0]=2"), get(t, "https://h/?a[0]=2&a[]=1")},
		{"order with semicolons", sorted, get(t, "https://h/?b;a=1&a=2"), get(t, "https://h/?a=2&b;a=1")},
		{"escaped ampersand", nil, get(t, "https://h/?a=1%26b=2"), get(t, "https://h/?a=1&b=2")},
		{"escaped equals", nil, get(t, "https://h/?a%3Db=c"), get(t, "https://h/?a=b=c")},
		{"plus and space", nil, get(t, "https://h/?a=+"), get(t, "https://h/?a=%20")},
		{"plus", nil, get(t, "https://h/?a=+"), get(t, "https://h/?a=%2B")},
		{"malformed escape", nil, get(t, "https://h/?a=%zz"), get(t, "https://h/?a=%25zz")},
		{"brace", nil, get(t, "https://h/?a={"), get(t, "https://h/?a={7B}")},
		{"escaped brace", nil, get(t, "https://h/?a={"), get(t, "https://h/?a=%7B")},
		{"what looks like a digest", nil, get(t, "https://h/?token=a"), get(t, "https://h/?token={sha256:"+request.HeaderHash("a")+"}")},
		{"tail of a long URL", nil, get(t, "https://h/"+strings.Repeat("a", 2000)), get(t, "https://h/"+strings.Repeat("a", 1999)+"b")},
		{"ignored beginning", utm, get(t, "https://h/?utm=1"), get(t, "https://h/")},
		{"ignored case", utm, get(t, "https://h/?UTM_a=1"), get(t, "https://h/")},
		{"ignored with a semicolon", utm, get(t, "https://h/?a=1;b=1"), get(t, "https://h/?a=1;b=2")},
		{"ignored value", utm, get(t, "https://h/?b=a"), get(t, "https://h/?b=")},

		{"user", nil, get(t, "https://a@h/"), get(t, "https://b@h/")},
		{"user and none", nil, get(t, "https://a@h/"), get(t, "https://h/")},
		{"password", nil, get(t, "https://a:b@h/"), get(t, "https://a:c@h/")},
		{"Host", nil, get(t, "https://h/"), withHost(get(t, "https://h/"), "other")},
		{"Host and URL", nil, withHost(get(t, "https://h/"), "other"), withHost(get(t, "https://other/"), "h")},
		{"Host's port", nil, get(t, "https://h/"), withHost(get(t, "https://h/"), "h:80")},
		{"credentials", nil, spelled(t, "Authorization", "a"), spelled(t, "Authorization", "b")},
		{"credentials besides empty ones", nil, withURL(spelled(t, "Authorization", "", "Authorization", "a"), t, "https://a@h/"), withURL(spelled(t, "Authorization", "", "Authorization", "b"), t, "https://a@h/")},
		{"credentials' header", nil, spelled(t, "Authorization", "a"), spelled(t, "Cookie", "a")},
		{"unknown header", nil, spelled(t, "X-Tenant", "a"), spelled(t, "X-Tenant", "b")},
		{"other spelling", nil, spelled(t, "x-tenant", "a"), spelled(t, "X-Tenant", "b")},
		{"absent", nil, spelled(t, "Accept", ""), spelled(t)},
		{"absent secret", nil, spelled(t, "X-Api-Key", ""), spelled(t)},
		{"lines", nil, spelled(t, "Accept", "a", "Accept", "b"), spelled(t, "Accept", "a, b")},
		{"lines' order", nil, spelled(t, "Accept", "a", "Accept", "b"), spelled(t, "Accept", "b", "Accept", "a")},
		{"what looks like two", nil, spelled(t, "Accept", "a | Range: b"), spelled(t, "Accept", "a", "Range", "b")},
		{"what looks like an escape", nil, spelled(t, "Accept", "|"), spelled(t, "Accept", "{7C}")},
		{"what looks like a digest in a header", nil, spelled(t, "Accept", "{sha256:"+request.HeaderHash("a")+"}"), spelled(t, "Accept", "a")},
		{"referer", nil, spelled(t, "Referer", "https://a/"), spelled(t)},
		{"referer of the caller's own", nil, redirected(spelled(t, "Referer", "https://a/"), t, "https://b/"), spelled(t)},
		{"Range", chosen, spelled(t, "Range", "bytes=0-1"), spelled(t)},
		{"credentials that were not chosen", chosen, spelled(t, "Cookie", "a"), spelled(t, "Cookie", "b")},
		{"chosen", chosen, spelled(t, "X-B", "a"), spelled(t, "X-B", "b")},
		{"chosen that is neutral", chosen, spelled(t, "User-Agent", "a"), spelled(t, "User-Agent", "b")},
	} {
		e := request.Any(test.opts)
		if a, b := anyKey(t, e, test.a), anyKey(t, e, test.b); a == b {
			t.Errorf("%s: both have the key %+v", test.name, a)
		}
	}
}

func withURL(req *http.Request, t testing.TB, raw string) *http.Request {
	t.Helper()
	req.Method, req.URL = "GET", mustParse(t, raw)
	req.Host = req.URL.Host
	return req
}

func TestRequestsOfAnyThatAreTheSame(t *testing.T) {
	basic := get(t, "https://h/")
	basic.SetBasicAuth("a", "b")
	opts := &request.AnyOptions{
		IgnoreQuery:   []string{"utm_*", "a", "é"},
		IgnoreHeaders: []string{"x-a", "X-TRACE-*", "cookie"},
	}
	chosen := &request.AnyOptions{Headers: []string{}}
	for _, test := range []struct {
		name string
		opts *request.AnyOptions
		a, b *http.Request
	}{
		{"fragment", nil, get(t, "https://h/#a"), get(t, "https://h/")},
		{"Host as in the URL", nil, withHost(get(t, "https://h/"), "H:443"), withHost(get(t, "https://h/"), "")},
		{"user", nil, get(t, "https://a:b@h/"), basic},
		{"user besides credentials", nil, withURL(spelled(t, "Authorization", "x"), t, "https://a@h/"), spelled(t, "Authorization", "x")},
		{"user instead of empty credentials", nil, withURL(spelled(t, "Authorization", ""), t, "https://a:b@h/"), basic},
		{"header name", nil, spelled(t, "x-tenant", "a"), spelled(t, "X-Tenant", "a")},
		{"spaces", nil, spelled(t, "Accept", " a\t"), spelled(t, "Accept", "a")},
		{"header without lines", nil, withNil(spelled(t), "Accept"), spelled(t)},
		{"neutral", nil, spelled(t, "User-Agent", "a", "traceparent", "b", "If-None-Match", "c", "Cache-Control", "d"), spelled(t)},
		{"type without a body", nil, spelled(t, "Content-Type", jsonType), spelled(t)},
		{"what is not sent", nil, spelled(t, "Host", "a", "content-length", "1"), spelled(t)},
		{"query's order", &request.AnyOptions{SortQuery: true}, get(t, "https://h/?b=1&a=2&b=2&c"), get(t, "https://h/?c&a=2&b=1&b=2")},
		{"ignored parameters", opts, get(t, "https://h/?utm_a=1&b=1&utm%5Fb&a=2&%C3%A9=1"), get(t, "https://h/?b=1")},
		{"ignored parameters alone", opts, get(t, "https://h/?utm_a=1&a"), get(t, "https://h/")},
		{"ignored headers", opts, spelled(t, "X-A", "a", "x-trace-id", "b", "Cookie", "c"), spelled(t)},
		{"any parameter", &request.AnyOptions{IgnoreQuery: []string{"*"}}, get(t, "https://h/?a;b=%zz&c"), get(t, "https://h/?")},
		{"any header", &request.AnyOptions{IgnoreHeaders: []string{"*"}}, spelled(t, "A", "b", "Range", "c"), get(t, "https://user@h/")},
		{"referer of a redirect", nil, redirected(spelled(t, "Referer", "https://a/?b"), t, "https://u:p@a/?b"), spelled(t)},
		{"not chosen", chosen, spelled(t, "Accept", "a", "X-B", "b"), spelled(t)},
	} {
		e := request.Any(test.opts)
		if a, b := anyKey(t, e, test.a), anyKey(t, e, test.b); a != b {
			t.Errorf("%s: the keys are\n%+v\n%+v", test.name, a, b)
		}
	}
}

// redirected is req as a client makes it after a redirect.
func redirected(req *http.Request, t testing.TB, from string) *http.Request {
	t.Helper()
	req.Response = &http.Response{Request: get(t, from)}
	return req
}

func withNil(req *http.Request, name string) *http.Request {
	req.Header[name] = nil
	return req
}
