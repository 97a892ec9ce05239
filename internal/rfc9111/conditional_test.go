package rfc9111

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestConditionalRequests(t *testing.T) {
	for _, test := range []struct {
		section, header string
		conditional     bool
		precondition    bool
	}{
		{"9110, 13.1.2", "If-None-Match", true, false},
		{"9110, 13.1.3", "If-Modified-Since", true, false},
		{"9110, 13.1.1", "If-Match", false, true},
		{"9110, 13.1.4", "If-Unmodified-Since", false, true},
		{"9110, 13.1.5", "If-Range", false, false},
		{"9110, 14.2", "Range", false, false},
	} {
		h := http.Header{test.header: {"x"}}
		if got := IsConditional(h); got != test.conditional {
			t.Errorf("RFC %s: %s: IsConditional is %v", test.section, test.header, got)
		}
		if got := HasPrecondition(h); got != test.precondition {
			t.Errorf("RFC %s: %s: HasPrecondition is %v", test.section, test.header, got)
		}
	}
}

func TestNotModified(t *testing.T) {
	tag := func(s string) http.Header { return http.Header{"Etag": {s}} }
	modified := http.Header{"Last-Modified": {date(-time.Hour)}}
	since := func(d time.Duration) http.Header { return http.Header{"If-Modified-Since": {date(d)}} }
	noneOf := func(lines ...string) http.Header { return http.Header{"If-None-Match": lines} }
	for _, test := range []struct {
		section, name string
		req, stored   http.Header
		want          bool
	}{
		{"9110, 13.1.2", "no condition", nil, tag(`"1"`), false},
		{"9110, 13.1.2", "the tag", noneOf(`"1"`), tag(`"1"`), true},
		{"9110, 13.1.2", "another tag", noneOf(`"2"`), tag(`"1"`), false},
		{"9110, 13.1.2", "one of a list", noneOf(`"0", "1" ,"2"`), tag(`"1"`), true},
		{"9110, 13.1.2", "one of lines", noneOf(`"0"`, `"1"`), tag(`"1"`), true},
		{"9110, 13.1.2", "any", noneOf("*"), nil, true},
		{"9110, 13.1.2", "none stored", noneOf(`"1"`), nil, false},
		{"9110, 13.1.2", "an empty condition", noneOf(""), tag(`"1"`), false},
		{"9110, 8.8.3.2", "weak for strong", noneOf(`W/"1"`), tag(`"1"`), true},
		{"9110, 8.8.3.2", "strong for weak", noneOf(`"1"`), tag(`W/"1"`), true},
		{"9110, 8.8.3.2", "letter case counts", noneOf(`"a"`), tag(`"A"`), false},
		{"9110, 8.8.3", "a tag with a comma", noneOf(`"a,b"`), tag(`"a,b"`), true},
		{"9110, 8.8.3", "a weak one with a comma, in a list", noneOf(`"x", W/"a, b","y"`), tag(`"a, b"`), true},
		{"9110, 8.8.3", "a part of a tag with a comma", noneOf(`"a,b"`), tag(`"a`), false},
		{"9110, 8.8.3", "a tag that ends with a backslash", noneOf(`"a\", "b"`), tag(`"b"`), true},
		{"9110, 8.8.3", "a star in a tag is no star", noneOf(`"*"`), tag(`"1"`), false},
		{"9110, 13.1.3", "not modified since", since(0), modified, true},
		{"9110, 13.1.3", "modified at that time", since(-time.Hour), modified, true},
		{"9110, 13.1.3", "modified since", since(-2 * time.Hour), modified, false},
		{"9110, 13.1.3", "a date that is none", http.Header{"If-Modified-Since": {"now"}}, modified, false},
		{"9111, 4.3.2", "without Last-Modified, by Date", since(-time.Minute), http.Header{"Date": {date(-time.Minute)}}, true},
		{"9111, 4.3.2", "without Date, by when it was saved", since(-time.Second), nil, false},
		{"9111, 4.3.2", "and not before that", since(0), nil, true},
		{"9110, 13.2.2", "the tag goes before the date", http.Header{"If-None-Match": {`"2"`}, "If-Modified-Since": {date(0)}}, http.Header{"Etag": {`"1"`}, "Last-Modified": {date(-time.Hour)}}, false},
	} {
		if got := NotModified(test.req, test.stored, answered); got != test.want {
			t.Errorf("RFC %s: %s: %v, want %v", test.section, test.name, got, test.want)
		}
	}
}

