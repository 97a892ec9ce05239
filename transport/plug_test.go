package transport_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-resty/resty/v2"
	"golang.org/x/time/rate"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/prefetch"
	"github.com/endpointcache/endpointcache/repository"
	keys "github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/transport"
)

// sender is a function as an [http.RoundTripper].
type sender func(*http.Request) (*http.Response, error)

func (f sender) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// keyedBy makes the harness's catch-all repository one with these options.
func (h *harness) keyedBy(opts *keys.AnyOptions) {
	h.t.Helper()
	h.cache.Remove("all")
	_, err := cache.CreateRepository(h.t.Context(), h.cache, settings.CatchAll("chosen", opts))
	check(h.t, err)
}

// fetchBy makes a GET with a client of any kind and reads the body, which is to be
// whole.
func fetchBy(t testing.TB, do func(*http.Request) (*http.Response, error), url string, headers ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	check(t, err)
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	resp, err := do(req)
	check(t, err)
	body, err := io.ReadAll(resp.Body)
	check(t, err)
	check(t, resp.Body.Close())
	return resp, string(body)
}

// wantHits checks, for requests made one after another, which came from the cache.
func wantHits(t testing.TB, what string, got []bool, want ...bool) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: from the cache: %v, want %v", what, got, want)
	}
}

// http.Client

func TestClientCookies(t *testing.T) {
	h := start(t, func(w http.ResponseWriter, r *http.Request) {
		if _, err := r.Cookie("session"); err != nil {
			http.SetCookie(w, &http.Cookie{Name: "session", Value: "s1"})
		}
		io.WriteString(w, r.Header.Get("Cookie"))
	}, nil)
	get := func(jar http.CookieJar) (hits []bool, bodies []string) {
		client := &http.Client{Transport: h.transport, Jar: jar}
		for range 3 {
			resp, body := fetchBy(t, client.Do, h.url("/"))
			hits, bodies = append(hits, hit(resp)), append(bodies, body)
		}
		return hits, bodies
	}
	// The jar adds its cookies above the transport, so a key has them: the second
	// request is another than the first.
	hits, bodies := get(newJar(t))
	wantHits(t, "with a jar", hits, false, false, true)
	if want := []string{"", "session=s1", "session=s1"}; !slices.Equal(bodies, want) {
		t.Errorf("the bodies are %q, want %q", bodies, want)
	}
	// A hit has no Set-Cookie, so it begins no session for another user's jar.
	jar := newJar(t)
	hits, _ = get(jar)
	wantHits(t, "another's jar", hits, true, true, true)
	if cookies := jar.Cookies(h.request("GET", "/", "").URL); len(cookies) > 0 {
		t.Errorf("the other's jar has %v", cookies)
	}

	h.keyedBy(&keys.AnyOptions{IgnoreHeaders: []string{"Cookie"}})
	hits, _ = get(newJar(t))
	wantHits(t, "where cookies do not count", hits, false, true, true)
}

func newJar(t testing.TB) *cookiejar.Jar {
	t.Helper()
	jar, err := cookiejar.New(nil)
	check(t, err)
	return jar
}

