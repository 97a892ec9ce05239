package request_test

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/endpointcache/endpointcache/request"
)

func TestMethod(t *testing.T) {
	const u = "https://api.example.com/a"
	t.Run("a pattern without one is for GET", func(t *testing.T) {
		e := parse[string](t, "/{id}")
		wantKey(t, e, do(t, "GET", u), "a")
		wantNoKey(t, e, do(t, "HEAD", u))
		wantNoKey(t, e, do(t, "get", u))
		req := get(t, u)
		req.Method = ""
		wantKey(t, e, req, "a")
	})
	type key struct {
		Method string `method:""`
		ID     string `path:"id"`
	}
	t.Run("a method field holds it", func(t *testing.T) {
		e := parse[key](t, "/{id}")
		wantKey(t, e, do(t, "DELETE", u), key{"DELETE", "a"})
		wantKey(t, e, do(t, "get", u), key{"get", "a"})
		req := get(t, u)
		req.Method = ""
		wantKey(t, e, req, key{"GET", "a"})
		built, err := e.Request(t.Context(), api, key{"HEAD", "a"})
		if err != nil || built.Method != "HEAD" {
			t.Errorf("Request: %v, %v", built, err)
		}
		for _, method := range []string{"", "A B"} {
			if _, err := e.Request(t.Context(), api, key{method, "a"}); err == nil {
				t.Errorf("Request with method %q: no error", method)
			}
		}
	})
	t.Run("only the named ones match", func(t *testing.T) {
		e := parse[key](t, "GET|HEAD /{id}")
		wantKey(t, e, do(t, "HEAD", u), key{"HEAD", "a"})
		wantNoKey(t, e, do(t, "POST", u))
		if _, err := e.Request(t.Context(), api, key{"POST", "a"}); err == nil || !strings.Contains(err.Error(), "field Method") {
			t.Errorf("Request with another method: %v", err)
		}
	})
}

func TestHost(t *testing.T) {
	tests := []struct {
		pattern string
		url     string
		want    bool
	}{
		{"/{id}", "https://any.example.com/a", true},
		{"api.com/{id}", "https://api.com/a", true},
		{"api.com/{id}", "https://API.Com./a", true},
		{"API.com./{id}", "https://api.com/a", true},
		{"api.com/{id}", "https://api.com:443/a", true},
		{"api.com/{id}", "http://api.com:80/a", true},
		{"api.com/{id}", "http://api.com:443/a", false},
		{"api.com/{id}", "https://api.com:80/a", false},
		{"api.com/{id}", "https://api.com:8443/a", false},
		{"api.com:443/{id}", "https://api.com/a", true},
		{"api.com:443/{id}", "http://api.com/a", false},
		{"api.com:8443/{id}", "https://api.com:8443/a", true},
		{"api.com/{id}", "https://api.com.evil.org/a", false},
		{"api.com/{id}", "https://evil-api.com/a", false},
		{"api.com/{id}", "https://evil.org/api.com/a", false},
		{"api.com/{id}", "https://api.com@evil.org/a", false},
		{"[::1]:8080/{id}", "http://[::1]:8080/a", true},
		{"[::1]/{id}", "http://[::1]/a", true},
		{"[::1]/{id}", "http://[::2]/a", false},
	}
	for _, tt := range tests {
		e := parse[string](t, tt.pattern)
		if tt.want {
			wantKey(t, e, get(t, tt.url), "a")
		} else {
			wantNoKey(t, e, get(t, tt.url))
		}
	}
}

func TestHostOfARequestThatAServerReceived(t *testing.T) {
	e := parse[string](t, "api.com/{id}")
	req := httptest.NewRequest("GET", "/a", nil)
	req.Host = "api.com:80"
	wantKey(t, e, req, "a")
	req.TLS = &tls.ConnectionState{}
	wantNoKey(t, e, req)
	req.Host = "api.com:443"
	wantKey(t, e, req, "a")
	req.Host = ""
	wantNoKey(t, e, req)
}

