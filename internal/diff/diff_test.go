package diff

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func jsonOf(text string) Response {
	return Response{Status: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: []byte(text)}
}

func TestJSONByMember(t *testing.T) {
	for name, tc := range map[string]struct {
		from, to string
		want     []Change // without "body" before a path
	}{
		"order, space and escapes": {from: `{"a":1,"b":"é"}`, to: "{ \"b\": \"\\u00e9\",\n\"a\" : 1}"},
		"numbers by value":         {from: `[1,1.0,0,-0.0,1e2,0.10,12345678901234567890]`, to: `[1.0,1,-0,0.0,100,1E-1,12345678901234567890]`},
		"big numbers": {
			from: `{"id":12345678901234567890}`, to: `{"id":12345678901234567891}`,
			want: []Change{{Path: "/id", Op: Replaced, From: "12345678901234567890", To: "12345678901234567891"}},
		},
		"numbers and strings": {from: `[1]`, to: `["1"]`, want: []Change{{Path: "/0", Op: Replaced, From: "1", To: `"1"`}}},
		"members": {
			from: `{"album":{"title":"Kind of Blue","year":1959},"old":null}`, to: `{"album":{"title":"Kind Of Blue","year":1959},"a/b~c":[ 1, 2 ]}`,
			want: []Change{
				{Path: "/album/title", Op: Replaced, From: `"Kind of Blue"`, To: `"Kind Of Blue"`},
				{Path: "/old", Op: Removed, From: "null"},
				{Path: "/a~1b~0c", Op: Added, To: "[1,2]"},
			},
		},
		"members of one name": {
			from: `{"a":1,"a":2}`, to: `{"a":1,"a":3,"a":4}`,
			want: []Change{{Path: "/a", Op: Replaced, From: "2", To: "3"}, {Path: "/a", Op: Added, To: "4"}},
		},
		"members of one name in another order": {
			from: `[{"a":1,"a":2}]`, to: `[{"a":2,"a":1}]`,
			want: []Change{{Path: "/0/a", Op: Replaced, From: "1", To: "2"}, {Path: "/0/a", Op: Replaced, From: "2", To: "1"}},
		},
		"an element at the beginning": {from: `[2,3,2,3]`, to: `[1,2,3,2,3]`, want: []Change{{Path: "/0", Op: Added, To: "1"}}},
		"an element in the middle":    {from: `[{"n":1},{"n":3}]`, to: `[{"n":1},{"n":2},{"n":3}]`, want: []Change{{Path: "/1", Op: Added, To: `{"n":2}`}}},
		"an element less":             {from: `[1,1,1]`, to: `[1,1]`, want: []Change{{Path: "/2", Op: Removed, From: "1"}}},
		"an element inserted and one changed": {
			from: `{"tracks":[{"id":1,"t":"a"},{"id":2,"t":"b"},{"id":3,"t":"c"}]}`, to: `{"tracks":[{"id":9,"t":"z"},{"id":1,"t":"A"},{"id":2,"t":"b"},{"id":3,"t":"c"}]}`,
			want: []Change{{Path: "/tracks/0", Op: Added, To: `{"id":9,"t":"z"}`}, {Path: "/tracks/0/t", Op: Replaced, From: `"a"`, To: `"A"`}},
		},
		"another object": {
			from: `[{"id":1}]`, to: `[{"id":2}]`,
			want: []Change{{Path: "/0", Op: Removed, From: `{"id":1}`}, {Path: "/0", Op: Added, To: `{"id":2}`}},
		},
		"objects without identities": {
			from: `[{"x":1,"y":1},{"x":2}]`, to: `[{"x":1,"y":2},{"x":2}]`,
			want: []Change{{Path: "/0/y", Op: Replaced, From: "1", To: "2"}},
		},
		"the whole":      {from: `[]`, to: `{ }`, want: []Change{{Op: Replaced, From: "[]", To: "{}"}}},
		"an empty one":   {from: `{"a":[]}`, to: `{"a":{}}`, want: []Change{{Path: "/a", Op: Replaced, From: "[]", To: "{}"}}},
		"an empty array": {from: `[[]]`, to: `[[],[]]`, want: []Change{{Path: "/1", Op: Added, To: "[]"}}},
	} {
		t.Run(name, func(t *testing.T) {
			for i := range tc.want {
				tc.want[i].Path = strings.TrimSuffix("body "+tc.want[i].Path, " ")
			}
			if difference := cmp.Diff(tc.want, Compare(jsonOf(tc.from), jsonOf(tc.to))); difference != "" {
				t.Error(difference)
			}
		})
	}
}

