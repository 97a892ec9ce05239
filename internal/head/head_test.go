package head

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
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

// A trailer's fields are told from headers and notes of their names.
func TestATrailerIsKept(t *testing.T) {
	want := Head{
		Header: http.Header{"X-Sum": {"a"}}, Notes: map[string]string{"X-Sum": "b"},
		Trailer: http.Header{"X-Sum": {"c", "\x80"}},
	}
	given := want
	given.Header = http.Header{"X-Sum": {"a"}, "Connection": {"x-hop"}}
	given.Trailer = http.Header{
		"X-Sum": {"c", "\x80"}, "X-Hop": {"d"}, "Transfer-Encoding": {"chunked"}, "Announced": nil,
	}
	encoded, err := Encode(given)
	if err != nil {
		t.Fatal(err)
	}
	const text = `{":X-Sum":["b"],":trailer:X-Sum":["c",{"base64":"gA=="}],"X-Sum":["a"]}`
	if got, err := Decode(encoded); err != nil || encoded != text || !cmp.Equal(want, got) {
		t.Errorf("%s, %v: %s", encoded, err, cmp.Diff(want, got))
	}
	if first, ok := Value(encoded, "X-Sum"); !ok || first != "a" {
		t.Errorf("the header is %q", first)
	}
	if encoded, err := Encode(Head{Trailer: http.Header{":x": {"a"}}}); err == nil {
		t.Errorf("a name that is none becomes %s", encoded)
	}
}

func TestAResponseHasItsTrailerAtTheEnd(t *testing.T) {
	h := Head{Trailer: http.Header{"X-Sum": {"4"}}}
	for name, read := range map[string]func(r io.Reader) error{
		"read":   func(r io.Reader) error { _, err := io.ReadAll(r); return err },
		"copied": func(r io.Reader) error { _, err := io.Copy(io.Discard, r); return err },
	} {
		for _, payload := range []string{"", "body"} {
			resp, err := h.Response(200, []byte(payload), nil)
			if err != nil {
				t.Fatal(err)
			}
			if values, ok := resp.Trailer["X-Sum"]; !ok || values != nil {
				t.Errorf("before the end: %v", resp.Trailer)
			}
			if err := read(resp.Body); err != nil || !cmp.Equal(resp.Trailer, h.Trailer) {
				t.Errorf("%s: %v, %v", name, resp.Trailer, err)
			}
			resp.Trailer["X-Sum"][0] = "changed"
		}
	}
	if h.Trailer.Get("X-Sum") != "4" {
		t.Error("the caller can change the trailer")
	}
	head := &http.Request{Method: http.MethodHead}
	for status, req := range map[int]*http.Request{200: head, 206: nil, 304: nil} {
		if resp, err := h.Response(status, nil, req); err != nil || resp.Trailer != nil { //nolint:bodyclose // it is in memory
			t.Errorf("%d has %v, %v", status, resp.Trailer, err)
		}
	}
}

