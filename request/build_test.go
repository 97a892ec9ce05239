package request_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/endpointcache/endpointcache/request"
)

func TestRequestEscapesPath(t *testing.T) {
	one := parse[string](t, "/t/{id}")
	span := parse[string](t, "/t/{id...}/end")
	around := parse[string](t, "/t/v{id}.json")
	tests := []struct {
		e    request.Endpoint[string]
		key  string
		want string
	}{
		{one, "a", "/t/a"},
		{one, "a/b", "/t/a%2Fb"},
		{one, "a%2Fb", "/t/a%252Fb"},
		{one, "a b+c;d?e#f", "/t/a%20b+c%3Bd%3Fe%23f"},
		{one, "\xff\x00", "/t/%FF%00"},
		{one, "é", "/t/%C3%A9"},
		{one, "...", "/t/..."},
		{one, "{id}", "/t/%7Bid%7D"},
		{span, "a/b", "/t/a/b/end"},
		{span, "/a//b/", "/t//a//b//end"},
		{span, "a%2Fb/c d", "/t/a%252Fb/c%20d/end"},
		{span, "end", "/t/end/end"},
		{around, ".", "/t/v..json"},
		{around, "/", "/t/v%2F.json"},
		{parse[string](t, "/a,b%2c;c/caf%C3%A9/é%2F/{id}"), "x", "/a,b%2c;c/caf%C3%A9/%C3%A9%2F/x"},
	}
	for _, tt := range tests {
		wantURL(t, tt.e, tt.key, "https://api.example.com"+tt.want)
	}
}

func TestRequestIsRefusedForAKeyThatIsNotReadBack(t *testing.T) {
	type key struct {
		Path string `path:"path"`
		IDs  string `query:"ids,set"`
		L    string `query:"l,list" default:"x"`
	}
	ok := key{"p", "a,b", "x"}
	e := parse[key](t, "/{path...}")
	if _, err := e.Request(t.Context(), api, ok); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		change func(*key)
		want   string
	}{
		{"empty path", func(k *key) { k.Path = "" }, "field Path: an empty value"},
		{"dot", func(k *key) { k.Path = "." }, "field Path"},
		{"dots inside", func(k *key) { k.Path = "a/../b" }, "field Path"},
		{"text that is no set", func(k *key) { k.IDs = "a,,b" }, "field IDs"},
		{"text that is no list", func(k *key) { k.L = `a\` }, "field L"},
		{"no values where the default has some", func(k *key) { k.L = "" }, "field L"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k := ok
			tt.change(&k)
			_, err := e.Request(t.Context(), api, k)
			if err == nil || !strings.HasPrefix(err.Error(), "request: pattern ") || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error is %v, want one with %q", err, tt.want)
			}
		})
	}
}

func TestBase(t *testing.T) {
	const hosted, plain = "api.example.com/v1/{id}", "/v1/{id}"
	ignore := request.IgnoreQuery("api_key")
	tests := []struct {
		name    string
		pattern string
		base    *url.URL
		want    string // the URL; with a space, part of the error
	}{
		{"nil", hosted, nil, "https://api.example.com/v1/a%2Fb"},
		{"empty", hosted, &url.URL{}, "https://api.example.com/v1/a%2Fb"},
		{"nil without a host", plain, nil, "neither base nor the pattern has a host"},
		{"host", plain, mustParse(t, "http://127.0.0.1:80"), "http://127.0.0.1:80/v1/a%2Fb"},
		{"root", plain, mustParse(t, "http://127.0.0.1/"), "http://127.0.0.1/v1/a%2Fb"},
		{"another host", hosted, mustParse(t, "http://127.0.0.1:1234"), "http://127.0.0.1:1234/v1/a%2Fb"},
		{"prefix", hosted, mustParse(t, "http://127.0.0.1/pre%2Ffix/x/"), "http://127.0.0.1/pre%2Ffix/x/v1/a%2Fb"},
		{"scheme only", hosted, &url.URL{Scheme: "http"}, "http://api.example.com/v1/a%2Fb"},
		{"query", plain, mustParse(t, "https://h?api_key=s%20t"), "https://h/v1/a%2Fb?api_key=s%20t"},
		{"user", plain, mustParse(t, "https://u:p@h"), "https://u:p@h/v1/a%2Fb"},
		{"query that is not ignored", plain, mustParse(t, "https://h?lang=de"), `query parameter "lang", which the pattern does not ignore`},
		{"malformed query", plain, mustParse(t, "https://h?a;b"), "base has a malformed query"},
		{"no scheme", hosted, mustParse(t, "api.example.com/v1"), "without a leading slash"},
		{"opaque", hosted, mustParse(t, "localhost:8080"), "base is no URL"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := parse[string](t, tt.pattern, ignore)
			req, err := e.Request(t.Context(), tt.base, "a/b")
			if strings.Contains(tt.want, " ") {
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("error is %v, want one with %q", err, tt.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := req.URL.String(); got != tt.want {
				t.Errorf("URL is %s, want %s", got, tt.want)
			}
			if req.Host != req.URL.Host {
				t.Errorf("Host is %q, want %q", req.Host, req.URL.Host)
			}
		})
	}
}

func TestBaseCannotSetWhatTheKeySays(t *testing.T) {
	e := parse[track](t, "/{id}?v=1", request.IgnoreAnyQuery())
	for _, query := range []string{"market=DE", "v=2", "v=1"} {
		if _, err := e.Request(t.Context(), mustParse(t, "https://h/?"+query), track{ID: "a"}); err == nil {
			t.Errorf("base with %s: no error", query)
		}
	}
	req, err := e.Request(t.Context(), mustParse(t, "https://h/?lang=de"), track{ID: "a", Market: "DE"})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := req.URL.RawQuery, "v=1&market=DE&lang=de"; got != want {
		t.Errorf("query is %s, want %s", got, want)
	}
}

func TestRequestSurvivesTheWire(t *testing.T) {
	type key struct {
		ID   string `path:"id"`
		Rest string `path:"rest"`
		Q    string `query:"q"`
		Lang string `header:"Accept-Language"`
	}
	e := parse[key](t, "/{id}/{rest...}")
	var got key
	var ok bool
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		got, ok, _ = e.Key(req)
	}))
	defer server.Close()
	for _, want := range []key{
		{"a/b", "/c//d/", "é&=+ ;", "de, en"},
		{"\xff%2F", "%/;,:@", "%", ""},
	} {
		req, err := e.Request(t.Context(), mustParse(t, server.URL), want)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := server.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if !ok || got != want {
			t.Errorf("server reads %+v, %t, want %+v", got, ok, want)
		}
	}
}