func TestClientTimeout(t *testing.T) {
	arrived, release := make(chan bool, 10), make(chan struct{})
	h := start(t, func(w http.ResponseWriter, r *http.Request) {
		arrived <- true
		if r.URL.Path == "/body" {
			io.WriteString(w, "begin")
			w.(http.Flusher).Flush()
		}
		if r.URL.Path != "/fast" {
			<-release
		}
		io.WriteString(w, "end")
	}, nil)
	timeout := func(err error) bool {
		var failed net.Error
		return errors.As(err, &failed) && failed.Timeout()
	}
	hasty := &http.Client{Transport: h.transport, Timeout: 300 * time.Millisecond}
	patient := &http.Client{Transport: h.transport, Timeout: time.Minute}

	// Two share the fetch that the hasty one has begun: it may not end with the
	// hasty one's timeout, of which the deprecated Request.Cancel tells, too.
	got := make(chan string)
	begun := make(chan error)
	go func() {
		_, err := hasty.Do(h.request("GET", "/slow", ""))
		begun <- err
	}()
	<-arrived
	go func() {
		resp, err := patient.Do(h.request("GET", "/slow", ""))
		if err != nil {
			got <- err.Error()
			return
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		got <- fmt.Sprint(string(body), err)
	}()
	if err := <-begun; !timeout(err) {
		t.Errorf("the error of the one with the short timeout is %v", err)
	}
	time.Sleep(20 * time.Millisecond) // for what would end the other's, too
	release <- struct{}{}
	if text := <-got; text != "end<nil>" {
		t.Errorf("the other's got: %s", text)
	}
	h.wantRequests(1)

	// In the middle of a body.
	resp, err := hasty.Do(h.request("GET", "/body", ""))
	check(t, err)
	<-arrived
	body, err := io.ReadAll(resp.Body)
	if string(body) != "begin" || !timeout(err) {
		t.Errorf("of a slow body: %q, %v", body, err)
	}
	check(t, resp.Body.Close())
	close(release)

	// A timeout is for what has to be fetched: hits are within it.
	for range 2 {
		resp, _ = fetchBy(t, hasty.Do, h.url("/fast"))
	}
	if !hit(resp) {
		t.Error("a client with a timeout has no hits")
	}
}

func TestClientRedirects(t *testing.T) {
	h := start(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/moved":
			http.Redirect(w, r, "/target", http.StatusMovedPermanently)
		case "/today":
			http.Redirect(w, r, "/target", http.StatusFound)
		default:
			io.WriteString(w, "the target")
		}
	}, nil)
	checked := 0
	client := &http.Client{Transport: h.transport, CheckRedirect: func(*http.Request, []*http.Request) error {
		checked++
		return nil
	}}
	// Each hop is a request of its own, and each permanent one a hit.
	for i, test := range []struct {
		path     string
		requests int
	}{
		{"/moved", 2}, {"/moved", 2}, {"/today", 3}, {"/today", 4},
	} {
		resp, body := fetchBy(t, client.Do, h.url(test.path))
		if body != "the target" || resp.Request.URL.Path != "/target" || checked != i+1 {
			t.Errorf("%s: %q of %s after %d redirects", test.path, body, resp.Request.URL, checked)
		}
		h.wantRequests(test.requests)
	}
	stay := &http.Client{Transport: h.transport, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
	resp, _ := fetchBy(t, stay.Do, h.url("/moved"))
	if !hit(resp) || resp.StatusCode != http.StatusMovedPermanently || resp.Header.Get("Location") != "/target" {
		t.Errorf("the redirect itself is %s to %q", resp.Status, resp.Header.Get("Location"))
	}
	// What follows redirects below the cache makes the target the first URL's.
	below := h.another(&transport.Options{Base: transport.Doer(&http.Client{Transport: h.base})})
	h.keyedBy(nil)
	for range 2 {
		resp, _ = fetchBy(t, below.Do, h.url("/today"))
	}
	if !hit(resp) || resp.StatusCode != http.StatusOK {
		t.Errorf("below the cache: %s, %v", resp.Status, resp.Header)
	}
}

// compressed answers with gzip those who take it.
func compressed(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Vary", "Accept-Encoding")
	if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		io.WriteString(w, `{"title":"text"}`)
		return
	}
	w.Header().Set("Content-Encoding", "gzip")
	z := gzip.NewWriter(w)
	io.WriteString(z, `{"title":"text"}`)
	z.Close()
}

func unpack(t testing.TB, body string) string {
	t.Helper()
	z, err := gzip.NewReader(strings.NewReader(body))
	check(t, err)
	text, err := io.ReadAll(z)
	check(t, err)
	return string(text)
}

func TestClientCompression(t *testing.T) {
	const text = `{"title":"text"}`
	h := start(t, compressed, nil)

	// Go's base transport asks for gzip itself and unpacks it, below the cache:
	// the text is stored, without the headers of the packed body.
	miss, _ := fetchBy(t, h.client.Do, h.url("/"))
	resp, body := fetchBy(t, h.client.Do, h.url("/"))
	if !miss.Uncompressed || !hit(resp) || body != text {
		t.Errorf("fetched: uncompressed is %t; stored: %q", miss.Uncompressed, body)
	}
	if resp.Header.Get("Content-Encoding") != "" || resp.Uncompressed || resp.ContentLength != int64(len(text)) {
		t.Errorf("the hit's headers are of the packed body: %v, length %d", resp.Header, resp.ContentLength)
	}

	// A caller that asks for it itself gets what it has asked for, under another
	// key: Accept-Encoding counts for the catch-all.
	for _, want := range []bool{false, true} {
		resp, body = fetchBy(t, h.client.Do, h.url("/"), "Accept-Encoding", "gzip")
		if hit(resp) != want || resp.Header.Get("Content-Encoding") != "gzip" || unpack(t, body) != text {
			t.Errorf("packed: from the cache is %t, want %t; headers %v", hit(resp), want, resp.Header)
		}
	}
	resp, body = fetchBy(t, h.client.Do, h.url("/"))
	if !hit(resp) || body != text {
		t.Errorf("after that, without the header: %q", body)
	}
	h.wantRequests(2)
}

