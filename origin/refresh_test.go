package origin_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/endpointcache/endpointcache/origin"
)

func TestRefreshBelongsToNoCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &guard{good: "new"}
		var ended error
		g.issue = func(ctx context.Context, _ string) (string, error) {
			if ctx.Value(callers{}) != nil {
				t.Error("the refresh has a caller's context")
			}
			select {
			case <-time.After(time.Minute):
				return "new", nil
			case <-ctx.Done():
				ended = ctx.Err()
				return "", ended
			}
		}
		rt := g.start(t, origin.Options{})

		// The one that began it gives up, another waits on.
		first, cancel := context.WithTimeout(context.WithValue(t.Context(), callers{}, 1), time.Second)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() {
			start := time.Now()
			if _, _, err := get(first, rt, here); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
				t.Errorf("the first caller: %v after %v", err, time.Since(start))
			}
		})
		synctest.Wait()
		wg.Go(func() { mustGet(t, rt, here, http.StatusOK) })
		wg.Wait()
		if ended != nil || rt.Stats().Refreshes != 1 {
			t.Errorf("the refresh ended with %v; %d refreshes", ended, rt.Stats().Refreshes)
		}

		// Nobody waits any more.
		g.accept("newer")
		second, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, _, err := get(second, rt, here); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the only caller: %v", err)
		}
		synctest.Wait()
		if ended == nil {
			t.Error("the refresh goes on though nobody waits for it")
		}
		wantIdle(t, rt)
	})
}

type callers struct{}

// A refresh that does not end when it is told to is not run beside another, and what
// it brings is used.
func TestOneRefreshAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &guard{good: "new"}
		g.issue = func(context.Context, string) (string, error) {
			time.Sleep(time.Minute)
			return "new", nil
		}
		rt := g.start(t, origin.Options{})
		for range 5 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if _, _, err := get(ctx, rt, here); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("error %v", err)
			}
			cancel()
		}
		mustGet(t, rt, here, http.StatusOK)
		g.want(t, "stubborn refresh", "new", "")
	})
}

func TestFailedRefreshReturnsTheRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &guard{good: "t1"}
		failure := errors.New("the account is locked")
		var told []error
		rt := origin.New(serve(t, g.ServeHTTP).base, &origin.Options{Credentials: &origin.Credentials{
			Hosts: []string{"localhost"}, Token: g.token, OnRefresh: func(err error) { told = append(told, err) },
		}})
		t.Cleanup(func() { rt.Close() })
		mustGet(t, rt, here, http.StatusOK)
		g.accept("another")
		g.issue = func(context.Context, string) (string, error) {
			time.Sleep(time.Second)
			return "", failure
		}
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				if body := mustGet(t, rt, here, http.StatusUnauthorized); body != "who are you?" {
					t.Errorf("the body is %q", body)
				}
			})
		}
		wg.Wait()
		if len(told) != 2 || told[0] != nil || !errors.Is(told[1], failure) {
			t.Errorf("OnRefresh was told %v", told)
		}
		wantIdle(t, rt)
	})
}

func TestNoFirstTokenIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failure := errors.New("not logged in")
		g := &guard{issue: func(context.Context, string) (string, error) { return "", failure }}
		rt := g.start(t, origin.Options{})
		body := &closing{Reader: strings.NewReader("text")}
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, here, body)
		if _, err := rt.RoundTrip(req); !errors.Is(err, failure) || !body.closed {
			t.Errorf("error %v, body closed: %v", err, body.closed)
		}
		g.issue = func(context.Context, string) (string, error) { return "", nil }
		if _, _, err := get(t.Context(), rt, here); err == nil {
			t.Error("an empty token is none")
		}
		g.want(t, "no token", "", " ")
	})
}

func TestNoLoopOfRefreshes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &guard{good: "nothing will do"}
		rt := g.start(t, origin.Options{})
		mustGet(t, rt, here, http.StatusUnauthorized)
		g.want(t, "first", "t1 t2", " t1")
		for range 3 {
			mustGet(t, rt, here, http.StatusUnauthorized)
		}
		g.want(t, "soon after", "t2 t2 t2", "")
		time.Sleep(10 * time.Second)
		mustGet(t, rt, here, http.StatusUnauthorized)
		g.want(t, "later", "t2 t1", "t2")
	})
}

// The issuer of tokens may be at the same host, and be asked with the same limits.
func TestRefreshThroughTheSameTransport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &guard{good: "t2"}
		n := 0
		a := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/token" {
				g.ServeHTTP(w, r)
				return
			}
			if r.Header.Get("Authorization") != "" {
				t.Error("the request for a token has one")
			}
			n++
			fmt.Fprint(w, "t", n)
		})
		a.base.MaxConnsPerHost = 1 // what waits for a token may not keep its connection
		var rt *origin.Transport
		rt = origin.New(a.base, &origin.Options{
			Limits: origin.Limits{InFlight: 1},
			Credentials: &origin.Credentials{
				Hosts: []string{"localhost"},
				Token: func(ctx context.Context, _ string) (origin.Token, error) {
					_, body, err := get(ctx, rt, here+"token")
					return origin.Token{Value: body}, err
				},
			},
		})
		t.Cleanup(func() { rt.Close() })
		if got := all(t, 10, rt, here); got[http.StatusOK] != 10 {
			t.Errorf("statuses %v", got)
		}
		wantIdle(t, rt)
	})
}

func TestCloseEndsARefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var running atomic.Bool
		g := &guard{issue: func(ctx context.Context, _ string) (string, error) {
			running.Store(true)
			defer running.Store(false)
			<-ctx.Done()
			return "", ctx.Err()
		}}
		rt := g.start(t, origin.Options{})
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, _, err := get(t.Context(), rt, here); !errors.Is(err, origin.ErrClosed) {
				t.Errorf("who waited: %v", err)
			}
		})
		synctest.Wait()
		if !running.Load() {
			t.Error("no refresh has begun")
		}
		rt.Close()
		if running.Load() {
			t.Error("the refresh goes on after Close")
		}
		wg.Wait()
		if _, _, err := get(t.Context(), rt, here); !errors.Is(err, origin.ErrClosed) {
			t.Errorf("afterwards: %v", err)
		}
		if err := rt.Close(); err != nil {
			t.Error(err)
		}
	})
}
