package transport_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/repository"
)

// counted is a store that counts the reads of its tables.
type counted struct {
	*faulty
	gets atomic.Int64
}

func countedStore(t testing.TB) *counted {
	s := &counted{faulty: &faulty{Store: memoryStore(t)}}
	s.set(func(_ context.Context, op string) error {
		if op == "get" {
			s.gets.Add(1)
		}
		return nil
	})
	return s
}

// crowd makes n equal requests at one time, which the origin answers when all have
// looked in the store, and returns the bodies that they got.
func crowd(t *testing.T, n int, method string, opts *options, answer http.HandlerFunc) (*harness, []string) {
	t.Helper()
	store, release := countedStore(t), make(chan struct{})
	h := startOn(t, store, func(w http.ResponseWriter, r *http.Request) {
		<-release
		answer(w, r)
	}, opts)
	bodies := make([]string, n)
	var all sync.WaitGroup
	for i := range n {
		req := h.request(method, "/a", map[bool]string{true: "query"}[method == "POST"])
		all.Go(func() {
			resp, err := h.transport.RoundTrip(req)
			if err != nil {
				t.Error(err)
				return
			}
			bodies[i] = fmt.Sprint(resp.StatusCode, " ", bodyOf(t, resp))
		})
	}
	waitfor.True(t, "all have looked in the store", func() bool { return store.gets.Load() >= int64(n) })
	waitfor.Blocked(t, n, "exchange.(*Flight).wait")
	close(release)
	all.Wait()
	return h, bodies
}

func TestAnOverloadedOriginIsAskedOnceByEqualCallers(t *testing.T) {
	const n = 10
	for _, test := range []struct {
		name   string
		method string
		status int
		opts   *options
		header string // Cache-Control of the response
		want   int    // requests that reach the origin
	}{
		{"429 is shared", "GET", 429, nil, "", 1},
		{"503 is shared", "GET", 503, nil, "", 1},
		{"503 is shared in Cache-Control mode", "GET", 503, controlled(), "", 1},
		{"503 that is not to be stored is not", "GET", 503, controlled(), "no-store", n},
		{"500 is one caller's", "GET", 500, nil, "", n},
		{"404 is one caller's", "GET", 404, nil, "", n},
		{"404 that is kept is shared", "GET", 404, &options{Absent: time.Minute}, "", 1},
		{"a POST may change something", "POST", 503, &options{Policy: policy.Policy{Methods: []string{"POST"}}}, "", n},
	} {
		t.Run(test.name, func(t *testing.T) {
			h, bodies := crowd(t, n, test.method, test.opts, func(w http.ResponseWriter, _ *http.Request) {
				if test.header != "" {
					w.Header().Set("Cache-Control", test.header)
				}
				w.Header()["Date"] = nil
				w.WriteHeader(test.status)
				io.WriteString(w, "body")
			})
			h.wantRequests(test.want)
			for _, body := range bodies {
				if want := fmt.Sprint(test.status, " body"); body != want {
					t.Errorf("a caller got %q, want %q", body, want)
				}
			}
		})
	}
}

// What a filter refuses may depend on the body: callers that waited for it ask afterwards.
func TestWhatIsNotKeptIsNotShared(t *testing.T) {
	refuse := func(*policy.Exchange) bool { return false }
	for name, test := range map[string]struct {
		method string
		policy policy.Policy
	}{
		"a filter refuses it":                {"GET", policy.Policy{Keep: refuse}},
		"a filter refuses that of a POST":    {"POST", policy.Policy{Methods: []string{"POST"}, Keep: refuse}},
		"a function says not to cache it":    {"GET", policy.Policy{ExpireFunc: func(*policy.Exchange) policy.Expiry { return policy.DoNotCache() }}},
		"the policy says not to cache it":    {"GET", policy.Policy{Expire: policy.DoNotCache()}},
		"its status is not one that is kept": {"GET", policy.Policy{Statuses: []int{204}}},
	} {
		t.Run(name, func(t *testing.T) {
			var n atomic.Int64
			h, bodies := crowd(t, 3, test.method, &options{Policy: test.policy}, func(w http.ResponseWriter, _ *http.Request) {
				fmt.Fprint(w, n.Add(1))
			})
			h.wantRequests(3)
			if bodies[0] == bodies[1] || bodies[1] == bodies[2] || bodies[0] == bodies[2] {
				t.Errorf("two callers share an answer: %q", bodies)
			}
			if n, err := h.cache.Count(t.Context(), repository.All); n != 0 || err != nil {
				t.Errorf("%d are stored, %v", n, err)
			}
		})
	}
}

