package cassette

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/memory"
	"github.com/endpointcache/endpointcache/redact"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// studio is a store, and an API of which recordings are made there.
type studio struct {
	store driver.Store
	api   *httptest.Server
	log   bytes.Buffer
}

func newStudio(t *testing.T, api http.HandlerFunc) *studio {
	t.Helper()
	store, err := memory.New(nil)
	check(t, err)
	t.Cleanup(func() { check(t, store.Close()) })
	s := &studio{store: store, api: httptest.NewServer(api)}
	t.Cleanup(s.api.Close)
	return s
}

type unclosed struct{ driver.Store }

func (unclosed) Close() error { return nil }

func (s *studio) cache(t *testing.T) *cache.ResponseCache {
	t.Helper()
	c, err := cache.New(unclosed{s.store}, &cache.Options{KeepExpired: -1})
	check(t, err)
	t.Cleanup(func() { check(t, c.Close()) })
	return c
}

// record is a proxy that records until the session ends.
func (s *studio) record(t *testing.T, want Settings, change func(*Recorder), session func(base string)) *Recorder {
	t.Helper()
	if want.API == "" {
		want.API = s.api.URL
	}
	c, err := Record(t.Context(), s.cache(t), "cassette", want)
	check(t, err)
	base := http.DefaultTransport.(*http.Transport).Clone()
	defer base.CloseIdleConnections()
	r := &Recorder{Cassette: c, Base: base, Log: slog.New(slog.NewTextHandler(&s.log, nil))}
	if change != nil {
		change(r)
	}
	s.proxy(t, c, r, session)
	check(t, r.Finish(t.Context()))
	return r
}

// play is a proxy that plays what was recorded. The API is not there meanwhile.
func (s *studio) play(t *testing.T, session func(base string)) *Player {
	t.Helper()
	rc := s.cache(t)
	c, err := Open(t.Context(), rc, "cassette")
	check(t, err)
	p := &Player{Cassette: c, Contents: rc.Contents("cassette")}
	s.proxy(t, c, p, session)
	return p
}

func (s *studio) proxy(t *testing.T, c *Cassette, transport http.RoundTripper, session func(base string)) {
	t.Helper()
	server := httptest.NewServer((&Proxy{Cassette: c, Transport: transport, Log: slog.New(slog.NewTextHandler(&s.log, nil))}).Handler())
	defer server.Close()
	session(server.URL)
}

