package clients_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/memory"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/sqlite"
	"github.com/endpointcache/endpointcache/transport"
)

// scene is an API and what a client does with it.
type scene struct {
	origin func() http.Handler // the API in its first state
	tls    bool                // by HTTP/2

	// client does always the same, and returns what it has read. It is called once for each
	// pass, and n counts these from 0.
	client func(t testing.TB, n int, via http.RoundTripper) any

	// below is what the cache, or else the client, sends its requests with; nil for the network.
	below func(n int, network http.RoundTripper) http.RoundTripper

	varies []string            // headers that tell of the exchange, and not of what was asked for
	mask   func(string) string // replaces what the API makes up at random

	options cache.Options  // further ones
	scope   settings.Scope // of the repository of all responses
	keys    *request.AnyOptions
	declare func(testing.TB, *cache.ResponseCache) // adds endpoints; may be nil

	policy, control asked // by mode
}

// asked is what reaches the origin in each pass: the first one, a second one at the same
// time, and one after everything has expired.
type asked struct{ cold, warm, expired reached }

// reached are requests that reach the origin, and how many of them are answered with a 304.
type reached struct{ requests, unchanged int }

// exchange is a request of a client, and what the client got.
type exchange struct {
	Request   string
	Proto     string
	Status    string
	Header    http.Header
	Announced []string // trailers
	Body      string
	Trailer   http.Header
	Err       string
}

// pass is what the client saw in one run.
type pass struct {
	Read      any
	Exchanges []exchange
}

const passes = 3

// compare checks that the client gets the same with a cache under it as without, request by
// request: in both modes, with two stores, and pass by pass.
func (s *scene) compare(t *testing.T) {
	t.Helper()
	want := s.run(t, nil)
	for _, mode := range []struct {
		name   string
		policy policy.Policy
		asked  asked
	}{
		{"policy", policy.Policy{Expire: policy.After(time.Minute)}, s.policy},
		{"cache control", policy.Policy{CacheControl: policy.On}, s.control},
	} {
		for _, store := range []string{"memory", "sqlite"} {
			t.Run(mode.name+" on "+store, func(t *testing.T) {
				got := s.run(t, func(now func() time.Time) *cache.ResponseCache {
					return s.cache(t, open(t, store), mode.policy, now)
				})
				wrong := differences(want, got, mode.asked)
				if len(wrong) > 0 {
					t.Error(strings.Join(wrong, "\n"))
				}
			})
		}
	}
}

// differences tells what a client gets with a cache that it does not get without, and whether
// the origin is asked as it should be.
func differences(without, with result, want asked) (list []string) {
	for i, name := range []string{"cold", "warm", "expired"} {
		announcedAlso(with.seen[i].Exchanges, without.seen[i].Exchanges)
		if diff := cmp.Diff(without.seen[i], with.seen[i]); diff != "" {
			list = append(list, fmt.Sprintf("%s: with the cache (+) it is not what it is without (-):\n%s", name, diff))
		}
	}
	if got := (asked{with.reached[0], with.reached[1], with.reached[2]}); got != want {
		list = append(list, fmt.Sprintf("what reaches the origin is %+v, want %+v; without a cache %+v:\n%s",
			got, want, without.reached, strings.Join(with.log, "\n")))
	}
	return list
}

// announcedAlso removes what is announced only with the cache: a hit knows all its trailers
// before its body is read.
func announcedAlso(with, without []exchange) {
	for i := range min(len(with), len(without)) {
		with[i].Announced = slices.DeleteFunc(with[i].Announced, func(name string) bool {
			return !slices.Contains(without[i].Announced, name)
		})
		if len(with[i].Announced) == 0 {
			with[i].Announced = nil
		}
	}
}

func open(t testing.TB, name string) (store driver.Store) {
	t.Helper()
	var err error
	if name == "memory" {
		store, err = memory.New(nil)
	} else {
		store, err = sqlite.OpenMemory(t.Context(), nil)
	}
	check(t, err)
	return store
}

// cache returns one of all responses.
func (s *scene) cache(t testing.TB, store driver.Store, p policy.Policy, now func() time.Time) *cache.ResponseCache {
	t.Helper()
	opts := s.options
	opts.Policy.Expire, opts.Policy.CacheControl = p.Expire, p.CacheControl
	opts.Logger, opts.Now = slog.New(slog.DiscardHandler), now
	c, err := cache.New(store, &opts)
	check(t, err)
	t.Cleanup(func() { check(t, c.Close()) })
	all := settings.CatchAll("all", s.keys)
	all.Scope = s.scope
	_, err = cache.CreateRepository(t.Context(), c, all)
	check(t, err)
	if s.declare != nil {
		s.declare(t, c)
	}
	return c
}

// clock is one for an API and a cache, that goes on between passes only.
type clock struct{ since atomic.Int64 }

func (c *clock) now() time.Time {
	return time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC).Add(time.Duration(c.since.Load()))
}

// dated tells the clock's time in each response.
func (c *clock) dated(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", c.now().Format(http.TimeFormat))
		h.ServeHTTP(w, r)
	})
}

// result is what became of all passes.
type result struct {
	seen    [passes]pass
	reached [passes]reached
	log     []string
}

// host is that of every API. The certificates of httptest are for it.
const host = "example.com"

