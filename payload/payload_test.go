package payload_test

import (
	"encoding/xml"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/endpointcache/endpointcache/internal/jsontest"
	"github.com/endpointcache/endpointcache/payload"
)

// special has what some JSON libraries treat otherwise than encoding/json.
type special struct {
	Cover  []byte `json:"cover"`
	Quoted int64  `json:"quoted,string"`
}

func TestHandlersRoundTrip(t *testing.T) {
	released := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	roundTrip(t, payload.JSON[jsontest.Album](), jsontest.Album{
		ID: "é<&>", Tracks: []jsontest.Track{{Title: "A", Length: 1.5, Plays: 7, Live: true}}, Labels: map[string]string{"b": "1", "a": "2"},
		Released: &released, Any: map[string]any{"x": []any{1.5, nil}}, Number: "1",
	})
	roundTrip(t, payload.JSON[special](), special{Cover: []byte{0, 255}, Quoted: -1 << 62})
	roundTrip(t, payload.JSON[map[string]int](), map[string]int{"a": 1})
	roundTrip(t, payload.JSON[*jsontest.Track](), &jsontest.Track{Title: "A"})
	roundTrip(t, payload.String(), "any \x00\xff text")
	roundTrip(t, payload.Bytes(), []byte{0, 255})
	roundTrip(t, payload.Codec[jsontest.Track]("application/xml", xml.Unmarshal, xml.Marshal), jsontest.Track{Title: "A"})
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
	value, err := payload.JSON[jsontest.Album]().Decode(data)
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
		if value, err := payload.JSON[jsontest.Album]().Decode([]byte(body)); err == nil {
			t.Errorf("%q is %+v", body, value)
		}
	}
	if _, err := payload.JSON[any]().Encode(func() {}); err == nil {
		t.Error("a func was encoded")
	}
}