// Where the key does not have Accept-Encoding, one representation is stored, and
// its headers tell which.
func TestClientCompressionOfAnEndpoint(t *testing.T) {
	const text = `{"title":"text"}`
	h := start(t, compressed, nil)
	_, err := cache.CreateRepository(t.Context(), h.cache, settings.RepositorySettings[string, []byte]{
		Name: "files", Endpoint: keys.Pattern[string]("GET /files/{name}"), Payload: payload.Bytes(),
	})
	check(t, err)
	_, err = cache.CreateRepository(t.Context(), h.cache, settings.RepositorySettings[string, map[string]string]{
		Name: "documents", Endpoint: keys.Pattern[string]("GET /documents/{name}"), Payload: payload.JSON[map[string]string](),
	})
	check(t, err)

	packed := func(path string) { fetchBy(t, h.client.Do, h.url(path), "Accept-Encoding", "gzip") }
	packed("/files/a")
	resp, body := fetchBy(t, h.client.Do, h.url("/files/a"))
	if hit(resp) || resp.Header.Get("Content-Encoding") != "" || body != text {
		t.Errorf("packed bytes are for who asked for them: %v", resp.Header)
	}

	// Packed JSON is no JSON, so it is not saved.
	packed("/documents/a")
	for _, want := range []bool{false, true} {
		if resp, body = fetchBy(t, h.client.Do, h.url("/documents/a")); hit(resp) != want || body != text {
			t.Errorf("JSON: from the cache is %t, want %t: %q", hit(resp), want, body)
		}
	}
	if n := h.transport.Stats().Undecodable; n != 1 {
		t.Errorf("%d responses were undecodable, want 1", n)
	}

	// With the rules of RFC 9111, Vary keeps both.
	ruled := h.another(&transport.Options{Policy: transport.Policy{CacheControl: transport.On, Expire: transport.After(time.Hour)}})
	for _, want := range []bool{false, true} {
		resp, body = fetchBy(t, ruled.Do, h.url("/files/b"), "Accept-Encoding", "gzip")
		if hit(resp) != want || unpack(t, body) != text {
			t.Errorf("packed, with Vary: from the cache is %t, want %t", hit(resp), want)
		}
		resp, body = fetchBy(t, ruled.Do, h.url("/files/b"))
		if hit(resp) != want || body != text {
			t.Errorf("text, with Vary: from the cache is %t, want %t", hit(resp), want)
		}
	}
}

func TestClientHTTP2(t *testing.T) {
	h := start(t, http.NotFound, nil)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.Proto)
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	client := &http.Client{Transport: h.another(&transport.Options{Base: server.Client().Transport})}
	t.Cleanup(client.CloseIdleConnections)
	for _, want := range []bool{false, true} {
		resp, body := fetchBy(t, client.Do, server.URL)
		if (resp.TLS == nil) != want {
			t.Errorf("a response has the state of a connection: %t; from the cache: %t", resp.TLS != nil, want)
		}
		if hit(resp) != want || body != "HTTP/2.0" || resp.Proto != "HTTP/2.0" || resp.ProtoMajor != 2 || resp.ProtoMinor != 0 {
			t.Errorf("from the cache is %t, want %t: %q by %s, %d.%d", hit(resp), want, body, resp.Proto, resp.ProtoMajor, resp.ProtoMinor)
		}
	}
	client.CloseIdleConnections() // those of the base
}

// What sends the requests may be anybody's function.

