package rfc9111

import (
	"net/http"
	"strings"
	"testing"
)

func TestVariants(t *testing.T) {
	for _, test := range []struct {
		name, header string
		a, b         []string // nil: absent
		same         bool
	}{
		{"absent", "X", nil, nil, true},
		{"absent is not empty", "X", nil, []string{""}, false},
		{"space beside commas", "X", []string{"a , b"}, []string{"a,b"}, true},
		{"space in a value", "X", []string{"a b"}, []string{"ab"}, false},
		{"space beside quoted commas", "X", []string{`"a , b"`}, []string{`"a,b"`}, false},
		{"lines", "X", []string{"a", "b"}, []string{"a, b"}, true},
		{"order", "X", []string{"a, b"}, []string{"b, a"}, false},
		{"letter case", "X", []string{"a"}, []string{"A"}, false},
		{"languages in their own order, of one weight", "Accept-Language", []string{"en, de"}, []string{"de, en"}, false},
		{"order of languages", "Accept-Language", []string{"en, de;q=0.5"}, []string{"de;q=0.5, en"}, true},
		{"weights", "Accept-Language", []string{"en;q=0.5, de"}, []string{"de;q=0.5, en"}, false},
		{"letter case of codings", "Accept-Encoding", []string{"GZIP; Q=1"}, []string{"gzip;q=1"}, true},
		{"order of types", "Accept", []string{"text/html, text/plain"}, []string{"text/plain, text/html"}, false},
	} {
		request := func(values []string) http.Header {
			if values == nil {
				return http.Header{}
			}
			return http.Header{test.header: values}
		}
		vary := http.Header{"Vary": {test.header}}
		if got := Variant(vary, request(test.a)) == Variant(vary, request(test.b)); got != test.same {
			t.Errorf("%s: they are the same is %v, want %v", test.name, got, test.same)
		}
	}
	request := http.Header{"A": {"1"}, "B": {"2"}}
	want := Variant(http.Header{"Vary": {"A, B"}}, request)
	for _, vary := range [][]string{{"b, a"}, {"B", "A"}, {"A,B,a"}, {" A , , B"}} {
		if Variant(http.Header{"Vary": vary}, request) != want {
			t.Errorf("Vary: %q is not A, B", vary)
		}
	}
	vary := http.Header{"Vary": {"X-Tenant"}}
	for written, other := range map[string]http.Header{
		"as x-tenant": {"x-tenant": {"2"}},
		"not at all":  {},
		"twice":       {"x-tenant": {"1"}, "X-TENANT": {"2"}},
	} {
		if Variant(vary, http.Header{"x-tenant": {"1"}}) == Variant(vary, other) {
			t.Errorf("a header whose name is in lower case is the same as one that is written %s", written)
		}
	}
	if Variant(vary, http.Header{"x-tenant": {"1"}}) != Variant(vary, http.Header{"X-Tenant": {"1"}}) {
		t.Error("how a header's name is written makes a difference")
	}
	if strings.Contains(Variant(http.Header{"Vary": {"Cookie"}}, http.Header{"Cookie": {"secret"}}), "secret") {
		t.Error("it tells a secret")
	}
}
