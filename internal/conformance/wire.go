package main

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// wire records what goes into the front and out of it, and what the cache asks
// the origin, test by test. A nil wire records nothing.
type wire struct {
	mu    sync.Mutex
	texts map[string]*strings.Builder // by the test's path
	paths map[string]string           // by the test's id
}

func newWire() *wire {
	return &wire{texts: map[string]*strings.Builder{}, paths: map[string]string{}}
}

// begin records a request of the client, which alone tells the test's id in any
// case: a cache may make requests of its own.
func (w *wire) begin(req *http.Request) {
	if w == nil {
		return
	}
	w.mu.Lock()
	w.paths[req.Header.Get("Test-Id")] = test(req.URL.Path)
	w.mu.Unlock()
	w.request("client", req)
}

func (w *wire) request(who string, req *http.Request) {
	w.add(req.URL.Path, fmt.Sprintf("%s > %s %s", who, req.Method, req.URL.RequestURI()), req.Header, nil)
}

func (w *wire) response(who string, req *http.Request, resp *http.Response, body []byte) {
	w.add(req.URL.Path, fmt.Sprintf("%s < %d", who, resp.StatusCode), resp.Header, body)
}

func (w *wire) interim(path string, code int, header http.Header) {
	w.add(path, fmt.Sprintf("origin < %d", code), header, nil)
}

func (w *wire) failure(who string, req *http.Request, err error) {
	w.add(req.URL.Path, fmt.Sprintf("%s < error: %v", who, err), nil, nil)
}

func (w *wire) add(path, title string, header http.Header, body []byte) {
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	text := w.texts[test(path)]
	if text == nil {
		text = &strings.Builder{}
		w.texts[test(path)] = text
	}
	fmt.Fprintln(text, title)
	for _, name := range slices.Sorted(maps.Keys(header)) {
		for _, value := range header[name] {
			fmt.Fprintf(text, "    %s: %s\n", name, value)
		}
	}
	if len(body) > 0 {
		fmt.Fprintf(text, "    %q\n", body)
	}
}

// test is the part of a path that all requests of a test have in common:
// /test/UUID.
func test(path string) string {
	parts := strings.SplitN(path, "/", 4)
	return strings.Join(parts[:min(3, len(parts))], "/")
}

// print writes the records of the tests that were asked for.
func (w *wire) print(out io.Writer, results []*result) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range results {
		text := w.texts[w.paths[r.ID]]
		if !r.Selected || text == nil {
			continue
		}
		fmt.Fprintf(out, "=== %s\n    %s\n%s\n", r.ID, r.Name, text)
	}
}

// around returns the transport with its requests and responses recorded.
func (w *wire) around(base http.RoundTripper) http.RoundTripper {
	return recorded{w, base}
}

type recorded struct {
	wire *wire
	base http.RoundTripper
}

func (r recorded) RoundTrip(req *http.Request) (*http.Response, error) {
	r.wire.request("cache", req)
	resp, err := r.base.RoundTrip(req)
	if err != nil {
		r.wire.failure("origin", req, err)
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	r.wire.response("origin", req, resp, body)
	resp.Body = &replayed{resp.Body, bytes.NewReader(body), err}
	return resp, nil
}

// replayed is a body that was read and ends as it did.
type replayed struct {
	io.Closer
	read *bytes.Reader
	err  error
}

func (b *replayed) Read(p []byte) (int, error) {
	n, err := b.read.Read(p)
	if err == io.EOF && b.err != nil {
		err = b.err
	}
	return n, err
}
