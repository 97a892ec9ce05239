package transport_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/transport"
)

// hops is an origin whose /from leads to /to with that status.
func hops(status int, control string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Date"] = nil // the clock is not the server's
		if control != "" {
			w.Header().Set("Cache-Control", control)
		}
		if r.URL.Path == "/from" {
			http.Redirect(w, r, "/to", status)
			return
		}
		w.Write([]byte(r.Method + " " + r.URL.Path))
	}
}

func TestEachHopOfARedirectIsCachedByItsOwnRules(t *testing.T) {
	temporary := policy.Policy{Statuses: []int{200, 302, 303, 307}}
	for _, test := range []struct {
		name   string
		status int
		opts   *options
		header string
		again  int // how many requests the second time takes
	}{
		{"301", 301, nil, "", 0},
		{"308", 308, nil, "", 0},
		{"302 is not stored by default", 302, nil, "", 1},
		{"303 is not stored by default", 303, nil, "", 1},
		{"307 is not stored by default", 307, nil, "", 1},
		{"302 where the policy names it", 302, &options{Policy: temporary}, "", 0},
		{"303 where the policy names it", 303, &options{Policy: temporary}, "", 0},
		{"307 where the policy names it", 307, &options{Policy: temporary}, "", 0},
		{"302 with an expiry of its own", 302, &options{Policy: policy.Policy{ExpireStatus: map[int]policy.Expiry{302: policy.After(time.Hour)}}}, "", 0},
		{"302 in Cache-Control mode with max-age", 302, controlled(), "max-age=60", 0},
		{"301 in Cache-Control mode with no-store", 301, controlled(), "no-store", 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := start(t, hops(test.status, test.header), test.opts)
			for i, want := range []int{2, 2 + test.again} {
				resp, err := h.client.Get(h.url("/from"))
				check(t, err)
				if body := bodyOf(t, resp); body != "GET /to" || resp.Request.URL.Path != "/to" {
					t.Errorf("time %d: %q of %s", i+1, body, resp.Request.URL)
				}
				if first := resp.Request.Response; first == nil || first.StatusCode != test.status || first.Request.URL.Path != "/from" {
					t.Errorf("time %d: the response of the first hop is %v", i+1, first)
				}
				h.wantRequests(want)
			}
			// The URL that it leads to hits by itself, and is not an alias.
			if resp, body := h.get("/to"); body != "GET /to" || hit(resp) != (test.header != "no-store") {
				t.Errorf("%v %q", hit(resp), body)
			}
		})
	}
}

func TestTheHopsExpireOnTheirOwn(t *testing.T) {
	h := start(t, hops(302, ""), &options{Policy: policy.Policy{
		Expire: policy.After(time.Hour), ExpireStatus: map[int]policy.Expiry{302: policy.After(time.Minute)},
	}})
	follow := func() {
		resp, err := h.client.Get(h.url("/from"))
		check(t, err)
		bodyOf(t, resp)
	}
	follow()
	h.clock.Advance(time.Minute)
	follow()
	h.wantRequests(3) // the first hop again
	h.clock.Advance(time.Hour - time.Minute)
	follow()
	h.wantRequests(5)
}

func TestARedirectIsNotFollowedByTheTransport(t *testing.T) {
	h := start(t, hops(301, ""), nil)
	for i := range 2 {
		resp, body := h.get("/from")
		if resp.StatusCode != 301 || resp.Header.Get("Location") != "/to" || !strings.Contains(body, "Moved") || hit(resp) != (i == 1) {
			t.Errorf("%d %q", resp.StatusCode, body)
		}
		if location, err := resp.Location(); err != nil || location.String() != h.url("/to") {
			t.Errorf("it leads to %v, %v", location, err)
		}
	}
}

// The POST of a form leads to a page, which is not the form's answer, and which it
// may have changed.
func TestARedirectedPostIsNotCached(t *testing.T) {
	h := start(t, hops(303, ""), nil)
	for i := range 2 {
		resp, err := h.client.Post(h.url("/from"), "text/plain", strings.NewReader("body"))
		check(t, err)
		if body := bodyOf(t, resp); body != "GET /to" {
			t.Errorf("%q", body)
		}
		h.wantRequests(2 + 2*i)
	}
}

