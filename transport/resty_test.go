package transport_test

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-resty/resty/v2"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/policy"
	keys "github.com/endpointcache/endpointcache/request"
)

// lines is a logger for resty.
type lines struct {
	mu   sync.Mutex
	text []string
}

func (l *lines) add(format string, v []any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, fmt.Sprintf(format, v...))
}

func (l *lines) Errorf(format string, v ...any) { l.add("error: "+format, v) }
func (l *lines) Warnf(format string, v ...any)  { l.add("warning: "+format, v) }
func (l *lines) Debugf(string, ...any)          {}

func (l *lines) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := strings.Join(l.text, "\n")
	l.text = nil
	return text
}

// resty returns a client on the harness's transport.
func (h *harness) resty() (*resty.Client, *lines) {
	logged := &lines{}
	return resty.New().SetLogger(logged).SetBaseURL(h.server.URL).SetTransport(h.transport), logged
}

// byResty makes a request that has no error.
func byResty(t testing.TB, r *resty.Request, method, url string) *resty.Response {
	t.Helper()
	resp, err := r.SetContext(t.Context()).Execute(method, url)
	check(t, err)
	return resp
}

type song struct {
	Title string `json:"title"`
}

func serveSong(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	io.WriteString(w, `{"title":"A"}`)
}

// pemOf is the certificate of a server.
func pemOf(server *httptest.Server) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
}

// somePEM has the form of a certificate.
const somePEM = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"

// The setters of resty that change an *http.Transport do nothing behind another
// one but tell so in resty's log. What they do has to be set on the base.
func TestRestySettersOfTheTransport(t *testing.T) {
	h := start(t, serveSong, nil)
	file := filepath.Join(t.TempDir(), "root.pem")
	check(t, os.WriteFile(file, []byte(somePEM), 0o600))
	client, logged := h.resty()
	for name, set := range map[string]func(){
		"SetTLSClientConfig":                 func() { client.SetTLSClientConfig(nil) },
		"SetProxy":                           func() { client.SetProxy("http://127.0.0.1:1") },
		"RemoveProxy":                        func() { client.RemoveProxy() },
		"SetCertificates":                    func() { client.SetCertificates() },
		"SetRootCertificate":                 func() { client.SetRootCertificate(file) },
		"SetRootCertificateFromString":       func() { client.SetRootCertificateFromString(somePEM) },
		"SetClientRootCertificate":           func() { client.SetClientRootCertificate(file) },
		"SetClientRootCertificateFromString": func() { client.SetClientRootCertificateFromString(somePEM) },
	} {
		set()
		if text := logged.take(); text != "error: current transport is not an *http.Transport instance" {
			t.Errorf("%s logs %q", name, text)
		}
	}
	if _, err := client.Transport(); err == nil || client.IsProxySet() || h.base.Proxy != nil || h.base.TLSClientConfig != nil {
		t.Errorf("the base was changed, or resty thinks so; the error of Transport is %v", err)
	}
	for range 2 {
		byResty(t, client.R(), "GET", "/song")
	}
	h.wantRequests(1)
}

// Set first and wrapped then, all of them hold.
func TestRestySettersBeforeTheTransport(t *testing.T) {
	h := start(t, http.NotFound, nil)
	server := httptest.NewUnstartedServer(http.HandlerFunc(serveSong))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // a handshake is to fail
	server.StartTLS()
	t.Cleanup(server.Close)
	proxied := atomic.Int64{}
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		proxied.Add(1)
		serveSong(w, r)
	}))
	t.Cleanup(proxy.Close)

	logged := &lines{}
	client := resty.New().SetLogger(logged)
	base, err := client.Transport()
	check(t, err)
	base.TLSClientConfig = server.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	base.TLSClientConfig.RootCAs = nil
	if _, err := client.R().Get(server.URL); err == nil {
		t.Fatal("the server's certificate is trusted without more")
	}
	logged.take()
	client.SetRootCertificateFromString(pemOf(server))
	client.SetProxy(proxy.URL)
	client.SetTransport(h.another(&options{Base: base}))
	t.Cleanup(base.CloseIdleConnections)

	for range 2 {
		byResty(t, client.R(), "GET", "http://api.example/song")
	}
	if n := proxied.Load(); n != 1 {
		t.Errorf("%d requests came to the proxy, want 1", n)
	}
	base.Proxy = nil // the base can still be changed itself
	for _, want := range []bool{false, true} {
		if resp := byResty(t, client.R(), "GET", server.URL); hit(resp.RawResponse) != want || resp.String() != `{"title":"A"}` {
			t.Errorf("by TLS: from the cache is %t, want %t: %s", hit(resp.RawResponse), want, resp)
		}
	}
	if text := logged.take(); text != "" {
		t.Errorf("the log has %q", text)
	}
}

