package transport_test

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/filesystem"
	"github.com/endpointcache/endpointcache/internal/exchange"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/policy"
)

// sessions is an origin each of whose answers begins a session: the nth has the number n
// in a cookie, in one by RFC 2965, and in a trailer.
type sessions struct {
	n      atomic.Int64
	status atomic.Int64 // 0: 200
	gate   atomic.Pointer[chan struct{}]
}

func (s *sessions) serve(w http.ResponseWriter, r *http.Request) {
	if gate := s.gate.Load(); gate != nil {
		<-*gate
	}
	n := s.n.Add(1)
	h := w.Header()
	h.Set("Set-Cookie", fmt.Sprint("session=", n))
	h.Set("Set-Cookie2", fmt.Sprint("session=", n))
	h.Set("Trailer", "Set-Cookie")
	h.Set("Etag", `"1"`)
	h.Set("Cache-Control", "max-age=60")
	h.Set("Vary", "Accept-Language")
	h["Date"] = nil
	switch status := int(s.status.Load()); {
	case status != 0: // which is not kept
		h.Del("Cache-Control")
		h.Del("Etag")
		w.WriteHeader(status)
	case r.Header.Get("If-None-Match") != "":
		w.WriteHeader(http.StatusNotModified)
		return
	}
	io.WriteString(w, "body")
	h.Set("Set-Cookie", fmt.Sprint("session=", n))
}

// cookiesOf are the sessions that a response begins.
func cookiesOf(resp *http.Response) []string {
	return slices.Concat(resp.Header["Set-Cookie"], resp.Header["Set-Cookie2"], resp.Trailer["Set-Cookie"])
}

func wantSession(t testing.TB, what string, resp *http.Response, want string) {
	t.Helper()
	got := cookiesOf(resp)
	if want == "" && len(got) > 0 || want != "" && !slices.Contains(got, "session="+want) {
		t.Errorf("%s: the cookies are %q, want session %q", what, got, want)
	}
}

// modes are the policies that decide about what is kept.
func modes(p policy.Policy) map[string]policy.Policy {
	p.Expire = policy.After(minute)
	controls := p
	controls.CacheControl = policy.On
	return map[string]policy.Policy{"policy": p, "Cache-Control": controls}
}

// onFiles is a harness whose store is a folder, and what tells whether the folder has a
// text.
func onFiles(t *testing.T, handler http.HandlerFunc, p policy.Policy) (h *harness, has func(text string) bool) {
	t.Helper()
	dir := t.TempDir()
	store, err := filesystem.Open(t.Context(), dir, nil)
	check(t, err)
	return startOn(t, store, handler, &options{Policy: p}), func(text string) bool {
		found := false
		root := os.DirFS(dir)
		check(t, fs.WalkDir(root, ".", func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			content, err := fs.ReadFile(root, path)
			found = found || bytes.Contains(content, []byte(text))
			return err
		}))
		return found
	}
}

func TestCookiesAreNeitherStoredNorReplayed(t *testing.T) {
	for mode, p := range modes(policy.Policy{StaleIfError: minute}) {
		t.Run(mode, func(t *testing.T) {
			o := &sessions{}
			h, has := onFiles(t, o.serve, p)
			fetched, _ := h.get("/a")
			wantSession(t, "fetched", fetched, "1")
			again, _ := h.get("/a")
			if !hit(again) {
				t.Error("a response with a cookie is not stored")
			}
			wantSession(t, "a hit", again, "")

			h.clock.Advance(minute)
			confirmed, _ := h.get("/a")
			if !hit(confirmed) {
				t.Error("it is not revalidated")
			}
			wantSession(t, "confirmed, for its own caller", confirmed, "2")
			again, _ = h.get("/a")
			wantSession(t, "after that", again, "")

			other, _ := h.get("/a", "Accept-Language", "de")
			if p.CacheControl == policy.On {
				wantSession(t, "another variant", other, "3")
				variant, _ := h.get("/a", "Accept-Language", "de")
				wantSession(t, "a hit of that", variant, "")
				variant, _ = h.get("/a")
				wantSession(t, "a hit of the first", variant, "")
			}

			h.clock.Advance(minute)
			o.status.Store(http.StatusServiceUnavailable)
			stale, _ := h.get("/a")
			if !hit(stale) {
				t.Error("it does not stand in")
			}
			wantSession(t, "stale", stale, "")
			if has("session=") {
				t.Error("a session is in the store")
			}
		})
	}
}