func TestBaseBreaksTheContract(t *testing.T) {
	for name, base := range map[string]sender{
		"nothing at all":  func(*http.Request) (*http.Response, error) { return nil, nil },
		"a panic":         func(*http.Request) (*http.Response, error) { panic("no") },
		"a body's panic":  func(*http.Request) (*http.Response, error) { return answer(io.NopCloser(panicking{})), nil },
		"a missing body":  func(*http.Request) (*http.Response, error) { r := answer(nil); r.ContentLength = 3; return r, nil },
		"no body, no end": func(*http.Request) (*http.Response, error) { r := answer(nil); r.StatusCode = 500; return r, nil },
	} {
		t.Run(name, func(t *testing.T) {
			h := start(t, http.NotFound, &transport.Options{Base: base})
			for range 2 {
				resp, err := h.client.Do(h.request("GET", "/", ""))
				if err == nil {
					_, err = io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
				if (err == nil) != (name == "no body, no end") {
					t.Errorf("the error is %v", err)
				}
			}
			if n := h.transport.Stats().Stored; n != 0 {
				t.Errorf("%d responses were stored", n)
			}
		})
	}
	// A response without a body is an empty one, as http.Client has it.
	h := start(t, http.NotFound, &transport.Options{Base: sender(func(*http.Request) (*http.Response, error) { return answer(nil), nil })})
	for _, want := range []bool{false, true} {
		if resp, body := h.get("/"); hit(resp) != want || body != "" {
			t.Errorf("from the cache is %t, want %t: %q", hit(resp), want, body)
		}
	}
}

func answer(body io.ReadCloser) *http.Response {
	return &http.Response{Status: "200 OK", StatusCode: 200, Body: body}
}

type panicking struct{}

func (panicking) Read([]byte) (int, error) { panic("no") }

func TestIntercept(t *testing.T) {
	h := start(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Header.Get("X-Signed")) }, nil)
	calls := 0
	next := func(req *http.Request) (*http.Response, error) {
		calls++
		req.Header.Set("X-Signed", "yes") // the caller's request is another
		return h.base.RoundTrip(req)
	}
	for i, want := range []bool{false, true} {
		req := h.request("GET", "/", "")
		resp, err := h.transport.Intercept(req, next)
		check(t, err)
		body, err := io.ReadAll(resp.Body)
		check(t, err)
		resp.Body.Close()
		if hit(resp) != want || string(body) != "yes" || calls != 1 || len(req.Header) > 0 || resp.Request != req {
			t.Errorf("request %d: from the cache is %t, want %t: %q after %d calls", i, hit(resp), want, body, calls)
		}
	}
	// What it fetches and what another plug point does is the same cache's.
	if resp, _ := h.get("/"); !hit(resp) {
		t.Error("what a middleware has fetched is no hit elsewhere")
	}
	if _, err := h.transport.Intercept(h.request("GET", "/", ""), nil); err == nil {
		t.Error("without next there is no error")
	}
}

func TestDoer(t *testing.T) {
	h := start(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Header.Get("Authorization")) }, nil)
	// An SDK's client, which adds credentials in its Do: below the cache.
	sdk := sender(func(req *http.Request) (*http.Response, error) {
		req.Header.Set("Authorization", "of the SDK")
		return h.base.RoundTrip(req)
	})
	cached := h.another(&transport.Options{Base: transport.Doer(doer{sdk})})
	for _, want := range []bool{false, true} {
		if resp, body := fetchBy(t, cached.Do, h.url("/")); hit(resp) != want || body != "of the SDK" {
			t.Errorf("from the cache is %t, want %t: %q", hit(resp), want, body)
		}
	}
}

// doer is the shape of an SDK's client.
type doer struct{ base http.RoundTripper }

func (d doer) Do(req *http.Request) (*http.Response, error) { return d.base.RoundTrip(req) }

// The order of transports

// limited waits for the limiter before each request.
func limited(base http.RoundTripper, limiter *rate.Limiter) http.RoundTripper {
	return sender(func(req *http.Request) (*http.Response, error) {
		if err := limiter.Wait(req.Context()); err != nil {
			return nil, err
		}
		return base.RoundTrip(req)
	})
}

// retrying repeats what is answered with 503.
func retrying(base http.RoundTripper, attempts int) http.RoundTripper {
	return sender(func(req *http.Request) (*http.Response, error) {
		for attempt := 1; ; attempt++ {
			resp, err := base.RoundTrip(req)
			if err != nil || resp.StatusCode != http.StatusServiceUnavailable || attempt == attempts {
				return resp, err
			}
			resp.Body.Close()
		}
	})
}

