package rfc9111

import (
	"net/http"
	"strings"
	"testing"
)

func TestVariants(t *testing.T) {
	for _, test := range []struct {
		section, name, header string
		a, b                  []string // nil: absent
		same                  bool
	}{
		{"9111, 4.1", "absent", "X", nil, nil, true},
		{"9111, 4.1", "absent is not empty", "X", nil, []string{""}, false},
		{"9111, 4.1", "space beside commas", "X", []string{"a , b"}, []string{"a,b"}, true},
		{"9111, 4.1", "space in a value", "X", []string{"a b"}, []string{"ab"}, false},
		{"9110, 5.6.4", "space beside quoted commas", "X", []string{`"a , b"`}, []string{`"a,b"`}, false},
		{"9110, 5.3", "lines", "X", []string{"a", "b"}, []string{"a, b"}, true},
		{"9110, 5.3", "order", "X", []string{"a, b"}, []string{"b, a"}, false},
		{"9111, 4.1", "letter case", "X", []string{"a"}, []string{"A"}, false},
		{"9110, 12.5.4", "languages in their own order, of one weight", "Accept-Language", []string{"en, de"}, []string{"de, en"}, false},
		{"9110, 12.4.2", "order of languages", "Accept-Language", []string{"en, de;q=0.5"}, []string{"de;q=0.5, en"}, true},
		{"9110, 12.4.2", "weights", "Accept-Language", []string{"en;q=0.5, de"}, []string{"de;q=0.5, en"}, false},
		{"9110, 8.4.1", "letter case of codings", "Accept-Encoding", []string{"GZIP; Q=1"}, []string{"gzip;q=1"}, true},
		{"9110, 5.3", "order of types", "Accept", []string{"text/html, text/plain"}, []string{"text/plain, text/html"}, false},
	} {
		request := func(values []string) http.Header {
			if values == nil {
				return http.Header{}
			}
			return http.Header{test.header: values}
		}
		vary := http.Header{"Vary": {test.header}}
		if got := Variant(vary, request(test.a)) == Variant(vary, request(test.b)); got != test.same {
			t.Errorf("RFC %s: %s: they are the same is %v, want %v", test.section, test.name, got, test.same)
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

func TestWhetherAResponseVaries(t *testing.T) {
	for _, test := range []struct {
		section   string
		lines     []string
		some, all bool
	}{
		{"9110, 12.5.5", nil, false, false},
		{"9110, 12.5.5", []string{"Accept"}, true, false},
		{"9110, 12.5.5", []string{"*"}, true, true},
		{"9110, 12.5.5", []string{"Accept", "X , *"}, true, true},
		{"9110, 12.5.5", []string{`"a, *`}, true, true}, // a quote that is not closed hides nothing
	} {
		h := http.Header{}
		if test.lines != nil {
			h["Vary"] = test.lines
		}
		if Varies(h) != test.some || VariesByAll(h) != test.all {
			t.Errorf("RFC %s: Vary: %q: %v, by all %v", test.section, test.lines, Varies(h), VariesByAll(h))
		}
	}
}

func TestSameCoding(t *testing.T) {
	gzip, br := http.Header{"Accept-Encoding": {"gzip"}}, http.Header{"Accept-Encoding": {"br"}}
	coded := http.Header{"Content-Encoding": {"gzip"}}
	for _, test := range []struct {
		section, name  string
		response, a, b http.Header
		want           bool
	}{
		{"9110, 8.4", "not coded", nil, gzip, br, true},
		{"9110, 12.5.3", "coded, for requests that differ", coded, gzip, br, false},
		{"9110, 12.5.3", "coded, for one that does not say", coded, gzip, nil, false},
		{"9110, 12.5.3", "coded, for requests alike", coded, gzip, http.Header{"Accept-Encoding": {"GZIP"}, "Accept": {"a/b"}}, true},
	} {
		if got := SameCoding(test.response, test.a, test.b); got != test.want {
			t.Errorf("RFC %s: %s: %v, want %v", test.section, test.name, got, test.want)
		}
	}
	if CodingVariant(gzip) != Variant(http.Header{"Vary": {"Accept-Encoding"}}, gzip) {
		t.Error("the variant by coding is not that of Vary: Accept-Encoding")
	}
}