// The answer to a request that was sent before may be older than what the caller knows.
func TestWhoAsksForNewsJoinsNoEarlierRequest(t *testing.T) {
	for name, test := range map[string]struct {
		opts   *options
		policy policy.Policy
		header []string
	}{
		"Reload":     {nil, policy.Policy{Use: policy.Reload}, nil},
		"Revalidate": {nil, policy.Policy{Use: policy.Revalidate}, nil},
		"no-cache":   {controlled(), policy.Policy{}, []string{"Cache-Control", "no-cache"}},
	} {
		t.Run(name, func(t *testing.T) {
			release := make(chan struct{})
			var n atomic.Int64
			h := start(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header()["Date"] = nil
				w.Header().Set("Cache-Control", "max-age=60")
				if n.Add(1) == 1 {
					<-release
					io.WriteString(w, "old")
					return
				}
				io.WriteString(w, "new")
			}, test.opts)
			h.withoutHeaders()
			first := make(chan string, 1)
			go func() {
				_, body := h.get("/a")
				first <- body
			}()
			waitfor.True(t, "the first reaches the origin", func() bool { return n.Load() == 1 })
			h.clock.Advance(time.Second)
			if resp, body := h.do(with(h.request("GET", "/a", "", test.header...), test.policy)); body != "new" || hit(resp) {
				t.Errorf("it got %q, hit: %t", body, hit(resp))
			}
			close(release)
			if body := <-first; body != "old" {
				t.Errorf("the first got %q", body)
			}
			// What was asked for first does not replace what was asked for last.
			if resp, body := h.get("/a"); body != "new" || !hit(resp) {
				t.Errorf("%q is stored, hit: %t", body, hit(resp))
			}
			h.wantRequests(2)
		})
	}
}

// Whichever door or method a change is made by: what was asked for before it is not
// kept after it.
func TestAChangeOutdatesWhatIsUnderWay(t *testing.T) {
	for name, change := range map[string]func(t *testing.T, h *typed) error{
		"a typed save":       func(t *testing.T, h *typed) error { return h.tracks.Save(t.Context(), "a", track{"changed"}) },
		"a save of an entry": func(t *testing.T, h *typed) error { return h.tracks.SaveEntry(t.Context(), "a", changedEntry(t)) },
		"a delete":           func(t *testing.T, h *typed) error { _, err := h.tracks.Delete(t.Context(), "a"); return err },
		"a pop":              func(t *testing.T, h *typed) error { _, _, err := h.tracks.Pop(t.Context(), "a"); return err },
		"a clear":            func(t *testing.T, h *typed) error { _, err := h.tracks.Clear(t.Context(), repository.All); return err },
		"a clear of the cache": func(t *testing.T, h *typed) error {
			_, err := h.cache.Clear(t.Context(), repository.All)
			return err
		},
		"a delete by a request": func(t *testing.T, h *typed) error {
			_, err := h.cache.DeleteResponse(t.Context(), h.request("GET", "/tracks/a", ""))
			return err
		},
		"a save of a response": func(t *testing.T, h *typed) error {
			_, err := h.cache.SaveResponse(t.Context(), plainResponse(h.request("GET", "/tracks/a", ""), 200, `{"title": "changed"}`))
			return err
		},
		"a PUT": func(_ *testing.T, h *typed) error { h.do(h.request("PUT", "/tracks/a", "x")); return nil },
		"a PUT by another transport": func(_ *testing.T, h *typed) error {
			resp, err := h.over(h.cache, nil).RoundTrip(h.request("PUT", "/tracks/a", "x"))
			if err == nil {
				resp.Body.Close()
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			asked, release := make(chan struct{}), make(chan struct{})
			h := startTyped(t, memoryStore(t), nil)
			var n atomic.Int64
			h.answer = func(w http.ResponseWriter, _ string) {
				if n.Add(1) == 1 {
					close(asked)
					<-release
				}
				io.WriteString(w, `{"title": "old"}`)
			}
			old := make(chan string, 1)
			go func() {
				_, body := h.get("/tracks/a")
				old <- body
			}()
			waitfor.Receive(t, "the origin is asked", asked)
			check(t, change(t, h))
			close(release)
			if body := <-old; body != `{"title": "old"}` {
				t.Errorf("the caller got %q", body)
			}
			if got, ok, err := h.tracks.Get(t.Context(), "a"); err != nil || ok && got.Title != "changed" {
				t.Errorf("after the change there is %+v, %t, %v", got, ok, err)
			}
		})
	}
}