// authorized adds the token of whoever makes the requests.
func authorized(base http.RoundTripper, token func() string) http.RoundTripper {
	return sender(func(req *http.Request) (*http.Response, error) {
		req = req.Clone(req.Context())
		req.Header.Set("Authorization", "Bearer "+token())
		return base.RoundTrip(req)
	})
}

// spent is how many tokens of a limiter have been used, which gets no new ones.
func spent(limiter *rate.Limiter) int { return limiter.Burst() - int(limiter.Tokens()+0.5) }

func newLimiter() *rate.Limiter { return rate.NewLimiter(rate.Every(24*time.Hour), 100) }

func TestOrderOfRateLimit(t *testing.T) {
	h := start(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Etag", `"1"`)
		if r.Header.Get("If-None-Match") != "" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		io.WriteString(w, "text")
	}, nil)
	limiter := newLimiter()
	below := h.another(&transport.Options{
		Base:   limited(h.base, limiter),
		Policy: transport.Policy{Expire: transport.After(time.Minute)},
	})
	for range 20 {
		fetchBy(t, below.Do, h.url("/"))
	}
	if n := spent(limiter); n != 1 {
		t.Errorf("a miss and 19 hits have spent %d tokens, want 1", n)
	}
	// What asks the origin whether a response still holds is a request, too.
	h.clock.Advance(time.Hour)
	for range 10 {
		fetchBy(t, below.Do, h.url("/"))
	}
	if n := spent(limiter); n != 2 {
		t.Errorf("after one that was revalidated, %d tokens are spent, want 2", n)
	}
	// What may not go to the origin is none.
	ctx := transport.WithPolicy(t.Context(), transport.Policy{Use: transport.OnlyIfCached})
	resp, err := below.Do(h.request("GET", "/absent", "").WithContext(ctx))
	check(t, err)
	resp.Body.Close()
	if resp.StatusCode != http.StatusGatewayTimeout || spent(limiter) != 2 {
		t.Errorf("only if cached: %s, %d tokens", resp.Status, spent(limiter))
	}

	// The wrong way round, each hit waits for its turn.
	limiter = newLimiter()
	above := limited(h.transport, limiter)
	for range 20 {
		fetchBy(t, above.RoundTrip, h.url("/above"))
	}
	if n := spent(limiter); n != 20 {
		t.Errorf("above the cache, %d tokens are spent, want 20", n)
	}
}

// Requests that share a fetch share its token.
func TestOrderOfRateLimitTogether(t *testing.T) {
	release := make(chan struct{})
	h := start(t, func(w http.ResponseWriter, r *http.Request) {
		<-release
		io.WriteString(w, "text")
	}, nil)
	limiter := newLimiter()
	below := h.another(&transport.Options{Base: limited(h.base, limiter)})
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			resp, err := below.RoundTrip(h.request("GET", "/", ""))
			if err != nil {
				t.Error(err)
				return
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		})
	}
	eventually(t, "the request reaches the origin", func() bool { return h.requests.Load() == 1 })
	close(release)
	group.Wait()
	if n := spent(limiter); n != 1 {
		t.Errorf("%d tokens are spent, want 1", n)
	}
	h.wantRequests(1)
}

func TestOrderOfRetry(t *testing.T) {
	var failures atomic.Int64
	h := start(t, func(w http.ResponseWriter, r *http.Request) {
		if failures.Add(-1) >= 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		io.WriteString(w, "text")
	}, nil)
	// Below the cache, the attempts are one exchange, each with a token.
	limiter := newLimiter()
	below := h.another(&transport.Options{
		Base:   retrying(limited(h.base, limiter), 3),
		Policy: transport.Policy{Expire: transport.After(time.Minute), StaleIfError: time.Hour},
	})
	failures.Store(2)
	for _, want := range []bool{false, true} {
		if resp, body := fetchBy(t, below.Do, h.url("/below")); hit(resp) != want || body != "text" {
			t.Errorf("below: from the cache is %t, want %t: %q", hit(resp), want, body)
		}
	}
	if s := below.Stats(); s.Misses != 1 || s.Hits != 1 || s.Stored != 1 || spent(limiter) != 3 {
		t.Errorf("below: %+v, %d tokens", s, spent(limiter))
	}
	// What is stored stands in once the attempts are used up, not before.
	h.clock.Advance(2 * time.Minute)
	failures.Store(3)
	if resp, _ := fetchBy(t, below.Do, h.url("/below")); !hit(resp) || below.Stats().Stale != 1 || spent(limiter) != 6 {
		t.Errorf("below: %v after %d tokens, %+v", resp.Header, spent(limiter), below.Stats())
	}

	// Above the cache, each attempt is a miss of its own.
	failures.Store(2)
	above := retrying(h.transport, 3)
	if resp, body := fetchBy(t, above.RoundTrip, h.url("/above")); hit(resp) || body != "text" {
		t.Errorf("above: %v %q", resp.Header, body)
	}
	if s := h.transport.Stats(); s.Misses != 3 || s.Stored != 1 {
		t.Errorf("above: %+v", s)
	}
	// And what stands in for a failure is an answer like any other, so that
	// nothing is repeated.
	requests := h.requests.Load()
	h.clock.Advance(30 * 24 * time.Hour)
	failures.Store(1)
	standIn := h.another(&transport.Options{Policy: transport.Policy{StaleIfError: 365 * 24 * time.Hour}})
	resp, _ := fetchBy(t, retrying(standIn, 3).RoundTrip, h.url("/above"))
	if !hit(resp) || h.requests.Load() != requests+1 {
		t.Errorf("above: %v after %d requests", resp.Header, h.requests.Load()-requests)
	}
}