func TestARedirectIsStillARedirectOffline(t *testing.T) {
	h := start(t, hops(301, ""), nil)
	resp, err := h.client.Get(h.url("/from"))
	check(t, err)
	bodyOf(t, resp)
	h.clock.Advance(9999 * time.Hour)
	h.server.Close()
	ctx := policy.With(t.Context(), policy.Policy{Use: policy.Offline})
	resp, err = h.client.Do(h.request("GET", "/from", "").WithContext(ctx))
	check(t, err)
	if body := bodyOf(t, resp); body != "GET /to" || !hit(resp) {
		t.Errorf("%v %q", hit(resp), body)
	}
}

// A base that follows redirects answers for the first URL, unless another host does.
func TestABaseThatFollowsRedirects(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "other") }))
	t.Cleanup(other.Close)
	for _, test := range []struct {
		to    string
		named []string
		kept  bool
	}{
		{"/to", nil, true},
		{other.URL + "/to", nil, false},
		{other.URL + "/to", []string{other.Listener.Addr().String()}, true},
	} {
		h := start(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/from" {
				http.Redirect(w, r, test.to, http.StatusFound)
			}
		}, nil)
		h.cache.Remove("all")
		all := settings.CatchAll("named", nil)
		all.RedirectHosts = test.named
		_, err := cache.CreateRepository(t.Context(), h.cache, all)
		check(t, err)
		below := transport.New(h.cache, &transport.Options{Base: transport.Doer(&http.Client{Transport: h.base})})
		for i := range 2 {
			req := h.request("GET", "/from", "")
			// It may itself have been redirected, by another host: that is its caller's affair.
			req.Response = &http.Response{Request: getOf(t, "https://elsewhere.example.com/")}
			resp, err := below.RoundTrip(req)
			check(t, err)
			bodyOf(t, resp)
			if hit(resp) != (test.kept && i == 1) {
				t.Errorf("to %s, with RedirectHosts %q: time %d is a hit: %v", test.to, test.named, i+1, hit(resp))
			}
		}
		if stats := h.cache.Stats(); (stats.Foreign == 0) != test.kept {
			t.Errorf("to %s: %d answers are counted as foreign", test.to, stats.Foreign)
		}
	}
}

// Under an http.Client that follows redirects, each host is sent what it would be sent
// without a cache, at misses and hits: the transport adds and keeps no credential.
func TestRedirectsToAnotherHostCarryWhatTheClientSends(t *testing.T) {
	var mu sync.Mutex
	var got []string
	note := func(host string, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		sent := host + " " + r.URL.Path
		for _, name := range []string{"Authorization", "Cookie", "X-Api-Key", "Referer"} {
			sent += fmt.Sprintf(" %v", r.Header.Get(name) != "")
		}
		got = append(got, sent)
	}
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { note("other", r) }))
	t.Cleanup(other.Close)
	h := start(t, func(w http.ResponseWriter, r *http.Request) {
		note("origin", r)
		http.Redirect(w, r, strings.Replace(other.URL, "127.0.0.1", "localhost", 1)+"/to", http.StatusFound)
	}, &options{Policy: policy.Policy{Expire: policy.After(minute), StaleWhileRevalidate: time.Hour}})
	sent := func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(got)
	}
	ask := func(rt http.RoundTripper) []string {
		mu.Lock()
		got = nil
		mu.Unlock()
		req := h.request("GET", "/from", "", "Authorization", "Bearer secret", "Cookie", "session=secret", "X-Api-Key", "secret")
		resp, err := (&http.Client{Transport: rt}).Do(req)
		check(t, err)
		bodyOf(t, resp)
		return sent()
	}
	want := ask(h.base)
	if miss := ask(h.transport); !slices.Equal(miss, want) {
		t.Errorf("a miss sends %q, without a cache it is %q", miss, want)
	}
	if again := ask(h.transport); !slices.Equal(again, want[:1]) { // the other host's is a hit
		t.Errorf("then it sends %q, want %q", again, want[:1])
	}
	h.clock.Advance(2 * minute)
	ask(h.transport)
	check(t, h.transport.Close()) // which waits for the renewal
	if renewed := sent(); !slices.Contains(renewed, want[1]) || len(renewed) != 2 {
		t.Errorf("a renewal sends %q, want %q among it", renewed, want[1])
	}
}
