package rfc9111

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

func spansOf(t *testing.T, text string) []Span {
	t.Helper()
	var spans []Span
	for one := range strings.SplitSeq(text, ",") {
		if one == "" {
			continue
		}
		s, _, ok := parseSpanOf(one + "/*")
		if !ok {
			t.Fatalf("%q is no span", one)
		}
		spans = append(spans, s)
	}
	return spans
}

// RFC 9110, section 14.1.2, of a representation of ten bytes.
func TestRanges(t *testing.T) {
	for _, test := range []struct {
		header string
		spans  string
		wanted Wanted
	}{
		{"bytes=0-0", "0-0", SomeBytes},
		{"bytes=0-9", "0-9", SomeBytes},
		{"bytes=0-", "0-9", SomeBytes},
		{"bytes=9-", "9-9", SomeBytes},
		{"bytes=5-99", "5-9", SomeBytes},
		{"bytes=-3", "7-9", SomeBytes},
		{"bytes=-99", "0-9", SomeBytes},
		{"Bytes=2-3", "2-3", SomeBytes},
		{"bytes = 2-3", "2-3", SomeBytes},
		{"bytes=0-99999999999999999999", "0-9", SomeBytes},
		{"bytes=0-9223372036854775807", "0-9", SomeBytes},
		{"bytes=-99999999999999999999", "0-9", SomeBytes},
		{"bytes=00000000000000000000000-1", "0-1", SomeBytes},

		{"bytes=0-1,5-6", "0-1,5-6", SomeBytes},
		{"bytes=5-6, 0-1", "5-6,0-1", SomeBytes},
		{"bytes=,5-6,,\t0-1,", "5-6,0-1", SomeBytes},
		{"bytes=0-1,-2", "0-1,8-9", SomeBytes},
		{"bytes=0-1,20-30", "0-1", SomeBytes},
		{"bytes=20-30,0-1,-0", "0-1", SomeBytes},
		{"bytes=0-4,3-6", "0-6", SomeBytes},
		{"bytes=8-9,0-4,3-6", "0-6,8-9", SomeBytes},
		{"bytes=0-1,2-3", "0-3", SomeBytes},
		{"bytes=" + strings.Repeat("0-,", 60), "0-9", SomeBytes},

		{"bytes=10-", "", NoneOfIt},
		{"bytes=10-20,99-", "", NoneOfIt},
		{"bytes=-0", "", NoneOfIt},
		{"bytes=9223372036854775807-", "", NoneOfIt},
		{"bytes=99999999999999999999-", "", NoneOfIt},

		{"bytes=5-4", "", All},
		{"bytes=99999999999999999999-3", "", All},
		{"bytes=0-1,5-4", "", All},
		{"bytes=-", "", All},
		{"bytes=", "", All},
		{"bytes=,", "", All},
		{"bytes=a-b", "", All},
		{"bytes=--1", "", All},
		{"bytes=+1-2", "", All},
		{"bytes=1-2-3", "", All},
		{"bytes=1 - 2", "", All},
		{"bytes=1", "", All},
		{"bytes=" + strings.Repeat("1-1,", mostRanges+1), "", All},

		{"lines=0-1", "", OfAnotherUnit},
		{"bytes", "", OfAnotherUnit},
		{"0-1", "", OfAnotherUnit},
		{"", "", OfAnotherUnit},
	} {
		spans, wanted := Ranges(http.Header{"Range": {test.header}}, 10)
		if !slices.Equal(spans, spansOf(t, test.spans)) || wanted != test.wanted {
			t.Errorf("%.40q: %v, %d, want %s, %d", test.header, spans, wanted, test.spans, test.wanted)
		}
	}
	for name, h := range map[string]http.Header{
		"none":    {},
		"several": {"Range": {"bytes=0-1", "bytes=2-3"}},
	} {
		if _, wanted := Ranges(h, 10); wanted != All {
			t.Errorf("%s: %d", name, wanted)
		}
	}
	for _, header := range []string{"bytes=0-", "bytes=-1", "bytes=3-4"} {
		if _, wanted := Ranges(http.Header{"Range": {header}}, 0); wanted != All {
			t.Errorf("%s of nothing: %d", header, wanted)
		}
	}
}

const modified = "Mon, 02 Jan 2006 15:04:05 GMT"

// RFC 9110, sections 13.1.5 and 8.8.2.2.
func TestIfRange(t *testing.T) {
	received := time.Date(2006, 1, 3, 0, 0, 0, 0, time.UTC)
	both := []string{"Etag", `"1"`, "Last-Modified", modified}
	for _, test := range []struct {
		name, condition string
		stored          []string
		holds           bool
	}{
		{"the same tag", `"1"`, both, true},
		{"another tag", `"2"`, both, false},
		{"a weak tag", `W/"1"`, []string{"Etag", `W/"1"`}, false},
		{"a strong tag of a weak one", `"1"`, []string{"Etag", `W/"1"`}, false},
		{"no tag there", `"1"`, nil, false},
		{"no tag at all", "1", []string{"Etag", "1"}, false},
		{"a list of tags", `"1", "2"`, both, false},
		{"any", "*", both, false},
		{"the same date", modified, both, true},
		{"the same date in another form", "Monday, 02-Jan-06 15:04:05 GMT", both, true},
		{"a later date", "Mon, 02 Jan 2006 15:04:06 GMT", both, false},
		{"an earlier date", "Mon, 02 Jan 2006 15:04:04 GMT", both, false},
		{"a date where none is known", modified, []string{"Etag", `"1"`}, false},
		{"a date of a moment before", modified, append(both, "Date", "Mon, 02 Jan 2006 15:04:06 GMT"), false},
		{"a date of a minute before", modified, append(both, "Date", "Mon, 02 Jan 2006 15:05:05 GMT"), true},
		{"what is no date", "yesterday", both, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			stored := pairs(test.stored...)
			if got := RangeHolds(http.Header{"If-Range": {test.condition}}, stored, received); got != test.holds {
				t.Error(got)
			}
		})
	}
	if !RangeHolds(http.Header{}, nil, received) {
		t.Error("no condition does not hold")
	}
	if RangeHolds(http.Header{"If-Range": {`"1"`, `"1"`}}, pairs(both...), received) {
		t.Error("two conditions hold")
	}
}

