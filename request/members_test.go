package request_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/endpointcache/endpointcache/internal/endpoint"
	"github.com/endpointcache/endpointcache/request"
)

// searchKey has a member of every kind.
type searchKey struct {
	Index   string `path:"index"`
	Page    int    `query:"page" default:"1"`
	Query   string `body:"q,required"`
	Sector  string `body:"filter.sector"`
	Min     int    `body:"filter.range.min" default:"-1"`
	Open    bool   `body:"filter.open"`
	Tags    string `body:"tags,set"`
	Order   string `body:"order,list"`
	Weight  string `body:"weight,number"`
	IDs     string `body:"ids,set,number"`
	Version string `body:"@api\\.v,required" column:"version"`
}

const searchPattern = "POST /v1/{index}/search"

var search = request.Pattern[searchKey](searchPattern, request.IgnoreMembers("trace", `filter.\.debug*`))

// searchFor is a POST with a JSON body.
func searchFor(t testing.TB, body string, header ...string) *http.Request {
	t.Helper()
	req, err := http.NewRequest("POST", "https://api.example.com/v1/songs/search", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	return req
}

func TestAKeyIsTakenFromTheMembersOfABody(t *testing.T) {
	least := searchKey{Index: "songs", Page: 1, Query: "a", Min: -1, Version: "2"}
	with := func(change func(*searchKey)) searchKey {
		k := least
		change(&k)
		return k
	}
	for body, want := range map[string]searchKey{
		`{"q":"a","@api.v":"2"}`:                                           least,
		" {\n\"\\u0040api.v\" : \"\\u0032\", \"q\":\"a\" }\n":              least,
		`{"q":"a","@api.v":"2","filter":{"sector":"","range":{"min":-1}}}`: least,
		`{"q":"a","@api.v":"2","trace":{"id":[1]},"trace":null}`:           least,
		`{"q":"a","@api.v":"2","filter":{".debug":1,".debugs":2}}`:         least,
		`{"q":"","@api.v":"2"}`:                                            with(func(k *searchKey) { k.Query = "" }),
		`{"q":"a","@api.v":"2","filter":{"range":{"min":7},"open":true,"sector":"x,\u00e9\ud83d\ude00"}}`: with(func(k *searchKey) {
			k.Sector, k.Min, k.Open = "x,é😀", 7, true
		}),
		`{"q":"a","@api.v":"2","tags":["b","a,c","b",""],"order":["b","a","b"]}`: with(func(k *searchKey) {
			k.Tags, k.Order = request.JoinList("", "a,c", "b"), "b,a,b"
		}),
		`{"q":"a","@api.v":"2","tags":[],"weight":-1.50e+2,"ids":[10,9,10,1.0]}`: with(func(k *searchKey) {
			k.Weight, k.IDs = "-1.50e+2", "1.0,10,9"
		}),
	} {
		for _, contentType := range []string{"", "application/json", "application/json; charset=UTF-8", "application/vnd.api+json"} {
			req := searchFor(t, body)
			if contentType != "" {
				req.Header.Set("Content-Type", contentType)
			}
			wantKey(t, search, req, want)
			if left, err := io.ReadAll(req.Body); err != nil || string(left) != body {
				t.Errorf("afterwards the body is %q, %v", left, err)
			}
		}
	}
}

func TestABodyThatTheKeyDoesNotHoldIsAnotherRequests(t *testing.T) {
	for _, body := range []string{
		"", " ", "{", "[]", "null", `"q"`, `{"q":"a","@api.v":"2"} {}`, `{"q":"a","@api.v":"2",}`,
		`{}`, `{"q":"a"}`, `{"q":null,"@api.v":"2"}`, `{"Q":"a","@api.v":"2"}`,
		`{"q":"a","@api.v":"2","more":1}`, `{"q":"a","@api.v":"2","filter":{"more":1}}`, `{"q":"a","@api.v":"2","Trace":1}`,
		`{"q":"a","@api.v":"2","q":"a"}`, `{"q":"a","@api.v":"2","q":"b"}`, `{"q":"a","@api.v":"2","filter":{"open":true},"filter":{"sector":"x"}}`,
		`{"q":"a","@api":{"v":"2"}}`, `{"q":"a","@api.v":"2","filter.sector":"x"}`,
		`{"q":1,"@api.v":"2"}`, `{"q":["a"],"@api.v":"2"}`, `{"q":{"a":1},"@api.v":"2"}`, `{"q":true,"@api.v":"2"}`,
		`{"q":"a","@api.v":"2","filter":{}}`, `{"q":"a","@api.v":"2","filter":{"range":{}}}`,
		`{"q":"a","@api.v":"2","filter":null}`, `{"q":"a","@api.v":"2","filter":"x"}`, `{"q":"a","@api.v":"2","filter":[{"sector":"x"}]}`,
		`{"q":"a","@api.v":"2","filter":{"range":{"min":"7"}}}`, `{"q":"a","@api.v":"2","filter":{"range":{"min":7.0}}}`,
		`{"q":"a","@api.v":"2","filter":{"range":{"min":-0}}}`, `{"q":"a","@api.v":"2","filter":{"range":{"min":1e2}}}`,
		`{"q":"a","@api.v":"2","filter":{"range":{"min":99999999999999999999}}}`,
		`{"q":"a","@api.v":"2","filter":{"open":"true"}}`, `{"q":"a","@api.v":"2","filter":{"open":1}}`,
		`{"q":"a","@api.v":"2","tags":"a"}`, `{"q":"a","@api.v":"2","tags":[1]}`, `{"q":"a","@api.v":"2","tags":[["a"]]}`,
		`{"q":"a","@api.v":"2","tags":null}`, `{"q":"a","@api.v":"2","tags":["a",null]}`,
		`{"q":"a","@api.v":"2","weight":"1"}`, `{"q":"a","@api.v":"2","ids":["1"]}`,
		`{"q":"\ud800","@api.v":"2"}`, `{"q":"\ufffd","@api.v":"2"}`, "{\"q\":\"\xff\",\"@api.v\":\"2\"}",
		`{"q":"` + strings.Repeat("a", request.DefaultBodyLimit) + `","@api.v":"2"}`,
		`{"q":"a","@api.v":"2","trace":` + strings.Repeat("[", 1<<19),
	} {
		wantNoKey(t, search, searchFor(t, body))
	}
	const body = `{"q":"a","@api.v":"2"}`
	for _, req := range []*http.Request{
		searchFor(t, body, "Content-Type", "text/plain"),
		searchFor(t, body, "Content-Type", "application/json; charset=utf-16"),
		searchFor(t, body, "Content-Type", "application/json", "Content-Type", "application/json"),
		searchFor(t, body, "Content-Encoding", "gzip"),
		searchFor(t, body, "content-type", "application/json/x"),
		do(t, "POST", "https://api.example.com/v1/songs/search"),
	} {
		wantNoKey(t, search, req)
	}
	put := searchFor(t, body)
	put.Method = http.MethodPut
	wantNoKey(t, search, put)
}

func TestABodyIsBuiltFromTheKey(t *testing.T) {
	for want, key := range map[string]searchKey{
		`{"q":"<a> & \"é\"\n","@api.v":""}`: {Index: "songs", Page: 1, Min: -1, Query: "<a> & \"é\"\n"},
		`{"q":"","filter":{"sector":"x","range":{"min":0},"open":true},"tags":["a","b"],"order":["b","a","b",""],"weight":1.50,"ids":[10,9],"@api.v":"2"}`: {
			Index: "songs", Page: 1, Sector: "x", Open: true, Tags: "b,a,b", Order: `b,a,b,\e`, Weight: "1.50", IDs: "9,10", Version: "2",
		},
	} {
		req, err := search.Request(t.Context(), api, key)
		if err != nil {
			t.Errorf("%+v: %v", key, err)
			continue
		}
		body, err := io.ReadAll(req.Body)
		// Min has a default, so that it is always there.
		if want := strings.Replace(want, `"é\"\n",`, `"é\"\n","filter":{"range":{"min":-1}},`, 1); err != nil || string(body) != want {
			t.Errorf("the body is %s, %v\nwant        %s", body, err, want)
		}
		if req.Method != "POST" || req.Header.Get("Content-Type") != "application/json" || req.ContentLength != int64(len(body)) {
			t.Errorf("%s with %v, %d bytes", req.Method, req.Header, req.ContentLength)
		}
		if req.GetBody == nil {
			t.Error("the body cannot be sent again")
		}
		key.Tags, key.IDs = sorted(t, key.Tags), sorted(t, key.IDs)
		wantKey(t, search, req, key)
	}
	for text, key := range map[string]searchKey{
		"field Query":              {Index: "songs", Query: "\xff"},
		"field Sector":             {Index: "songs", Sector: "\ufffd"},
		"field Weight":             {Index: "songs", Weight: "1,"},
		`field IDs: "a" is not a`:  {Index: "songs", IDs: "1,a"},
		"field Order":              {Index: "songs", Order: "a,,b"},
		"would not match":          {Index: "songs", Query: strings.Repeat("a", request.DefaultBodyLimit)},
		"an empty value has no pl": {},
	} {
		if _, err := search.Request(t.Context(), api, key); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("the error is %v, want one with %q", err, text)
		}
	}
}