// client follows no redirects.
var client = &http.Client{
	Transport:     &http.Transport{DisableKeepAlives: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// ask asks, and returns the answer as a text, with the headers named.
func ask(t *testing.T, base, method, path, body string, header http.Header, shown ...string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, base+path, strings.NewReader(body))
	check(t, err)
	for name, values := range header {
		req.Header[name] = values
	}
	resp, err := client.Do(req)
	check(t, err)
	text, err := io.ReadAll(resp.Body)
	check(t, err)
	check(t, resp.Body.Close())
	var b strings.Builder
	fmt.Fprint(&b, resp.StatusCode)
	for _, name := range shown {
		fmt.Fprintf(&b, " %s=%q", name, strings.ReplaceAll(strings.Join(resp.Header[name], "|"), base, "BASE"))
	}
	for name, values := range resp.Trailer {
		fmt.Fprintf(&b, " trailer %s=%q", name, strings.Join(values, "|"))
	}
	fmt.Fprintf(&b, ": %s", text)
	return b.String()
}

func TestWhatIsRecordedIsPlayed(t *testing.T) {
	requests := 0
	var s *studio
	s = newStudio(t, func(w http.ResponseWriter, r *http.Request) {
		requests++
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Cache-Control", "no-store")
		switch r.URL.Path {
		case "/v1/redirect":
			w.Header().Set("Link", "<"+s.api.URL+"/v1/next>; rel=next, <https://other.example/>; rel=other")
			http.Redirect(w, r, s.api.URL+"/v1/here", http.StatusFound)
		case "/v1/gzip":
			if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
				t.Error("the API is not asked for gzip")
			}
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			fmt.Fprint(z, "unpacked")
			z.Close()
		case "/v1/trailer":
			w.Header().Set("Trailer", "X-Sum")
			fmt.Fprint(w, "summed")
			w.Header().Set("X-Sum", "42")
		case "/v1/nothing":
			w.WriteHeader(http.StatusNoContent)
		case "/v1/validated":
			w.Header().Set("Etag", `"1"`)
			if r.Header.Get("If-None-Match") == `"1"` {
				w.WriteHeader(http.StatusNotModified)
				return
			}
			if r.Header.Get("If-Match") != "" {
				w.WriteHeader(http.StatusPreconditionFailed)
				return
			}
			http.ServeContent(w, r, "x.txt", noTime, strings.NewReader("0123456789"))
		case "/v1/untyped":
			w.Header()["Content-Type"] = nil
			fmt.Fprint(w, "<html>")
		case "/v1/fails":
			w.WriteHeader(http.StatusInternalServerError)
			fmt.Fprintf(w, "try %d", requests)
		default:
			fmt.Fprintf(w, "%s %s %s %s %s", r.Method, r.URL.RequestURI(), body, r.Header.Get("Accept"), r.Header.Get("Content-Type"))
		}
	})
	session := func(base string) (heard []string) {
		say := func(method, path, body string, header http.Header, shown ...string) {
			heard = append(heard, method+" "+path+" → "+ask(t, base, method, path, body, header, shown...))
		}
		say("GET", "/v1/tracks?b=1&a=%2F&a", "", nil, "Cache-Control")
		say("GET", "/v1/tr%2Fack;x", "", nil)
		say("GET", "/v1/tracks", "", http.Header{"Accept": {"text/csv"}})
		say("GET", "/v1/tracks", "", http.Header{"Accept": {"application/json"}, "Authorization": {"Bearer secret"}})
		say("HEAD", "/v1/tracks", "", nil)
		say("POST", "/v1/tracks", `{"a":1}`, http.Header{"Content-Type": {"application/json"}})
		say("POST", "/v1/tracks", `{"a":2}`, http.Header{"Content-Type": {"application/json"}})
		say("PUT", "/v1/tracks", "x", nil)
		say("DELETE", "/v1/tracks", "", nil)
		say("PROPFIND", "/v1/tracks", "", nil)
		say("GET", "/v1/redirect", "", nil, "Location", "Link")
		say("GET", "/v1/gzip", "", nil, "Content-Encoding")
		say("GET", "/v1/trailer", "", nil)
		say("GET", "/v1/nothing", "", nil)
		say("GET", "/v1/untyped", "", nil, "Content-Type")
		say("GET", "/v1/validated", "", nil, "Etag")
		say("GET", "/v1/validated", "", http.Header{"If-None-Match": {`"1"`}}, "Etag")
		say("GET", "/v1/validated", "", http.Header{"Range": {"bytes=2-4"}}, "Content-Range")
		say("GET", "/v1/validated", "", http.Header{"Range": {"bytes=20-"}}, "Content-Range")
		say("PUT", "/v1/validated", "", http.Header{"If-Match": {`"2"`}})
		say("GET", "/v1/fails", "", nil)
		say("GET", "/v1/fails", "", nil)
		return heard
	}
	var heard []string
	r := s.record(t, Settings{}, nil, func(base string) { heard = session(base) })
	if recorded, played, left := r.Counts(); recorded != len(heard) || played != 0 || left != 0 || requests != len(heard) {
		t.Errorf("%d recorded, %d played, %d not, %d requests\n%s", recorded, played, left, requests, &s.log)
	}
	s.api.Close()
	p := s.play(t, func(base string) {
		if d := cmp.Diff(heard, session(base)); d != "" {
			t.Errorf("played otherwise than recorded:\n%s", d)
		}
		if got, want := ask(t, base, "GET", "/v1/fails", "", nil), heard[len(heard)-1]; !strings.HasSuffix(want, got) {
			t.Errorf("behind the last take: %s", got)
		}
		// What is recorded of the whole answers those who ask for less.
		if got := ask(t, base, "GET", "/v1/validated", "", http.Header{"If-None-Match": {`"3"`}}); got != "200: 0123456789" {
			t.Error(got)
		}
		if got := ask(t, base, "HEAD", "/v1/trailer", "", nil); got != "200: " {
			t.Error(got)
		}
		if got := ask(t, base, "GET", "/v1/tracks?b=1&a=%2F&a", "", http.Header{"Accept": {"*/*"}, "User-Agent": {"another"}, "Cookie": {"a=b"}}); !strings.HasPrefix(got, "200") {
			t.Error(got)
		}
	})
	if played, missed := p.Counts(); played != len(heard)+4 || missed != 0 {
		t.Errorf("%d played, %d missed", played, missed)
	}
}

