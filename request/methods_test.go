package request_test

import (
	"net/http"
	"slices"
	"testing"

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
		got := request.MethodsOf(test.endpoint)
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
		clear(got) // belongs to the caller
		if again := request.MethodsOf(test.endpoint); !slices.Equal(again, test.want) {
			t.Errorf("%s: then %q, want %q", test.name, again, test.want)
		}
	}
}
