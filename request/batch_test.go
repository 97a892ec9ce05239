package request_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/request"
)

type batchKey struct {
	ID     string `path:"id"`
	Market string `query:"market"`
	Lang   string `header:"Accept-Language"`
}

type pagedKey struct {
	Album string `path:"album"`
	ID    int    `path:"id"`
}

type tokenKey struct {
	Token string `header:"Authorization,hash"`
	ID    string `path:"id"`
}

var splitArray = payload.SplitArray("")

func TestBatchPatternRequests(t *testing.T) {
	id := func(ids ...string) []batchKey {
		keys := make([]batchKey, len(ids))
		for i, id := range ids {
			keys[i] = batchKey{ID: id, Market: "DE", Lang: "de"}
		}
		return keys
	}
	base := &url.URL{Scheme: "https", Host: "api.example.com", Path: "/proxy", RawQuery: "api_key=s"}
	ignore := []string{"api_key"}
	checkBatch(t, "GET /v1/tracks?ids={id}", &request.BatchOptions{IgnoreQuery: ignore}, base, id("a", "b&c", "d e"),
		"GET https://api.example.com/proxy/v1/tracks?ids=a,b%26c,d+e&market=DE&api_key=s")
	checkBatch(t, "GET /v1/tracks?type=x&ids[]={id}", &request.BatchOptions{Repeat: true, IgnoreQuery: ignore}, base, id("a", "b,c"),
		"GET https://api.example.com/proxy/v1/tracks?ids%5B%5D=a&ids%5B%5D=b%2Cc&type=x&market=DE&api_key=s")
	checkBatch(t, "POST api.example.org/v1/tracks?ids={id}", &request.BatchOptions{Separator: "|"}, nil, id("a", "b,c"),
		"POST https://api.example.org/v1/tracks?ids=a%7Cb%2Cc&market=DE")
	checkBatch(t, "/v1/tracks/{id}.json", &request.BatchOptions{IgnoreQuery: ignore}, base, id("a", "b/c", "é"),
		"GET https://api.example.com/proxy/v1/tracks/a,b%2Fc,%C3%A9.json?market=DE&api_key=s")
	checkBatch(t, "/v1/{album}/tracks?n={id}", nil, &url.URL{Scheme: "http", Host: "h"}, []pagedKey{{"x/y", 2}, {"x/y", -1}},
		"GET http://h/v1/x%2Fy/tracks?n=2,-1")
	checkBatch(t, "/v1/tracks?ids={}", nil, nil, []string{"a"}, "error: parameter \"ids={}\"")
	checkBatch(t, "api.example.com/v1/tracks?ids={id}", nil, nil, []string{"a", "b"}, "GET https://api.example.com/v1/tracks?ids=a,b")
	checkBatch(t, "api.example.com/v1/tracks?ids={id}", nil, &url.URL{Host: "h", RawQuery: "ids=x"}, []string{"a"}, `error: query parameter "ids"`)
}

// checkBatch makes the request for keys and holds it to what is wanted.
func checkBatch[K comparable](t *testing.T, pattern string, opts *request.BatchOptions, base *url.URL, keys []K, want string) {
	t.Helper()
	b := request.BatchPattern[K](pattern, 3, splitArray, opts)
	req, err := b.Request(context.Background(), base, keys)
	if text, fails := strings.CutPrefix(want, "error: "); fails {
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: the error is %v, want one that tells %q", pattern, err, text)
		}
		return
	}
	if err != nil {
		t.Errorf("%s: %v", pattern, err)
		return
	}
	if got := req.Method + " " + req.URL.String(); got != want {
		t.Errorf("%s:\n got %s\nwant %s", pattern, got, want)
	}
	// What is sent can be parsed again.
	if _, err := http.NewRequest(req.Method, req.URL.String(), nil); err != nil {
		t.Error(err)
	}
}

func TestBatchPatternSendsSharedHeaders(t *testing.T) {
	b := request.BatchPattern[batchKey]("api.example.com/v1/tracks?ids={id}", 2, splitArray, nil)
	req, err := b.Request(context.Background(), nil, []batchKey{{ID: "a", Lang: "de"}, {ID: "b", Lang: "de"}})
	if err != nil {
		t.Fatal(err)
	}
	if got := req.Header.Get("Accept-Language"); got != "de" {
		t.Errorf("the header is %q", got)
	}
}