func TestWhatIsNotRecordedIsMissed(t *testing.T) {
	s := newStudio(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "x") })
	s.record(t, Settings{Methods: []string{"GET"}}, nil, func(base string) {
		ask(t, base, "GET", "/v1/tracks?id=1", "", nil)
		ask(t, base, "POST", "/v1/tracks", "a", nil)
	})
	p := s.play(t, func(base string) {
		for _, want := range []struct{ method, path string }{{"GET", "/v1/tracks?id=2"}, {"POST", "/v1/tracks"}, {"DELETE", "/v1/tracks?id=1"}} {
			got := ask(t, base, want.method, want.path, "a", nil, "Content-Type")
			if !strings.HasPrefix(got, "504") || !strings.Contains(got, want.method+" "+s.api.URL+want.path) || !strings.Contains(got, `Content-Type="text/plain; charset=utf-8"`) {
				t.Error(got)
			}
		}
	})
	if played, missed := p.Counts(); played != 0 || missed != 3 {
		t.Errorf("%d played, %d missed", played, missed)
	}
}

func TestWhatIsRedactedIsNotStored(t *testing.T) {
	s := newStudio(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Owner", "private-1")
		w.Header().Set("X-Auth-Token", "private-2")
		w.Header().Add("Set-Cookie", "session=private-3")
		w.Header().Set("Link", "</?key=private-4>; rel=next")
		fmt.Fprint(w, `{"user":{"email":"private-5","id":1}}`)
	})
	secrets := http.Header{"Authorization": {"Bearer private-6"}, "Cookie": {"a=private-7"}, "X-Api-Key": {"private-8"}}
	private := func(base, query string) string {
		return ask(t, base, "POST", "/v1?"+query, "private-9", secrets)
	}
	s.record(t, Settings{Redact: redact.Rules{Headers: []string{"X-Owner"}, Query: []string{"key"}, JSON: []string{"/user/email"}}}, nil, func(base string) {
		if got := private(base, "a=1&Key=private-10&b"); !strings.Contains(got, "private-5") {
			t.Errorf("who records gets %s", got)
		}
	})
	n := 0
	for e, err := range s.cache(t).Contents().Entries(t.Context(), cache.Query{Bodies: true}) {
		check(t, err)
		h, err := e.Head()
		check(t, err)
		if all := fmt.Sprintf("%v %v %s", e.Key, h, e.Payload); strings.Contains(all, "private") {
			t.Errorf("stored is %s", all)
		}
		n++
	}
	if n != 2 { // with the settings
		t.Errorf("%d entries", n)
	}
	s.play(t, func(base string) {
		secrets = nil
		if got := private(base, "a=1&b"); got != `200: {"user":{"email":null,"id":1}}` {
			t.Error(got)
		}
	})
}

