package payload_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/endpointcache/endpointcache/payload"
)

type album struct {
	ID       string            `json:"id"`
	Tracks   []track           `json:"tracks,omitempty"`
	Labels   map[string]string `json:"labels"`
	Released *time.Time        `json:"released"`
	Raw      json.RawMessage   `json:"raw,omitempty"`
	Any      any               `json:"any"`
	Number   json.Number       `json:"number,omitempty"`
	Fixed    [2]int            `json:"fixed"`
	Embedded
}

type track struct {
	Title  string  `json:"title"`
	Length float64 `json:"length"`
	Plays  uint32  `json:"plays"`
	Live   bool    `json:"live"`
}

// special has what the library is known to treat otherwise than encoding/json in
// a corner: it takes "+1" for a number with the option string, and lets a []byte
// that a member has set stay where another of the same name is null.
type special struct {
	Cover  []byte `json:"cover"`
	Quoted int64  `json:"quoted,string"`
}

// Embedded is a part of album.
type Embedded struct{ Note string }

func TestHandlersRoundTrip(t *testing.T) {
	released := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	roundTrip(t, payload.JSON[album](), album{
		ID: "é<&>", Tracks: []track{{Title: "A", Length: 1.5, Plays: 7, Live: true}}, Labels: map[string]string{"b": "1", "a": "2"},
		Released: &released, Any: map[string]any{"x": []any{1.5, nil}}, Number: "1",
	})
	roundTrip(t, payload.JSON[special](), special{Cover: []byte{0, 255}, Quoted: -1 << 62})
	roundTrip(t, payload.JSON[map[string]int](), map[string]int{"a": 1})
	roundTrip(t, payload.JSON[*track](), &track{Title: "A"})
	roundTrip(t, payload.String(), "any \x00\xff text")
	roundTrip(t, payload.Bytes(), []byte{0, 255})
	roundTrip(t, payload.Codec[track]("application/xml", xml.Unmarshal, xml.Marshal), track{Title: "A"})
}

func roundTrip[V any](t *testing.T, h payload.Handler[V], want V) {
	t.Helper()
	data, err := h.Encode(want)
	if err != nil {
		t.Errorf("encode %v: %v", want, err)
		return
	}
	got, err := h.Decode(data)
	if err != nil {
		t.Errorf("decode %q: %v", data, err)
		return
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if h.ContentType() == "" {
		t.Errorf("%T has no content type", h)
	}
}

func TestDecodedValuesKeepNothingOfTheBody(t *testing.T) {
	const body = `{"id":"abc","labels":{"key":"value"},"raw":{"a":1}}`
	data := []byte(body)
	value, err := payload.JSON[album]().Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	before := fmt.Sprintf("%+v", value)
	if string(data) != body {
		t.Errorf("Decode changed the body to %q", data)
	}
	for i := range data {
		data[i] = 'X'
	}
	if after := fmt.Sprintf("%+v", value); after != before {
		t.Errorf("the value was %s and is %s", before, after)
	}
	raw, err := payload.Bytes().Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	data[0] = 'Y'
	if raw[0] != 'X' {
		t.Error("Bytes shares memory with the body")
	}
}

func TestWhatIsNoValueIsAnError(t *testing.T) {
	for _, body := range []string{"", " ", "<html>", `{"id":`, `{"id":1}`, `{} x`, `[]`, "\xff"} {
		if value, err := payload.JSON[album]().Decode([]byte(body)); err == nil {
			t.Errorf("%q is %+v", body, value)
		}
	}
	if _, err := payload.JSON[any]().Encode(func() {}); err == nil {
		t.Error("a func was encoded")
	}
}

// FuzzJSON holds the library behind JSON to encoding/json: it takes and refuses
// the same bodies, and makes the same values and bytes of them.
func FuzzJSON(f *testing.F) {
	for _, seed := range []string{
		`{"id":"a","tracks":[{"title":"b","length":1e3,"plays":1,"live":true}],"labels":{"c":null}}`,
		`{"released":"2026-01-02T03:04:05Z","raw":[1, 2],"any":{"x":[1.10,null,"\ud800"]},"number":1e400,"fixed":[1,2,3]}`,
		`{"ID":"folded","Note":"\u00e9\\\"","note":"twice"}`, `null`, `[1]`, "{\"id\":\"\xff\"}",
		`{"any":[[[[[[]]]]]]}`, `{"fixed":null}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		compareDecode[album](t, body)
		compareDecode[any](t, body)
		compareDecode[[]track](t, body)
		compareDecode[map[int]*track](t, body)
	})
}

func compareDecode[V any](t *testing.T, body []byte) {
	t.Helper()
	got, err := payload.JSON[V]().Decode(bytes.Clone(body))
	var want V
	wantErr := json.Unmarshal(body, &want)
	if (err == nil) != (wantErr == nil) {
		t.Fatalf("%q into %T: %v, encoding/json says %v", body, want, err, wantErr)
	}
	if err != nil {
		return
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Fatalf("%q into %T: %s", body, want, d)
	}
	gotData, err := payload.JSON[V]().Encode(got)
	wantData, wantErr := json.Marshal(want)
	if (err == nil) != (wantErr == nil) || !bytes.Equal(gotData, wantData) {
		t.Fatalf("%+v is %q, %v; encoding/json says %q, %v", want, gotData, err, wantData, wantErr)
	}
}