func TestRestyResults(t *testing.T) {
	h := start(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/missing" {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusNotFound)
			io.WriteString(w, `{"title":"no such song"}`)
			return
		}
		serveSong(w, r)
	}, &options{Policy: policy.Policy{ExpireStatus: map[int]policy.Expiry{404: policy.After(time.Minute)}}})
	client, _ := h.resty()
	after := 0
	client.OnAfterResponse(func(*resty.Client, *resty.Response) error { after++; return nil })
	for i, want := range []bool{false, true} {
		var result, failure song
		resp := byResty(t, client.R().SetResult(&result), "GET", "/song")
		if hit(resp.RawResponse) != want || result.Title != "A" || resp.Size() != 13 {
			t.Errorf("from the cache is %t, want %t: %+v, %d bytes", hit(resp.RawResponse), want, result, resp.Size())
		}
		resp = byResty(t, client.R().SetError(&failure), "GET", "/missing")
		if hit(resp.RawResponse) != want || failure.Title != "no such song" || !resp.IsError() || resp.Status() != "404 Not Found" {
			t.Errorf("from the cache is %t, want %t: %s, %+v", hit(resp.RawResponse), want, resp.Status(), failure)
		}
		if after != 2*(i+1) {
			t.Errorf("the middleware was called %d times", after)
		}
	}
	// What resty adds or sets for a request makes no other key of it where it
	// makes no other request.
	for name, set := range map[string]func(*resty.Client){
		"SetCloseConnection":       func(c *resty.Client) { c.SetCloseConnection(true) },
		"SetContentLength":         func(c *resty.Client) { c.SetContentLength(true) },
		"SetAllowGetMethodPayload": func(c *resty.Client) { c.SetAllowGetMethodPayload(true) },
		"SetTimeout":               func(c *resty.Client) { c.SetTimeout(time.Minute) },
		"EnableTrace":              func(c *resty.Client) { c.EnableTrace() },
		"SetDebug":                 func(c *resty.Client) { c.SetDebug(true) },
		"SetRedirectPolicy":        func(c *resty.Client) { c.SetRedirectPolicy(resty.FlexibleRedirectPolicy(3)) },
		"SetRetryCount":            func(c *resty.Client) { c.SetRetryCount(3) },
		"SetResponseBodyLimit":     func(c *resty.Client) { c.SetResponseBodyLimit(13) },
	} {
		client, _ := h.resty()
		set(client)
		if resp := byResty(t, client.R(), "GET", "/song"); !hit(resp.RawResponse) || resp.String() != `{"title":"A"}` {
			t.Errorf("%s: %s, %v", name, resp, resp.Header())
		}
	}
	// What makes another request of it does.
	for name, set := range map[string]func(*resty.Client){
		"SetAuthToken":  func(c *resty.Client) { c.SetAuthToken("t") },
		"SetBasicAuth":  func(c *resty.Client) { c.SetDisableWarn(true).SetBasicAuth("u", "p") },
		"SetCookie":     func(c *resty.Client) { c.SetCookie(&http.Cookie{Name: "n", Value: "v"}) },
		"SetQueryParam": func(c *resty.Client) { c.SetQueryParam("market", "DE") },
		"SetHeader":     func(c *resty.Client) { c.SetHeader("Accept-Language", "de") },
	} {
		client, _ := h.resty()
		set(client)
		for _, want := range []bool{false, true} {
			if resp := byResty(t, client.R(), "GET", "/song"); hit(resp.RawResponse) != want {
				t.Errorf("%s: from the cache is %t, want %t", name, hit(resp.RawResponse), want)
			}
		}
	}
}