func TestRecordingAgain(t *testing.T) {
	requests := 0
	s := newStudio(t, func(w http.ResponseWriter, r *http.Request) {
		requests++
		fmt.Fprint(w, requests)
	})
	askAll := func(times int, path string, want ...string) func(string) {
		return func(base string) {
			t.Helper()
			var got []string
			for range times {
				_, answer, _ := strings.Cut(ask(t, base, "GET", path, "", nil), ": ")
				got = append(got, answer)
			}
			if !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
		}
	}
	s.record(t, Settings{SortQuery: true}, nil, askAll(3, "/?a&b", "1", "2", "3"))
	s.play(t, askAll(4, "/?b&a", "1", "2", "3", "3"))
	s.record(t, Settings{}, nil, askAll(2, "/?a&b", "4", "5")) // with the settings that it has
	s.play(t, askAll(3, "/?b&a", "4", "5", "5"))
	s.record(t, Settings{SortQuery: true}, func(r *Recorder) { r.New = true }, askAll(3, "/?b&a", "4", "5", "6"))
	s.play(t, askAll(4, "/?a&b", "4", "5", "6", "6"))
	s.record(t, Settings{}, func(r *Recorder) { r.Last = true }, askAll(3, "/?a&b", "7", "8", "9"))
	s.play(t, askAll(2, "/?a&b", "9", "9"))

	for _, other := range []Settings{{API: s.api.URL, IgnoreQuery: []string{"a"}}, {API: s.api.URL + "/v2"}} {
		if _, err := Record(t.Context(), s.cache(t), "cassette", other); !errors.Is(err, ErrOther) {
			t.Errorf("with other settings: %v", err)
		}
	}
	if _, err := Open(t.Context(), s.cache(t), "another"); !errors.Is(err, ErrNone) {
		t.Errorf("no recording: %v", err)
	}
}

func TestNoRecordingOfFailures(t *testing.T) {
	s := newStudio(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/cut" {
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, "beginning")
			return
		}
		panic(http.ErrAbortHandler)
	})
	r := s.record(t, Settings{}, nil, func(base string) {
		if got := ask(t, base, "GET", "/", "", nil); !strings.HasPrefix(got, "502: endpointcache: no answer of the API") {
			t.Error(got)
		}
		resp, err := client.Get(base + "/cut")
		check(t, err)
		if _, err := io.ReadAll(resp.Body); err == nil {
			t.Error("a response that is cut short looks whole")
		}
		resp.Body.Close()
	})
	if recorded, _, left := r.Counts(); recorded != 0 || left != 1 {
		t.Errorf("%d recorded, %d not", recorded, left)
	}
	s.play(t, func(base string) {
		if got := ask(t, base, "GET", "/cut", "", nil); !strings.HasPrefix(got, "504") {
			t.Error(got)
		}
	})
}

// A request whose answer has not come leaves no gap: the next one that is the same is recorded in its place, or else what
// was recorded behind it.
func TestGapsAreClosed(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*Recorder)
		later  []string // requests that are the same, after the one that fails
		want   []string
	}{
		"none later":    {nil, nil, []string{"200: early", "200: early"}},
		"one later":     {nil, []string{"late"}, []string{"200: late", "200: early", "200: early"}},
		"none, new":     {func(r *Recorder) { r.New = true }, nil, []string{"200: early", "200: early"}},
		"two later":     {nil, []string{"late", "later"}, []string{"200: late", "200: early", "200: later"}},
		"only the last": {func(r *Recorder) { r.Last = true }, nil, []string{"200: early"}},
	} {
		t.Run(name, func(t *testing.T) {
			begun, fail := make(chan struct{}), make(chan struct{})
			s := newStudio(t, func(w http.ResponseWriter, r *http.Request) {
				answer := r.Header.Get("X-Answer")
				if answer == "" {
					close(begun)
					<-fail
					panic(http.ErrAbortHandler)
				}
				fmt.Fprint(w, answer)
			})
			s.record(t, Settings{}, test.change, func(base string) {
				failed := make(chan string)
				go func() { failed <- ask(t, base, "GET", "/", "", nil) }()
				waitfor.Receive(t, "the request that fails", begun)
				ask(t, base, "GET", "/", "", http.Header{"X-Answer": {"early"}})
				close(fail)
				if got := waitfor.Receive(t, "its answer", failed); !strings.HasPrefix(got, "502") {
					t.Error(got)
				}
				for _, answer := range test.later {
					ask(t, base, "GET", "/", "", http.Header{"X-Answer": {answer}})
				}
			})
			s.play(t, func(base string) {
				for i, want := range test.want {
					if got := ask(t, base, "GET", "/", "", nil); got != want {
						t.Errorf("request %d is answered with %q, want %q", i+1, got, want)
					}
				}
			})
		})
	}
}

