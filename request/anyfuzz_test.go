package request_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/textproto"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/endpointcache/endpointcache/request"
)

// raw is a request by its parts; an empty name or body is absent.
type raw struct{ method, url, name, value, contentType, body string }

// request returns nil where there is no such request.
func (r raw) request() *http.Request {
	req, err := http.NewRequest(r.method, r.url, strings.NewReader(r.body))
	if err != nil {
		return nil
	}
	if r.name != "" {
		req.Header[r.name] = []string{r.value}
	}
	if r.contentType != "" {
		req.Header.Set("Content-Type", r.contentType)
	}
	return req
}

var escape = regexp.MustCompile(`%[0-9A-Fa-f]{2}`)

// plain has every escape that stands for a letter, say, replaced by it.
func plain(s string) string {
	return escape.ReplaceAllStringFunc(s, func(escape string) string {
		text, _ := url.PathUnescape(escape)
		if text != "" && strings.Contains("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~", text) {
			return text
		}
		return strings.ToUpper(escape)
	})
}

// meaning is the same for two requests only if they mean the same, by rules that
// are told in other words than those that make keys.
func (r raw) meaning(req *http.Request) string {
	u := req.URL
	host := strings.ToLower(u.Host)
	switch strings.ToLower(u.Scheme) {
	case "http":
		host = strings.TrimSuffix(host, ":80")
	case "https":
		host = strings.TrimSuffix(host, ":443")
	}
	path := plain(u.EscapedPath())
	if path == "" {
		path = "/"
	}
	query := fmt.Sprintf("%s %t", plain(u.RawQuery), u.ForceQuery)
	header := ""
	if name := textproto.CanonicalMIMEHeaderKey(r.name); len(req.Header[r.name]) > 0 && name != "Content-Type" {
		header = name + ":" + strings.Trim(req.Header[r.name][0], " \t\r\n")
	}
	contentType := ""
	if r.body != "" {
		contentType = fmt.Sprintf("%q", strings.Trim(req.Header.Get("Content-Type"), " \t\r\n"))
	}
	return fmt.Sprintf("%q %q %q %q %q %q %q %s %q", cmp.Or(r.method, "GET"), strings.ToLower(u.Scheme), strings.TrimSuffix(host, ":"),
		path, query, u.User, header, contentType, r.body)
}

// checkAny checks the key of the request, which it returns, "" for none.
func checkAny(t *testing.T, e request.Endpoint[request.AnyKey], r raw) (meaning string, key request.AnyKey) {
	t.Helper()
	req := r.request()
	if req == nil {
		return "", key
	}
	key, ok, err := e.Key(req)
	if err != nil {
		t.Fatal(err)
	}
	if !ok {
		return "", key
	}
	if again, _, _ := e.Key(req); again != key {
		t.Errorf("%+q has the key %+q, then %+q", r, key, again)
	}
	text := key.URL + key.Headers + key.Body
	if len(text) > 1800 || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
		t.Errorf("%+q has the key %+q", r, key)
	}
	built, err := e.Request(context.Background(), nil, key)
	switch {
	case errors.Is(err, request.ErrNoRequest):
	case err != nil:
		t.Errorf("%+q: %v", r, err)
	default:
		wantKey(t, e, built, key)
	}
	return r.meaning(req), key
}

func oneOf(r *rand.Rand, texts ...string) string { return texts[r.IntN(len(texts))] }

