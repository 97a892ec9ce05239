package head

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestHeadIsReadableJSON(t *testing.T) {
	encoded, err := Encode(Head{
		Header: http.Header{
			"Link": {`<https://x/?a=1&b=2>; rel="next"`}, "Etag": {`"a\b"`, "é"}, "X": {"\x80\xff"}, "Empty": {""}, "None": nil,
			"Connection": {"close, x-Hop"}, "X-Hop": {"a"}, "transfer-encoding": {"chunked"},
		},
		Proto: "HTTP/2.0", Reason: "Fine",
	})
	const want = `{":proto":["HTTP/2.0"],":reason":["Fine"],"Empty":[""],"Etag":["\"a\\b\"","é"],` +
		`"Link":["\u003chttps://x/?a=1\u0026b=2\u003e; rel=\"next\""],"X":[{"base64":"gP8="}]}`
	if err != nil || encoded != want {
		t.Errorf("encoded %s, %v; want %s", encoded, err, want)
	}
	if empty, err := Encode(Head{Header: http.Header{"Keep-Alive": {"a"}}, Proto: "HTTP/1.1"}); err != nil || empty != "" {
		t.Errorf("nothing is %q, %v", empty, err)
	}
}

func FuzzHead(f *testing.F) {
	f.Add("Etag", `"a\b"`, "\x80\xff")
	f.Add("X", "\x00\u2028<&>", "{\"base64\":\"\"}")
	f.Fuzz(func(t *testing.T, name, a, b string) {
		want := Head{Header: http.Header{name: {a, b}, "Y": {b}}, Proto: "HTTP/1.0"}
		encoded, err := Encode(want)
		if err != nil {
			return // no name of a header
		}
		if !json.Valid([]byte(encoded)) {
			t.Fatalf("%q is no JSON", encoded)
		}
		got, err := Decode(encoded)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Encode(got)
		if err != nil || again != encoded {
			t.Errorf("%q became %q, %v", encoded, again, err)
		}
		if _, kept := got.Header[name]; kept {
			if d := cmp.Diff(want.Header[name], got.Header[name]); d != "" {
				t.Error(d)
			}
		}
	})
}