func TestStreamsComeAsTheyCome(t *testing.T) {
	heard := make(chan struct{})
	s := newStudio(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "first ")
		w.(http.Flusher).Flush()
		<-heard
		fmt.Fprint(w, "last")
	})
	s.record(t, Settings{}, nil, func(base string) {
		resp, err := client.Get(base)
		check(t, err)
		defer resp.Body.Close()
		first := make([]byte, len("first "))
		_, err = io.ReadFull(resp.Body, first)
		check(t, err)
		close(heard)
		rest, err := io.ReadAll(resp.Body)
		check(t, err)
		if string(rest) != "last" {
			t.Errorf("%q", rest)
		}
	})
	s.play(t, func(base string) {
		if got := ask(t, base, "GET", "", "", nil); got != "200: first last" {
			t.Error(got)
		}
	})
}

func TestWhatIsLeftEarlyIsRecorded(t *testing.T) {
	whole := strings.Repeat("x", 200_000)
	s := newStudio(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, whole) })
	r := s.record(t, Settings{}, nil, func(base string) {
		resp, err := client.Get(base)
		check(t, err)
		resp.Body.Close()
	})
	if recorded, _, left := r.Counts(); recorded != 1 || left != 0 {
		t.Errorf("%d recorded, %d not\n%s", recorded, left, &s.log)
	}
}

func TestEqualRequestsAtOneTime(t *testing.T) {
	s := newStudio(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "x") })
	const n = 20
	at := func(base string) {
		var all sync.WaitGroup
		for range n {
			all.Go(func() {
				resp, err := client.Get(base)
				if err != nil {
					t.Error(err)
					return
				}
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			})
		}
		all.Wait()
	}
	r := s.record(t, Settings{}, nil, at)
	p := s.play(t, at)
	if recorded, _, _ := r.Counts(); recorded != n {
		t.Errorf("%d recorded", recorded)
	}
	if played, missed := p.Counts(); played != n || missed != 0 {
		t.Errorf("%d played, %d missed", played, missed)
	}
}

// Requests that come at one time, more often than was recorded, all have an answer.
func TestEqualRequestsBeyondTheLastTake(t *testing.T) {
	s := newStudio(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.URL.Path) })
	s.record(t, Settings{}, nil, func(base string) { ask(t, base, "GET", "/track", "", nil) })
	rc := s.cache(t)
	c, err := Open(t.Context(), rc, "cassette")
	check(t, err)
	p := &Player{Cassette: c, Contents: rc.Contents("cassette")}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.api.URL+"/track", nil)
	check(t, err)
	key, ok, err := c.key(req)
	if err != nil || !ok {
		t.Fatalf("%v, %v", ok, err)
	}
	others := []int{c.next(key), c.next(key), c.next(key)} // of requests that are on their way
	for range 2 {
		if e, ok, err := p.take(req); err != nil || !ok || string(e.Payload) != "/track" {
			t.Errorf("got %q, %v, %v", e.Payload, ok, err)
		}
	}
	for _, take := range others[1:] {
		c.back(key, take)
	}
	if got := c.next(key); got != 2 {
		t.Errorf("the next take is %d, want 2", got)
	}
}