// whoAmI answers with the user of the token, of which there may be several in a
// row, as "alice-1".
func whoAmI(w http.ResponseWriter, r *http.Request) {
	user, _, _ := strings.Cut(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), "-")
	io.WriteString(w, "You are "+user)
}

func TestOrderOfAuth(t *testing.T) {
	token := func(name string) func() string { return func() string { return name } }

	t.Run("above", func(t *testing.T) {
		// The key has the Authorization: each user has answers of their own.
		h := start(t, whoAmI, nil)
		for _, user := range []string{"alice", "bob"} {
			client := authorized(h.transport, token(user))
			for _, want := range []bool{false, true} {
				if resp, body := fetchBy(t, client.RoundTrip, h.url("/me")); hit(resp) != want || body != "You are "+user {
					t.Errorf("%s: from the cache is %t, want %t: %q", user, hit(resp), want, body)
				}
			}
		}
		// So has each token: when it is renewed, all is fetched anew.
		client := authorized(h.transport, token("alice-2"))
		if resp, _ := fetchBy(t, client.RoundTrip, h.url("/me")); hit(resp) {
			t.Error("another token has the first one's answer")
		}
	})

	t.Run("below", func(t *testing.T) {
		// What goes wrong: the key cannot tell users apart who share the cache.
		h := start(t, whoAmI, nil)
		alice := h.another(&transport.Options{Base: authorized(h.base, token("alice"))})
		bob := h.another(&transport.Options{Base: authorized(h.base, token("bob"))})
		fetchBy(t, alice.Do, h.url("/me"))
		if resp, body := fetchBy(t, bob.Do, h.url("/me")); !hit(resp) || body != "You are alice" {
			t.Errorf("this is documented, and not so: %q", body)
		}
	})

	t.Run("named above, authorized below", func(t *testing.T) {
		// The user's name is in the key, the token is not: it may change.
		h := start(t, whoAmI, nil)
		tokens := map[string]string{"alice": "alice-1", "bob": "bob-1"}
		cached := h.another(&transport.Options{Base: sender(func(req *http.Request) (*http.Response, error) {
			req = req.Clone(req.Context())
			req.Header.Set("Authorization", "Bearer "+tokens[req.Header.Get("X-User")])
			req.Header.Del("X-User")
			return h.base.RoundTrip(req)
		})})
		get := func(user string) (*http.Response, string) {
			return fetchBy(t, cached.Do, h.url("/me"), "X-User", user)
		}
		for user := range tokens {
			if resp, body := get(user); hit(resp) || body != "You are "+user {
				t.Errorf("%s: %q, from the cache is %t", user, body, hit(resp))
			}
		}
		tokens["alice"], tokens["bob"] = "alice-2", "bob-2"
		for user := range tokens {
			if resp, body := get(user); !hit(resp) || body != "You are "+user {
				t.Errorf("%s with another token: %q, from the cache is %t", user, body, hit(resp))
			}
		}
		h.wantRequests(2)
	})

	t.Run("renewed below", func(t *testing.T) {
		// A 401 and what is done about it is one exchange for the cache.
		h := start(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "Bearer alice-2" {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			whoAmI(w, r)
		}, nil)
		current := "alice-1"
		renewing := func(base http.RoundTripper) http.RoundTripper {
			auth := authorized(base, func() string { return current })
			return sender(func(req *http.Request) (*http.Response, error) {
				resp, err := auth.RoundTrip(req)
				if err == nil && resp.StatusCode == http.StatusUnauthorized {
					resp.Body.Close()
					current = "alice-2"
					return auth.RoundTrip(req)
				}
				return resp, err
			})
		}
		cached := h.another(&transport.Options{Base: renewing(h.base)})
		for _, want := range []bool{false, true} {
			if resp, body := fetchBy(t, cached.Do, h.url("/me")); hit(resp) != want || body != "You are alice" {
				t.Errorf("from the cache is %t, want %t: %q", hit(resp), want, body)
			}
		}
		if s := cached.Stats(); s.Misses != 1 || s.Stored != 1 {
			t.Errorf("%+v", s)
		}
		h.wantRequests(2)

		// Above it, the 401 is not stored, and what follows has another key.
		current = "alice-1"
		above := renewing(h.transport)
		for _, want := range []bool{false, true} {
			if resp, body := fetchBy(t, above.RoundTrip, h.url("/above")); hit(resp) != want || body != "You are alice" {
				t.Errorf("above: from the cache is %t, want %t: %q", hit(resp), want, body)
			}
		}
		if s := h.transport.Stats(); s.Misses != 2 || s.Stored != 1 {
			t.Errorf("above: %+v", s)
		}
	})
}