func TestRestyOutput(t *testing.T) {
	content := strings.Repeat("0123456789abcdef", 64<<10)
	h := start(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, content) }, nil)
	client, _ := h.resty()
	client.SetOutputDirectory(t.TempDir())
	for i, want := range []bool{false, true} {
		file := filepath.Join(t.TempDir(), fmt.Sprint(i))
		resp := byResty(t, client.R().SetOutput(file), "GET", "/file")
		written, err := os.ReadFile(file)
		if err != nil || string(written) != content || hit(resp.RawResponse) != want || resp.Size() != int64(len(content)) {
			t.Errorf("from the cache is %t, want %t: %d bytes, %v", hit(resp.RawResponse), want, len(written), err)
		}
	}
}

func TestRestyClosesEarly(t *testing.T) {
	content := strings.Repeat("0123456789abcdef", 8<<10)
	h := start(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, content) }, nil)
	client, logged := h.resty()

	resp := byResty(t, client.R().SetDoNotParseResponse(true), "GET", "/raw")
	var begin [4]byte
	_, err := io.ReadFull(resp.RawBody(), begin[:])
	check(t, err)
	check(t, resp.RawBody().Close())
	// The rest is read in the background.
	waitfor.True(t, "the response is saved", func() bool { return h.transport.Stats().Stored == 1 })
	resp = byResty(t, client.R().SetDoNotParseResponse(true), "GET", "/raw")
	whole, err := io.ReadAll(resp.RawBody())
	if err != nil || string(whole) != content || !hit(resp.RawResponse) {
		t.Errorf("%d bytes, %v, from the cache is %t", len(whole), err, hit(resp.RawResponse))
	}
	check(t, resp.RawBody().Close())

	// So it is where resty itself stops, at its limit.
	_, err = client.R().SetResponseBodyLimit(100).Get("/limited")
	if !errors.Is(err, resty.ErrResponseBodyTooLarge) {
		t.Errorf("the error is %v", err)
	}
	waitfor.True(t, "the response is saved", func() bool { return h.transport.Stats().Stored == 2 })
	if resp = byResty(t, client.R(), "GET", "/limited"); !hit(resp.RawResponse) || resp.String() != content {
		t.Errorf("%d bytes, from the cache is %t", resp.Size(), hit(resp.RawResponse))
	}
	h.wantRequests(2)
	if text := logged.take(); text != "" {
		t.Errorf("the log has %q", text)
	}
}

func TestRestyMultipart(t *testing.T) {
	h := start(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			check(t, r.ParseMultipartForm(1<<20))
			io.WriteString(w, r.FormValue("name"))
		}
	}, nil)
	client, _ := h.resty()
	byResty(t, client.R(), "GET", "/upload")
	upload := func() *resty.Response {
		return byResty(t, client.R().
			SetMultipartFormData(map[string]string{"name": "n"}).
			SetFileReader("file", "a.txt", strings.NewReader("text")), "POST", "/upload")
	}
	for range 2 {
		if resp := upload(); hit(resp.RawResponse) || resp.String() != "n" {
			t.Errorf("an upload came from the cache: %q", resp)
		}
	}
	h.wantRequests(3)
	// An upload changes what is at its URL.
	if resp := byResty(t, client.R(), "GET", "/upload"); hit(resp.RawResponse) {
		t.Error("what was stored before the upload is a hit after it")
	}
	// Where POST is a read, it can be cached: the boundary, which is random, is
	// not part of the key.
	client.SetTransport(h.another(&options{Policy: policy.Policy{Methods: []string{"POST"}}}))
	for _, want := range []bool{false, true} {
		if resp := upload(); hit(resp.RawResponse) != want || resp.String() != "n" {
			t.Errorf("a read by POST: from the cache is %t, want %t: %q", hit(resp.RawResponse), want, resp)
		}
	}
}

