package request_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/endpointcache/endpointcache/request"
)

const (
	jsonType = "application/json"
	formType = "application/x-www-form-urlencoded"
)

// post is a request with a body of that type; "" is no type.
func post(t testing.TB, contentType, body string, header ...string) *http.Request {
	t.Helper()
	req := again(t, body)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	return req
}

// parts is a multipart body.
func parts(boundary string, parts ...string) string {
	var b strings.Builder
	for _, part := range parts {
		b.WriteString("--" + boundary + "\r\n" + part + "\r\n")
	}
	b.WriteString("--" + boundary + "--\r\n")
	return b.String()
}

func part(name, value string) string {
	return "Content-Disposition: form-data; name=\"" + name + "\"\r\nContent-Type: text/plain\r\n\r\n" + value
}

func TestBodiesOfAnyThatDiffer(t *testing.T) {
	multi := func(boundary string, list ...string) *http.Request {
		return post(t, "multipart/form-data; boundary="+boundary, parts(boundary, list...))
	}
	ignoring := &request.AnyOptions{IgnoreBody: []string{"now", "/a/b", "/*/c"}}
	for _, test := range []struct {
		name string
		opts *request.AnyOptions
		a, b *http.Request
	}{
		{"bytes", nil, post(t, jsonType, `{"a":1}`), post(t, jsonType, `{"a": 1}`)},
		{"type", nil, post(t, jsonType, "a=1"), post(t, formType, "a=1")},
		{"no type", nil, post(t, "", "a"), post(t, "text/plain", "a")},
		{"empty type", nil, post(t, "", "a"), post(t, "", "a", "Content-Type", "")},
		{"two types", nil, post(t, "a/b", "a", "Content-Type", "c/d"), post(t, "a/b, c/d", "a")},
		{"type and body", nil, post(t, "text/a", "bc"), post(t, "text/ab", "c")},
		{"encoding", nil, post(t, jsonType, "a"), post(t, jsonType, "a", "Content-Encoding", "br")},
		{"type and encoding", nil, post(t, "br", "a"), post(t, "", "a", "Content-Encoding", "br")},
		{"none and empty JSON", ignoring, post(t, jsonType, ""), post(t, jsonType, "{}")},
		{"form that joins", ignoring, post(t, formType, "a=1%26b%3D2"), post(t, formType, "a=1&b=2")},
		{"form with equals", ignoring, post(t, formType, "a=b=c"), post(t, formType, "a%3Db=c")},
		{"form order", ignoring, post(t, formType, "a=1&b=2"), post(t, formType, "b=2&a=1")},
		{"form order of one name", ignoring, post(t, formType, "a=1&a=2"), post(t, formType, "a=2&a=1")},
		{"form plus", ignoring, post(t, formType, "a=+"), post(t, formType, "a=%2B")},
		{"form semicolon", ignoring, post(t, formType, "now=1;a=1"), post(t, formType, "now=1;a=2")},
		{"form token", ignoring, post(t, formType, "token=a"), post(t, formType, "token=b")},
		{"form and JSON of one text", ignoring, post(t, formType, `""`), post(t, jsonType, `""`)},
		{"form of ignored and none", ignoring, post(t, formType, "now=1"), post(t, formType, "")},
		{"numbers", ignoring, post(t, jsonType, `{"n":1.10}`), post(t, jsonType, `{"n":1.1}`)},
		{"large numbers", ignoring, post(t, jsonType, `{"n":9007199254740993}`), post(t, jsonType, `{"n":9007199254740992}`)},
		{"number and text", ignoring, post(t, jsonType, `{"n":1}`), post(t, jsonType, `{"n":"1"}`)},
		{"member twice", ignoring, post(t, jsonType, `{"n":1,"n":2}`), post(t, jsonType, `{"n":2,"n":1}`)},
		{"member twice or once", ignoring, post(t, jsonType, `{"n":1,"n":2}`), post(t, jsonType, `{"n":2}`)},
		{"further in", ignoring, post(t, jsonType, `{"x":{"now":1}}`), post(t, jsonType, `{"x":{"now":2}}`)},
		{"further out", ignoring, post(t, jsonType, `{"b":1}`), post(t, jsonType, `{"b":2}`)},
		{"other case", ignoring, post(t, jsonType, `{"Now":1}`), post(t, jsonType, `{"Now":2}`)},
		{"array", ignoring, post(t, jsonType, `["now",1]`), post(t, jsonType, `["now",2]`)},
		{"malformed JSON", ignoring, post(t, jsonType, `{"now":1`), post(t, jsonType, `{"now":2`)},
		{"two JSON texts", ignoring, post(t, jsonType, `{"now":1}{"a":1}`), post(t, jsonType, `{"now":1}{"a":2}`)},
		{"JSON that is encoded", ignoring, post(t, jsonType, `{"now":1}`, "Content-Encoding", "x"), post(t, jsonType, `{"now":2}`, "Content-Encoding", "x")},
		{"JSON that is called text", ignoring, post(t, "text/plain", `{"now":1}`), post(t, "text/plain", `{"now":2}`)},
		{"part", nil, multi("x", part("a", "1")), multi("x", part("a", "2"))},
		{"part's name", nil, multi("x", part("a", "1")), multi("x", part("b", "1"))},
		{"parts' order", nil, multi("x", part("a", "1"), part("b", "2")), multi("x", part("b", "2"), part("a", "1"))},
		{"parts in one", nil, multi("x", part("a", "1"), part("b", "2")), multi("x", part("a", "1\r\n--y\r\n"+part("b", "2")))},
		{"multipart type", nil, multi("x", part("a", "1")), post(t, "multipart/mixed; boundary=x", parts("x", part("a", "1")))},
		{"multipart without an end", nil, post(t, "multipart/mixed; boundary=x", "--x\r\n\r\na"), post(t, "multipart/mixed; boundary=x", "--x\r\n\r\nb")},
		{"multipart without parts", nil, post(t, "multipart/mixed; boundary=x", "a"), post(t, "multipart/mixed; boundary=x", "b")},
		{"multipart without a boundary", nil, post(t, "multipart/mixed", "a"), post(t, "multipart/mixed", "b")},
		{"part that is not ignored", ignoring, multi("x", part("nows", "1")), multi("x", part("nows", "2"))},
	} {
		e := request.Any(test.opts)
		if a, b := anyKey(t, e, test.a), anyKey(t, e, test.b); a == b {
			t.Errorf("%s: both have the key %+v", test.name, a)
		}
	}
}

