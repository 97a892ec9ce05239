package request_test

import (
	"context"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/endpointcache/endpointcache/request"
)

type fuzzKey struct {
	ID     string `path:"id"`
	Rest   string `path:"rest"`
	N      int    `query:"n" default:"1"`
	Q      string `query:"q"`
	List   string `query:"list,list"`
	Set    string `query:"set,set"`
	Header string `header:"X-Header"`
}

var fuzzEndpoint = request.Pattern[fuzzKey]("/v1/{rest...}/by/@{id}.json?fixed=%26", request.IgnoreQuery("ignored"))

func FuzzPattern(f *testing.F) {
	for _, pattern := range []string{
		"", "/", "GET /v1/{id}", "api.example.com/{id...}/x", "GET|HEAD https://h/{id}", "/a%2F{id}.json?a=b&c",
		"/{id}{id}", "[::1]:80/{id}", "/{id", "/}{id}", "/./{id}", "é.example/é/{id}",
	} {
		f.Add(pattern, "x")
	}
	f.Fuzz(func(t *testing.T, pattern, value string) {
		e, err := request.ParsePattern[string](pattern)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "request: pattern ") {
				t.Errorf("error is %v", err)
			}
			return
		}
		req, err := e.Request(context.Background(), nil, value)
		if err != nil { // the pattern may have no host
			if req, err = e.Request(context.Background(), api, value); err != nil {
				return
			}
		}
		if got, ok, err := e.Key(req); err != nil || !ok || got != value {
			t.Errorf("pattern %q: key %q became %s, which is %q, %t, %v", pattern, value, req.URL, got, ok, err)
		}
	})
}

func FuzzPathRoundTrip(f *testing.F) {
	for _, s := range []string{"a", "a/b", "..", "%2F", "a%252Fb", "//", "é\xff", ";,?#+ ", "by/@x.json"} {
		f.Add(s, s, s)
	}
	type key struct {
		A    string `path:"a"`
		Rest string `path:"rest"`
		B    string `path:"b"`
	}
	e := request.Pattern[key]("/{a}/{rest...}/x{b}")
	f.Fuzz(func(t *testing.T, a, rest, b string) {
		want := key{a, rest, b}
		req, err := e.Request(context.Background(), api, want)
		if err != nil {
			if a != "" && rest != "" && b != "" && !strings.Contains(a+"/"+rest+"/x"+b, ".") {
				t.Errorf("Request(%+q): %v", want, err)
			}
			return
		}
		wantKey(t, e, req, want)
		wantKey(t, e, get(t, req.URL.String()), want)
	})
}

func FuzzInjective(f *testing.F) {
	f.Add("a", "b", 0, "q", "a,b", "a,b", "h", "a", "b/c", 1, "q", `a\,b`, "a", "h,h")
	f.Add("a", "b", 1, "", "", "", "", "a", "b", 1, "", `\e`, `\e`, "")
	f.Add("@a.json", "x/by", 1, "a&q=b", "a", "a", " h", "a.json", "/", 1, "a+b", "a", "a", "h\t")
	f.Fuzz(func(t *testing.T, id1, rest1 string, n1 int, q1, list1, set1, h1, id2, rest2 string, n2 int, q2, list2, set2, h2 string) {
		k1 := fuzzKey{id1, rest1, n1, q1, list1, set1, h1}
		k2 := fuzzKey{id2, rest2, n2, q2, list2, set2, h2}
		wire1, wire2 := fuzzRequest(t, k1), fuzzRequest(t, k2)
		if wire1 != "" && wire1 == wire2 && normalKey(t, k1) != normalKey(t, k2) {
			t.Errorf("%#v and %#v are both asked for with %q", k1, k2, wire1)
		}
	})
}

// fuzzRequest returns what is sent for k, or "" if nothing is.
func fuzzRequest(t *testing.T, k fuzzKey) string {
	req, err := fuzzEndpoint.Request(context.Background(), api, k)
	if err != nil {
		return ""
	}
	wantKey(t, fuzzEndpoint, req, normalKey(t, k))
	var b strings.Builder
	if err := req.Write(&b); err != nil {
		t.Errorf("%#v: %v", k, err)
	}
	return b.String()
}

// normalKey is k with its set as a request has it.
func normalKey(t *testing.T, k fuzzKey) fuzzKey {
	values, err := request.SplitList(k.Set)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(values)
	k.Set = request.JoinList(slices.Compact(values)...)
	return k
}

