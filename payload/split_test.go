package payload_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/endpointcache/endpointcache/payload"
)

func TestSplit(t *testing.T) {
	for _, test := range []struct {
		name   string
		split  payload.Split
		body   string
		values string
		want   string // items joined by "|", - for none; what an error tells begins with "error: "
	}{
		{"by position", payload.SplitArray("tracks"), `{"n":2,"tracks":[{"id":"b", "x":1.10},null,"é"]}`, "a,b,c", `{"id":"b", "x":1.10}|-|"é"`},
		{"the body is the array", payload.SplitArray(""), " [1 , {\"a\":[ ]}\n]", "a,b", `1|{"a":[ ]}`},
		{"a longer path", payload.SplitArray("data.items"), `{"data":{"items":[{}]}}`, "a", `{}`},
		{"items are missing", payload.SplitArray(""), `[1]`, "a,b", "error: 1 items for 2"},
		{"items are too many", payload.SplitArray("x"), `{"x":[1,2,3]}`, "a,b", "error: 3 items for 2"},
		{"no such member", payload.SplitArray("tracks"), `{"Tracks":[1]}`, "a", `error: no member "tracks"`},
		{"on the way is no object", payload.SplitArray("a.b"), `{"a":[1]}`, "a", `error: no member "a.b"`},
		{"no array", payload.SplitArray("a"), `{"a":{"b":1}}`, "a", `error: no array`},
		{"no JSON", payload.SplitArray(""), `<html>`, "a", `error: no array`},
		{"cut short", payload.SplitArray("a"), `{"a":[{"b":1}`, "a", `error: no member`},
		{"something behind", payload.SplitArray(""), `[1] x`, "a", `error: no array`},

		{"by id, in any order", payload.SplitArrayBy("tracks", "id"), `{"tracks":[{"id":"c"},null,{"id":"other"},{"x":{"id":"b"},"id":"a"}]}`, "a,b,c", `{"x":{"id":"b"},"id":"a"}|-|{"id":"c"}`},
		{"numbers as they are written", payload.SplitArrayBy("", "id"), `[{"id":12345678901234567890},{"id":1.0},{"id":1}]`, "1,12345678901234567890", `{"id":1}|{"id":12345678901234567890}`},
		{"escapes in an id", payload.SplitArrayBy("", "id"), `[{"id":"\u00e9\/"}]`, "é/", `{"id":"\u00e9\/"}`},
		{"the first of two", payload.SplitArrayBy("", "id"), `[{"id":"a","n":1},{"id":"a","n":2}]`, "a", `{"id":"a","n":1}`},
		{"no items", payload.SplitArrayBy("x", "id"), `{"x":null}`, "a", "-"},
		{"an item without an id is left out", payload.SplitArrayBy("", "id"), `[{"ID":"a"},{"id":"b"},"c",{"id":null},{"id":["a"]},{"id":{}}]`, "a,b,c", `-|{"id":"b"}|-`},
		{"no item has an id", payload.SplitArrayBy("", "id"), `[null,{"ID":"a"}]`, "a", `error: no item has a string or number "id"`},
		{"all ids are of another kind", payload.SplitArrayBy("", "id"), `[{"id":["a"]},{"id":null}]`, "a", `error: no item has a string or number "id"`},
		{"no item is an object", payload.SplitArrayBy("", "id"), `["a"]`, "a", `error: no item has a string or number "id"`},
		{"an id further in", payload.SplitArrayBy("tracks", "track.id"), `{"tracks":[{"track":{"id":"b"}},{"track":{"id":"a"}},{"track":null},{"id":"c"}]}`, "a,b,c", `{"track":{"id":"a"}}|{"track":{"id":"b"}}|-`},
		{"an item is its own id", payload.SplitArrayBy("", ""), `["b","a"]`, "a,b", `"a"|"b"`},
		{"names with a dot", payload.SplitArrayBy(`v1\.data.a\\b`, `@odata\.id`), `{"v1.data":{"a\\b":[{"@odata.id":"a"}]}}`, "a", `{"@odata.id":"a"}`},
		{"an array whose name has a dot", payload.SplitArray(`a\.b`), `{"a":{"b":[1]},"a.b":[2]}`, "a", `2`},
		{"an object whose name has a dot", payload.SplitObject(`a\.b`), `{"a.b":{"x":2}}`, "x", `2`},
		{"a malformed path", payload.SplitArray(`a\b`), `{"a\\b":[2]}`, "a", `error: backslash`},
		{"a malformed id", payload.SplitArrayBy("", `id\`), `[{"id":"a"}]`, "a", `error: backslash`},
		{"a malformed path to an object", payload.SplitObject(`\x`), `{"x":{}}`, "a", `error: backslash`},

		{"by name", payload.SplitObject(""), `{"b":{"x": 1},"a":null,"other":2}`, "a,b,c", `-|{"x": 1}|-`},
		{"by name, further in", payload.SplitObject("artists"), `{"artists":{"a":"x"}}`, "a", `"x"`},
		{"no object", payload.SplitObject("artists"), `{"artists":[1]}`, "a", "error: no object"},
	} {
		t.Run(test.name, func(t *testing.T) {
			items, err := test.split([]byte(test.body), strings.Split(test.values, ","))
			if text, fails := strings.CutPrefix(test.want, "error: "); fails {
				if err == nil || !strings.Contains(err.Error(), text) {
					t.Errorf("%q, %v: want an error that tells %q", items, err, text)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, item := range items {
				if item == nil {
					item = []byte("-")
				}
				got = append(got, string(item))
			}
			if d := cmp.Diff(test.want, strings.Join(got, "|")); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestArray(t *testing.T) {
	for _, test := range []struct {
		path, page string
		want       []string
		bad        bool
	}{
		{"", `[1, "a" ,null,{"b": 2 }]`, []string{"1", `"a"`, "", `{"b": 2 }`}, false},
		{"items", `{"items":[]}`, nil, false},
		{"items", `{"items":null}`, nil, false},
		{"data.tracks", `{"data":{"tracks":[[]]}}`, []string{"[]"}, false},
		{`a\.b`, `{"a.b":[1]}`, []string{"1"}, false},
		{`a\`, `{"a\\":[1]}`, nil, true},
		{"items", `{"error":"none"}`, nil, true},
		{"items", `{"items":{}}`, nil, true},
		{"a.b", `{"a":[1]}`, nil, true},
		{"", `<html>`, nil, true},
	} {
		items, err := payload.Array(test.path)([]byte(test.page))
		var got []string
		for _, item := range items {
			got = append(got, string(item))
		}
		if !slices.Equal(got, test.want) || (err != nil) != test.bad {
			t.Errorf("%q of %s: %q, %v", test.path, test.page, got, err)
		}
	}
}

// FuzzSplitArray holds the items to be what encoding/json reads, byte for byte.
func FuzzSplitArray(f *testing.F) {
	for _, body := range []string{`[]`, `[1,"a\"]",{"b":[{}]} , null]`, ` [ [1] ]`, `[1,]`, `[{"a":1e5},tru]`, "[\"\\ud800\",\"\xff\"]", `[`, `[1]x`} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var want []json.RawMessage
		if json.Unmarshal(body, &want) != nil || want == nil {
			return // what the items are is found when they are decoded
		}
		given := bytes.Clone(body)
		items, err := payload.SplitArray("")(body, make([]string, len(want)))
		if err != nil {
			t.Fatalf("%q: %v", body, err)
		}
		if !bytes.Equal(given, body) {
			t.Fatal("the body was changed")
		}
		for i, item := range items {
			if item == nil {
				item = []byte("null")
			}
			if !bytes.Equal(item, want[i]) {
				t.Errorf("%q: item %d is %q, want %q", body, i, item, want[i])
			}
		}
	})
}