// resty v2

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
	client.SetTransport(h.another(&transport.Options{Base: base}))
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
	}, &transport.Options{Policy: transport.Policy{ExpireStatus: map[int]transport.Expiry{404: transport.After(time.Minute)}}})
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
	eventually(t, "the response is saved", func() bool { return h.transport.Stats().Stored == 1 })
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
	eventually(t, "the response is saved", func() bool { return h.transport.Stats().Stored == 2 })
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
	client.SetTransport(h.another(&transport.Options{Policy: transport.Policy{Methods: []string{"POST"}}}))
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
	client.SetTransport(h.another(&transport.Options{Policy: transport.Policy{
		Keep: func(x *transport.Exchange) bool { return !bytes.Equal(x.Body, []byte("pending")) },
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
	if s := h.transport.Stats(); s != (transport.Stats{}) || client.GetClient().Transport != http.RoundTripper(base) {
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

// prefetch takes the same client. As it looks itself for what is there, its
// requests need no cache below.
func TestRestyPrefetch(t *testing.T) {
	h := start(t, serveSong, nil)
	songs, err := cache.CreateRepository(t.Context(), h.cache, settings.RepositorySettings[string, song]{
		Name: "songs", Endpoint: keys.Pattern[string]("GET /songs/{id}"), Payload: payload.JSON[song](),
	})
	check(t, err)
	client, _ := h.resty()
	byResty(t, client.R(), "GET", "/songs/a")

	run := func(ctx context.Context, opts *prefetch.Options, wanted ...string) *prefetch.Result[string] {
		t.Helper()
		opts.Client = client
		result, err := prefetch.Run(ctx, songs, slices.Values(wanted), opts)
		check(t, err)
		if result.Failed > 0 {
			t.Errorf("%+v", result)
		}
		return result
	}
	direct := transport.WithPolicy(t.Context(), transport.Policy{Use: transport.Disabled})
	if r := run(direct, &prefetch.Options{}, "a", "b"); r.Cached != 1 || r.Fetched != 1 {
		t.Errorf("what the transport has stored is fetched: %+v", r)
	}
	if s := h.transport.Stats(); s.Stored != 1 || s.Misses != 1 {
		t.Errorf("the transport has stored what was prefetched, too: %+v", s)
	}
	if resp := byResty(t, client.R(), "GET", "/songs/b"); !hit(resp.RawResponse) {
		t.Error("what was prefetched is no hit")
	}
	h.wantRequests(2)

	// Otherwise Refresh would be answered by what it is to replace.
	run(t.Context(), &prefetch.Options{Refresh: true}, "a")
	h.wantRequests(2)
	run(direct, &prefetch.Options{Refresh: true}, "a")
	h.wantRequests(3)
	if n, err := songs.Count(t.Context(), repository.Live); n != 2 || err != nil {
		t.Errorf("%d songs, %v", n, err)
	}
}
