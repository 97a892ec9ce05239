package request_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/endpointcache/endpointcache/request"
)

type projectsKey struct {
	Archived request.Optional[bool] `query:"archived"`
	Limit    request.Optional[int]  `query:"limit"`
	Depth    request.Optional[uint] `header:"Depth"`
}

func TestAnOptionalFieldTellsAbsenceFromZero(t *testing.T) {
	endpoint := request.Pattern[projectsKey]("GET api.example.com/projects")
	seen := map[projectsKey]string{}
	for _, url := range []string{
		"/projects", "/projects?archived=false", "/projects?archived=true", "/projects?limit=0", "/projects?limit=-7",
		"/projects?archived=false&limit=0",
	} {
		key, ok, err := endpoint.Key(httptest.NewRequest(http.MethodGet, "https://api.example.com"+url, nil))
		if err != nil || !ok {
			t.Fatalf("%s: %t, %v", url, ok, err)
		}
		if other, twice := seen[key]; twice {
			t.Errorf("%s and %s have one key", url, other)
		}
		seen[key] = url
		built, err := endpoint.Request(t.Context(), nil, key)
		if err != nil {
			t.Fatal(err)
		}
		if built.URL.RequestURI() != url {
			t.Errorf("%s: the key's request is for %v", url, built.URL)
		}
	}
	for _, url := range []string{"/projects?archived", "/projects?archived=", "/projects?limit=", "/projects?archived=1", "/projects?archived=TRUE", "/projects?limit=007", "/projects?limit=x"} {
		if key, ok, err := endpoint.Key(httptest.NewRequest(http.MethodGet, "https://api.example.com"+url, nil)); ok || err != nil {
			t.Errorf("%s has the key %v, %v", url, key, err)
		}
	}
}

func TestAnOptionalHeaderIsSentOnlyIfItIsPresent(t *testing.T) {
	endpoint := request.Pattern[projectsKey]("GET api.example.com/projects")
	for want, key := range map[string]projectsKey{"": {}, "0": {Depth: request.Some[uint](0)}} {
		req, err := endpoint.Request(t.Context(), nil, key)
		if err != nil {
			t.Fatal(err)
		}
		if got, sent := req.Header.Get("Depth"), len(req.Header["Depth"]) > 0; got != want || sent != (want != "") {
			t.Errorf("the header is %q, sent: %t; want %q", got, sent, want)
		}
	}
	if v, ok := request.Some(7).Get(); v != 7 || !ok {
		t.Error("the value is", v, ok)
	}
	if _, ok := (request.Optional[bool]{}).Get(); ok {
		t.Error("a zero Optional has a value")
	}
}

func TestAKeyWithoutFieldsIsOfOneRequest(t *testing.T) {
	type emojisKey struct{}
	endpoint := request.Pattern[emojisKey]("GET api.example.com/emojis")
	if _, ok, err := endpoint.Key(httptest.NewRequest(http.MethodGet, "https://api.example.com/emojis", nil)); !ok || err != nil {
		t.Error("the request does not match:", err)
	}
	if _, ok, _ := endpoint.Key(httptest.NewRequest(http.MethodGet, "https://api.example.com/emojis?page=2", nil)); ok {
		t.Error("a request with more matches")
	}
	if req, err := endpoint.Request(t.Context(), nil, emojisKey{}); err != nil || req.URL.Path != "/emojis" {
		t.Error(req, err)
	}
	if err := request.Pattern[emojisKey]("GET /emojis/{id}").Validate(); err == nil {
		t.Error("a wildcard without a field is no error")
	}
}

// shade is a number whose text for people does not tell it from others.
type shade int

func (shade) String() string { return "dark" }

func TestAnOptionalValueHasTheTextOfItsKind(t *testing.T) {
	type key struct {
		Shade request.Optional[shade] `query:"shade"`
	}
	endpoint := request.Pattern[key]("GET api.example.com/colours")
	built, err := endpoint.Request(t.Context(), nil, key{request.Some(shade(3))})
	if err != nil || built.URL.RawQuery != "shade=3" {
		t.Fatalf("the request is for %v, %v", built, err)
	}
	if got, ok, err := endpoint.Key(built); err != nil || !ok || got.Shade != request.Some(shade(3)) {
		t.Errorf("the key is %+v, %t, %v", got, ok, err)
	}
}
