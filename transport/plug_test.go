package transport_test

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/identity"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/policy"
	keys "github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/transport"
)

// sender is a function as an [http.RoundTripper].
type sender func(*http.Request) (*http.Response, error)

func (f sender) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// keyedBy makes the harness's catch-all repository one with these options, whose answers
// are for all.
func (h *harness) keyedBy(opts *keys.AnyOptions) {
	h.t.Helper()
	h.cache.Remove("all")
	chosen := settings.CatchAll("chosen", opts)
	chosen.Scope = settings.Shared
	_, err := cache.CreateRepository(h.t.Context(), h.cache, chosen)
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
	hasty := &http.Client{Transport: h.transport, Timeout: 2 * time.Second}
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
	below := h.another(&options{Base: transport.Doer(&http.Client{Transport: h.base})})
	h.keyedBy(nil)
	for range 2 {
		resp, _ = fetchBy(t, below.Do, h.url("/today"))
	}
	if !hit(resp) || resp.StatusCode != http.StatusOK {
		t.Errorf("below the cache: %s, %v", resp.Status, resp.Header)
	}
}

// compressed answers with gzip the requests that accept it.
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
		t.Errorf("packed bytes are only for callers that asked for them: %v", resp.Header)
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
	ruled := h.another(&options{Policy: policy.Policy{CacheControl: policy.On, Expire: policy.After(time.Hour)}})
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
	client := &http.Client{Transport: h.another(&options{Base: server.Client().Transport})}
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

// The base may be any function of the user's.

func TestBaseBreaksTheContract(t *testing.T) {
	for name, base := range map[string]sender{
		"nothing at all":  func(*http.Request) (*http.Response, error) { return nil, nil },
		"a panic":         func(*http.Request) (*http.Response, error) { panic("no") },
		"a body's panic":  func(*http.Request) (*http.Response, error) { return answer(io.NopCloser(panicking{})), nil },
		"a missing body":  func(*http.Request) (*http.Response, error) { r := answer(nil); r.ContentLength = 3; return r, nil },
		"no body, no end": func(*http.Request) (*http.Response, error) { r := answer(nil); r.StatusCode = 500; return r, nil },
	} {
		t.Run(name, func(t *testing.T) {
			h := start(t, http.NotFound, &options{Base: base})
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
	h := start(t, http.NotFound, &options{Base: sender(func(*http.Request) (*http.Response, error) { return answer(nil), nil })})
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
	cached := h.another(&options{Base: transport.Doer(doer{sdk})})
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

// authorized adds the token of the user that makes the requests.
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
	below := h.another(&options{
		Base:   limited(h.base, limiter),
		Policy: policy.Policy{Expire: policy.After(time.Minute)},
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
	ctx := policy.With(t.Context(), policy.Policy{Use: policy.OnlyIfCached})
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
	below := h.another(&options{Base: limited(h.base, limiter)})
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
	waitfor.True(t, "the request reaches the origin", func() bool { return h.requests.Load() == 1 })
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
	below := h.another(&options{
		Base:   retrying(limited(h.base, limiter), 3),
		Policy: policy.Policy{Expire: policy.After(time.Minute), StaleIfError: time.Hour},
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
	standIn := h.another(&options{Policy: policy.Policy{StaleIfError: 365 * 24 * time.Hour}})
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
		// The key cannot tell users apart who share the cache: nothing is kept, unless it is
		// declared to be for all.
		h := start(t, whoAmI, nil)
		alice := h.another(&options{Base: authorized(h.base, token("alice"))})
		bob := h.another(&options{Base: authorized(h.base, token("bob"))})
		fetchBy(t, alice.Do, h.url("/me"))
		if resp, body := fetchBy(t, bob.Do, h.url("/me")); hit(resp) || body != "You are bob" {
			t.Errorf("bob: %q, from the cache is %t", body, hit(resp))
		}
		alice = h.another(&options{Base: authorized(h.base, token("alice")), Scope: settings.Shared})
		bob = h.another(&options{Base: authorized(h.base, token("bob")), Scope: settings.Shared})
		fetchBy(t, alice.Do, h.url("/me"))
		if resp, body := fetchBy(t, bob.Do, h.url("/me")); !hit(resp) || body != "You are alice" {
			t.Errorf("shared: %q, from the cache is %t", body, hit(resp))
		}
	})

	t.Run("named above, authorized below", func(t *testing.T) {
		// The calls name the user, so the token may change.
		h := start(t, whoAmI, nil)
		tokens := map[string]string{"alice": "alice-1", "bob": "bob-1"}
		cached := h.another(&options{Scope: settings.PerIdentity, Base: sender(func(req *http.Request) (*http.Response, error) {
			req = req.Clone(req.Context())
			user, _ := identity.Of(req.Context())
			req.Header.Set("Authorization", "Bearer "+tokens[user])
			return h.base.RoundTrip(req)
		})})
		get := func(user string) (*http.Response, string) {
			return fetchBy(t, func(req *http.Request) (*http.Response, error) {
				return cached.Do(req.WithContext(identity.With(req.Context(), user)))
			}, h.url("/me"))
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
		cached := h.another(&options{Base: renewing(h.base), Scope: settings.Shared})
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
