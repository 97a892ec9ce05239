package origin_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/endpointcache/endpointcache/origin"
)

// wantFailures makes requests at once, of which each is to fail with that text.
func wantFailures(t *testing.T, rt http.RoundTripper, text string) {
	t.Helper()
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			_, _, err := get(t.Context(), rt, here)
			if err == nil || !strings.Contains(err.Error(), text) {
				t.Errorf("error %v, want one with %q", err, text)
			} else if strings.Contains(err.Error(), "t1") || strings.Contains(err.Error(), "t2") {
				t.Errorf("the error tells a token: %v", err)
			}
		})
	}
	wg.Wait()
}

func TestPanicInTokenIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		panics := true
		g := &guard{good: "t1"}
		g.issue = func(_ context.Context, old string) (string, error) {
			time.Sleep(time.Second) // until all wait
			if panics {
				panic("no issuer to replace " + old)
			}
			return "t1", nil
		}
		var told error
		rt := origin.New(serve(t, g.ServeHTTP).base, &origin.Options{Credentials: &origin.Credentials{
			Hosts: []string{"localhost"}, Token: g.token, OnRefresh: func(err error) { told = err },
		}})
		t.Cleanup(func() { rt.Close() })

		wantFailures(t, rt, "panic in Token: no issuer to replace ")
		if told == nil || !strings.Contains(told.Error(), "no issuer") {
			t.Errorf("OnRefresh was told %v", told)
		}
		wantIdle(t, rt)

		panics = false
		mustGet(t, rt, here, http.StatusOK)
		if told != nil {
			t.Errorf("OnRefresh was told %v of a good token", told)
		}

		// Other errors leave the 401 as it came, but a panic is a fault in the program.
		panics = true
		g.accept("another")
		wantFailures(t, rt, "panic in Token: no issuer to replace [token]")
		wantIdle(t, rt)
	})
}

func TestPanicInOnRefreshIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		panics := true
		failure := errors.New("the account is locked")
		fails := false
		g := &guard{good: "t2"}
		g.issue = func(context.Context, string) (string, error) {
			time.Sleep(time.Second)
			if fails {
				return "", failure
			}
			return "t2", nil
		}
		rt := origin.New(serve(t, g.ServeHTTP).base, &origin.Options{Credentials: &origin.Credentials{
			Hosts: []string{"localhost"}, Token: g.token,
			OnRefresh: func(error) {
				if panics {
					panic(errors.New("the log of t2 is closed"))
				}
			},
		}})
		t.Cleanup(func() { rt.Close() })
		fails = true
		_, _, err := get(t.Context(), rt, here)
		if !errors.Is(err, failure) || !strings.Contains(err.Error(), "panic in OnRefresh") {
			t.Errorf("error %v, want that of Token and the panic", err)
		}
		fails = false
		wantFailures(t, rt, "panic in OnRefresh: the log of [token] is closed")
		panics = false
		mustGet(t, rt, here, http.StatusOK) // with the token that came nevertheless
		if n := rt.Stats().Refreshes; n != 2 {
			t.Errorf("%d refreshes, want 2", n)
		}
		wantIdle(t, rt)
	})
}

func TestTokenThatEndsItsGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &guard{issue: func(context.Context, string) (string, error) {
			runtime.Goexit()
			return "", nil
		}}
		rt := g.start(t, origin.Options{})
		wantFailures(t, rt, "ended its goroutine")
		wantIdle(t, rt)
	})
}

// A panic in a function that the request's own goroutine calls is the request's error, and
// leaves nothing of the request behind.
func TestPanicOfAFunctionIsAnError(t *testing.T) {
	refused := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusTooManyRequests)
		io.WriteString(w, strings.Repeat("x", 1000))
	}
	for name, opts := range map[string]*origin.Options{
		"PauseAfter": {PauseAfter: func(*http.Response) time.Duration { panic("boom") }},
		"OnPause":    {OnPause: func(string, time.Duration) { panic("boom") }},
		"Set": {Credentials: &origin.Credentials{
			Hosts: []string{"localhost"}, Token: origin.Static("t1"),
			Set: func(_ *http.Request, token string) { panic("boom " + token) },
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := serve(t, refused)
				a.base.MaxConnsPerHost = 1 // so that a response left open holds up the next
				opts.Limits.InFlight = 1
				rt := origin.New(a.base, opts)
				wantFailures(t, rt, "panic in "+name+": boom")
				rt.Close()
				wantIdle(t, rt)
			})
		})
	}
}

// A panic of the base is the caller's, who may recover. Its place is given back.
func TestPanicOfTheBaseGivesThePlaceBack(t *testing.T) {
	rt := origin.New(answers(func(*http.Request) (*http.Response, error) { panic("boom") }), &origin.Options{Limits: origin.Limits{InFlight: 1}})
	for range 3 {
		func() {
			defer func() {
				if p := recover(); p != "boom" {
					t.Errorf("recovered %v, want the panic of the base", p)
				}
			}()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			_, _, err := get(ctx, rt, here)
			t.Errorf("no panic, error %v", err)
		}()
	}
	wantIdle(t, rt)
}