func TestRestyCompression(t *testing.T) {
	h := start(t, compressed, nil)
	client, _ := h.resty()
	for _, header := range []string{"", "gzip"} {
		for _, want := range []bool{false, true} {
			var result song
			r := client.R().SetResult(&result)
			if header != "" {
				r.SetHeader("Accept-Encoding", header) // resty unpacks it then
			}
			if resp := byResty(t, r, "GET", "/song"); hit(resp.RawResponse) != want || result.Title != "text" {
				t.Errorf("Accept-Encoding %q: from the cache is %t, want %t: %+v", header, hit(resp.RawResponse), want, result)
			}
		}
	}
}

func TestRestyTrace(t *testing.T) {
	h := start(t, serveSong, nil)
	client, _ := h.resty()
	client.EnableTrace()
	miss := byResty(t, client.R(), "GET", "/song").Request.TraceInfo()
	if miss.RemoteAddr == nil || miss.ServerTime <= 0 || miss.TotalTime <= 0 {
		t.Errorf("of what was fetched: %+v", miss)
	}
	fromCache := byResty(t, client.R(), "GET", "/song").Request.TraceInfo()
	if fromCache.RemoteAddr != nil || fromCache.ServerTime != 0 || fromCache.ConnTime != 0 || fromCache.TotalTime <= 0 {
		t.Errorf("of a hit, which has no connection: %+v", fromCache)
	}
}

func TestRestyRetries(t *testing.T) {
	var failures, pending atomic.Int64
	h := start(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case failures.Add(-1) >= 0:
			w.WriteHeader(http.StatusServiceUnavailable)
		case pending.Add(-1) >= 0:
			io.WriteString(w, "pending")
		default:
			io.WriteString(w, "done")
		}
	}, nil)
	client, logged := h.resty()
	client.SetRetryCount(3).SetRetryWaitTime(time.Millisecond).SetRetryMaxWaitTime(2 * time.Millisecond)
	unavailable := func(r *resty.Response, err error) bool {
		return err != nil || r.StatusCode() == http.StatusServiceUnavailable
	}
	client.AddRetryCondition(unavailable)

	// resty repeats above the transport: each attempt passes it, and a hit is
	// not repeated.
	failures.Store(2)
	for _, want := range []int{3, 1} {
		resp := byResty(t, client.R(), "GET", "/")
		if resp.String() != "done" || resp.Request.Attempt != want {
			t.Errorf("%q at attempt %d, want %d", resp, resp.Request.Attempt, want)
		}
	}
	if s := h.transport.Stats(); s.Misses != 3 || s.Hits != 1 || s.Stored != 1 {
		t.Errorf("%+v", s)
	}
	logged.take()

	// A condition on a response that is cached asks the cache again and again.
	isPending := func(r *resty.Response, err error) bool { return err == nil && r.String() == "pending" }
	pending.Store(2)
	if resp := byResty(t, client.R().AddRetryCondition(isPending), "GET", "/job"); resp.String() != "pending" || resp.Request.Attempt != 4 {
		t.Errorf("this is documented, and not so: %q at attempt %d", resp, resp.Request.Attempt)
	}
	// What is to be asked for again is not to be kept.
	pending.Store(2)
	client.SetTransport(h.another(&options{Policy: policy.Policy{
		Keep: func(x *policy.Exchange) bool { return !bytes.Equal(x.Body, []byte("pending")) },
	}}))
	for i, want := range []int{3, 1} {
		if resp := byResty(t, client.R().AddRetryCondition(isPending), "GET", "/other-job"); resp.String() != "done" || resp.Request.Attempt != want {
			t.Errorf("request %d: %q at attempt %d, want %d", i, resp, resp.Request.Attempt, want)
		}
	}
}

// resty's own limiter is above the transport.
func TestRestyRateLimiter(t *testing.T) {
	h := start(t, serveSong, nil)
	client, _ := h.resty()
	limiter := newLimiter()
	client.SetRateLimiter(limiter)
	for range 5 {
		byResty(t, client.R(), "GET", "/song")
	}
	if n := spent(limiter); n != 5 {
		t.Errorf("this is documented, and not so: %d tokens are spent, want 5", n)
	}
}

