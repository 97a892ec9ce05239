package main

import (
	"context"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"sync"
	"time"
)

// newBase returns the transport below the cache. It changes nothing on the way:
// no decompression, no proxy, and no connection that is used twice, on which
// net/http may send a request again after the origin hung up.
func newBase() *http.Transport {
	return &http.Transport{DisableCompression: true, DisableKeepAlives: true}
}

// front is the proxy between the suite's client and its origin. It hands on what
// the transport returns as it is: a front that put header fields right would
// hide that the transport does not.
type front struct {
	origin    string // host and port
	transport http.RoundTripper
	wire      *wire // may be nil
}

func (f *front) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	f.wire.begin(req)
	early := &interim{w: w, wire: f.wire, path: req.URL.Path}
	out := f.outgoing(early.trace(req.Context()), req)

	resp, err := f.transport.RoundTrip(out)
	if err != nil {
		early.end()
		f.wire.failure("proxy", req, err)
		w.WriteHeader(http.StatusBadGateway) // as the suite expects of a proxy
		return
	}
	// To its end before anything is sent: by then a cache has stored it, and the
	// client's next request may follow at once.
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	early.end()
	f.wire.response("proxy", req, resp, body)
	if err != nil {
		f.wire.failure("proxy", req, err)
		panic(http.ErrAbortHandler) // the client must not take it for complete
	}
	relay(w, resp, body)
}

// outgoing is the request for the origin.
func (f *front) outgoing(ctx context.Context, req *http.Request) *http.Request {
	out := req.Clone(ctx)
	out.URL.Scheme, out.URL.Host = "http", f.origin
	out.Host, out.RequestURI = "", ""
	out.Close = false
	for _, list := range out.Header.Values("Connection") {
		for name := range strings.SplitSeq(list, ",") {
			out.Header.Del(textproto.TrimString(name))
		}
	}
	for _, name := range hopByHop {
		out.Header.Del(name)
	}
	if _, ok := out.Header["User-Agent"]; !ok {
		out.Header["User-Agent"] = nil // or net/http adds its own
	}
	return out
}

// hopByHop are the request's fields that end at a proxy.
var hopByHop = []string{
	"Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization",
	"Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
}

// relay sends the response with the header fields that it has, and no others.
func relay(w http.ResponseWriter, resp *http.Response, body []byte) {
	header := w.Header()
	maps.Copy(header, resp.Header)
	// Where these are absent net/http would add them.
	for _, name := range []string{"Date", "Content-Type"} {
		if _, ok := header[name]; !ok {
			header[name] = nil
		}
	}
	w.WriteHeader(resp.StatusCode)
	if _, ok := header["Content-Length"]; !ok {
		_ = http.NewResponseController(w).Flush() // or it would be counted
	}
	_, _ = w.Write(body)
}

// interim hands on 1xx responses until the final one. A cache may go on with the
// request thereafter, to revalidate what it has answered with.
type interim struct {
	mu   sync.Mutex
	w    http.ResponseWriter
	done bool
	wire *wire
	path string
}

func (i *interim) trace(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{Got1xxResponse: i.relay})
}

func (i *interim) relay(code int, header textproto.MIMEHeader) error {
	i.wire.interim(i.path, code, http.Header(header))
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.done || code == http.StatusContinue { // that one the server sends itself
		return nil
	}
	maps.Copy(i.w.Header(), http.Header(header))
	i.w.WriteHeader(code)
	clear(i.w.Header())
	return nil
}

func (i *interim) end() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.done = true
}

// A server is a front that listens.
type server struct {
	url  string
	http *http.Server
}

// listen starts the front on a free port of the loopback interface.
func listen(ctx context.Context, f *front) (*server, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &http.Server{Handler: f, ReadHeaderTimeout: time.Minute}
	go s.Serve(l)
	return &server{"http://" + l.Addr().String(), s}, nil
}

func (s *server) close() { _ = s.http.Close() }