func TestOtherBodies(t *testing.T) {
	body := func(contentType, text string) Response {
		return Response{Status: http.StatusOK, Header: http.Header{"Content-Type": {contentType}}, Body: []byte(text)}
	}
	for name, tc := range map[string]struct {
		contentType, from, to string
		want                  []Change
	}{
		"lines": {
			contentType: "text/html", from: "a\nb\nc\nd\n", to: "a\nx\nc\nnew\nd",
			want: []Change{
				{Path: "body line 2", Op: Replaced, From: "b\n", To: "x\n"},
				{Path: "body line 4", Op: Replaced, From: "d\n", To: "new\n"},
				{Path: "body line 5", Op: Added, To: "d"},
			},
		},
		"JSON Lines": {
			contentType: "application/x-ndjson", from: "{\"a\":1}\n{\"a\":2}\n", to: "{\"a\": 1}\n{\"a\":3}\n",
			want: []Change{{Path: "body /1/a", Op: Replaced, From: "2", To: "3"}},
		},
		"broken JSON": {
			contentType: "application/json", from: `{"a":1}`, to: `{"a":1`,
			want: []Change{{Path: "body line 1", Op: Replaced, From: `{"a":1}`, To: `{"a":1`}},
		},
		"bytes": {
			contentType: "image/png", from: "\x89PNG\r\n\x1a\n", to: "\x89PNG\r\n\x1a\n\x00",
			want: []Change{{Path: "body", Op: Replaced, From: "8 bytes of image/png", To: "9 bytes of image/png"}},
		},
		"nothing before":   {contentType: "application/json", to: "[]", want: []Change{{Path: "body", Op: Added, To: "2 bytes of application/json"}}},
		"nothing any more": {contentType: "text/plain", from: "a", want: []Change{{Path: "body", Op: Removed, From: "1 byte of text/plain"}}},
	} {
		t.Run(name, func(t *testing.T) {
			if difference := cmp.Diff(tc.want, Compare(body(tc.contentType, tc.from), body(tc.contentType, tc.to))); difference != "" {
				t.Error(difference)
			}
		})
	}
}

func TestHeaders(t *testing.T) {
	stored := Response{Status: http.StatusOK, Header: http.Header{
		"Etag": {`"1"`}, "Date": {"Mon"}, "Vary": {"A, B"}, "X-Old": {"1"}, "Location": {"/?access_token=REDACTED"},
	}}
	now := Response{Status: http.StatusNotFound, Header: http.Header{
		"Etag": {`"2"`}, "Date": {"Tue"}, "Vary": {"A", "B "}, "Age": {"1"}, "Connection": {"close"}, "Location": {"/?access_token=secret"},
		"X-Auth-Token": {"secret"}, "X-Github-Request-Id": {"1:2"},
	}}
	want := []Change{
		{Path: "status", Op: Replaced, From: "200", To: "404"},
		{Path: "header Age", Op: Added, To: "1", Volatile: true},
		{Path: "header Date", Op: Replaced, From: "Mon", To: "Tue", Volatile: true},
		{Path: "header Etag", Op: Replaced, From: `"1"`, To: `"2"`},
		{Path: "header X-Github-Request-Id", Op: Added, To: "1:2", Volatile: true},
		{Path: "header X-Old", Op: Removed, From: "1"},
	}
	if difference := cmp.Diff(want, Compare(stored, now)); difference != "" {
		t.Error(difference)
	}
	want = []Change{{Path: "header X-Old", Op: Removed, From: "1"}}
	if difference := cmp.Diff(want, Compare(Response{Header: http.Header{"X-Old": {"1"}}}, Response{})); difference != "" { // a transport may have none
		t.Error(difference)
	}
}

func TestACodingMakesNoDifferenceToTheBody(t *testing.T) {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write([]byte(`{"a":2}`))
	w.Close()
	packed := Response{Status: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}, "Content-Encoding": {"gzip"}}, Body: b.Bytes()}
	want := []Change{{Path: "header Content-Encoding", Op: Added, To: "gzip"}}
	if difference := cmp.Diff(want, Compare(jsonOf(`{"a":2}`), packed)); difference != "" {
		t.Error(difference)
	}
	want = append(want, Change{Path: "body /a", Op: Replaced, From: "1", To: "2"})
	if difference := cmp.Diff(want, Compare(jsonOf(`{"a":1}`), packed)); difference != "" {
		t.Error(difference)
	}
}