func TestBodiesOfAnyThatAreTheSame(t *testing.T) {
	multi := func(boundary string, list ...string) *http.Request {
		return post(t, "Multipart/Form-Data; Boundary="+boundary, parts(boundary, list...))
	}
	ignoring := &request.AnyOptions{IgnoreBody: []string{"now", "x_*", "/a/b", "/*/c", "/~1/~0"}}
	sorted := &request.AnyOptions{IgnoreBody: ignoring.IgnoreBody, SortQuery: true}
	for _, test := range []struct {
		name string
		opts *request.AnyOptions
		a, b *http.Request
	}{
		{"type's header name", nil, post(t, "", "a", "content-type", " a/b "), post(t, "a/b", "a")},
		{"type without a body", nil, post(t, jsonType, ""), post(t, "", "")},
		{"type that is ignored", &request.AnyOptions{IgnoreHeaders: []string{"content-TYPE"}}, post(t, jsonType, "a"), post(t, "", "a")},
		{"form", ignoring, post(t, formType, "a=1&now=1&b=2&x_1"), post(t, formType, "a=1&n%6Fw&b=2")},
		{"sorted form", sorted, post(t, formType, "b=2&now=1&a=1&x_1"), post(t, formType, "a=1&n%6Fw&b=2")},
		{"form with a charset", ignoring, post(t, formType+"; charset=utf-8", "now=1"), post(t, formType+"; charset=utf-8", "now=2")},
		{"JSON", ignoring, post(t, jsonType, `{"b":2,"a":1,"now":3,"x_1":{}}`), post(t, jsonType, ` {"a":1, "\u006eow":[], "b":2}`)},
		{"JSON of an API", ignoring, post(t, "application/vnd.x+json", `{"now":1}`), post(t, "application/vnd.x+json", `{}`)},
		{"pointer", ignoring, post(t, jsonType, `{"a":{"b":1}}`), post(t, jsonType, `{"a":{}}`)},
		{"pointer to any member", ignoring, post(t, jsonType, `{"z":{"c":1}}`), post(t, jsonType, `{"z":{}}`)},
		{"pointer to any index", ignoring, post(t, jsonType, `[{"c":1},{"c":2}]`), post(t, jsonType, `[{},{}]`)},
		{"pointer with escapes", ignoring, post(t, jsonType, `{"/":{"~":1}}`), post(t, jsonType, `{"/":{"~":2}}`)},
		{"boundary", nil, multi("x", part("a", "1")), multi("yy", part("a", "1"))},
		{"part's headers", nil, multi("x", "A: 1\r\nB: 2\r\n\r\nx"), multi("x", "b: 2\r\na:  1\r\n\r\nx")},
		{"part that is ignored", ignoring, multi("x", part("a", "1"), part("now", "1")), multi("x", part("a", "1"))},
		{"all", &request.AnyOptions{IgnoreBody: []string{"*"}}, post(t, jsonType, "a"), post(t, formType, "")},
	} {
		e := request.Any(test.opts)
		if a, b := anyKey(t, e, test.a), anyKey(t, e, test.b); a != b {
			t.Errorf("%s: the keys are %+v and %+v", test.name, a, b)
		}
	}
}