func pairs(headers ...string) http.Header {
	h := make(http.Header)
	for i := 0; i+1 < len(headers); i += 2 {
		h.Add(headers[i], headers[i+1])
	}
	return h
}

func TestTheStrongValidator(t *testing.T) {
	received := time.Date(2006, 1, 3, 0, 0, 0, 0, time.UTC)
	for want, headers := range map[string][][]string{
		`"1"`:    {{"Etag", `"1"`}, {"Etag", `"1"`, "Last-Modified", modified}},
		`""`:     {{"Etag", `""`}},
		modified: {{"Last-Modified", modified}},
		"": {
			{}, {"Etag", `W/"1"`}, {"Etag", `W/"1"`, "Last-Modified", modified}, {"Etag", "1"}, {"Etag", `"1`},
			{"Etag", `"`}, {"Etag", `"a"b"`}, {"Etag", `"1"`, "Etag", `"2"`}, {"Last-Modified", "today"},
			{"Last-Modified", modified, "Date", modified},
		},
	} {
		for _, h := range headers {
			if got := StrongValidator(pairs(h...), received); got != want {
				t.Errorf("%v: %q, want %q", h, got, want)
			}
		}
	}
}

func TestContentRange(t *testing.T) {
	for _, test := range []struct {
		value string
		span  Span
		size  int64
		ok    bool
	}{
		{"bytes 0-4/10", Span{0, 4}, 10, true},
		{"Bytes 5-9/10", Span{5, 9}, 10, true},
		{"bytes 5-9/*", Span{5, 9}, -1, true},
		{"bytes 0-8999999999999999998/8999999999999999999", Span{0, 9e18 - 2}, 9e18 - 1, true},
		{value: "bytes 4-3/10"},
		{value: "bytes 0-10/10"},
		{value: "bytes 0-0/0"},
		{value: "bytes */10"},
		{value: "bytes 0-4"},
		{value: "bytes 0-4/"},
		{value: "bytes 0-/10"},
		{value: "bytes -4/10"},
		{value: "bytes -1-4/10"},
		{value: "bytes +0-4/10"},
		{value: "bytes 0-4/-10"},
		{value: "bytes 0-4/10, bytes 5-9/10"},
		{value: "bytes=0-4/10"},
		{value: "bytes 0x0-4/10"},
		{value: "bytes 0-9223372036854775807/*"},
		{value: "bytes 0-4/9223372036854775807"},
		{value: "bytes 0-99999999999999999999/*"},
		{value: "bytes 18446744073709551616-18446744073709551620/*"},
		{value: "items 0-4/10"},
		{value: "bytes"},
		{value: ""},
	} {
		span, size, ok := ParseContentRange(http.Header{"Content-Range": {test.value}})
		if span != test.span || size != test.size || ok != test.ok {
			t.Errorf("%q: %v/%d, %v", test.value, span, size, ok)
		}
	}
	if _, _, ok := ParseContentRange(http.Header{"Content-Range": {"bytes 0-4/10", "bytes 0-4/10"}}); ok {
		t.Error("two lines are taken")
	}
}

// Whatever is sent, what is read of it lies within the representation.
func FuzzRanges(f *testing.F) {
	for _, seed := range []string{"bytes=0-1", "bytes=-5,3-", "bytes=9-1", "bytes=0-99999999999999999999", "lines=1-2", "bytes=,,1-2"} {
		f.Add(seed, "bytes 0-4/10", int64(10))
	}
	f.Add("bytes=1-", "bytes 4-9/*", int64(3))
	f.Add("bytes=1-", "bytes 18446744073709551615-0/1", int64(0))
	f.Fuzz(func(t *testing.T, header, content string, size int64) {
		if size < 0 {
			size = 0
		}
		spans, wanted := Ranges(http.Header{"Range": {header}}, size)
		if (wanted == SomeBytes) != (len(spans) > 0) || len(spans) > mostRanges {
			t.Fatalf("%d spans, %d", len(spans), wanted)
		}
		var sum int64
		for _, s := range spans {
			if s.First < 0 || s.Last < s.First || s.Last >= size {
				t.Fatalf("%v of %d bytes", s, size)
			}
			sum += s.Len()
		}
		if sum > size {
			t.Fatalf("%d bytes of %d", sum, size)
		}
		h := http.Header{"Content-Range": {content}}
		span, total, ok := ParseContentRange(h)
		if ok && (span.First < 0 || span.Last < span.First || total >= 0 && span.Last >= total) {
			t.Fatalf("%v of %d bytes", span, total)
		}
		p, ok := PartOf(h, size)
		if !ok {
			return
		}
		if p.Len() != size {
			t.Fatalf("%v for %d bytes", p, size)
		}
		if again, ok := ParseParts(p.String(), size); !ok || again.String() != p.String() || again.Miscounted != p.Miscounted {
			t.Fatalf("%q is read as %v", p.String(), again)
		}
		if rest, ok := p.Rest(); ok && (rest.First < 0 || rest.Last >= p.Size || rest.Len() <= 0) {
			t.Fatalf("the rest of %v is %v", p, rest)
		}
	})
}
