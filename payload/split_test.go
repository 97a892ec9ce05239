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

func TestErrorsOfSplitAreShort(t *testing.T) {
	for _, body := range []string{strings.Repeat("[", 10_001), `{"` + strings.Repeat("secret", 100) + `":}`} {
		for _, split := range []payload.Split{payload.SplitArray(""), payload.SplitArray("a"), payload.SplitObject(""), payload.SplitObject("a")} {
			if _, err := split([]byte(body), nil); err == nil || len(err.Error()) > 100 || strings.Contains(err.Error(), "secret") {
				t.Errorf("%.20s: %v", body, err)
			}
		}
	}
}

func TestItemsHaveMemoryOfTheirOwn(t *testing.T) {
	for _, split := range []payload.Split{payload.SplitArray(""), payload.SplitArrayBy("", "id"), payload.SplitObject("")} {
		body := []byte(`[{"id":"a"}]`)
		if items, err := split(body, []string{"a"}); err == nil {
			clear(body)
			if string(items[0]) != `{"id":"a"}` {
				t.Errorf("%q", items)
			}
		}
	}
	body := []byte(`{"a":1}`)
	items, err := payload.SplitObject("")(body, []string{"a", "a"})
	if err != nil {
		t.Fatal(err)
	}
	clear(body)
	clear(items[0])
	if string(items[1]) != "1" {
		t.Errorf("%q", items)
	}
}

// FuzzSplit holds what bodies are taken apart into to what encoding/json reads, byte for
// byte.
func FuzzSplit(f *testing.F) {
	for _, body := range []string{
		`[]`, `[1,"a\"]",{"b":[{}]} , null]`, ` [ [1] ]`, `[1,]`, `[{"a":1e5},tru]`, "[\"\\ud800\",\"\xff\"]", `[`, `[1]x`, `null`, `null x`, ``,
		`{"a":1,"b":null,"a":2,"\u0061":[3],"a":null}`, "{\"a\":{\"id\":\"\\ud800\"},\"\xff\":1}", `{"a":1,}`, `{"a" 1}`, `{"a":1}}`,
		`[{"id":"a"},{"id":1},{"id":"\u0061","id":null},{"ID":"b"},["id"],{"id":"b","x":{"id":"c"}},{"id":-1e2}]`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		given := bytes.Clone(body)
		compareArray(t, body)
		compareObject(t, body)
		if !bytes.Equal(given, body) {
			t.Fatal("the body was changed")
		}
	})
}

func compareArray(t *testing.T, body []byte) {
	var want []json.RawMessage
	wantErr := json.Unmarshal(body, &want)
	items, err := payload.Array("")(body)
	if (err == nil) != (wantErr == nil) {
		t.Fatalf("%q: %v, want %v", body, err, wantErr)
	}
	compareItems(t, body, items, want)

	values := []string{"a", "b", "1", "-1e2", "\ufffd", ""}
	byID := make(map[string]json.RawMessage)
	for _, item := range want {
		if id, ok := idOf(item); ok && byID[id] == nil {
			byID[id] = item
		}
	}
	items, err = payload.SplitArrayBy("", "id")(body, values)
	if err != nil {
		if wantErr == nil && len(byID) > 0 {
			t.Fatalf("%q by id: %v", body, err)
		}
		return
	}
	compareItems(t, body, items, inOrder(byID, values))
}

// idOf is the text of an item's member "id", if it is a string or a number.
func idOf(item json.RawMessage) (string, bool) {
	var members map[string]json.RawMessage
	if json.Unmarshal(item, &members) != nil {
		return "", false
	}
	decoder := json.NewDecoder(bytes.NewReader(members["id"]))
	decoder.UseNumber()
	var id any
	_ = decoder.Decode(&id)
	switch id := id.(type) {
	case string:
		return id, true
	case json.Number:
		return id.String(), true
	default:
		return "", false
	}
}

func compareObject(t *testing.T, body []byte) {
	var want map[string]json.RawMessage
	wantErr := json.Unmarshal(body, &want)
	values := []string{"a", "b", "\ufffd", "", "c"}
	for name := range want {
		values = append(values, name)
	}
	items, err := payload.SplitObject("")(body, values)
	if (err == nil) != (wantErr == nil) {
		t.Fatalf("%q: %v, want %v", body, err, wantErr)
	}
	if err == nil {
		compareItems(t, body, items, inOrder(want, values))
	}
}

func inOrder(items map[string]json.RawMessage, values []string) []json.RawMessage {
	list := make([]json.RawMessage, len(values))
	for i, value := range values {
		list[i] = items[value]
	}
	return list
}

func compareItems(t *testing.T, body []byte, got [][]byte, want []json.RawMessage) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%q: %q, want %q", body, got, want)
	}
	for i, item := range got {
		if string(want[i]) == "null" {
			want[i] = nil
		}
		if !bytes.Equal(item, want[i]) || (item == nil) != (want[i] == nil) {
			t.Errorf("%q: item %d is %q, want %q", body, i, item, want[i])
		}
	}
}