func TestNoTwoRequestsShareAKeyOfAny(t *testing.T) {
	e := request.Any(nil)
	r := rand.New(rand.NewPCG(5, 6))
	seen := make(map[request.AnyKey]string)
	shared := 0
	for range 60_000 {
		header := pick(r, "a", " ", ",", "|", "{7C}", ": ")
		one := raw{
			method: oneOf(r, "GET", "", "g"),
			url: oneOf(r, "https", "HTTP") + "://" + oneOf(r, "h", "H:443", "h:80", "h:") + "/" +
				oneOf(r, "", "a", "/", ".", "%2e", "%2f", "%2F", "%61", "{", "%7B") + oneOf(r, "?", "#", "?b&") +
				pick(r, "a", "A", "=", "&", "&", "b", "%3d", "%61", "+", "%20", ";", "%", "{25}", "token="),
		}
		if r.IntN(3) == 0 {
			one.name, one.value = pick(r, "Accept", "accept", "X-a", "Range"), header
		}
		if r.IntN(3) == 0 {
			one.body, one.contentType = pick(r, "a", "b", "=", "&"), pick(r, "a", "/", formType)
		}
		meaning, key := checkAny(t, e, one)
		if meaning == "" {
			continue
		}
		if other, ok := seen[key]; ok {
			shared++
			if other != meaning {
				t.Fatalf("the key %+q is that of\n%s\n%s", key, other, meaning)
			}
		}
		seen[key] = meaning
	}
	if len(seen) < 2_000 || shared < 2_000 {
		t.Errorf("only %d keys, %d of them again", len(seen), shared)
	}
}

func FuzzAny(f *testing.F) {
	f.Add("GET", "https://h/a?b=1&a=2", "Accept", "a", "", "", "GET", "https://H:443/a?a=2&b=1", "accept", " a", "", "")
	f.Add("POST", "https://h/a", "", "", "", "b", "POST", "https://h/ab", "", "", "", "")
	f.Add("POST", "https://h/", "", "", formType, "a=1%26b=2", "POST", "https://h/", "", "", formType, "a=1&b=2")
	f.Add("GET", "https://u:p@h/?token=a;b=%zz&c", "Cookie", "a", jsonType, `{"a":1}`, "GET", "http://[::1]:80?", "Range", "|", jsonType, `{"a":1.0}`)
	e := request.Any(nil)
	f.Fuzz(func(t *testing.T, method1, url1, name1, value1, type1, body1, method2, url2, name2, value2, type2, body2 string) {
		if multi := "multipart"; strings.Contains(strings.ToLower(type1+type2), multi) {
			return // see FuzzAnyBody
		}
		meaning1, key1 := checkAny(t, e, raw{method1, url1, name1, value1, type1, body1})
		meaning2, key2 := checkAny(t, e, raw{method2, url2, name2, value2, type2, body2})
		if meaning1 != "" && key1 == key2 && meaning1 != meaning2 && !hasNeutral(name1) && !hasNeutral(name2) {
			t.Errorf("the key %+q is that of\n%s\n%s", key1, meaning1, meaning2)
		}
	})
}

// hasNeutral tells whether a header may be no part of the key.
func hasNeutral(name string) bool {
	key, ok, _ := request.Any(nil).Key(raw{"GET", "https://h/", name, "x", "", ""}.request())
	return ok && key.Headers == ""
}

// FuzzAnyBody makes bodies of any kind: with the rest of two requests the same,
// those with one key differ in what is ignored alone.
func FuzzAnyBody(f *testing.F) {
	f.Add(formType, "a=1&x=2", "x=1&a=1")
	f.Add(formType, "a=1;x=2", "a=1")
	f.Add(jsonType, `{"a":[1,{"x":2}],"x":3}`, `{"a":[1,{"x":2}]}`)
	f.Add(jsonType, `[1.10]`, `[1.1]`)
	f.Add("multipart/form-data; boundary=b", parts("b", part("a", "1")), parts("b", part("x", "1")))
	f.Add("multipart/mixed; boundary=b", "--b\n\na\n--b--", "--b\r\n\r\na\r\n--b--\r\n")
	exact, ignoring := request.Any(nil), request.Any(&request.AnyOptions{IgnoreBody: []string{"x", "/a/*/x"}})
	f.Fuzz(func(t *testing.T, contentType, body1, body2 string) {
		one, two := post(t, contentType, body1), post(t, contentType, body2)
		same := anyKey(t, exact, one) == anyKey(t, exact, two)
		if multi := strings.HasPrefix(strings.ToLower(strings.TrimSpace(contentType)), "multipart/"); same && body1 != body2 && !multi {
			t.Errorf("%q and %q share a key", body1, body2)
		}
		if same && anyKey(t, ignoring, one) != anyKey(t, ignoring, two) {
			t.Errorf("%q and %q share a key only where all counts", body1, body2)
		}
	})
}
