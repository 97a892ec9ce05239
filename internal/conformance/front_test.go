package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

type roundTripFunc func(*http.Request) (*http.Response, error)

func (f roundTripFunc) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// start runs a front and returns its address.
func start(t *testing.T, origin string, rt http.RoundTripper) string {
	t.Helper()
	s, err := listen(t.Context(), &front{origin: origin, transport: rt})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.close)
	return strings.TrimPrefix(s.url, "http://")
}

// exchange sends the raw request and returns the head of the response, line by
// line: net/http's client would put it right.
func exchange(t *testing.T, addr, request string) (status string, fields []string) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	r := textproto.NewReader(bufio.NewReader(conn))
	status, err = r.ReadLine()
	for err == nil {
		var line string
		line, err = r.ReadLine()
		if line == "" {
			break
		}
		fields = append(fields, line)
	}
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(fields)
	return status, fields
}

func TestFrontRelaysHeaderAsItIs(t *testing.T) {
	header := http.Header{
		"x-odd-CASE": {"1"},
		"Connection": {"a, b"},
		"A":          {"2"},
		"Keep-Alive": {"timeout=5"},
		"Te":         {"trailers"},
		"Cookies":    {"one", "two"},
		"Age":        {"0, 0", ""},
	}
	want := []string{
		"A: 2", "Age: ", "Age: 0, 0", "Connection: a, b", "Cookies: one", "Cookies: two",
		"Keep-Alive: timeout=5", "Te: trailers", "Transfer-Encoding: chunked", "x-odd-CASE: 1",
	}
	addr := start(t, "", roundTripFunc(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusOK, Header: header, Body: io.NopCloser(strings.NewReader("<html>"))}, nil
	}))
	status, got := exchange(t, addr, "GET /test/1 HTTP/1.1\r\nHost: a\r\n\r\n")
	if status != "HTTP/1.1 200 OK" || !slices.Equal(got, want) {
		t.Errorf("got %s %q, want %q", status, got, want)
	}
}

func TestFrontKeepsDateAndLength(t *testing.T) {
	header := http.Header{"Date": {"yesterday"}, "Content-Length": {"2"}, "Content-Type": {"a/b"}}
	addr := start(t, "", roundTripFunc(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusGone, Header: header, Body: io.NopCloser(strings.NewReader("ab"))}, nil
	}))
	_, got := exchange(t, addr, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	want := []string{"Content-Length: 2", "Content-Type: a/b", "Date: yesterday"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestFrontSendsRequestWithoutHopByHopFields(t *testing.T) {
	var got http.Header
	var path string
	origin := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		got, path = req.Header, req.RequestURI
	}))
	defer origin.Close()
	addr := start(t, origin.Listener.Addr().String(), newBase())
	exchange(t, addr, "GET /test/%31?a=%20 HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, X-Mine\r\nX-Mine: 1\r\n"+
		"Keep-Alive: 5\r\nTE: trailers\r\nPragma: foo\r\nCache-Control: a\r\nCache-Control: b\r\n\r\n")
	got.Del("Connection") // the base's own: it keeps none alive
	if len(got) != 2 || got.Get("Pragma") != "foo" || !slices.Equal(got["Cache-Control"], []string{"a", "b"}) {
		t.Errorf("the origin got %v", got)
	}
	if path != "/test/%31?a=%20" {
		t.Errorf("the origin got %s", path)
	}
}

func TestFrontRelaysInterimResponsesUntilTheFinalOne(t *testing.T) {
	var late func()
	addr := start(t, "", roundTripFunc(func(req *http.Request) (*http.Response, error) {
		got1xx := httptrace.ContextClientTrace(req.Context()).Got1xxResponse
		late = func() { _ = got1xx(http.StatusEarlyHints, textproto.MIMEHeader{"Late": {"1"}}) }
		_ = got1xx(http.StatusEarlyHints, textproto.MIMEHeader{"Link": {"a"}})
		_ = got1xx(http.StatusProcessing, nil)
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: http.NoBody}, nil
	}))
	var codes []int
	var links []string
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			codes, links = append(codes, code), append(links, h.Get("Link"))
			return nil
		},
	})
	resp := get(ctx, t, "http://"+addr)
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
	late() // must neither reach the client nor panic
	if !slices.Equal(codes, []int{http.StatusEarlyHints, http.StatusProcessing}) || !slices.Equal(links, []string{"a", ""}) {
		t.Errorf("got %v with links %q", codes, links)
	}
	if resp.Header.Get("Link") != "" {
		t.Error("the final response has a field of the interim one")
	}
}

func TestFrontAnswersWhereTheTransportFails(t *testing.T) {
	addr := start(t, "", roundTripFunc(func(*http.Request) (*http.Response, error) {
		return nil, errors.New("the origin hung up")
	}))
	if resp := get(t.Context(), t, "http://"+addr); resp.StatusCode != http.StatusBadGateway {
		t.Errorf("got %d", resp.StatusCode)
	}
}

func TestFrontBreaksOffWhereTheBodyDoes(t *testing.T) {
	addr := start(t, "", roundTripFunc(func(*http.Request) (*http.Response, error) {
		body := io.MultiReader(strings.NewReader("ab"), iotest.ErrReader(io.ErrUnexpectedEOF))
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(body)}, nil
	}))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr, nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := newBase().RoundTrip(req); err == nil {
		resp.Body.Close()
		t.Errorf("got %d, want a broken connection", resp.StatusCode)
	}
}

func get(ctx context.Context, t *testing.T, url string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := newBase().RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}
