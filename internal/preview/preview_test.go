package preview

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/unicode"
)

func TestOf(t *testing.T) {
	utf16, err := unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewEncoder().String(`{"a": "é"}`)
	if err != nil {
		t.Fatal(err)
	}
	sjis, err := japanese.ShiftJIS.NewEncoder().String("日本")
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		contentType, body string
		limit             int
		want              Body // Size is that of body
	}{
		"empty": {contentType: "application/json", want: Body{Kind: Empty, MediaType: "application/json"}},
		"numbers and members as they are written": {
			contentType: "application/json", body: `{"id":12345678901234567890,"x":1.0,"x":1e2,"s":"\u00e9\/<","a":[],"o":{},"l":[1,{"b":null}]}`,
			want: Body{Kind: JSON, MediaType: "application/json", Text: "{\n  \"id\": 12345678901234567890,\n  \"x\": 1.0,\n  \"x\": 1e2,\n" +
				"  \"s\": \"\\u00e9\\/<\",\n  \"a\": [],\n  \"o\": {},\n  \"l\": [\n    1,\n    {\n      \"b\": null\n    }\n  ]\n}"},
		},
		"a number alone":      {contentType: "application/json", body: " 1.50 ", want: Body{Kind: JSON, MediaType: "application/json", Text: "1.50"}},
		"a suffix":            {contentType: "application/problem+json; charset=utf-8", body: `[1]`, want: Body{Kind: JSON, MediaType: "application/problem+json", Text: "[\n  1\n]"}},
		"JSON without a type": {body: `[1]`, want: Body{Kind: JSON, MediaType: "application/json", Text: "[\n  1\n]"}},
		"JSON as text":        {contentType: "text/plain", body: `[1]`, want: Body{Kind: JSON, MediaType: "application/json", Text: "[\n  1\n]"}},
		"JSON in UTF-16":      {contentType: "application/json", body: utf16, want: Body{Kind: JSON, MediaType: "application/json", Text: "{\n  \"a\": \"é\"\n}"}},
		"JSON with a mark":    {contentType: "application/json", body: "\ufeff[]", want: Body{Kind: JSON, MediaType: "application/json", Text: "[]"}},
		"invalid JSON":        {contentType: "application/json", body: `{"a":1]`, want: Body{Kind: Text, MediaType: "application/json", Text: `{"a":1]`}},
		"JSON that is cut":    {contentType: "application/json", body: `{"a":`, want: Body{Kind: Text, MediaType: "application/json", Text: `{"a":`}},
		"two values":          {contentType: "application/json", body: `{} {}`, want: Body{Kind: Text, MediaType: "application/json", Text: `{} {}`}},
		"JSON Lines":          {contentType: "application/x-ndjson", body: "{\"a\":1}\n2\n\n[]\n", want: Body{Kind: JSON, MediaType: "application/x-ndjson", Text: "{\n  \"a\": 1\n}\n2\n[]"}},
		"a text sequence":     {contentType: "application/json-seq", body: "\x1e1\n\x1e2\n", want: Body{Kind: JSON, MediaType: "application/json-seq", Text: "1\n2"}},
		"broken JSON Lines":   {contentType: "application/x-ndjson", body: "{}\n{", want: Body{Kind: Text, MediaType: "application/x-ndjson", Text: "{}\n{"}},
		"hidden in JSON": {
			contentType: "application/json", body: "[\"a\u202eb\U000e0041\xff\x7f\"]",
			want: Body{Kind: JSON, MediaType: "application/json", Text: "[\n  \"a\\u202eb\\udb40\\udc41\\ufffd\\u007f\"\n]"},
		},
		"a limit in a string": {
			contentType: "application/json", body: `{"long":"` + strings.Repeat("é", 100_000) + `"}`, limit: 18,
			want: Body{Kind: JSON, MediaType: "application/json", Text: "{\n  \"long\": \"éé", Truncated: true},
		},
		"white space first": {
			contentType: "application/json", body: strings.Repeat(" ", 100_000) + `1`, limit: 10,
			want: Body{Kind: Text, MediaType: "application/json", Text: strings.Repeat(" ", 10), Truncated: true},
		},
		"text": {
			contentType: "text/plain", body: "a\r\nb\rc\t\x1b[31é\u2028\u202e\xe9",
			want: Body{Kind: Text, MediaType: "text/plain", Text: "a\nb\\x0dc\t\\x1b[31é\\u2028\\u202e\\xe9"},
		},
		"an emoji of several":      {contentType: "text/plain", body: "👩‍👩‍👧", want: Body{Kind: Text, MediaType: "text/plain", Text: "👩‍👩‍👧"}},
		"HTML":                     {contentType: "text/html", body: "<script>1</script>", want: Body{Kind: Text, MediaType: "text/html", Text: "<script>1</script>"}},
		"Latin 1":                  {contentType: "text/plain; charset=ISO-8859-1", body: "caf\xe9", want: Body{Kind: Text, MediaType: "text/plain", Text: "café"}},
		"Shift JIS":                {contentType: "text/html; charset=Shift_JIS", body: sjis, want: Body{Kind: Text, MediaType: "text/html", Text: "日本"}},
		"a charset nobody knows":   {contentType: "text/plain; charset=none", body: "a\xe9", want: Body{Kind: Text, MediaType: "text/plain", Text: `a\xe9`}},
		"text without a type":      {body: "hello", want: Body{Kind: Text, MediaType: "text/plain", Text: "hello"}},
		"text that is no image":    {contentType: "image/png", body: "no such image", want: Body{Kind: Text, MediaType: "image/png", Text: "no such image"}},
		"a form":                   {contentType: "application/x-www-form-urlencoded", body: "a=1+2&b=%C3%A9&c&a=%zz", want: Body{Kind: Text, MediaType: "application/x-www-form-urlencoded", Text: "a = 1 2\nb = é\nc\na = %zz"}},
		"text up to the limit":     {contentType: "text/plain", body: "aéé", limit: 4, want: Body{Kind: Text, MediaType: "text/plain", Text: "aé", Truncated: true}},
		"text within the limit":    {contentType: "text/plain", body: "aéé", limit: 5, want: Body{Kind: Text, MediaType: "text/plain", Text: "aéé"}},
		"an image":                 {body: "\x89PNG\r\n\x1a\n", want: Body{Kind: Binary, MediaType: "image/png", Text: "00000000  89 50 4e 47 0d 0a 1a 0a                           |.PNG....|\n"}},
		"bytes with a type":        {contentType: "application/x-protobuf", body: "\x08\x96\x01", want: Body{Kind: Binary, MediaType: "application/x-protobuf", Text: "00000000  08 96 01                                          |...|\n"}},
		"bytes called text":        {contentType: "text/plain", body: "a\x00b", want: Body{Kind: Binary, MediaType: "text/plain", Text: "00000000  61 00 62                                          |a.b|\n"}},
		"a type that is not one":   {contentType: "te\x1bxt/plain;;", body: "a", want: Body{Kind: Text, MediaType: `te\x1bxt/plain`, Text: "a"}},
		"a limit below a dump's":   {body: "\x00\x01", limit: 10, want: Body{Kind: Binary, MediaType: "application/octet-stream", Truncated: true}},
		"more bytes than is shown": {body: strings.Repeat("\x00", 300), limit: 100, want: Body{Kind: Binary, MediaType: "application/octet-stream", Truncated: true, Text: "00000000  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  |................|\n"}},
	} {
		t.Run(name, func(t *testing.T) {
			tc.want.Size = len(tc.body)
			h := http.Header{}
			if tc.contentType != "" {
				h.Set("Content-Type", tc.contentType)
			}
			if got := Of(h, []byte(tc.body), tc.limit); got != tc.want {
				t.Errorf("got  %+v\nwant %+v", got, tc.want)
			}
		})
	}
}