func changedEntry(t *testing.T) repository.Entry {
	t.Helper()
	e, err := repository.NewEntry(200, repository.Head{}, []byte(`{"title": "changed"}`))
	check(t, err)
	return e
}

// A response that the origin says is gone is not served again, not even where expired responses
// may be.
func TestWhatIsGoneIsNotServedStale(t *testing.T) {
	for _, use := range []policy.Use{policy.Reload, policy.Revalidate, policy.UseCache} {
		for _, status := range []int{404, 410} {
			t.Run(fmt.Sprint(use, " ", status), func(t *testing.T) {
				h, o := startOrigin(t, &options{Policy: policy.Policy{Expire: policy.After(time.Minute), StaleIfError: 24 * time.Hour}})
				h.get("/a")
				h.clock.Advance(time.Hour)
				o.answer(status)
				if resp, _ := h.do(with(h.request("GET", "/a", ""), policy.Policy{Use: use})); resp.StatusCode != status {
					t.Errorf("the status is %d", resp.StatusCode)
				}
				if resp, _ := h.do(with(h.request("GET", "/a", ""), policy.Policy{Use: policy.Offline})); resp.StatusCode != http.StatusGatewayTimeout {
					t.Errorf("offline it is %d", resp.StatusCode)
				}
				o.answer(503)
				if resp, _ := h.get("/a"); resp.StatusCode != 503 {
					t.Errorf("where the origin fails it is %d", resp.StatusCode)
				}
			})
		}
	}
}

func TestAbsencesAreRememberedWithTheirResponses(t *testing.T) {
	for _, mode := range []policy.Switch{policy.Off, policy.On} {
		for _, status := range []int{404, 410} {
			h, o := startOrigin(t, &options{Policy: policy.Policy{CacheControl: mode}, Absent: time.Minute})
			o.answer(status, "X-Reason", "sold out")
			_, want := h.get("/a")
			resp, body := h.get("/a")
			if !hit(resp) || resp.StatusCode != status || body != want || resp.Header.Get("X-Reason") != "sold out" {
				t.Errorf("%d: from the cache %t, %d %q %v", status, hit(resp), resp.StatusCode, body, resp.Header)
			}
			h.clock.Advance(time.Minute)
			if resp, _ := h.get("/a"); hit(resp) {
				t.Errorf("%d is served after its expiry", status)
			}
			o.answer(200)
			h.clock.Advance(time.Minute)
			if resp, _ := h.get("/a"); resp.StatusCode != 200 {
				t.Errorf("then it is %d", resp.StatusCode)
			}
		}
	}
}

// An absence is saved as any response, in place of the value.
func TestAnAbsenceReplacesTheValue(t *testing.T) {
	h, o := startOrigin(t, &options{Absent: time.Minute})
	req := h.request("GET", "/a", "")
	h.get("/a")
	o.answer(404)
	h.do(with(req, policy.Policy{Use: policy.Reload}))
	if e, ok := h.entry(req); !ok || e.Status != 404 || string(e.Payload) != "body 2" {
		t.Errorf("stored is %d %q, %t", e.Status, e.Payload, ok)
	}
}

