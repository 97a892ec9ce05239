package origin_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/endpointcache/endpointcache/origin"
	"github.com/endpointcache/endpointcache/transport"
)

// counted counts the attempts that reach a base.
type counted struct {
	http.RoundTripper
	n atomic.Int64
}

func (c *counted) RoundTrip(req *http.Request) (*http.Response, error) {
	c.n.Add(1)
	return c.RoundTripper.RoundTrip(req)
}

// base is one of net/http, with connections of its own.
func base(t *testing.T) *counted {
	b := &http.Transport{}
	t.Cleanup(b.CloseIdleConnections)
	return &counted{RoundTripper: b}
}

// retrier waits as little as it can where opts do not say.
func retrier(t *testing.T, base http.RoundTripper, opts origin.RetryOptions) *origin.Retrier {
	t.Helper()
	if opts.Wait == 0 {
		opts.Wait = time.Microsecond
	}
	rt, err := origin.NewRetrier(base, &opts)
	if err != nil {
		t.Fatal(err)
	}
	return rt
}

func newServer(t *testing.T, handler http.HandlerFunc) string {
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

func TestRetrierRepeatsWhatMayPass(t *testing.T) {
	for _, test := range []struct {
		name string
		fail http.HandlerFunc
	}{
		{"408", refuse(9, http.StatusRequestTimeout)},
		{"425", refuse(9, http.StatusTooEarly)},
		{"429", refuse(9, http.StatusTooManyRequests)},
		{"500", refuse(9, http.StatusInternalServerError)},
		{"502", refuse(9, http.StatusBadGateway)},
		{"503", refuse(9, http.StatusServiceUnavailable)},
		{"504", refuse(9, http.StatusGatewayTimeout)},
		{"511", refuse(9, http.StatusNetworkAuthenticationRequired)},
		{"520", refuse(9, 520)},
		{"403 with Retry-After", refuse(9, http.StatusForbidden, "Retry-After", "0")},
		{"403 with a nonsensical one", refuse(9, http.StatusForbidden, "Retry-After", "soon")},
		{"an aborted connection", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			var asked atomic.Int64
			url := newServer(t, func(w http.ResponseWriter, r *http.Request) {
				if asked.Add(1) < 3 {
					test.fail(w, r)
					return
				}
				ok(w, r)
			})
			b := base(t)
			if body := mustGet(t, retrier(t, b, origin.RetryOptions{Retries: 2}), url, http.StatusOK); body != "fine" || b.n.Load() != 3 {
				t.Errorf("%q after %d attempts, want 3", body, b.n.Load())
			}
		})
	}
}

func TestRetrierReturnsWhatWillNotPass(t *testing.T) {
	for _, status := range []int{200, 204, 304, 400, 401, 403, 404, 409, 410, 501, 505, 600, 999} {
		b := base(t)
		want := ""
		if status != 204 && status != 304 {
			want = "slow down"
		}
		url := newServer(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			if want != "" {
				io.WriteString(w, want)
			}
		})
		if body := mustGet(t, retrier(t, b, origin.RetryOptions{}), url, status); body != want || b.n.Load() != 1 {
			t.Errorf("%d: %q after %d attempts, want 1", status, body, b.n.Load())
		}
	}
}

// The last response is the caller's, whole and with its headers.
func TestRetriesEndWithTheLastResponse(t *testing.T) {
	for retries, want := range map[int]int64{0: 4, 1: 2, 5: 6, origin.NoRetries: 1} {
		b := base(t)
		var n atomic.Int64
		url := newServer(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Number", strconv.FormatInt(n.Add(1), 10))
			w.WriteHeader(http.StatusBadGateway)
			io.WriteString(w, strings.Repeat("x", 10_000))
		})
		rt := retrier(t, b, origin.RetryOptions{Retries: retries})
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		resp, err := rt.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if b.n.Load() != want || resp.Header.Get("X-Number") != strconv.FormatInt(want, 10) || len(body) != 10_000 || err != nil || resp.Request != req {
			t.Errorf("Retries %d: %d attempts, the response is that of %s, with %d bytes, %v", retries, b.n.Load(), resp.Header.Get("X-Number"), len(body), err)
		}
	}
}

func TestConnectionRefusedIsRepeated(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(ok))
	server.Close()
	b := base(t)
	_, _, err := get(t.Context(), retrier(t, b, origin.RetryOptions{}), server.URL)
	if err == nil || b.n.Load() != 4 {
		t.Errorf("%v after %d attempts, want 4", err, b.n.Load())
	}
}

