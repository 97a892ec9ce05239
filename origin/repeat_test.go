package origin_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/endpointcache/endpointcache/origin"
	"github.com/endpointcache/endpointcache/transport"
)

func TestOnlyIdempotentMethodsAreRepeated(t *testing.T) {
	url := newServer(t, refuse(1000, http.StatusServiceUnavailable))
	for method, want := range map[string]int64{
		"": 4, "GET": 4, "HEAD": 4, "OPTIONS": 4, "TRACE": 4, "PUT": 4, "DELETE": 4,
		"POST": 1, "PATCH": 1, "get": 1, "LOCK": 1,
	} {
		for _, anyMethod := range []bool{false, true} {
			b := base(t)
			req, _ := http.NewRequestWithContext(t.Context(), method, url, nil)
			req.Method = method
			resp, err := retrier(t, b, origin.RetryOptions{AnyMethod: anyMethod}).RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if anyMethod {
				want = 4
			}
			if n := b.n.Load(); n != want {
				t.Errorf("%q, AnyMethod %t: %d attempts, want %d", method, anyMethod, n, want)
			}
		}
	}
	b := base(t)
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, url, nil)
	req.Header.Set("Idempotency-Key", "k")
	resp, err := retrier(t, b, origin.RetryOptions{}).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if n := b.n.Load(); n != 4 {
		t.Errorf("a POST with an Idempotency-Key: %d attempts, want 4", n)
	}
}

func TestBodiesAreSentWithEachAttempt(t *testing.T) {
	var mu sync.Mutex
	var got []string
	url := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		got = append(got, string(body))
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	send := func(body io.Reader, change func(*http.Request)) []string {
		got = nil
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPut, url, body)
		req.Header.Set("X-Own", "1")
		change(req)
		before, header, text := *req, req.Header.Clone(), req.URL.String()
		resp, err := retrier(t, base(t), origin.RetryOptions{Retries: 2}).RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.Request != req {
			t.Error("the response is of another request")
		}
		if req.Body != before.Body || req.URL.String() != text || !maps.EqualFunc(req.Header, header, func(a, b []string) bool { return fmt.Sprint(a) == fmt.Sprint(b) }) {
			t.Errorf("the request was changed: %v", req)
		}
		mu.Lock()
		defer mu.Unlock()
		return got
	}
	nothing := func(*http.Request) {}
	if got := send(strings.NewReader("text"), nothing); fmt.Sprint(got) != "[text text text]" {
		t.Errorf("the server got %q", got)
	}
	if got := send(http.NoBody, nothing); len(got) != 3 {
		t.Errorf("without a body %d attempts, want 3", len(got))
	}
	if got := send(io.MultiReader(strings.NewReader("once")), nothing); fmt.Sprint(got) != "[once]" {
		t.Errorf("without GetBody the server got %q", got)
	}
	var failure = errors.New("the file is gone")
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPut, url, strings.NewReader("text"))
	req.GetBody = func() (io.ReadCloser, error) { return nil, failure }
	if _, err := retrier(t, base(t), origin.RetryOptions{}).RoundTrip(req); !errors.Is(err, failure) {
		t.Errorf("error %v, want that of GetBody", err)
	}
}

func TestCertificateErrorsAreFinal(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(ok))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	server.StartTLS()
	t.Cleanup(server.Close)
	for name, trusted := range map[string]*http.Transport{
		"of the server": {},
		"of the client": server.Client().Transport.(*http.Transport),
	} {
		t.Cleanup(trusted.CloseIdleConnections)
		b := &counted{RoundTripper: trusted}
		rt := retrier(t, b, origin.RetryOptions{Retry: func(*http.Response, error, bool) bool {
			t.Errorf("%s: Retry was asked", name)
			return true
		}})
		if _, _, err := get(t.Context(), rt, server.URL); err == nil || !strings.Contains(err.Error(), "certificate") || b.n.Load() != 1 {
			t.Errorf("%s: %v after %d attempts, want 1", name, err, b.n.Load())
		}
	}
}

func TestPermanentErrorsAreFinal(t *testing.T) {
	failure := &net.DNSError{Err: "no such host", IsNotFound: true, IsTimeout: true}
	permanent := fmt.Errorf("lookup: %w", origin.Permanent(failure))
	b := &counted{RoundTripper: transport.Doer(broken{permanent})}
	rt := retrier(t, b, origin.RetryOptions{Retry: func(*http.Response, error, bool) bool { return true }})
	_, _, err := get(t.Context(), rt, "http://api.test/")
	var found *net.DNSError
	if !errors.Is(err, failure) || !errors.As(err, &found) || b.n.Load() != 1 {
		t.Errorf("%v after %d attempts, want 1", err, b.n.Load())
	}
	if err := origin.Permanent(failure); err.Error() != failure.Error() || !err.(interface{ Timeout() bool }).Timeout() {
		t.Errorf("%v is no timeout, or has another text", err)
	}
	if err := origin.Permanent(nil); err != nil {
		t.Errorf("nil is %v", err)
	}
}