// A take that failed is that of the next request, and not one of another.
func TestATakeThatFailsLeavesTheOthers(t *testing.T) {
	came, second := make(chan struct{}), make(chan struct{})
	var requests atomic.Int64
	s := newStudio(t, func(w http.ResponseWriter, r *http.Request) {
		n := requests.Add(1)
		if n == 1 {
			close(came)
			<-second
			panic(http.ErrAbortHandler)
		}
		fmt.Fprint(w, n)
	})
	s.record(t, Settings{}, nil, func(base string) {
		failed := make(chan string)
		go func() { failed <- ask(t, base, "GET", "/", "", nil) }()
		waitfor.Receive(t, "the first request", came)
		ask(t, base, "GET", "/", "", nil)
		close(second)
		if got := <-failed; !strings.HasPrefix(got, "502") {
			t.Error(got)
		}
		ask(t, base, "GET", "/", "", nil)
	})
	s.play(t, func(base string) {
		for _, want := range []string{"200: 3", "200: 2", "200: 2"} {
			if got := ask(t, base, "GET", "/", "", nil); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		}
	})
}

func TestTheProxyIsForOneAPI(t *testing.T) {
	s := newStudio(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s %s", r.Host, r.Header.Get("Origin"), r.Header.Get("X-Forwarded-For"))
	})
	s.record(t, Settings{}, nil, func(base string) {
		api := strings.TrimPrefix(s.api.URL, "http://")
		if got := ask(t, base, "GET", "/", "", http.Header{"Origin": {base}}); got != "200: "+api+" "+s.api.URL+" " {
			t.Error(got)
		}
		proxy, err := url.Parse(base)
		check(t, err)
		through := &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(proxy), DisableKeepAlives: true}}
		for _, target := range []string{"http://other.example/", "http://169.254.169.254/"} {
			resp, err := through.Get(target)
			check(t, err)
			resp.Body.Close()
			if resp.StatusCode != http.StatusForbidden {
				t.Errorf("%s: %d", target, resp.StatusCode)
			}
		}
		req, err := http.NewRequestWithContext(t.Context(), "GET", base, nil)
		check(t, err)
		req.Host = "rebound.example"
		resp, err := client.Do(req)
		check(t, err)
		resp.Body.Close()
		if resp.StatusCode != http.StatusForbidden {
			t.Errorf("another host: %d", resp.StatusCode)
		}
	})
}

var noTime time.Time

func TestRewrite(t *testing.T) {
	api, proxy := &url.URL{Scheme: "https", Host: "api.example.com"}, &url.URL{Scheme: "http", Host: "127.0.0.1:8080"}
	for value, want := range map[string]string{
		"https://api.example.com":               "http://127.0.0.1:8080",
		"https://api.example.com:443/v1?a=b#c":  "http://127.0.0.1:8080/v1?a=b#c",
		"HTTP://API.example.com/":               "http://127.0.0.1:8080/",
		"//api.example.com/v1":                  "//127.0.0.1:8080/v1",
		"/v1":                                   "/v1",
		"https://api.example.com.evil.example/": "https://api.example.com.evil.example/",
		"https://api.example.com:8443/":         "https://api.example.com:8443/",
		"https://api.example.com@evil.example/": "https://api.example.com@evil.example/",
		"https://other.example/":                "https://other.example/",
	} {
		h := http.Header{"Location": {value}}
		if rewrite(h, api, proxy); h.Get("Location") != want {
			t.Errorf("%s: %s, want %s", value, h.Get("Location"), want)
		}
	}
	h := http.Header{"Set-Cookie": {"a=b; Domain=api.example.com; Path=/; Secure; HttpOnly"}}
	if cookiesOf(h); h.Get("Set-Cookie") != "a=b; Path=/; HttpOnly" {
		t.Error(h)
	}
}

func check(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}
