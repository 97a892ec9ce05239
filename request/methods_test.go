package request_test

import (
	"net/http"
	"slices"
	"testing"

	"github.com/endpointcache/endpointcache/internal/endpoint"
	"github.com/endpointcache/endpointcache/request"
)

func TestMethodsOf(t *testing.T) {
	type key struct {
		Method string `method:""`
	}
	for _, test := range []struct {
		name     string
		endpoint any
		want     []string
	}{
		{"one", request.Pattern[string]("POST /{id}"), []string{"POST"}},
		{"several", request.Pattern[key]("GET|POST /"), []string{"GET", "POST"}},
		{"none", request.Pattern[string]("/{id}"), nil},
		{"any", request.Pattern[key]("/"), nil},
		{"mistake", request.Pattern[key]("POST /{id}"), nil},
		{"function", request.Func(func(*http.Request) (string, bool, error) { return "", false, nil }, nil), nil},
		{"Any", request.Any(nil), nil},
		{"nil", nil, nil},
	} {
		got := endpoint.MethodsOf(test.endpoint)
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
		clear(got) // belongs to the caller
		if again := endpoint.MethodsOf(test.endpoint); !slices.Equal(again, test.want) {
			t.Errorf("%s: then %q, want %q", test.name, again, test.want)
		}
	}
}

func TestMethodsOfAFuncAreThoseThatItNames(t *testing.T) {
	none := func(*http.Request) (string, bool, error) { return "", false, nil }
	e := request.Func(none, nil, http.MethodPost)
	if err := e.Validate(); err != nil {
		t.Fatal(err)
	}
	if got := endpoint.MethodsOf(e); !slices.Equal(got, []string{"POST"}) {
		t.Errorf("%q", got)
	}
	if err := request.Func(none, nil, "post").Validate(); err == nil {
		t.Error("a method in lower case is taken")
	}
}