// Callers whose answer is another variant share a request with those that want the same one.
func TestCallersShareARequestForEachVariant(t *testing.T) {
	const n = 9
	languages := []string{"en", "fr", "de"}
	first, others := make(chan struct{}), make(chan struct{})
	var asked atomic.Int64
	store := countedStore(t)
	h := startOn(t, store, func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) == 1 {
			<-first
		} else {
			<-others
		}
		w.Header().Set("Vary", "Accept-Language")
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, r.Header.Get("Accept-Language"))
	}, controlled())
	h.withoutHeaders()
	var all sync.WaitGroup
	for i := range n {
		req := h.request(http.MethodGet, "/a", "")
		language := languages[i%len(languages)]
		req.Header.Set("Accept-Language", language)
		all.Go(func() {
			resp, err := h.transport.RoundTrip(req)
			if err != nil {
				t.Error(err)
				return
			}
			if body := bodyOf(t, resp); body != language {
				t.Errorf("who wants %s gets %s", language, body)
			}
		})
	}
	waitfor.True(t, "all have looked in the store", func() bool { return store.gets.Load() >= n })
	waitfor.Blocked(t, n, "exchange.(*Flight).wait")
	close(first)
	waitfor.True(t, "the others are asked for", func() bool { return asked.Load() >= int64(len(languages)) })
	waitfor.Blocked(t, n-n/len(languages), "exchange.(*Flight).wait")
	close(others)
	all.Wait()
	h.wantRequests(len(languages))
}

// A variant that was asked for before the latest one, and comes after it, is kept beside it.
func TestAVariantThatComesLateIsKept(t *testing.T) {
	release := make(chan struct{})
	var asked atomic.Int64
	h := start(t, func(w http.ResponseWriter, r *http.Request) {
		language := r.Header.Get("Accept-Language")
		if asked.Add(1); language == "de" {
			<-release
		}
		w.Header()["Date"] = nil
		w.Header().Set("Vary", "Accept-Language")
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, language)
	}, controlled())
	h.withoutHeaders()
	in := func(language string) *http.Request {
		return h.request(http.MethodGet, "/a", "", "Accept-Language", language)
	}
	h.do(in("en"))
	other := h.another(controlled()) // in which nobody waits for the late one
	(&harness{t: t, cache: other.cache}).withoutHeaders()
	var late sync.WaitGroup
	late.Go(func() {
		if resp, err := other.RoundTrip(in("de")); err != nil || bodyOf(t, resp) != "de" {
			t.Errorf("%v, %v", resp, err)
		}
	})
	waitfor.True(t, "the late one is asked for", func() bool { return asked.Load() == 2 })
	h.clock.Advance(time.Second)
	h.do(in("fr"))
	close(release)
	late.Wait()
	for _, language := range []string{"en", "de", "fr"} {
		if resp, body := h.do(in(language)); body != language || !hit(resp) {
			t.Errorf("who wants %s gets %s, hit: %t", language, body, hit(resp))
		}
	}
	h.wantRequests(3)
}

// So do callers whose answer is another variant that the origin has confirmed.
func TestCallersShareARequestForEachVariantThatWasConfirmed(t *testing.T) {
	const n = 6
	first, other := make(chan struct{}), make(chan struct{})
	store := countedStore(t)
	var asked atomic.Int64
	h := startOn(t, store, func(w http.ResponseWriter, r *http.Request) {
		switch asked.Add(1) {
		case 1:
		case 2:
			<-first
		default:
			<-other
		}
		language := r.Header.Get("Accept-Language")
		w.Header()["Date"] = nil
		w.Header().Set("Vary", "Accept-Language")
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Etag", `"`+language+`"`)
		if r.Header.Get("If-None-Match") == `"`+language+`"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		io.WriteString(w, language)
	}, controlled())
	h.withoutHeaders()
	in := func(language string) *http.Request {
		return h.request(http.MethodGet, "/a", "", "Accept-Language", language)
	}
	h.do(in("en"))
	h.clock.Advance(time.Hour)
	var all sync.WaitGroup
	ask := func(language string) {
		all.Go(func() {
			resp, err := h.transport.RoundTrip(in(language))
			if err != nil {
				t.Error(err)
				return
			}
			if body := bodyOf(t, resp); body != language {
				t.Errorf("who wants %s gets %s", language, body)
			}
		})
	}
	ask("en")
	waitfor.True(t, "the origin is asked whether it still holds", func() bool { return asked.Load() == 2 })
	for range n {
		ask("fr")
	}
	waitfor.Blocked(t, n+1, "exchange.(*Flight).wait")
	close(first)
	waitfor.True(t, "the other variant is asked for", func() bool { return asked.Load() >= 3 })
	waitfor.Blocked(t, n, "exchange.(*Flight).wait")
	close(other)
	all.Wait()
	h.wantRequests(3)
}
