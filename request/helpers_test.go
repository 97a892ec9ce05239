package request_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/endpointcache/endpointcache/request"
)

// get is a request as a caller makes it: "GET https://..." or only the URL.
func get(t testing.TB, rawURL string, header ...string) *http.Request {
	t.Helper()
	return do(t, "GET", rawURL, header...)
}

func do(t testing.TB, method, rawURL string, header ...string) *http.Request {
	t.Helper()
	req, err := http.NewRequest(method, rawURL, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	return req
}

func mustParse(t testing.TB, rawURL string) *url.URL {
	t.Helper()
	u, err := url.Parse(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func parse[K comparable](t testing.TB, pattern string, opts ...request.PatternOption) request.Endpoint[K] {
	t.Helper()
	e, err := request.ParsePattern[K](pattern, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// wantKey checks that req has the key want.
func wantKey[K comparable](t *testing.T, e request.Endpoint[K], req *http.Request, want K) {
	t.Helper()
	got, ok, err := e.Key(req)
	if err != nil || !ok || got != want {
		t.Errorf("Key(%s %s) = %+v, %t, %v, want %+v", req.Method, req.URL, got, ok, err, want)
	}
}

// wantNoKey checks that req is not one of the endpoint's.
func wantNoKey[K comparable](t *testing.T, e request.Endpoint[K], req *http.Request) {
	t.Helper()
	var zero K
	got, ok, err := e.Key(req)
	if err != nil || ok || got != zero {
		t.Errorf("Key(%s %s) = %+v, %t, %v, want no match", req.Method, req.URL, got, ok, err)
	}
}

var api = &url.URL{Scheme: "https", Host: "api.example.com"}

// wantURL checks the request for key, and that key can be read back from it.
func wantURL[K comparable](t *testing.T, e request.Endpoint[K], key K, want string) {
	t.Helper()
	req, err := e.Request(t.Context(), api, key)
	if err != nil {
		t.Errorf("Request(%+v): %v", key, err)
		return
	}
	if got := req.URL.String(); got != want {
		t.Errorf("Request(%+v) is for %s, want %s", key, got, want)
	}
	wantKey(t, e, req, key)
	// As it is after a client has sent it.
	wantKey(t, e, get(t, req.URL.String()), key)
}
