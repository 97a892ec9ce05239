package origin_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/endpointcache/endpointcache/origin"
)

// guard is an API that takes one token, and its issuer.
type guard struct {
	mu    sync.Mutex
	good  string
	seen  []string // tokens, in the order of the requests
	calls []string // the old tokens that the issuer was given
	issue func(ctx context.Context, old string) (string, error)
}

func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	g.seen = append(g.seen, token)
	good := token == g.good
	g.mu.Unlock()
	if !good {
		w.WriteHeader(http.StatusUnauthorized)
		io.WriteString(w, "who are you?")
		return
	}
	io.Copy(w, r.Body)
}

func (g *guard) token(ctx context.Context, old string) (origin.Token, error) {
	g.mu.Lock()
	g.calls = append(g.calls, old)
	n, issue := len(g.calls), g.issue
	g.mu.Unlock()
	if issue == nil {
		return origin.Token{Value: fmt.Sprint("t", n)}, nil
	}
	value, err := issue(ctx, old)
	return origin.Token{Value: value}, err
}

func (g *guard) accept(token string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.good = token
}

func (g *guard) want(t *testing.T, what, seen, calls string) {
	t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	if got := strings.Join(g.seen, " "); got != seen {
		t.Errorf("%s: tokens sent %q, want %q", what, got, seen)
	}
	if got := strings.Join(g.calls, " "); got != calls {
		t.Errorf("%s: tokens replaced %q, want %q", what, got, calls)
	}
	g.seen, g.calls = nil, nil
}

const here = "http://localhost/"

// start returns a transport to the guard, which is in a bubble of synctest.
func (g *guard) start(t *testing.T, opts origin.Options) *origin.Transport {
	opts.Credentials = &origin.Credentials{Hosts: []string{"localhost"}, Token: g.token}
	rt := origin.New(serve(t, g.ServeHTTP).base, &opts)
	t.Cleanup(func() { rt.Close() })
	return rt
}

func TestTokenIsSentInACopy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := serve(t, func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "%s %s %s", r.Header.Get("Authorization"), r.Header.Get("X-Api-Key"), r.URL.RawQuery)
		})
		for name, test := range map[string]struct {
			set  func(*http.Request, string)
			want string
		}{
			"bearer":   {nil, "Bearer secret  q=1"},
			"header":   {origin.InHeader("x-api-key"), " secret q=1"},
			"in query": {func(r *http.Request, token string) { r.URL.RawQuery += "&key=" + token }, "  q=1&key=secret"},
		} {
			rt := origin.New(a.base, &origin.Options{Credentials: &origin.Credentials{
				Hosts: []string{"LOCALHOST"}, Token: origin.Static("secret"), Set: test.set,
			}})
			req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, here+"?q=1", nil)
			resp, err := rt.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(resp.Body)
			if string(body) != test.want {
				t.Errorf("%s: the server got %q, want %q", name, body, test.want)
			}
			if len(resp.Request.Header) != 0 || resp.Request.URL != req.URL || len(req.Header) != 0 || req.URL.RawQuery != "q=1" {
				t.Errorf("%s: the caller's request was changed", name)
			}
			wantIdle(t, rt)
			rt.Close()
		}

		rt := origin.New(a.base, &origin.Options{Credentials: &origin.Credentials{Hosts: []string{"localhost"}, Token: origin.Static("secret")}})
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, here, nil)
		req.SetBasicAuth("me", "pw")
		resp, err := rt.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		if body, _ := io.ReadAll(resp.Body); !strings.HasPrefix(string(body), "Basic ") {
			t.Errorf("the request's own Authorization was replaced by %q", body)
		}
	})
}

func TestManyRefusedAtOnceRefreshOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &guard{good: "t2"}
		rt := g.start(t, origin.Options{})
		g.issue = func(context.Context, string) (string, error) {
			time.Sleep(time.Second) // all wait meanwhile
			return fmt.Sprint("t", rt.Stats().Refreshes), nil
		}
		if got := all(t, 100, rt, here); got[http.StatusOK] != 100 {
			t.Errorf("statuses %v", got)
		}
		if s := rt.Stats(); s.Refreshes != 2 || s.Requests != 200 {
			t.Errorf("%d refreshes, %d requests; want the first token, one more, and 200", s.Refreshes, s.Requests)
		}
		wantIdle(t, rt)
	})
}

func TestLateRefusalOfAnOldTokenIsSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &guard{good: "t1"}
		first := true
		a := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/slow" && first {
				first = false
				g.ServeHTTP(w, &http.Request{Header: http.Header{}, Body: http.NoBody}) // its token has expired
				time.Sleep(time.Minute)
				return
			}
			g.ServeHTTP(w, r)
		})
		rt := origin.New(a.base, &origin.Options{Credentials: &origin.Credentials{Hosts: []string{"localhost"}, Token: g.token}})
		t.Cleanup(func() { rt.Close() })
		var wg sync.WaitGroup
		wg.Go(func() { mustGet(t, rt, here+"slow", http.StatusOK) })
		time.Sleep(time.Second)
		g.accept("t2")
		mustGet(t, rt, here, http.StatusOK)
		wg.Wait()
		g.want(t, "slow and fast", " t1 t2 t2", " t1")
	})
}

// What waits for its turn is sent with the token that there is then.
func TestTokenIsThatOfTheMomentOfSending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &guard{good: "t2"}
		rt := g.start(t, origin.Options{Limits: origin.Limits{InFlight: 1}})
		if got := all(t, 10, rt, here); got[http.StatusOK] != 10 {
			t.Errorf("statuses %v", got)
		}
		if s := rt.Stats(); s.Requests > 12 {
			t.Errorf("%d requests for 10: those that waited had the old token", s.Requests)
		}
	})
}

func TestTokenThatStaysIsNotSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &guard{issue: func(context.Context, string) (string, error) { return "static", nil }}
		rt := g.start(t, origin.Options{})
		mustGet(t, rt, here, http.StatusUnauthorized)
		g.want(t, "static", "static", " static")
	})
}

func TestExpiredTokenIsReplacedBeforehand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls int
		a := serve(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Header.Get("Authorization")) })
		rt := origin.New(a.base, &origin.Options{Credentials: &origin.Credentials{
			Hosts: []string{"localhost"},
			Token: func(context.Context, string) (origin.Token, error) {
				calls++
				return origin.Token{Value: fmt.Sprint("t", calls), Expires: time.Now().Add(time.Minute)}, nil
			},
		}})
		t.Cleanup(func() { rt.Close() })
		for i, want := range []string{"t1", "t1", "t2", "t2", "t3"} {
			if body := mustGet(t, rt, here, http.StatusOK); body != "Bearer "+want {
				t.Errorf("request %d had %q, want %s", i, body, want)
			}
			time.Sleep(40 * time.Second)
		}
	})
}

func TestBodiesAreSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &guard{good: "t2"}
		rt := g.start(t, origin.Options{})
		post := func(body io.Reader, want int) {
			t.Helper()
			req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, here, body)
			resp, err := rt.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			got, _ := io.ReadAll(resp.Body)
			if resp.StatusCode != want || want == http.StatusOK && string(got) != "text" {
				t.Errorf("status %d, body %q", resp.StatusCode, got)
			}
		}
		post(strings.NewReader("text"), http.StatusOK)
		g.want(t, "a body that can be had again", "t1 t2", " t1")

		g.accept("t1") // the next one that is issued
		post(io.MultiReader(strings.NewReader("text")), http.StatusUnauthorized)
		g.want(t, "a body that cannot", "t2", "")
		post(io.MultiReader(strings.NewReader("text")), http.StatusOK)
		g.want(t, "the next request", "t1", "t2")
		wantIdle(t, rt)
	})
}

func TestLongRefusalIsReturnedWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		text := strings.Repeat("no ", 100_000)
		a := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusUnauthorized)
			io.WriteString(w, text)
		})
		rt := origin.New(a.base, &origin.Options{
			Limits:      origin.Limits{InFlight: 1},
			Credentials: &origin.Credentials{Hosts: []string{"localhost"}, Token: origin.Static("t")},
		})
		t.Cleanup(func() { rt.Close() })
		if body := mustGet(t, rt, here, http.StatusUnauthorized); body != text {
			t.Errorf("the body has %d bytes of %d", len(body), len(text))
		}
		wantIdle(t, rt)
	})
}
