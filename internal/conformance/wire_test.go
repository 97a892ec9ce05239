package main

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
)

func TestWireGroupsRequestsByTest(t *testing.T) {
	w := newWire()
	broken := errors.New("broken")
	base := w.around(roundTripFunc(func(*http.Request) (*http.Response, error) {
		body := io.MultiReader(strings.NewReader("text"), iotest.ErrReader(broken))
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"B": {"2"}}, Body: io.NopCloser(body)}, nil
	}))
	send := func(path string, header http.Header) *http.Request {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://a"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header = header
		return req
	}
	w.begin(send("/test/1/location", http.Header{"Test-Id": {"one"}}))
	w.begin(send("/test/2", http.Header{"Test-Id": {"two"}}))
	// A request of the cache's own, which has no id.
	resp, err := base.RoundTrip(send("/test/1", http.Header{"A": {"1"}}))
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(resp.Body); string(body) != "text" || !errors.Is(err, broken) {
		t.Errorf("the body is %q, %v after it was recorded", body, err)
	}

	var b strings.Builder
	w.print(&b, []*result{{ID: "one", Name: "First", Selected: true}, {ID: "two"}})
	want := `=== one
    First
client > GET /test/1/location
    Test-Id: one
cache > GET /test/1
    A: 1
origin < 200
    B: 2
    "text"

`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}
