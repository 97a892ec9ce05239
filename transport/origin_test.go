package transport_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/exchange"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
)

// origin answers as it is told to, by the harness's clock, and remembers what it
// was asked. Its bodies are numbered: the first is "body 1".
type origin struct {
	clock *clock

	mu     sync.Mutex
	status int
	header http.Header
	fixed  string // the body; empty: numbered
	hook   func(http.ResponseWriter, *http.Request) (answered bool)
	broken bool // it ends the connection instead of answering
	bodies int
	asked  []http.Header
}

// startOrigin returns a harness over an origin that answers 200 with these headers,
// pairs of name and value.
func startOrigin(t testing.TB, opts *options, headers ...string) (*harness, *origin) {
	t.Helper()
	o := &origin{}
	o.answer(http.StatusOK, headers...)
	h := start(t, o.serve, opts)
	o.clock = h.clock
	return h, o
}

// answer sets what is answered from now on.
func (o *origin) answer(status int, headers ...string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.status, o.header, o.broken = status, make(http.Header), false
	for i := 0; i+1 < len(headers); i += 2 {
		o.header.Add(headers[i], headers[i+1])
	}
}

func (o *origin) fail() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.broken = true
}

// last are the headers of the latest request.
func (o *origin) last() http.Header {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.asked[len(o.asked)-1]
}

func (o *origin) serve(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.asked = append(o.asked, r.Header.Clone())
	if o.broken {
		panic(http.ErrAbortHandler)
	}
	if o.hook != nil && o.hook(w, r) {
		return
	}
	h := w.Header()
	h.Set("Date", o.clock.Now().UTC().Format(http.TimeFormat))
	h.Set("Content-Type", "text/plain")
	for name, values := range o.header {
		h[name] = values
	}
	status := o.status
	if tag := o.header.Get("Etag"); status == http.StatusOK && tag != "" && r.Header.Get("If-None-Match") == tag {
		status = http.StatusNotModified
	}
	if at := o.header.Get("Last-Modified"); status == http.StatusOK && at != "" && r.Header.Get("If-None-Match") == "" && r.Header.Get("If-Modified-Since") == at {
		status = http.StatusNotModified
	}
	w.WriteHeader(status)
	if status == http.StatusNotModified || status == http.StatusNoContent || r.Method == http.MethodHead {
		return
	}
	o.bodies++
	if o.fixed != "" {
		fmt.Fprint(w, o.fixed)
		return
	}
	fmt.Fprintf(w, "body %d", o.bodies)
}

// entry is what the store has for a request, live or not.
func (h *harness) entry(req *http.Request) (driver.Entry, bool) {
	h.t.Helper()
	table, key, ok, err := exchange.OfCache(h.cache).Route(req, nil)
	check(h.t, err)
	if !ok {
		return driver.Entry{}, false
	}
	var found driver.Entry
	ok = false
	err = table.Get(h.t.Context(), []driver.Key{key}, driver.Selection{Parts: driver.Payload | driver.Meta}, func(_ int, e driver.Entry) {
		found, ok = e, true
	})
	check(h.t, err)
	return found, ok
}

// withoutHeaders makes the keys be without the headers of requests.
func (h *harness) withoutHeaders() {
	h.t.Helper()
	h.cache.Remove("all")
	_, err := cache.CreateRepository(h.t.Context(), h.cache, settings.CatchAll("bare", &request.AnyOptions{
		Headers: []string{}, IgnoreHeaders: []string{"Cookie"},
	}))
	check(h.t, err)
}

// with returns the request under a policy.
func with(req *http.Request, p policy.Policy) *http.Request {
	return req.WithContext(policy.With(req.Context(), p))
}

// step is a request to /a and what is to be seen of it.
type step struct {
	after   time.Duration // the clock is moved first
	headers []string      // of the request, pairs of name and value
	policy  policy.Policy
	status  int    // 0: 200
	body    string // empty: any
	hit     bool
	asked   int // how many requests have reached the origin, then
}

func (h *harness) steps(steps ...step) {
	h.t.Helper()
	for i, s := range steps {
		h.clock.Advance(s.after)
		resp, body := h.do(with(h.request(http.MethodGet, "/a", "", s.headers...), s.policy))
		status := s.status
		if status == 0 {
			status = http.StatusOK
		}
		if resp.StatusCode != status || s.body != "" && body != s.body {
			h.t.Errorf("step %d: %d %q, want %d %q", i+1, resp.StatusCode, body, status, s.body)
		}
		if hit(resp) != s.hit {
			h.t.Errorf("step %d: from the cache is %v, want %v", i+1, hit(resp), s.hit)
		}
		if got := int(h.requests.Load()); got != s.asked {
			h.t.Errorf("step %d: %d requests have reached the origin, want %d", i+1, got, s.asked)
		}
	}
}

func copyAll(w io.Writer, resp *http.Response) (int64, error) {
	n, err := io.Copy(w, resp.Body)
	return n, errors.Join(err, resp.Body.Close())
}