func TestWaitsOfARetrier(t *testing.T) {
	date := time.Date(2020, 3, 4, 5, 6, 7, 0, time.UTC)
	for name, test := range map[string]struct {
		after string
		want  time.Duration
	}{
		"seconds":         {"30", 30 * time.Second},
		"a fraction":      {"30.5", 31 * time.Second},
		"a date":          {date.Add(40 * time.Second).Format(http.TimeFormat), 40 * time.Second},
		"a date gone by":  {date.Add(-time.Hour).Format(http.TimeFormat), 0},
		"the longest":     {"60", time.Minute},
		"at once":         {"0", 0},
		"nonsense":        {"soon", time.Second},
		"a negative time": {"-5", time.Second},
	} {
		for _, status := range []int{http.StatusForbidden, http.StatusTooManyRequests, http.StatusBadGateway} {
			t.Run(name+"/"+strconv.Itoa(status), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					a := serve(t, refuse(1, status, "Retry-After", test.after, "Date", date.Format(http.TimeFormat)))
					mustGet(t, retrier(t, a.base, origin.RetryOptions{Wait: time.Second, MaxWait: time.Minute}), "http://api.test/", http.StatusOK)
					if d := a.sent()[1]; !within(d, test.want) {
						t.Errorf("waited for %v, want %v", d, test.want)
					}
				})
			})
		}
	}
}

func TestWaitsGrow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := serve(t, refuse(9, http.StatusServiceUnavailable))
		rt, err := origin.NewRetrier(a.base, &origin.RetryOptions{Retries: 5, MaxWait: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		mustGet(t, rt, "http://api.test/", http.StatusServiceUnavailable)
		sent := a.sent()
		for i, want := range []time.Duration{100, 200, 400, 800, 1000} {
			want *= time.Millisecond
			if d := sent[i+1] - sent[i]; !within(d, want) || d > time.Second {
				t.Errorf("wait %d is %v, want %v", i+1, d, want)
			}
		}
	})
}

// The wait that the server asks for is not shortened: the response tells when to come back.
func TestWaitsThatAreTooLongAreNotBegun(t *testing.T) {
	for _, after := range []string{"61", "60.5", "31536000", "99999999999999999999", "Fri, 31 Dec 9999 23:59:59 GMT"} {
		synctest.Test(t, func(t *testing.T) {
			a := serve(t, refuse(1, http.StatusTooManyRequests, "Retry-After", after))
			rt := retrier(t, a.base, origin.RetryOptions{MaxWait: time.Minute})
			req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://api.test/", nil)
			start := time.Now()
			resp, err := rt.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, _ := io.ReadAll(resp.Body)
			if resp.StatusCode != http.StatusTooManyRequests || string(body) != "slow down" || time.Since(start) != 0 {
				t.Errorf("%d %q after %v, want the refusal at once", resp.StatusCode, body, time.Since(start))
			}
			if resp.Header.Get("Retry-After") != after {
				t.Error("the response does not tell when to come back")
			}
		})
	}
}

func TestWaitsEndBeforeTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := serve(t, refuse(9, http.StatusTooManyRequests, "Retry-After", "5"))
		rt := retrier(t, a.base, origin.RetryOptions{Retries: 9})
		ctx, cancel := context.WithTimeout(t.Context(), 12*time.Second)
		defer cancel()
		status, body, err := get(ctx, rt, "http://api.test/")
		if n := len(a.sent()); status != http.StatusTooManyRequests || body != "slow down" || err != nil || n != 3 {
			t.Errorf("%d %q, %v after %d attempts; want the third refusal", status, body, err, n)
		}

		// A wait that fits goes on where only its jitter does not.
		a = serve(t, refuse(1, http.StatusTooManyRequests, "Retry-After", "5"))
		ctx, cancel = context.WithTimeout(t.Context(), 5*time.Second+time.Nanosecond)
		defer cancel()
		get(ctx, retrier(t, a.base, origin.RetryOptions{}), "http://api.test/")
		if n := len(a.sent()); n != 2 {
			t.Errorf("%d attempts, want 2", n)
		}

		// The same holds for waits that the server has not asked for.
		a = serve(t, refuse(9, http.StatusServiceUnavailable))
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		status, _, err = get(ctx, retrier(t, a.base, origin.RetryOptions{Wait: time.Minute, MaxWait: time.Hour}), "http://api.test/")
		if status != http.StatusServiceUnavailable || err != nil || ctx.Err() != nil {
			t.Errorf("%d, %v; want the refusal at once", status, err)
		}
	})
}

func TestRetrierEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := serve(t, refuse(9, http.StatusServiceUnavailable))
		rt := retrier(t, a.base, origin.RetryOptions{Wait: time.Minute, MaxWait: time.Hour})
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		start := time.Now()
		_, _, err := get(ctx, rt, "http://api.test/")
		if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "status 503") || time.Since(start) != time.Second {
			t.Errorf("error %v after %v, want the context's and the reason of the wait", err, time.Since(start))
		}
		if n := len(a.sent()); n != 1 {
			t.Errorf("%d attempts, want 1", n)
		}

		failing := transport.Doer(broken{errors.New("no route")})
		ctx, cancel = context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		_, _, err = get(ctx, retrier(t, failing, origin.RetryOptions{Wait: time.Minute, MaxWait: time.Hour}), "http://api.test/")
		if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "after an error") {
			t.Errorf("error %v, want the context's and that there was another", err)
		}

		// An attempt that the context has ended is the last.
		hangs := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		b := &counted{RoundTripper: hangs.base}
		ctx, cancel = context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if _, _, err := get(ctx, retrier(t, b, origin.RetryOptions{}), "http://api.test/"); !errors.Is(err, context.Canceled) || b.n.Load() != 1 {
			t.Errorf("error %v after %d attempts, want the context's after 1", err, b.n.Load())
		}
	})
}

func TestOnRetryIsToldBeforeEachWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int64
		a := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			switch n.Add(1) {
			case 1:
				w.Header().Set("Retry-After", "7")
				w.WriteHeader(http.StatusTooManyRequests)
			case 2:
				panic(http.ErrAbortHandler)
			}
		})
		var told []origin.Attempt
		var at []time.Duration
		start := time.Now()
		// The connection is not one that was used before, or net/http would repeat the request.
		a.base.DisableKeepAlives = true
		rt := retrier(t, a.base, origin.RetryOptions{Wait: time.Second, OnRetry: func(attempt origin.Attempt) {
			told, at = append(told, attempt), append(at, time.Since(start))
		}})
		mustGet(t, rt, "http://api.test/v1", http.StatusOK)
		if len(told) != 2 {
			t.Fatalf("told of %d attempts, want 2", len(told))
		}
		sent := a.sent()
		first, second := told[0], told[1]
		if first.Number != 1 || first.Status != http.StatusTooManyRequests || first.Err != nil || first.Wait != sent[1] || at[0] != sent[0] {
			t.Errorf("the first is %+v, told at %v", first, at[0])
		}
		if second.Number != 2 || second.Status != 0 || second.Err == nil || second.Wait != sent[2]-sent[1] || at[1] != sent[1] {
			t.Errorf("the second is %+v, told at %v", second, at[1])
		}
		if first.Request.URL.Path != "/v1" {
			t.Errorf("the request is %v", first.Request.URL)
		}
	})
}

func TestInvalidRetryOptionsAreErrors(t *testing.T) {
	for name, opts := range map[string]*origin.RetryOptions{
		"Retries": {Retries: -2},
		"Wait":    {Wait: -1},
		"MaxWait": {MaxWait: -1},
	} {
		if rt, err := origin.NewRetrier(nil, opts); err == nil || rt != nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	if _, err := origin.NewRetrier(nil, nil); err != nil {
		t.Error(err)
	}
}

// An attempt that succeeds at once costs no more than without a retrier.
func TestSuccessAllocatesNothing(t *testing.T) {
	rt := retrier(t, always{&http.Response{StatusCode: http.StatusOK, Body: http.NoBody}}, origin.RetryOptions{
		Retry: func(_ *http.Response, _ error, usual bool) bool { return usual },
	})
	for name, body := range map[string]io.Reader{"without a body": nil, "with a body": strings.NewReader("text")} {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://api.test/", body)
		if n := testing.AllocsPerRun(100, func() {
			if _, err := rt.RoundTrip(req); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations, want 0", name, n)
		}
	}
}

type always struct{ resp *http.Response }

func (a always) RoundTrip(*http.Request) (*http.Response, error) { return a.resp, nil }
