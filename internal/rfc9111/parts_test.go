package rfc9111

import (
	"bytes"
	"math/rand/v2"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
	"time"
)

const alphabet = "0123456789"

// partsOf reads the text of parts of the digits, and returns their payload, too.
func partsOf(t *testing.T, text string) (Parts, []byte) {
	t.Helper()
	spans, _, _ := strings.Cut(text, "/")
	var payload []byte
	for _, s := range spansOf(t, spans) {
		payload = append(payload, alphabet[s.First:s.Last+1]...)
	}
	p, ok := ParseParts(text, int64(len(payload)))
	if !ok || p.String() != text {
		t.Fatalf("%q is read as %v", text, p)
	}
	return p, payload
}

func TestAPart(t *testing.T) {
	for _, test := range []struct {
		header string
		length int64
		want   string
	}{
		{"bytes 0-4/10", 5, "0-4/10"},
		{"bytes 0-9/10", 10, "0-9/10"},
		{"bytes 5-9/*", 5, "5-9/*"},
		{"bytes 4-9/10", 5, "4-8/~9"},
		{"bytes 4-8/10", 4, "4-7/~*"},
		{"bytes 4-9/*", 5, "4-8/~*"},
		{"bytes 4-9/10", 7, ""},
		{"bytes 4-9/10", 0, ""},
		{"bytes 9-4/10", 5, ""},
		{"", 5, ""},
	} {
		p, ok := PartOf(http.Header{"Content-Range": {test.header}}, test.length)
		if ok != (test.want != "") || ok && p.String() != test.want {
			t.Errorf("%q of %d bytes: %v, %v, want %q", test.header, test.length, p, ok, test.want)
		}
	}
	for _, text := range []string{"", "/", "0-4", "0-4/", "4-0/10", "0-4,3-5/10", "0-4,5-6/10", "5-6,0-1/10", "0-10/10", "0-4/10,", "0-3/10", "a-b/10"} {
		if p, ok := ParseParts(text, 5); ok {
			t.Errorf("%q is read as %v", text, p)
		}
	}
}

func TestWhatPartsAnswer(t *testing.T) {
	for _, test := range []struct {
		parts, header string
		known         bool
	}{
		{"0-4/10", "bytes=0-4", true},
		{"0-4/10", "bytes=1-1", true},
		{"0-4/10", "bytes=4-5", false},
		{"0-4/10", "bytes=0-", false},
		{"5-9/10", "bytes=5-", true},
		{"5-9/10", "bytes=-5", true},
		{"5-9/10", "bytes=-6", false},
		{"5-9/10", "bytes=7-99", true},
		{"5-9/10", "bytes=10-", true}, // is known not to be there
		{"0-1,8-9/10", "bytes=0-0,-1", true},
		{"0-1,8-9/10", "bytes=0-9", false},
		{"0-1,8-9/10", "bytes=0-0,5-5", false},
		{"0-1,8-9/10", "bytes=0-1,2-3", false},
		{"0-4/*", "bytes=1-2", true},
		{"0-4/*", "bytes=1-", false},
		{"0-4/*", "bytes=-1", false},
		{"0-4/*", "bytes=99-", false},
		{"0-4/10", "lines=0-1", false},
		{"0-4/10", "bytes=x", false},
		{"4-8/~9", "bytes=-1", true},
		{"4-8/~9", "bytes=6-", true},
		{"4-8/~9", "bytes=20-", false},
		{"4-8/~*", "bytes=6-", false},
	} {
		p, _ := partsOf(t, test.parts)
		if _, _, known := p.Wanted(http.Header{"Range": {test.header}}); known != test.known {
			t.Errorf("%s of %s: %v", test.header, test.parts, known)
		}
	}
}

func TestTheRestOfParts(t *testing.T) {
	for parts, want := range map[string]string{
		"0-4/10":         "bytes=5-",
		"5-9/10":         "bytes=0-4",
		"0-1,8-9/10":     "bytes=2-7",
		"0-1,4-5,8-9/10": "bytes=2-7",
		"0-1,4-5/10":     "bytes=2-",
		"4-5,8-9/10":     "bytes=0-7",
		"4-5/10":         "", // all of it is asked for
		"0-9/10":         "",
		"0-4/*":          "",
		"4-8/~9":         "",
	} {
		p, _ := partsOf(t, parts)
		rest, ok := p.Rest()
		if ok != (want != "") || ok && RangeOf(rest, p.Size) != want {
			t.Errorf("of %s: %v, %v, want %q", parts, rest, ok, want)
		}
	}
}