// An error that a transport of this package has found in a request is not repeated.
func TestErrorsOfTheTransportAreFinal(t *testing.T) {
	closed := origin.New(nil, &origin.Options{Credentials: &origin.Credentials{Hosts: []string{"localhost"}, Token: origin.Static("t")}})
	closed.Close()
	for name, rt := range map[string]http.RoundTripper{
		"invalid options": origin.New(nil, &origin.Options{Pause: -1}),
		"closed":          closed,
		"cleartext":       origin.New(nil, &origin.Options{Credentials: &origin.Credentials{Hosts: []string{"api.test"}, Token: origin.Static("t")}}),
		"a panic": origin.New(nil, &origin.Options{Credentials: &origin.Credentials{Hosts: []string{"localhost"}, Token: func(context.Context, string) (origin.Token, error) {
			panic("boom")
		}}}),
		"no answer": origin.New(transport.Doer(broken{}), nil),
		"nothing":   transport.Doer(broken{}),
	} {
		b := &counted{RoundTripper: rt}
		url := "http://localhost/"
		if name == "cleartext" {
			url = "http://api.test/"
		}
		if _, _, err := get(t.Context(), retrier(t, b, origin.RetryOptions{}), url); err == nil || b.n.Load() != 1 {
			t.Errorf("%s: %v after %d attempts, want 1", name, err, b.n.Load())
		}
	}
	b := base(t)
	if _, _, err := get(t.Context(), retrier(t, b, origin.RetryOptions{}), "api.test/v1"); err == nil || b.n.Load() != 1 {
		t.Errorf("a URL without a host: %v after %d attempts, want 1", err, b.n.Load())
	}
}

func TestRetryDecidesInsteadOfTheRules(t *testing.T) {
	for name, test := range map[string]struct {
		status int
		retry  func(*http.Response, error, bool) bool
		want   int64
	}{
		"a conflict":     {http.StatusConflict, func(resp *http.Response, _ error, _ bool) bool { return resp.StatusCode == http.StatusConflict }, 3},
		"a good one":     {http.StatusOK, func(*http.Response, error, bool) bool { return true }, 4},
		"an overload":    {http.StatusServiceUnavailable, func(*http.Response, error, bool) bool { return false }, 1},
		"the rules, 503": {http.StatusServiceUnavailable, func(_ *http.Response, _ error, usual bool) bool { return usual }, 3},
		"the rules, 404": {http.StatusNotFound, func(_ *http.Response, _ error, usual bool) bool { return usual }, 1},
	} {
		b := base(t)
		url := newServer(t, refuse(2, test.status))
		resp, err := retrier(t, b, origin.RetryOptions{Retry: test.retry}).RoundTrip(httptest.NewRequest(http.MethodGet, url, nil))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if n := b.n.Load(); n != test.want {
			t.Errorf("%s: %d attempts, want %d", name, n, test.want)
		}
	}
}

func TestPanicOfARetriersFunctionIsAnError(t *testing.T) {
	for name, opts := range map[string]origin.RetryOptions{
		"Retry":   {Retry: func(*http.Response, error, bool) bool { panic("boom") }},
		"OnRetry": {OnRetry: func(origin.Attempt) { panic("boom") }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := serve(t, refuse(1, http.StatusServiceUnavailable))
				polite := origin.New(a.base, &origin.Options{Limits: origin.Limits{InFlight: 1}})
				_, _, err := get(t.Context(), retrier(t, polite, opts), "http://api.test/")
				if err == nil || !strings.Contains(err.Error(), "panic in "+name+": boom") {
					t.Errorf("error %v, want the panic", err)
				}
				mustGet(t, polite, "http://api.test/", http.StatusOK) // no connection was left open
				wantIdle(t, polite)
			})
		})
	}
	broken := errors.New("broken")
	_, err := retrier(t, nil, origin.RetryOptions{Retry: func(*http.Response, error, bool) bool { panic("boom") }}).
		Do(&http.Request{URL: &url.URL{Host: "api.test"}}, func(*http.Request) (*http.Response, error) { return nil, broken })
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), "panic in Retry: boom") {
		t.Errorf("error %v, want that of the attempt and the panic", err)
	}
}