func TestRenewalsInTheBackgroundKeepNoCookies(t *testing.T) {
	for mode, p := range modes(policy.Policy{StaleWhileRevalidate: time.Hour}) {
		t.Run(mode, func(t *testing.T) {
			o := &sessions{}
			h, has := onFiles(t, o.serve, p)
			h.get("/a")
			h.clock.Advance(2 * minute)
			stale, _ := h.get("/a")
			wantSession(t, "stale while it is renewed", stale, "")
			waitfor.True(t, "the renewal", func() bool { return h.transport.Stats().Stored > 1 })
			fresh, _ := h.get("/a")
			wantSession(t, "renewed", fresh, "")
			h.wantRequests(2)
			if has("session=") {
				t.Error("a session is in the store")
			}
		})
	}
}

func TestALateAnswerKeepsNoCookies(t *testing.T) {
	for mode, p := range modes(policy.Policy{SoftTimeout: 10 * time.Millisecond}) {
		t.Run(mode, func(t *testing.T) {
			o := &sessions{}
			h, has := onFiles(t, o.serve, p)
			h.get("/a")
			h.clock.Advance(minute)
			gate := make(chan struct{})
			o.gate.Store(&gate)
			soon, _ := h.get("/a")
			wantSession(t, "answered soon", soon, "")
			o.gate.Store(nil)
			close(gate)
			waitfor.True(t, "the late answer", func() bool { return h.transport.Stats().Stored > 1 })
			late, _ := h.get("/a")
			wantSession(t, "late", late, "")
			if has("session=") {
				t.Error("a session is in the store")
			}
		})
	}
}

// The session that an origin begins is that of the one caller whose request it answers.
func TestWhoSharesAFetchDoesNotGetItsCookies(t *testing.T) {
	for _, test := range []struct {
		name   string
		stored bool // there is something to revalidate
		status int
		calls  policy.Policy
		want   int64
	}{
		{"a response", false, 0, policy.Policy{}, 1},
		{"a failure", false, http.StatusServiceUnavailable, policy.Policy{}, 1},
		{"a 304", true, 0, policy.Policy{}, 1},
		{"a response, where cookies are kept", false, 0, policy.Policy{Cookies: policy.On}, 10},
		{"a failure, where cookies are kept", false, http.StatusServiceUnavailable, policy.Policy{Cookies: policy.On}, 1},
	} {
		for mode, p := range modes(policy.Policy{Cookies: test.calls.Cookies}) {
			t.Run(test.name+" by "+mode, func(t *testing.T) {
				o := &sessions{}
				h := start(t, o.serve, &options{Policy: p})
				if test.stored {
					h.get("/a")
					h.clock.Advance(minute)
				}
				gate := make(chan struct{})
				o.gate.Store(&gate)
				o.status.Store(int64(test.status))
				before := o.n.Load()
				var cookies atomic.Int64
				var all sync.WaitGroup
				for range 10 {
					req := h.request("GET", "/a", "")
					all.Go(func() {
						resp, err := h.transport.RoundTrip(req)
						if err != nil {
							t.Error(err)
							return
						}
						if _, err := copyAll(io.Discard, resp); err != nil {
							t.Error(err)
						}
						if len(cookiesOf(resp)) > 0 {
							cookies.Add(1)
						}
					})
				}
				waitfor.True(t, "all callers share one request", func() bool { return pending(h) == 10 })
				close(gate)
				all.Wait()
				if got := cookies.Load(); got != test.want {
					t.Errorf("%d callers got a cookie, want %d", got, test.want)
				}
				if got := o.n.Load() - before; got != 1 {
					t.Errorf("%d requests, want 1", got)
				}
			})
		}
	}
}