func TestCombine(t *testing.T) {
	for _, test := range []struct{ a, b, want string }{
		{"0-4/10", "5-9/10", "0-9/10"},
		{"5-9/10", "0-4/10", "0-9/10"},
		{"0-6/10", "3-9/10", "0-9/10"},
		{"0-9/10", "3-4/10", "0-9/10"},
		{"0-1/10", "8-9/10", "0-1,8-9/10"},
		{"0-1,8-9/10", "2-7/10", "0-9/10"},
		{"0-1,4-5,8-9/10", "1-4/10", "0-5,8-9/10"},
		{"0-1/*", "2-3/*", "0-3/*"},
		{"0-1/*", "2-9/10", "0-9/10"},
		{"0-4/10", "0-4/11", ""},
		{"0-9/*", "0-4/5", ""},
		{"0-4/5", "7-8/*", ""},
		{"4-8/~9", "0-3/9", ""},
		{"0-3/9", "4-8/~9", ""},
	} {
		a, aBytes := partsOf(t, test.a)
		b, bBytes := partsOf(t, test.b)
		p, payload, fit := Combine(a, b, aBytes, bBytes, 10)
		ok := fit == Together
		if ok != (test.want != "") {
			t.Errorf("%s and %s: %v, %v", test.a, test.b, p, ok)
			continue
		}
		if !ok {
			continue
		}
		if want, wanted := partsOf(t, test.want); p.String() != want.String() || !bytes.Equal(payload, wanted) {
			t.Errorf("%s and %s: %v %q, want %s", test.a, test.b, p, payload, test.want)
		}
	}
	a, aBytes := partsOf(t, "0-4/10")
	b, bBytes := partsOf(t, "3-6/10")
	if _, _, fit := Combine(a, b, aBytes, bBytes, 6); fit != TooMuch {
		t.Error("more than the limit:", fit)
	}
	if _, _, fit := Combine(a, b, aBytes, []byte("3X56"), 10); fit != Apart {
		t.Error("bytes that differ:", fit)
	}
	many := Parts{Size: -1}
	for i := range int64(mostParts) {
		many.Spans = append(many.Spans, Span{2 * i, 2 * i})
	}
	one := Parts{Spans: []Span{{1000, 1000}}, Size: -1}
	if _, _, fit := Combine(many, one, make([]byte, mostParts), []byte("x"), 1000); fit != TooMuch {
		t.Error("too many pieces:", fit)
	}
	if string(aBytes) != "01234" || string(bBytes) != "3456" {
		t.Errorf("the parts are %q and %q now", aBytes, bBytes)
	}
}

// In whatever order parts come, what is known of them is right.
func TestCombineAtRandom(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		var p Parts
		var payload []byte
		p.Size = 10
		for !p.Whole() {
			first := random.Int64N(10)
			span := Span{first, first + random.Int64N(10-first)}
			one := Parts{Spans: []Span{span}, Size: 10}
			var fit Fit
			if p, payload, fit = Combine(p, one, payload, []byte(alphabet[span.First:span.Last+1]), 10); fit != Together {
				t.Fatalf("%v is not added to %v", span, p)
			}
			for _, s := range p.Spans {
				if got := string(p.Bytes(payload, s)); got != alphabet[s.First:s.Last+1] {
					t.Fatalf("%v of %v is %q", s, p, got)
				}
			}
			if _, ok := ParseParts(p.String(), int64(len(payload))); !ok {
				t.Fatalf("%q cannot be read", p.String())
			}
		}
		if string(payload) != alphabet {
			t.Fatalf("the whole is %q", payload)
		}
	}
}

func TestSameBytes(t *testing.T) {
	now := time.Date(2006, 1, 3, 0, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		name string
		a, b []string
		same bool
	}{
		{"equal tags", []string{"Etag", `"1"`}, []string{"Etag", `"1"`}, true},
		{"other tags", []string{"Etag", `"1"`}, []string{"Etag", `"2"`}, false},
		{"weak tags", []string{"Etag", `W/"1"`}, []string{"Etag", `W/"1"`}, false},
		{"a tag and none", []string{"Etag", `"1"`}, nil, false},
		{"nothing", nil, nil, false},
		{"equal dates", []string{"Last-Modified", modified}, []string{"Last-Modified", modified}, true},
		{"a date and a tag", []string{"Last-Modified", modified}, []string{"Last-Modified", modified, "Etag", `"1"`}, false},
		{"dates of now", []string{"Last-Modified", modified, "Date", modified}, []string{"Last-Modified", modified, "Date", modified}, false},
		{"other codings", []string{"Etag", `"1"`, "Content-Encoding", "gzip"}, []string{"Etag", `"1"`, "Content-Encoding", "br"}, false},
		{"a coding that is not repeated", []string{"Etag", `"1"`, "Content-Encoding", "gzip"}, []string{"Etag", `"1"`}, true},
	} {
		if got := SameBytes(pairs(test.a...), pairs(test.b...), now, now); got != test.same {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}

// RFC 9111, section 3.4.
func TestCombinedHeaders(t *testing.T) {
	h := CombinedHeaders(
		pairs("A", "1", "B", "1", "Content-Type", "text/plain", "Content-Range", "bytes 0-4/10", "Content-Length", "5", "Age", "7", "Content-Digest", "x"),
		pairs("A", "2", "Content-Range", "bytes 5-9/10", "Content-Length", "5", "Date", modified),
		time.Date(2006, 1, 3, 0, 0, 0, 0, time.UTC))
	want := pairs("A", "2", "B", "1", "Content-Type", "text/plain", "Date", modified)
	if len(h) != len(want) {
		t.Fatal(h)
	}
	for name := range want {
		if h.Get(name) != want.Get(name) {
			t.Errorf("%s: %q", name, h.Get(name))
		}
	}
}

func TestMultipart(t *testing.T) {
	p, payload := partsOf(t, "0-4,7-9/10")
	body, mediaType, err := Multipart(p, payload, []Span{{8, 9}, {1, 2}}, "text/plain")
	if err != nil {
		t.Fatal(err)
	}
	kind, params, err := mime.ParseMediaType(mediaType)
	if err != nil || kind != "multipart/byteranges" {
		t.Fatal(mediaType, err)
	}
	r := multipart.NewReader(bytes.NewReader(body), params["boundary"])
	for _, want := range []struct{ content, body string }{{"bytes 8-9/10", "89"}, {"bytes 1-2/10", "12"}} {
		part, err := r.NextRawPart()
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		_, err = b.ReadFrom(part)
		if err != nil || b.String() != want.body || part.Header.Get("Content-Range") != want.content || part.Header.Get("Content-Type") != "text/plain" {
			t.Errorf("%v %q, %v", part.Header, b.String(), err)
		}
	}
}