func TestRequestForAnotherHostAtTheSameAddressDoesNotMatch(t *testing.T) {
	e := parse[string](t, "api.com/{id}")
	req := get(t, "https://api.com/a")
	req.Host = "other.com"
	wantNoKey(t, e, req)
	req.Host = "API.com:443"
	wantKey(t, e, req, "a")
	req.Host = ""
	wantKey(t, e, req, "a")
}

func TestPath(t *testing.T) {
	tests := []struct {
		pattern string
		url     string
		want    string // "": no match
	}{
		{"/v1/tracks/{id}", "/v1/tracks/6fW", "6fW"},
		{"/v1/tracks/{id}", "/v1/tracks/6fW/", ""},
		{"/v1/tracks/{id}", "/v1/tracks/", ""},
		{"/v1/tracks/{id}", "/v1/tracks", ""},
		{"/v1/tracks/{id}", "/v1/tracks/6fW/x", ""},
		{"/v1/tracks/{id}", "/v1/albums/6fW", ""},
		{"/v1/tracks/{id}", "/V1/tracks/6fW", ""},
		{"/v1/tracks/{id}", "//v1/tracks/6fW", ""},
		{"/v1/tracks/{id}/", "/v1/tracks/6fW/", "6fW"},
		{"/v1/tracks/{id}/", "/v1/tracks/6fW", ""},
		{"/{id}", "", ""},
		{"/{id}", "/", ""},
		{"/{id}", "/a%2Fb", "a/b"},
		{"/{id}", "/a/b", ""},
		{"/{id}", "/%2541", "%41"},
		{"/{id}", "/%41", "A"},
		{"/{id}", "/a+b", "a+b"},
		{"/{id}", "/a%20b", "a b"},
		{"/{id}", "/a%3Bb%3Fc%23", "a;b?c#"},
		{"/{id}", "/a;b", "a;b"},
		{"/{id}", "/%FF%00", "\xff\x00"},
		{"/{id}", "/é", "é"},
		{"/{id}", "/.", ""},
		{"/{id}", "/%2e", ""},
		{"/{id}", "/%2e%2E", ""},
		{"/{id}", "/...", "..."},
		{"/v{id}", "/v2", "2"},
		{"/v{id}", "/v", ""},
		{"/v{id}", "/x2", ""},
		{"/{id}.json", "/a.json", "a"},
		{"/{id}.json", "/a.json.json", "a.json"},
		{"/{id}.json", "/.json", ""},
		{"/{id}.json", "/a.xml", ""},
		{"/@{id}", "/%40me", "me"},
		{"/a{id}a", "/aa", ""},
		{"/a{id}a", "/aaa", "a"},
		{"/{id}.", "/..", ""},
		{"/caf%C3%A9/{id}", "/café/1", "1"},
		{"/café/{id}", "/caf%c3%a9/1", "1"},
		{"/a%2Fb/{id}", "/a%2fb/1", "1"},
		{"/a%2Fb/{id}", "/a/b/1", ""},
		{"/{path...}", "/a", "a"},
		{"/{path...}", "/a/b/c", "a/b/c"},
		{"/{path...}", "/", ""},
		{"/{path...}", "/a/", "a/"},
		{"/{path...}", "//a", "/a"},
		{"/{path...}", "/a//b", "a//b"},
		{"/{path...}", "/a%2Fb", ""},
		{"/{path...}", "/a%252Fb", "a%2Fb"},
		{"/{path...}", "/a/../b", ""},
		{"/{path...}", "/a/%2e%2e/b", ""},
		{"/{path...}", "/a/./b", ""},
		{"/{path...}", "/a%20/b", "a /b"},
		{"/v1/{path...}/end", "/v1/a/b/end", "a/b"},
		{"/v1/{path...}/end", "/v1/end", ""},
		{"/v1/{path...}/end", "/v1//end", ""},
		{"/v1/{path...}/end", "/v1/end/end", "end"},
		{"/v1/{path...}/end", "/v1/a/end/", ""},
	}
	for _, tt := range tests {
		e := parse[string](t, tt.pattern)
		req := get(t, "https://api.example.com"+tt.url)
		if tt.want == "" {
			wantNoKey(t, e, req)
		} else {
			wantKey(t, e, req, tt.want)
		}
	}
}

