package gojson

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	gojson "github.com/goccy/go-json"

	"github.com/endpointcache/endpointcache/internal/jsontest"
)

var library = jsontest.Library{Unmarshal: unmarshal, Marshal: gojson.Marshal}

func TestJSON(t *testing.T) {
	h := JSON[jsontest.Album]()
	want := jsontest.Album{ID: "é<&>", Tracks: []jsontest.Track{{Title: "A", Length: 1.5}}, Any: []any{1.5, nil}, Number: "1"}
	data, err := h.Encode(want)
	if err != nil {
		t.Fatal(err)
	}
	if std, err := json.Marshal(want); err != nil || !bytes.Equal(data, std) {
		t.Errorf("%s, encoding/json says %s, %v", data, std, err)
	}
	got, err := h.Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if h.ContentType() != "application/json" {
		t.Error(h.ContentType())
	}
	for _, body := range []string{"", " ", "<html>", `{"id":`, `{"id":1}`, `{} x`, `[]`, "\xff"} {
		if value, err := h.Decode([]byte(body)); err == nil {
			t.Errorf("%q is %+v", body, value)
		}
	}
}

// FuzzJSON holds the library to encoding/json in types that APIs answer with. With
// types of all kinds, in some of which it is known to differ, it looks for memory that
// is shared or overwritten.
func FuzzJSON(f *testing.F) {
	for i, body := range jsontest.Seeds {
		f.Add(uint64(i), []byte(body))
	}
	f.Fuzz(func(t *testing.T, seed uint64, body []byte) {
		for _, typ := range jsontest.Types {
			library.Compare(t, typ, body)
		}
		typ := jsontest.RandomType(seed)
		library.Survive(t, typ, body)
		library.Survive(t, typ, jsontest.RandomBody(seed, typ))
	})
}

func BenchmarkJSON(b *testing.B) { library.Bench(b) }