func TestBatchPatternGroups(t *testing.T) {
	b := request.BatchPattern[batchKey]("/v1/tracks?ids={id}", 2, splitArray, nil)
	group := func(key batchKey) any {
		g, ok := b.Group(key)
		if !ok {
			return "alone"
		}
		return g
	}
	if group(batchKey{ID: "a", Market: "DE"}) != group(batchKey{ID: "b", Market: "DE"}) {
		t.Error("keys that differ in the list alone do not go together")
	}
	for reason, key := range map[string]batchKey{
		"another market":   {ID: "a", Market: "FR"},
		"another language": {ID: "a", Market: "DE", Lang: "de"},
		"a separator":      {ID: "a,b", Market: "DE"},
		"an empty value":   {Market: "DE"},
	} {
		if group(batchKey{ID: "a", Market: "DE"}) == group(key) {
			t.Errorf("a key with %s goes with others", reason)
		}
	}
	for _, keys := range [][]batchKey{
		nil,
		{{ID: "a"}, {ID: "b"}, {ID: "c"}},
		{{ID: "a"}, {ID: "b", Market: "DE"}},
		{{ID: "a,b"}},
	} {
		if _, err := b.Request(context.Background(), &url.URL{Scheme: "http", Host: "h"}, keys); err == nil {
			t.Errorf("a request for %+v is no error", keys)
		}
	}
	repeated := request.BatchPattern[string]("/t?id={id}", 2, splitArray, &request.BatchOptions{Repeat: true})
	if _, ok := repeated.Group("a,b"); !ok {
		t.Error("a comma keeps a key from a repeated parameter")
	}
	// "a||" and "b" would be read as "a" and "||b".
	long := request.BatchPattern[string]("/t?id={id}", 2, splitArray, &request.BatchOptions{Separator: "|||"})
	for key, want := range map[string]bool{"a": true, "||b": true, "a|b": true, "a||": false, "a|": false, "a|||b": false} {
		if _, ok := long.Group(key); ok != want {
			t.Errorf("%q goes with others: %t", key, ok)
		}
	}
	inPath := request.BatchPattern[string]("/t/{id}", 2, splitArray, nil)
	if _, ok := inPath.Group(".."); ok {
		t.Error("dots can be sent in a path")
	}
}

func TestBatchPatternMistakes(t *testing.T) {
	for text, b := range map[string]interface{ Validate() error }{
		"split is nil":         request.BatchPattern[string]("/t?ids={id}", 2, nil, nil),
		"2 or more":            request.BatchPattern[string]("/t?ids={id}", 1, splitArray, nil),
		"has no wildcard":      request.BatchPattern[string]("/t", 2, splitArray, nil),
		"several wildcards":    request.BatchPattern[pagedKey]("/t/{album}/{id}", 2, splitArray, nil),
		"two wildcards":        request.BatchPattern[pagedKey]("/t?a={album}&id={id}", 2, splitArray, nil),
		"spans segments":       request.BatchPattern[string]("/t/{id...}", 2, splitArray, nil),
		"cannot be repeated":   request.BatchPattern[string]("/t/{id}", 2, splitArray, &request.BatchOptions{Repeat: true}),
		"no field with a tag":  request.BatchPattern[batchKey]("/t?ids={track}", 2, splitArray, nil),
		"wildcard {album}":     request.BatchPattern[batchKey]("/t/{album}?ids={id}", 2, splitArray, nil),
		"no wildcard {album}":  request.BatchPattern[pagedKey]("/t?ids={id}", 2, splitArray, nil),
		"is there twice":       request.BatchPattern[batchKey]("/t?market={id}", 2, splitArray, nil),
		"is the list":          request.BatchPattern[string]("/t?ids={id}", 2, splitArray, &request.BatchOptions{IgnoreQuery: []string{"id*"}}),
		"{Authorization}":      request.BatchPattern[tokenKey]("/t/{id}?token={Authorization}", 2, splitArray, nil),
		"no path":              request.BatchPattern[string]("t?ids={id}", 2, splitArray, nil),
		"the query is malform": request.BatchPattern[string]("/t?%zz&ids={id}", 2, splitArray, nil),
		"has no Build":         request.BatchFunc(request.BatchFuncs[string]{MaxKeys: 2}),
	} {
		if err := b.Validate(); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("the error is %v, want one that tells %q", err, text)
		}
	}
	broken := request.BatchPattern[string]("/t", 2, splitArray, nil)
	if _, err := broken.Request(context.Background(), nil, []string{"a"}); err == nil {
		t.Error("a request of a pattern that is wrong is no error")
	}
	if _, err := broken.Split(nil, []string{"a"}); err == nil {
		t.Error("a split of a pattern that is wrong is no error")
	}
	if _, ok := broken.Group("a"); ok {
		t.Error("a pattern that is wrong has groups")
	}
}

func TestBatchSplitsByTheValuesOfTheKeys(t *testing.T) {
	b := request.BatchPattern[pagedKey]("/{album}?ids={id}", 3, payload.SplitArrayBy("tracks", "id"), nil)
	bodies, err := b.Split([]byte(`{"tracks":[{"id":9},{"id":7}]}`), []pagedKey{{"x", 7}, {"x", 8}, {"x", 9}})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([][]byte{[]byte(`{"id":7}`), nil, []byte(`{"id":9}`)}, bodies); d != "" {
		t.Error(d)
	}
	short := request.BatchPattern[string]("/t?ids={id}", 2, func([]byte, []string) ([][]byte, error) { return nil, nil }, nil)
	if _, err := short.Split(nil, []string{"a"}); err == nil {
		t.Error("no bodies for a key is no error")
	}
}