func TestCookiesAreKeptIfThePolicySaysSo(t *testing.T) {
	for mode, p := range modes(policy.Policy{Cookies: policy.On, StaleIfError: minute}) {
		t.Run(mode, func(t *testing.T) {
			o := &sessions{}
			h, has := onFiles(t, o.serve, p)
			h.get("/a")
			again, _ := h.get("/a")
			wantSession(t, "a hit", again, "1")
			if !has("session=1") {
				t.Error("it is not in the store")
			}
			off := policy.With(t.Context(), policy.Policy{Cookies: policy.Off})
			without, _ := h.do(h.request("GET", "/a", "").WithContext(off))
			wantSession(t, "a hit of a call that wants none", without, "")

			h.clock.Advance(minute)
			h.get("/a")
			again, _ = h.get("/a")
			wantSession(t, "confirmed with another", again, "2")

			h.clock.Advance(minute)
			o.status.Store(http.StatusServiceUnavailable)
			stale, _ := h.get("/a")
			wantSession(t, "stale", stale, "2")
			without, _ = h.do(h.request("GET", "/a", "").WithContext(off))
			wantSession(t, "stale, for a call that wants none", without, "")

			o.status.Store(0)
			h.do(h.request("GET", "/a", "").WithContext(off)) // which confirms it without
			if has("session=") {
				t.Error("a call that wants none has left them in the store")
			}
		})
	}
}

// Of a call, the repository and the cache, the most specific that says something decides.
func TestWhoseCookiesPolicyDecides(t *testing.T) {
	const unset, on, off = policy.Switch(0), policy.On, policy.Off
	for _, test := range []struct {
		inner, outer, repository, cache policy.Switch
		kept                            bool
	}{
		{unset, unset, unset, unset, false},
		{unset, unset, unset, on, true},
		{unset, unset, off, on, false},
		{unset, unset, on, off, true},
		{unset, off, on, on, false},
		{unset, on, off, off, true},
		{off, on, on, on, false},
		{on, off, off, off, true},
	} {
		t.Run(fmt.Sprint(test), func(t *testing.T) {
			o := &sessions{}
			h := start(t, o.serve, &options{
				Policy:       policy.Policy{Cookies: test.cache},
				Repositories: map[string]policy.Policy{"all": {Cookies: test.repository}},
			})
			ctx := policy.With(t.Context(), policy.Policy{Cookies: test.outer})
			ctx = policy.With(ctx, policy.Policy{Cookies: test.inner})
			req := h.request("GET", "/a", "")
			h.do(req.WithContext(ctx))
			everything := policy.With(t.Context(), policy.Policy{Cookies: on})
			resp, ok, err := h.cache.GetResponse(everything, req)
			check(t, err)
			if !ok || (len(cookiesOf(resp)) > 0) != test.kept {
				t.Errorf("it is stored: %v, with the cookies %q", ok, cookiesOf(resp))
			}
			replayed, _ := h.do(req.WithContext(ctx))
			if !hit(replayed) || (len(cookiesOf(replayed)) > 0) != test.kept {
				t.Errorf("a hit: %v, with the cookies %q", hit(replayed), cookiesOf(replayed))
			}
			resp, _, err = h.cache.GetResponse(t.Context(), req)
			check(t, err)
			byRepository := test.repository == on || test.repository == unset && test.cache == on
			if got := len(cookiesOf(resp)) > 0; got != (test.kept && byRepository) {
				t.Errorf("outside the call it has the cookies %q", cookiesOf(resp))
			}
		})
	}
}

// pending is how many callers wait for the origin.
func pending(h *harness) (callers int) {
	for _, table := range exchange.OfCache(h.cache).Tables() {
		_, n := table.Pending()
		callers += n
	}
	return callers
}