func TestPathWithSpanBetweenOthers(t *testing.T) {
	type key struct {
		Version string `path:"version"`
		Module  string `path:"module"`
	}
	e := parse[key](t, "proxy.example.com/{module...}/@v/{version}.info")
	wantKey(t, e, get(t, "https://proxy.example.com/github.com/google/go-cmp/@v/v0.7.0.info"),
		key{Module: "github.com/google/go-cmp", Version: "v0.7.0"})
	wantNoKey(t, e, get(t, "https://proxy.example.com/github.com/google/go-cmp/@v/list"))
	req, err := e.Request(t.Context(), nil, key{Module: "golang.org/x/mod", Version: "v0.1.0"})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := req.URL.String(), "https://proxy.example.com/golang.org/x/mod/@v/v0.1.0.info"; got != want {
		t.Errorf("URL is %s, want %s", got, want)
	}
}

func TestPathOfIntegers(t *testing.T) {
	e := parse[int8](t, "/{n}")
	wantKey(t, e, get(t, "/7"), 7)
	wantKey(t, e, get(t, "/-7"), -7)
	for _, u := range []string{"/007", "/+7", "/128", "/7.0", "/x", "/%207"} {
		wantNoKey(t, e, get(t, u))
	}
}

func TestRequestThatIsNoneDoesNotMatch(t *testing.T) {
	e := parse[string](t, "/{id}")
	wantNoKey(t, e, &http.Request{URL: &url.URL{Opaque: "//host/a"}})
	wantNoKey(t, e, &http.Request{URL: &url.URL{Path: "a"}})
	wantNoKey(t, e, &http.Request{URL: &url.URL{Path: "*"}})
	for _, req := range []*http.Request{nil, {}} {
		if _, ok, err := e.Key(req); ok || err != nil {
			t.Errorf("Key(%v) = %t, %v", req, ok, err)
		}
	}
}

func TestBodyIsNotIgnoredUnlessAskedFor(t *testing.T) {
	req := func(body string) *http.Request {
		req, err := http.NewRequest("POST", "https://api.example.com/a", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		return req
	}
	e := parse[string](t, "POST /{id}")
	wantNoKey(t, e, req("one"))
	wantKey(t, e, req(""), "a")
	wantKey(t, parse[string](t, "POST /{id}", request.IgnoreBody()), req("one"), "a")
}

func TestEmbeddedAndNamedFields(t *testing.T) {
	type Market string
	type Common struct {
		Market Market `query:"market"`
	}
	type key struct {
		Common
		ID uint16 `path:"id"`
	}
	e := parse[key](t, "/{id}")
	wantKey(t, e, get(t, "/7?market=DE"), key{Common{"DE"}, 7})
	wantURL(t, e, key{Common{"DE"}, 65535}, "https://api.example.com/65535?market=DE")
}

func TestKeyMayBeCalledByManyGoroutines(t *testing.T) {
	e := parse[track](t, "/{id}")
	req := get(t, "/a%2Fb?market=DE")
	var wg sync.WaitGroup
	for range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range 100 {
				wantKey(t, e, req, track{"a/b", "DE"})
			}
		}()
	}
	wg.Wait()
}

func TestPatternPrintsAsItIsWritten(t *testing.T) {
	const text = "GET api.example.com/v1/{id}"
	if got := fmt.Sprint(parse[string](t, text)); got != text {
		t.Errorf("pattern prints as %q, want %q", got, text)
	}
}