// run lets the client work on a new API, with a cache under it where that is not nil.
func (s *scene) run(t testing.TB, newCache func(now func() time.Time) *cache.ResponseCache) (r result) {
	t.Helper()
	var c *cache.ResponseCache
	clock := new(clock)
	if newCache != nil {
		c = newCache(clock.now)
	}
	server := httptest.NewUnstartedServer(clock.dated(s.origin()))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	network := &http.Transport{}
	if s.tls {
		server.EnableHTTP2 = true
		server.StartTLS()
		network = server.Client().Transport.(*http.Transport)
	} else {
		server.Start()
	}
	network.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", server.Listener.Addr().String())
	}
	defer server.Close()
	defer network.CloseIdleConnections()
	for i := range passes {
		if i == passes-1 {
			clock.since.Add(int64(30 * 24 * time.Hour))
		}
		sent := &counter{base: network}
		if s.below != nil {
			sent.base = s.below(i, network)
		}
		var via http.RoundTripper = sent
		if c != nil {
			via = transport.New(c, &transport.Options{Base: sent})
		}
		seen := &recorder{scene: s, base: via}
		read := s.client(t, i, seen)
		r.seen[i] = pass{read, seen.all()}
		reached, requests := sent.soFar()
		r.reached[i] = reached
		r.log = append(append(r.log, fmt.Sprintf("pass %d:", i)), requests...)
	}
	return r
}

// counter counts what reaches the origin.
type counter struct {
	base http.RoundTripper

	mu sync.Mutex
	reached
	log []string
}

func (c *counter) RoundTrip(req *http.Request) (*http.Response, error) {
	c.mu.Lock()
	i := len(c.log)
	c.log = append(c.log, fmt.Sprint(req.Method, " ", req.URL))
	c.requests++
	c.mu.Unlock()
	resp, err := c.base.RoundTrip(req)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.log[i] += ": failed"
		return nil, err
	}
	c.log[i] += ": " + resp.Status
	if resp.StatusCode == http.StatusNotModified {
		c.unchanged++
	}
	return resp, nil
}

// soFar returns the counts, and the requests.
func (c *counter) soFar() (reached, []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reached, slices.Clone(c.log)
}

// recorder writes down what a client asks for and gets.
type recorder struct {
	scene *scene
	base  http.RoundTripper

	mu        sync.Mutex
	exchanges []*exchange
}

func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	x := &exchange{Request: r.scene.masked(req.Method + " " + req.URL.String())}
	r.mu.Lock()
	r.exchanges = append(r.exchanges, x)
	r.mu.Unlock()
	resp, err := r.base.RoundTrip(req)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		x.Err = kindOf(err)
		return resp, err
	}
	x.Proto, x.Status, x.Header = resp.Proto, resp.Status, r.scene.header(resp.Header)
	x.Announced = slices.Sorted(maps.Keys(resp.Trailer))
	resp.Body = &recorded{ReadCloser: resp.Body, r: r, x: x, resp: resp, sum: new(bytes.Buffer)}
	return resp, nil
}

// kindOf is what an error is, as its text differs. Which of the first three net/http has for a
// timeout is a matter of luck.
func kindOf(err error) string {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || strings.Contains(err.Error(), "request cancel") {
		return "given up"
	}
	return err.Error()
}

// all returns what was recorded.
func (r *recorder) all() (list []exchange) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, x := range r.exchanges {
		list = append(list, *x)
	}
	return list
}

// header is one without what differs from exchange to exchange, and what a cache adds.
func (s *scene) header(h http.Header) http.Header {
	h = h.Clone()
	for _, name := range []string{"Cache-Status", "X-From-Cache", "Age"} {
		h.Del(name)
	}
	for name, values := range h {
		for i, value := range values {
			values[i] = s.masked(value)
			if name == "Date" || slices.Contains(s.varies, name) {
				values[i] = "…"
			}
		}
	}
	return h
}

func (s *scene) masked(text string) string {
	if s.mask == nil {
		return text
	}
	return s.mask(text)
}

// recorded is a body that is written down as it is read.
type recorded struct {
	io.ReadCloser
	r    *recorder
	x    *exchange
	resp *http.Response
	sum  *bytes.Buffer
	once sync.Once
}

func (b *recorded) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.sum.Write(p[:n])
	if err != nil {
		b.ended(err)
	}
	return n, err
}

// Close reads what the client leaves, as what it has read otherwise depends on buffers.
func (b *recorded) Close() error {
	_, err := io.Copy(io.Discard, struct{ io.Reader }{b})
	if err != nil {
		b.ended(err)
	}
	return b.ReadCloser.Close()
}

func (b *recorded) ended(err error) {
	b.once.Do(func() {
		b.r.mu.Lock()
		defer b.r.mu.Unlock()
		if !errors.Is(err, io.EOF) {
			b.x.Err = kindOf(err)
		}
		b.x.Body = b.r.scene.masked(b.sum.String())
		if b.sum.Len() > 1<<16 {
			b.x.Body = fmt.Sprintf("%d bytes, %x", b.sum.Len(), sha256.Sum256(b.sum.Bytes()))
		}
		b.x.Trailer = b.resp.Trailer.Clone()
	})
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// said is an error as text, empty where there is none.
func said(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