func TestRestyRedirects(t *testing.T) {
	h := start(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/moved" {
			http.Redirect(w, r, "/song", http.StatusPermanentRedirect)
			return
		}
		serveSong(w, r)
	}, nil)
	client, _ := h.resty()
	client.SetRedirectPolicy(resty.FlexibleRedirectPolicy(2))
	for range 2 {
		if resp := byResty(t, client.R(), "GET", "/moved"); resp.String() != `{"title":"A"}` {
			t.Errorf("%s", resp)
		}
	}
	h.wantRequests(2)
	client.SetRedirectPolicy(resty.NoRedirectPolicy())
	if _, err := client.R().Get("/moved"); !errors.Is(err, resty.ErrAutoRedirectDisabled) {
		t.Errorf("the error is %v", err)
	}
	h.wantRequests(2)
}

func TestRestyTimeout(t *testing.T) {
	release := make(chan struct{})
	h := start(t, func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}, nil)
	t.Cleanup(func() { close(release) })
	client, _ := h.resty()
	_, err := client.SetTimeout(50 * time.Millisecond).R().Get("/")
	var failed net.Error
	if !errors.As(err, &failed) || !failed.Timeout() {
		t.Errorf("the error is %v", err)
	}
	_, err = func() (*resty.Response, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		return client.SetTimeout(0).R().SetContext(ctx).Get("/")
	}()
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the error is %v", err)
	}
}

// digest asks for credentials, with a nonce that is new each time, as those are
// then.
func digest(h http.HandlerFunc) http.HandlerFunc {
	var nonces atomic.Int64
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "" {
			w.Header().Set("Www-Authenticate", fmt.Sprintf(`Digest realm="r", qop="auth", nonce="n%d"`, nonces.Add(1)))
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		h(w, r)
	}
}

func TestRestyDigestAuth(t *testing.T) {
	h := start(t, digest(serveSong), nil)
	get := func(client *resty.Client) bool {
		resp := byResty(t, client.R(), "GET", "/song")
		if resp.String() != `{"title":"A"}` {
			t.Errorf("%s", resp)
		}
		return hit(resp.RawResponse)
	}
	// It remembers the transport that there is when it is set, and brings it back:
	// set before, it takes the cache out.
	client := resty.New().SetLogger(&lines{}).SetBaseURL(h.server.URL)
	base, err := client.Transport()
	check(t, err)
	t.Cleanup(base.CloseIdleConnections)
	client.SetDigestAuth("u", "p").SetTransport(h.transport)
	wantHits(t, "digest set before the transport", []bool{get(client), get(client)}, false, false)
	if s := h.transport.Stats(); s != (cache.Stats{}) || client.GetClient().Transport != http.RoundTripper(base) {
		t.Errorf("this is documented, and not so: %+v", s)
	}

	// Above the cache, its credentials are new each time, and so is the key.
	client, _ = h.resty()
	client.SetDigestAuth("u", "p")
	wantHits(t, "digest above the cache", []bool{get(client), get(client)}, false, false)

	// Where credentials do not count, what they were needed for is a hit without.
	h.keyedBy(&keys.AnyOptions{IgnoreHeaders: []string{"Authorization"}})
	client, _ = h.resty()
	client.SetDigestAuth("u", "p")
	wantHits(t, "digest that does not count", []bool{get(client), get(client)}, false, true)
}

// A clone of a resty client has the same http.Client.
func TestRestyClone(t *testing.T) {
	h := start(t, serveSong, nil)
	client, _ := h.resty()
	base, err := client.Clone().SetTransport(h.base).Transport()
	if err != nil || base != h.base || client.GetClient().Transport != http.RoundTripper(h.base) {
		t.Errorf("this is documented, and not so: %v", err)
	}
	// With another http.Client of its own, one is not the other's.
	client.SetTransport(h.transport)
	plain := resty.NewWithClient(&http.Client{Transport: h.base}).SetBaseURL(h.server.URL)
	for range 2 {
		byResty(t, client.R(), "GET", "/song")
		byResty(t, plain.R(), "GET", "/song")
	}
	h.wantRequests(3)
}