func TestABodyIsUnpacked(t *testing.T) {
	const text = `{"a":1}`
	pack := map[string]func() []byte{
		"gzip": func() []byte {
			var b bytes.Buffer
			w := gzip.NewWriter(&b)
			w.Write([]byte(text))
			w.Close()
			return b.Bytes()
		},
		"deflate": func() []byte {
			var b bytes.Buffer
			w := zlib.NewWriter(&b)
			w.Write([]byte(text))
			w.Close()
			return b.Bytes()
		},
		"zstd": func() []byte {
			w, err := zstd.NewWriter(nil)
			if err != nil {
				t.Fatal(err)
			}
			defer w.Close()
			return w.EncodeAll([]byte(text), nil)
		},
	}
	for coding, pack := range pack {
		h := http.Header{"Content-Type": {"application/json"}, "Content-Encoding": {coding}}
		packed := pack()
		want := Body{Kind: JSON, MediaType: "application/json", Coding: coding, Text: "{\n  \"a\": 1\n}", Size: len(packed)}
		if got := Of(h, packed, 0); got != want {
			t.Errorf("%s: got %+v, want %+v", coding, got, want)
		}
		if got := Of(h, []byte("x"), 0); got.Kind != Binary || got.Coding != coding {
			t.Errorf("%s: what is not packed: %+v", coding, got)
		}
	}
	h := http.Header{"Content-Type": {"application/json"}, "Content-Encoding": {"br"}}
	if got := Of(h, []byte("\x0b\x02"), 0); got.Kind != Binary || got.Coding != "br" || got.MediaType != "application/json" {
		t.Errorf("an unknown coding: %+v", got)
	}
}