// dials is a base that counts its connections.
func dials(t *testing.T) (*http.Transport, *atomic.Int64) {
	n := new(atomic.Int64)
	b := &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		n.Add(1)
		return (&net.Dialer{}).DialContext(ctx, network, addr)
	}}
	t.Cleanup(b.CloseIdleConnections)
	return b, n
}

func TestConnectionsOfRefusedAttemptsAreUsedAgain(t *testing.T) {
	url := newServer(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		w.Write(bytes.Repeat([]byte("x"), 50_000))
	})
	b, n := dials(t)
	mustGet(t, retrier(t, b, origin.RetryOptions{Retries: 20}), url, http.StatusServiceUnavailable)
	if n.Load() > 5 { // 21 would be one for each; a busy machine may be too slow for some
		t.Errorf("%d connections for 21 attempts, want 1", n.Load())
	}
}

// A body that is large, or does not end, is not worth the wait.
func TestEndlessBodiesOfRefusedAttemptsAreClosed(t *testing.T) {
	for name, write := range map[string]func(http.ResponseWriter, *http.Request){
		"large": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000000000")
			w.WriteHeader(http.StatusServiceUnavailable)
		},
		"endless": func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusServiceUnavailable)
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 10_000)); err != nil {
					return
				}
			}
		},
		"silent": func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusServiceUnavailable)
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		},
	} {
		t.Run(name, func(t *testing.T) {
			var asked atomic.Int64
			url := newServer(t, func(w http.ResponseWriter, r *http.Request) {
				if asked.Add(1) == 1 {
					write(w, r)
					return
				}
				ok(w, r)
			})
			b, n := dials(t)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			status, body, err := get(ctx, retrier(t, b, origin.RetryOptions{}), url)
			if status != http.StatusOK || body != "fine" || err != nil || n.Load() != 2 {
				t.Errorf("%d %q, %v with %d connections; want the second answer with 2", status, body, err, n.Load())
			}
		})
	}
}

// brittle is a body that fails to be closed, in a goroutine that is not the caller's.
type brittle struct{ closing chan struct{} }

func (b brittle) Read([]byte) (int, error) {
	<-b.closing
	return 0, io.EOF
}

func (b brittle) Close() error {
	select {
	case <-b.closing:
		return nil
	default:
	}
	close(b.closing)
	panic("boom")
}

func TestPanicOfABodyThatIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		body, err := retrier(t, nil, origin.RetryOptions{}).Do(httptest.NewRequest(http.MethodGet, "http://api.test/", nil), func(*http.Request) (*http.Response, error) {
			if n++; n == 1 {
				return &http.Response{StatusCode: http.StatusServiceUnavailable, Body: brittle{make(chan struct{})}}, nil
			}
			return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
		})
		if err != nil || body.StatusCode != http.StatusOK {
			t.Errorf("%v, %v", body, err)
		}
	})
}

// Each attempt keeps to the limits and pauses of the transport below.
func TestRetrierOverATransport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refused := refuse(3, http.StatusForbidden, "Retry-After", "10")
		a := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "Bearer t" {
				t.Error("an attempt has no credentials")
			}
			time.Sleep(10 * time.Millisecond)
			refused(w, r)
		})
		polite := origin.New(a.base, &origin.Options{
			Limits:      origin.Limits{InFlight: 3},
			Credentials: &origin.Credentials{Hosts: []string{"localhost"}, Token: origin.Static("t")},
		})
		defer polite.Close()
		if got := all(t, 20, retrier(t, polite, origin.RetryOptions{}), here); got[http.StatusOK] != 20 {
			t.Errorf("statuses %v, want 20 that are good", got)
		}
		if a.most > 3 {
			t.Errorf("%d attempts at once, want 3 at most", a.most)
		}
		for i, at := range a.sent() {
			if i >= 3 && at < 10*time.Second {
				t.Errorf("attempt %d was sent after %v, in the pause", i, at)
			}
		}
		if n := polite.Stats().Requests; n != 23 {
			t.Errorf("%d requests, want 23", n)
		}
		wantIdle(t, polite)
	})
}

func TestManyUseOneRetrier(t *testing.T) {
	var n atomic.Int64
	url := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1)%3 != 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		ok(w, r)
	})
	client := &http.Client{Transport: retrier(t, base(t), origin.RetryOptions{Retries: 200})}
	defer client.CloseIdleConnections()
	if got := all(t, 50, client.Transport, url); got[http.StatusOK] != 50 {
		t.Errorf("statuses %v", got)
	}
}