// FuzzKey makes requests of any URL: one that has a key is the same as the one
// built for that key.
func FuzzKey(f *testing.F) {
	f.Add("/v1/a/b/by/@x.json", "fixed=%26&n=2&q=a+b&list=a&list=b&set=b&set=a", "h")
	f.Add("/v1/a//by/@%2F.json", "fixed=%26&ignored", " h, h")
	f.Add("/v1/%41;/by/@..json", "&&fixed=%26&q", "")
	f.Fuzz(func(t *testing.T, path, query, header string) { checkKey(t, path, query, header) })
}

// checkKey reports whether the request has a key.
func checkKey(t *testing.T, path, query, header string) bool {
	decoded, err := url.PathUnescape(path)
	if err != nil {
		return false
	}
	u := &url.URL{Scheme: "https", Host: "api.example.com", Path: decoded, RawPath: path, RawQuery: query}
	k, ok, err := fuzzEndpoint.Key(&http.Request{URL: u, Header: http.Header{"X-Header": {header}}})
	if err != nil {
		t.Fatal(err)
	}
	if !ok {
		return false
	}
	built, err := fuzzEndpoint.Request(context.Background(), api, k)
	if err != nil {
		if !strings.Contains(err.Error(), "no header can have") {
			t.Errorf("%s has key %#v, but: %v", u, k, err)
		}
		return true
	}
	if got, want := built.URL.Path, u.Path; got != want {
		t.Errorf("path is %q, want %q", got, want)
	}
	if got, want := strings.Count(built.URL.EscapedPath(), "/"), strings.Count(u.EscapedPath(), "/"); got != want {
		t.Errorf("path of %s has %d segments, want %d", built.URL, got, want)
	}
	if diff := cmp.Diff(normalQuery(u), normalQuery(built.URL)); diff != "" {
		t.Errorf("query of %s: -want +got\n%s", built.URL, diff)
	}
	return true
}

// normalQuery is the query of u without what is documented to be no difference.
func normalQuery(u *url.URL) url.Values {
	values := u.Query()
	delete(values, "ignored")
	if values.Get("n") == "1" {
		delete(values, "n")
	}
	if values.Get("q") == "" {
		delete(values, "q")
	}
	if values.Has("set") {
		slices.Sort(values["set"])
		values["set"] = slices.Compact(values["set"])
	}
	return values
}

// The fuzzers seldom find what comes near to a match; these make little else.
func pick(r *rand.Rand, parts ...string) string {
	var b strings.Builder
	for range r.IntN(4) {
		b.WriteString(parts[r.IntN(len(parts))])
	}
	return b.String()
}

func TestNoTwoKeysMakeOneRequest(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	text := func() string {
		return pick(r, "a", "/", ".", "%", "2F", "@", ".json", "by/", "&", "=", " ", "+", ";", "\xff")
	}
	values := func() string { return pick(r, "a", "b", ",", `\`, `\e`, "a,b", `\,`, " ") }
	seen := make(map[string]fuzzKey)
	for range 50_000 {
		k := fuzzKey{text(), text(), r.IntN(2), text(), values(), values(), pick(r, "a", ",", " ", "\t", "\n")}
		wire := fuzzRequest(t, k)
		if other, ok := seen[wire]; ok && wire != "" && normalKey(t, other) != normalKey(t, k) {
			t.Fatalf("%#v and %#v are both asked for with %q", k, other, wire)
		}
		seen[wire] = k
	}
	if len(seen) < 2_000 {
		t.Errorf("only %d requests were made", len(seen))
	}
}

func TestRequestWithAKeyIsTheOneBuiltForIt(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	matched := 0
	for range 50_000 {
		text := func() string { return pick(r, "a", "/", ".", "%2f", "%2e", "%41", ";", "by/@", "é", "") }
		query := pick(r, "&q=", "&q=a", "&q=%20", "&n=1", "&n=2", "&list=a", "&list=,", "&set=b&set=a", "&set=", "&set=b", "&ignored=x", "&")
		if checkKey(t, "/v1/"+text()+"/by/@"+text()+".json", "fixed=%26"+query, pick(r, "a", " ", ",")) {
			matched++
		}
	}
	if matched < 2_000 {
		t.Errorf("only %d requests matched", matched)
	}
}

func FuzzJSONBodyHash(f *testing.F) {
	f.Add(`{"a":[1,{"b":null}],"c":"\ud800"}`)
	f.Fuzz(func(t *testing.T, text string) {
		h, err := request.JSONBodyHash(once(t, strings.NewReader(text)))
		if err != nil {
			return
		}
		if spaced, err := request.JSONBodyHash(once(t, strings.NewReader(" "+text+"\n"))); err != nil || spaced != h {
			t.Errorf("with white space the hash is %s, %v, want %s", spaced, err, h)
		}
		if nested, err := request.JSONBodyHash(once(t, strings.NewReader("["+text+"]"))); err == nil && nested == h {
			t.Error("an array with the text has its hash")
		}
	})
}