func TestValidatorsAreThoseOfTheStoredResponse(t *testing.T) {
	for _, test := range []struct {
		section, name string
		stored        http.Header
		want          http.Header
	}{
		{"9111, 4.3.1", "both", http.Header{"Etag": {`W/"1"`}, "Last-Modified": {"then"}}, http.Header{"If-None-Match": {`W/"1"`}, "If-Modified-Since": {"then"}}},
		{"9111, 4.3.1", "the tag", http.Header{"Etag": {`"1"`}}, http.Header{"If-None-Match": {`"1"`}}},
		{"9111, 4.3.1", "the date", http.Header{"Last-Modified": {"then"}}, http.Header{"If-Modified-Since": {"then"}}},
		{"9111, 4.3.1", "none", http.Header{"Date": {"now"}}, http.Header{}},
	} {
		req := http.Header{"If-None-Match": {`"of the caller"`}, "If-Modified-Since": {"of the caller"}, "Accept": {"*/*"}}
		SetValidators(req, test.stored)
		test.want.Set("Accept", "*/*")
		if d := cmp.Diff(test.want, req); d != "" {
			t.Errorf("RFC %s: %s: %s", test.section, test.name, d)
		}
		if got, want := HasValidator(test.stored), len(test.want) > 1; got != want {
			t.Errorf("RFC %s: %s: HasValidator is %v", test.section, test.name, got)
		}
	}
}

func TestWhichResponseA304Confirms(t *testing.T) {
	for _, test := range []struct {
		section, tag, stored string
		want                 bool
	}{
		{"9111, 4.3.4", `"1"`, `"1"`, true},
		{"9111, 4.3.4", `"2"`, `"1"`, false},
		{"9111, 4.3.4", `W/"1"`, `"1"`, true},
		{"9111, 4.3.4", "", `"1"`, true},
		{"9111, 4.3.4", `"1"`, "", true},
	} {
		if got := Confirms(http.Header{"Etag": {test.tag}}, http.Header{"Etag": {test.stored}}); got != test.want {
			t.Errorf("RFC %s: a 304 of %s confirms %s is %v", test.section, test.tag, test.stored, got)
		}
	}
}

func TestUpdateOfHeaders(t *testing.T) {
	for _, test := range []struct {
		section, name   string
		stored, h, want http.Header
	}{
		{"9111, 3.2", "new ones replace", http.Header{"X": {"1", "2"}, "Y": {"1"}}, http.Header{"X": {"3"}, "Date": {"now"}}, http.Header{"X": {"3"}, "Y": {"1"}, "Date": {"now"}}},
		{"9111, 3.2", "new ones are added", nil, http.Header{"X": {"3"}, "Date": {"now"}}, http.Header{"X": {"3"}, "Date": {"now"}}},
		{"9111, 3.2", "Age is not that of the first response", http.Header{"Age": {"9"}, "Date": {"then"}}, http.Header{"Date": {"now"}}, http.Header{"Date": {"now"}}},
		{"9110, 6.6.1", "Date is when it came", http.Header{"Date": {"then"}}, nil, http.Header{"Date": {date(0)}}},
		{"9111, 3.2", "those about the body stay", http.Header{"Content-Length": {"1"}, "Content-Encoding": {"br"}, "Content-Type": {"a/b"}},
			http.Header{"Content-Length": {"0"}, "Content-Encoding": {"gzip"}, "Content-Range": {"x"}, "Content-Type": {"c/d"}, "Date": {"now"}},
			http.Header{"Content-Length": {"1"}, "Content-Encoding": {"br"}, "Content-Type": {"c/d"}, "Date": {"now"}}},
		{"9111, 3.1", "those of the connection are not kept", nil,
			http.Header{"Connection": {"close, x-hop", "X-Other"}, "X-Hop": {"1"}, "X-Other": {"1"}, "Keep-Alive": {"1"}, "Transfer-Encoding": {"chunked"}, "Date": {"now"}}, http.Header{"Date": {"now"}}},
	} {
		before := test.stored.Clone()
		if d := cmp.Diff(test.want, Update(test.stored, test.h, answered)); d != "" {
			t.Errorf("RFC %s: %s: %s", test.section, test.name, d)
		}
		if d := cmp.Diff(before, test.stored); d != "" {
			t.Errorf("RFC %s: %s: the stored headers changed: %s", test.section, test.name, d)
		}
	}
}

// RFC 9110, section 15.4.5.
func TestA304TellsNothingOfABody(t *testing.T) {
	stored := http.Header{"Etag": {`"1"`}, "Content-Type": {"a/b"}, "Content-Length": {"1"}, "Content-Location": {"/a"}, "Vary": {"X"}}
	want := http.Header{"Etag": {`"1"`}, "Content-Location": {"/a"}, "Vary": {"X"}}
	if d := cmp.Diff(want, NotModifiedHeaders(stored)); d != "" {
		t.Error(d)
	}
	if len(stored) != 5 {
		t.Errorf("the stored headers are %v now", stored)
	}
}