func TestTheValueOfOneHeader(t *testing.T) {
	encoded, err := Encode(Head{
		Header: http.Header{"Date": {"a", "b"}, "Etag": {`"a\b"`}, "X": {"\x80\xff"}, "Empty": {""}},
		Proto:  "HTTP/2.0", Notes: map[string]string{"age": "9"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{encoded, strings.ReplaceAll(strings.ReplaceAll(encoded, ":[", " : [ "), ",", " ,\n")} {
		for name, want := range map[string]string{"Date": "a", "Etag": `"a\b"`, "X": "\x80\xff", "Empty": ""} {
			if got, ok := Value(text, name); !ok || got != want {
				t.Errorf("%s in %s is %q, %v, want %q", name, text, got, ok, want)
			}
		}
		for _, name := range []string{"", "None", "etag", "a", "HTTP/2.0"} {
			if got, ok := Value(text, name); ok {
				t.Errorf("%s in %s is %q", name, text, got)
			}
		}
	}
	for _, broken := range []string{"", "{", "{}", "[]", `{"Etag"}`, `{"Etag":}`, `{"Etag":[]}`, `{"Etag":["`, `{"Etag":[1]}`, `{"Etag":[{"base64":"!"}]}`, "null"} {
		if got, ok := Value(broken, "Etag"); ok {
			t.Errorf("in %s it is %q", broken, got)
		}
	}
}

func TestTheHeadOfAResponse(t *testing.T) {
	header := http.Header{"Etag": {"1"}, "Set-Cookie": {"a=b"}, "Set-Cookie2": {"c=d"}}
	got := Of(&http.Response{Status: "200 Fine", StatusCode: 200, Proto: "HTTP/2.0", Header: header, Trailer: http.Header{"X": {"2"}, "Set-Cookie": {"e=f"}}})
	want := Head{Header: http.Header{"Etag": {"1"}}, Trailer: http.Header{"X": {"2"}}, Proto: "HTTP/2.0", Reason: "Fine"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if len(header) != 3 {
		t.Errorf("the response's header is %v now", header)
	}
	if usual := Of(&http.Response{Status: "404 Not Found", StatusCode: 404}); usual.Reason != "" {
		t.Errorf("the usual reason is kept as %q", usual.Reason)
	}
}

func TestCookies(t *testing.T) {
	header := http.Header{"Set-Cookie": {"", "a=b"}, "set-cookie": {"c=d"}, "SET-COOKIE2": {"e=f"}, "Set-Cookies": {"1"}, "Cookie": {"2"}}
	want := http.Header{"Set-Cookies": {"1"}, "Cookie": {"2"}}
	if d := cmp.Diff(want, Of(&http.Response{StatusCode: 200, Header: header}).Header); d != "" {
		t.Error(d)
	}
	if got := Cookies(header); len(got) != 3 || len(header) != 5 {
		t.Errorf("the cookies are %v, of %v", got, header)
	}
	if got := WithoutCookies(want); len(Cookies(want)) != 0 || len(got) != len(want) {
		t.Errorf("without cookies: %v", got)
	}
	encoded, err := Encode(Head{Header: header, Trailer: http.Header{"Set-Cookie": {"a=b"}, "X": {"1"}}})
	if err != nil {
		t.Fatal(err)
	}
	if stored, err := Decode(encoded); err != nil || len(stored.Header["Set-Cookie"]) != 2 || len(Cookies(stored.Header)) != 1 {
		t.Errorf("stored as %s, %v", encoded, err)
	}
	stripped, err := Decode(StripCookies(encoded))
	if err != nil {
		t.Fatal(err)
	}
	if len(stripped.Trailer) != 1 || strings.Contains(StripCookies(encoded), `Set-Cookie"`) {
		t.Errorf("stripped of cookies it is %s", StripCookies(encoded))
	}
	if d := cmp.Diff(want, stripped.Header); d != "" {
		t.Error(d)
	}
	for _, as := range []string{"", "{}", `{"Set-Cookie":[1]}`, `{"X":["\"Set-Cookie\""]}`} {
		if got := StripCookies(as); got != as {
			t.Errorf("%s becomes %s", as, got)
		}
	}
}

func TestAResponseHasItsHead(t *testing.T) {
	req := &http.Request{Method: http.MethodGet}
	resp, err := Head{Header: http.Header{"Etag": {"1"}}, Proto: "HTTP/1.0", Reason: "Fine"}.Response(200, []byte("body"), req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || string(body) != "body" || resp.ContentLength != 4 {
		t.Errorf("the body is %q, %v, of length %d", body, err, resp.ContentLength)
	}
	if resp.Status != "200 Fine" || resp.ProtoMajor != 1 || resp.ProtoMinor != 0 || resp.Header.Get("Etag") != "1" || resp.Request != req {
		t.Errorf("the response is %+v", resp)
	}
	usual, err := Head{}.Response(404, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer usual.Body.Close()
	if usual.Status != "404 Not Found" || usual.Proto != "HTTP/1.1" {
		t.Errorf("the usual one is %+v", usual)
	}
	if resp, err := (Head{Proto: "SPDY"}).Response(200, nil, nil); err == nil {
		resp.Body.Close()
		t.Error("a protocol that is none of HTTP is no error")
	}
}

// RFC 9110, section 7.6.1.
func TestHeadersOfOneConnection(t *testing.T) {
	for name, want := range map[string]bool{
		"Connection": true, "Keep-Alive": true, "Proxy-Connection": true, "Te": true, "Trailer": true, "Transfer-Encoding": true, "Upgrade": true,
		"Cache-Control": false, "Content-Length": false, "Etag": false, "Set-Cookie": false, "": false,
	} {
		if got := HopByHop(name); got != want {
			t.Errorf("%q is %v", name, got)
		}
	}
}

func FuzzHead(f *testing.F) {
	f.Add("Etag", `"a\b"`, "\x80\xff")
	f.Add("X", "\x00\u2028<&>", "{\"base64\":\"\"}")
	f.Fuzz(func(t *testing.T, name, a, b string) {
		want := Head{Header: http.Header{name: {a, b}, "Y": {b}}, Trailer: http.Header{name: {b}}, Proto: "HTTP/1.0"}
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
		for name, values := range got.Header {
			if first, ok := Value(encoded, name); !ok || first != values[0] {
				t.Errorf("the first value of %q in %s is %q, %v", name, encoded, first, ok)
			}
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