func TestLargeBodiesAreComparedAsFarAsTheyCanBe(t *testing.T) {
	many := func(change int) string {
		var b strings.Builder
		b.WriteString(`{"items":[`)
		for i := range 100_000 {
			if i > 0 {
				b.WriteByte(',')
			}
			value := i
			if i == change {
				value = -1
			}
			fmt.Fprintf(&b, `{"id":%d,"values":[%d,1,2,3]}`, i, value)
		}
		b.WriteString("]}")
		return b.String()
	}
	got := Compare(jsonOf(many(-1)), jsonOf(many(70_000)))
	want := []Change{{
		Path: "body /items/70000", Op: Replaced,
		From: `{"id":70000,"values":[70000,1,2,3]}`, To: `{"id":70000,"values":[-1,1,2,3]}`,
	}}
	if difference := cmp.Diff(want, got); difference != "" {
		t.Error(difference)
	}

	numbers := "[" + strings.Repeat("1,", 1<<20)
	got = Compare(jsonOf(numbers+"2]"), jsonOf(numbers+"3]"))
	if len(got) != 1 || got[0].Path != "body" || len(got[0].From) > mostShown+len("…") || !strings.HasSuffix(got[0].To, "…") {
		t.Errorf("%d changes", len(got))
	}

	deep := strings.Repeat(`{"a":[`, 4000) + "1" + strings.Repeat("]}", 4000)
	got = Compare(jsonOf(deep), jsonOf(strings.Replace(deep, "1", "2", 1)))
	if len(got) != 1 || got[0].Op != Replaced || !strings.HasPrefix(got[0].From, `{"a":[`) {
		t.Errorf("%d changes", len(got))
	}
}

// Whatever the lists are, what is aligned is equal, in order, and as much as an element more or less needs.
func TestAlign(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, size := range []int{0, 1, 2, 10, 100, 3000} {
		for _, values := range []uint64{1, 3, 1 << 60} {
			for range 10 {
				a := make([]uint64, size)
				for i := range a {
					a[i] = random.Uint64N(values)
				}
				b := slices.Clone(a)
				edits := random.IntN(5)
				for range edits {
					at := random.IntN(len(b) + 1)
					if random.IntN(2) == 0 && at < len(b) {
						b = slices.Delete(b, at, at+1)
					} else {
						b = slices.Insert(b, at, random.Uint64N(values))
					}
				}
				pairs, x, y := 0, -1, -1
				align(a, b, func(i, j int) {
					if a[i] != b[j] || i <= x || j <= y {
						t.Fatalf("%d and %d after %d and %d", i, j, x, y)
					}
					x, y = i, j
					pairs++
				})
				if values > 3 || size <= 1000 {
					if least := max(len(a), len(b)) - edits; pairs < least {
						t.Errorf("%d of %d and %d are aligned, want %d", pairs, len(a), len(b), least)
					}
				}
			}
		}
	}
}

func FuzzCompare(f *testing.F) {
	f.Add(`{"a":[1,{"id":1,"b":null}],"a":2}`, `{"a":[{"id":1,"b":1},3],"c":"\u00e9"}`, "application/json")
	f.Add("{}\n[1]\n", "[1.0]\n{}", "application/x-ndjson")
	f.Add("a\nb\n", "b\nc", "text/plain")
	f.Add("\x00", "\x01", "")
	f.Fuzz(func(t *testing.T, from, to, contentType string) {
		a := Response{Header: http.Header{"Content-Type": {contentType}}, Body: []byte(from)}
		b := Response{Header: http.Header{"Content-Type": {contentType}}, Body: []byte(to)}
		if changes := Compare(a, a); len(changes) > 0 {
			t.Errorf("with itself: %v", changes)
		}
		there, back := Compare(a, b), Compare(b, a)
		if (len(there) == 0) != (len(back) == 0) {
			t.Errorf("%v, and the other way round %v", there, back)
		}
		for _, c := range there {
			if (c.Op == Added) != (c.From == "") && c.Op != Replaced || (c.Op == Removed) != (c.To == "") && c.Op != Replaced {
				t.Errorf("%+v", c)
			}
			if c.Op == Replaced && c.From == c.To && c.Path != "body" && len(c.From) < mostShown {
				t.Errorf("%+v is none", c)
			}
		}
	})
}