// sorted is the text of a set in its normal form.
func sorted(t *testing.T, text string) string {
	t.Helper()
	return normalKey(t, fuzzKey{Set: text}).Set
}

func TestABodyOfOptionalMembersCanBeEmpty(t *testing.T) {
	type key struct {
		A string `body:"a"`
		B string `body:"b.c"`
	}
	e := parse[key](t, "PUT api.example.com/x", request.IgnoreMembers("*"))
	req, err := e.Request(t.Context(), nil, key{})
	if err != nil {
		t.Fatal(err)
	}
	if body, err := request.Body(req, 0); err != nil || string(body) != "{}" {
		t.Errorf("the body is %q, %v", body, err)
	}
	wantKey(t, e, req, key{})
	deep := parse[key](t, "POST /v1/songs/search", request.IgnoreMembers("meta.trace.id", "other.*", "all.x", "all"))
	wantKey(t, deep, searchFor(t, `{"meta":{"trace":{"id":[1]}},"other":{"x":1},"all":7,"a":"A"}`), key{A: "A"})
	for _, body := range []string{
		`{"meta":{"trace":{"id":1,"x":1}}}`, `{"meta":{"x":1}}`, `{"meta":{}}`, `{"meta":{"trace":{}}}`, `{"meta":1}`, `{"other":1}`,
	} {
		wantNoKey(t, deep, searchFor(t, body))
	}
	// Some servers take the one for the other.
	wantNoKey(t, parse[key](t, "POST /v1/songs/search", request.IgnoreMembers("*")), searchFor(t, `{"a":"A","A":"B"}`))
	ignoring := searchFor(t, `{"x":1,"b":{"d":2,"c":"C"},"y":[{}]}`)
	ignoring.Method, ignoring.URL.Path = "PUT", "/x"
	wantKey(t, e, ignoring, key{B: "C"})
}

func TestABodyThatCannotBeReadIsAnError(t *testing.T) {
	broken := errors.New("broken")
	req := once(t, failing{broken})
	req.URL.Path = "/v1/songs/search"
	if _, ok, err := search.Key(req); ok || !errors.Is(err, broken) {
		t.Errorf("Key: %t, %v", ok, err)
	}
	// Another endpoint's body is not read.
	req.URL.Path = "/v1/songs"
	wantNoKey(t, search, req)
}

func TestMembersMakeAPatternMoreSpecificThanAnyBody(t *testing.T) {
	members := endpoint.SpecificityOf(search)
	for name, other := range map[string]endpoint.Specificity{
		"any body":        endpoint.SpecificityOf(parse[string](t, searchPattern, request.IgnoreBody())),
		"ignored members": endpoint.SpecificityOf(parse[searchKey](t, searchPattern, request.IgnoreMembers("*"))),
	} {
		if members.Compare(other) <= 0 {
			t.Errorf("the pattern is not more specific than one with %s", name)
		}
	}
	if got := endpoint.MethodsOf(search); len(got) != 1 || got[0] != "POST" {
		t.Errorf("methods are %q", got)
	}
}