func TestASmallBodyThatUnpacksToALargeOneIsBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	zeros := []byte("[" + strings.Repeat("0,", 1<<19))
	for range 300 {
		w.Write(zeros)
	}
	w.Close()
	h := http.Header{"Content-Type": {"application/json"}, "Content-Encoding": {"gzip"}}
	plain, whole, err := Plain(h, b.Bytes(), 0)
	if err != nil || whole || len(plain) != mostUnpacked {
		t.Errorf("%d bytes, whole %v, %v", len(plain), whole, err)
	}
	if got := Of(h, b.Bytes(), 100); !got.Truncated || len(got.Text) > 100 || got.Kind != JSON {
		t.Errorf("%+v", got)
	}
}

// The work for a preview is in proportion to its limit: allocations tell.
func TestALongBodyCostsWhatItsBeginningCosts(t *testing.T) {
	long := []byte(`{"list":[` + strings.Repeat(`{"id":1,"name":"x"},`, 50<<20/20))
	for _, contentType := range []string{"application/json", "text/plain", "application/x-ndjson", "image/png", "", "application/x-www-form-urlencoded"} {
		h := http.Header{"Content-Type": {contentType}}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		got := Of(h, long, 1000)
		runtime.ReadMemStats(&after)
		if !got.Truncated || len(got.Text) > 1000 || got.Size != len(long) {
			t.Errorf("%q: %+v", contentType, got)
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
			t.Errorf("%q: %d bytes are allocated", contentType, n)
		}
	}
}

func TestDeepJSONDoesNotBecomeItsIndentation(t *testing.T) {
	deep := strings.Repeat("[", 5000) + strings.Repeat("1,", 100_000) + "1" + strings.Repeat("]", 5000)
	got := Of(http.Header{"Content-Type": {"application/json"}}, []byte(deep), 0)
	if got.Kind != JSON || got.Text != deep || got.Truncated {
		t.Errorf("%s of %d bytes, truncated: %v", got.Kind, len(got.Text), got.Truncated)
	}
}

func TestLine(t *testing.T) {
	for text, want := range map[string]string{
		"":                          "",
		"plain é":                   "plain é",
		"a\nb\tc\r\n":               `a\nb\tc\x0d\n`,
		"\x1b]0;title\x07":          `\x1b]0;title\x07`,
		"\u009b31m\u202e\u2066\xc3": `\u009b31m\u202e\u2066\xc3`,
		"\u200b\ufeff\u00ad":        `\u200b\ufeff\u00ad`,
	} {
		if got := Line(text); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
	if got := Visible("a\r\nb\tc\rd"); got != "a\nb\tc\\x0dd" {
		t.Errorf("%q", got)
	}
}

func FuzzOf(f *testing.F) {
	for _, contentType := range []string{"application/json", "application/x-ndjson", "text/plain; charset=utf-16", "application/x-www-form-urlencoded", ""} {
		f.Add(contentType, "", []byte(`{"a":[1.0,"\u202e`+"\u202e\xff"+`",{}],"a":2}`), 20)
		f.Add(contentType, "", []byte("\xff\xfe{\x00}\x00\n"), 0)
		f.Add(contentType, "gzip", []byte("\x1f\x8b\x08\x00"), 7)
		f.Add(contentType, "", []byte("[1,\n{\"a\"\t:\x1e2}]\r\n"), 100)
	}
	f.Fuzz(func(t *testing.T, contentType, coding string, body []byte, limit int) {
		limit = max(limit, 0) % (2*len(body) + 2)
		h := http.Header{"Content-Type": {contentType}}
		if coding != "" {
			h.Set("Content-Encoding", coding)
		}
		before := slices.Clone(body)
		got := Of(h, body, limit)
		if !bytes.Equal(before, body) {
			t.Fatal("the body is changed")
		}
		if !utf8.ValidString(got.Text) || Visible(got.Text) != got.Text || Line(got.MediaType) != got.MediaType || Line(got.Coding) != got.Coding {
			t.Errorf("hidden characters: %+v", got)
		}
		if limit > 0 && len(got.Text) > limit || got.Size != len(body) {
			t.Errorf("limit %d: %+v", limit, got)
		}
		if limit > 0 && !got.Truncated && got.Kind != Text { // of text, the other half is the test below
			if all := Of(h, body, 0); all != got {
				t.Errorf("with a limit %+v, without %+v", got, all)
			}
		}
		if limit == 0 && got.Truncated && got.Kind != Binary && coding == "" {
			t.Errorf("not the whole: %+v", got)
		}
		if got.Kind == JSON && !got.Truncated && coding == "" && utf8.Valid(body) && Visible(string(body)) == string(body) && !isSequence(got.MediaType) &&
			!strings.Contains(contentType, "charset") {
			value := jsontext.Value(body)
			shown := jsontext.Value(got.Text)
			options := []jsontext.Options{jsontext.AllowDuplicateNames(true), jsontext.PreserveRawStrings(true)}
			if err := value.Compact(options...); err != nil {
				t.Fatalf("no JSON: %q: %v", body, err)
			}
			if err := shown.Compact(options...); err != nil || string(shown) != string(value) {
				t.Errorf("%q is shown as %q: %v", value, shown, err)
			}
		}
	})
}
