package fetch_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/endpointcache/endpointcache/fetch"
	polite "github.com/endpointcache/endpointcache/origin"
)

func TestRetriesUntilItSucceeds(t *testing.T) {
	for name, fail := range map[string]http.HandlerFunc{
		"429":     status(http.StatusTooManyRequests),
		"500":     status(http.StatusInternalServerError),
		"503":     status(http.StatusServiceUnavailable),
		"520":     status(520),
		"reset":   func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"short":   cutShort,
		"chunked": cutChunked,
		"gzip":    cutGzip,
		"gzip, broken": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			io.WriteString(w, "{}")
		},
	} {
		t.Run(name, func(t *testing.T) {
			var attempts atomic.Int32
			server := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
				if attempts.Add(1) < 3 {
					fail(w, r)
					return
				}
				serve(w, r)
			})
			a := ask(t, byID, fetch.Options{BaseURL: server.URL, Retry: retries(2)}, "a")[0]
			if a.Err != nil || attempts.Load() != 3 || string(a.Entry.Payload) != trackBody("a") {
				t.Errorf("after %d attempts: %q, %v", attempts.Load(), a.Entry.Payload, a.Err)
			}
		})
	}
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		io.WriteString(w, trackBody("error"))
	}
}

// The bodies would be JSON, if they were whole.
func cutShort(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Length", "1000")
	serve(w, r)
}

func cutChunked(w http.ResponseWriter, r *http.Request) {
	serve(w, r)
	w.(http.Flusher).Flush()
	panic(http.ErrAbortHandler)
}

func cutGzip(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Encoding", "gzip")
	zipped := zip(trackBody("a"))
	w.Write(zipped[:len(zipped)-8])
}

func zip(text string) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	io.WriteString(w, text)
	w.Close()
	return b.Bytes()
}

func TestCutBodiesAreNoAnswers(t *testing.T) {
	for name, cut := range map[string]http.HandlerFunc{"short": cutShort, "chunked": cutChunked, "gzip": cutGzip} {
		t.Run(name, func(t *testing.T) {
			server := newOrigin(t, cut)
			for _, a := range ask(t, byID, fetch.Options{BaseURL: server.URL, Retry: retries(1)}, "a", "b") {
				if !errors.Is(a.Err, io.ErrUnexpectedEOF) {
					t.Error(a.Err)
				}
			}
			if n := server.total(); n != 4 {
				t.Errorf("%d attempts, want 4", n)
			}
		})
	}
}

// short is a transport that does not notice when a body is cut short.
type short struct{}

func (short) RoundTrip(req *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: 200, Header: http.Header{}, Request: req,
		ContentLength: 1000, Body: io.NopCloser(strings.NewReader("{}")),
	}, nil
}

func TestCutBodyThatTheTransportDoesNotNotice(t *testing.T) {
	source := sourceOf(t, clientOf(t, fetch.Options{BaseURL: "http://localhost", Client: &http.Client{Transport: short{}}}), plain(byID))
	a := answers(t, source, "a")[0]
	if !errors.Is(a.Err, io.ErrUnexpectedEOF) || source.Requests() != 4 {
		t.Errorf("after %d requests: %v", source.Requests(), a.Err)
	}
}

func TestRetriesAreExhausted(t *testing.T) {
	server := newOrigin(t, status(http.StatusBadGateway))
	for _, test := range []struct{ retries, want int }{{0, 4}, {1, 2}, {polite.NoRetries, 1}} {
		before := server.total()
		a := ask(t, byID, fetch.Options{BaseURL: server.URL, Retry: retries(test.retries)}, "a")[0]
		var err *fetch.StatusError
		if !errors.As(a.Err, &err) || err.Code != 502 {
			t.Error(a.Err)
		}
		if got := server.total() - before; got != test.want {
			t.Errorf("Retries %d: %d attempts, want %d", test.retries, got, test.want)
		}
	}
}

func TestSomeFailuresAreFinal(t *testing.T) {
	for _, code := range []int{204, 205, 206, 304, 400, 401, 403, 404, 410, 501, 505} {
		server := newOrigin(t, status(code))
		a := ask(t, byID, fetch.Options{BaseURL: server.URL}, "a")[0]
		var err *fetch.StatusError
		if !errors.As(a.Err, &err) || err.Code != code || server.total() != 1 {
			t.Errorf("%d: %v after %d requests", code, a.Err, server.total())
		}
		if isAbsent := code == 404 || code == 410; errors.Is(a.Err, fetch.ErrAbsent) != isAbsent {
			t.Errorf("%d: it is absent: %t", code, !isAbsent)
		}
	}
}

func TestConnectionRefused(t *testing.T) {
	server := newOrigin(t, nil)
	server.Close()
	for _, a := range ask(t, byID, fetch.Options{BaseURL: server.URL}, "a", "b") {
		if a.Err == nil {
			t.Error("there is an answer")
		}
	}
}

// The budget is that of the context, for all requests that are made with it.
func TestRetryBudget(t *testing.T) {
	server := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "broken") {
			panic(http.ErrAbortHandler)
		}
		status(http.StatusServiceUnavailable)(w, r)
	})
	source := sourceOf(t, clientOf(t, fetch.Options{BaseURL: server.URL, Retry: retries(2)}), plain(byID))
	for _, test := range []struct {
		budget, want int // requests for 5 keys
	}{{0, 5}, {1, 6}, {4, 9}, {5, 10}, {9, 14}, {10, 15}, {99, 15}, {-1, 5}} {
		before := server.total()
		ctx := polite.WithRetryBudget(t.Context(), polite.NewRetryBudget(test.budget))
		for _, key := range []string{"a", "b", "c", "d", "e"} {
			source.Fetch(ctx, []string{key}, func(_ int, a fetch.Answer) {
				var status *fetch.StatusError
				if !errors.As(a.Err, &status) || status.Code != 503 {
					t.Error(a.Err)
				}
			})
		}
		if got := server.total() - before; got != test.want {
			t.Errorf("budget %d: %d requests, want %d", test.budget, got, test.want)
		}
	}
	for budget, exhausted := range map[int]bool{0: true, 1: true, 2: false} {
		ctx := polite.WithRetryBudget(t.Context(), polite.NewRetryBudget(budget))
		source.Fetch(ctx, []string{"broken"}, func(_ int, a fetch.Answer) {
			var failed *fetch.RequestError
			if !errors.As(a.Err, &failed) || errors.Is(a.Err, polite.ErrRetryBudget) != exhausted || strings.Contains(a.Err.Error(), "http://localhost") {
				t.Errorf("budget %d: %v", budget, a.Err)
			}
		})
	}
}

// The options may want to have repeated what is an answer after all.
func TestRetryOfAnAnswer(t *testing.T) {
	server := newOrigin(t, nil)
	retry := retries(3)
	retry.Retry = func(resp *http.Response, err error, usual bool) bool { return true }
	if a := ask(t, byID, fetch.Options{BaseURL: server.URL, Retry: retry}, "a")[0]; a.Err != nil || server.total() != 4 {
		t.Errorf("%v after %d requests", a.Err, server.total())
	}
}

func TestRetryAfterIsWaitedFor(t *testing.T) {
	server := newOrigin(t, failOnce(func(h http.Header) { h.Set("Retry-After", "1") }))
	start := time.Now()
	if a := ask(t, byID, fetch.Options{BaseURL: server.URL}, "a")[0]; a.Err != nil {
		t.Error(a.Err)
	}
	if d := time.Since(start); d < time.Second {
		t.Errorf("it took %v", d)
	}
}

// A wait that is too long is the caller's.
func TestRetryAfterIsTold(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for name, test := range map[string]struct {
		set  func(http.Header)
		want time.Duration
	}{
		"seconds": {func(h http.Header) { h.Set("Retry-After", "3600") }, time.Hour},
		"date": {func(h http.Header) { // on a clock that is years off
			h.Set("Date", at.Format(http.TimeFormat))
			h.Set("Retry-After", at.Add(time.Minute).Format(http.TimeFormat))
		}, time.Minute},
	} {
		for _, keys := range [][]string{{"a"}, {"a", "b"}} {
			server := newOrigin(t, failOnce(test.set))
			source := sourceOf(t, clientOf(t, fetch.Options{BaseURL: server.URL}), settingsOf(byID, batchOf(5)))
			for _, a := range answers(t, source, keys...) {
				var err *fetch.StatusError
				if !errors.As(a.Err, &err) || err.Code != 503 || err.RetryAfter != test.want || server.total() != 1 {
					t.Errorf("%s, %v, after %d requests: %v", name, keys, server.total(), a.Err)
				}
			}
		}
	}
	server := newOrigin(t, status(http.StatusNotFound))
	var err *fetch.StatusError
	if a := ask(t, byID, fetch.Options{BaseURL: server.URL}, "a")[0]; !errors.As(a.Err, &err) || err.RetryAfter != 0 {
		t.Errorf("%v, again after %v", a.Err, err.RetryAfter)
	}
}

func failOnce(set func(http.Header)) http.HandlerFunc {
	var served atomic.Bool
	return func(w http.ResponseWriter, r *http.Request) {
		if served.Swap(true) {
			serve(w, r)
			return
		}
		set(w.Header())
		w.WriteHeader(http.StatusServiceUnavailable)
	}
}

func TestConnectionsAreUsedAgain(t *testing.T) {
	// Every second request fails, with a body that nobody asked for.
	var n atomic.Int32
	server := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1)%2 == 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
			io.WriteString(w, strings.Repeat("x", 100_000))
			return
		}
		serve(w, r)
	})
	var dials atomic.Int32
	client := quick(t)
	transport := client.Transport.(*http.Transport)
	dial := http.DefaultTransport.(*http.Transport).DialContext
	transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		dials.Add(1)
		return dial(ctx, network, addr)
	}
	for _, a := range ask(t, byID, fetch.Options{BaseURL: server.URL, Client: client, Retry: retries(20)}, numbered(50)...) {
		if a.Err != nil {
			t.Error(a.Err)
		}
	}
	if dials.Load() > 5 { // 50 would be one for each failure
		t.Errorf("%d connections", dials.Load())
	}
}

func TestTimeoutOfAnAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := nearOrigin(serve)
		client := does(func(req *http.Request) (*http.Response, error) {
			resp, err := o.Do(req)
			switch ctx := req.Context(); o.total() {
			case 1: // no answer
				<-ctx.Done()
				return nil, ctx.Err()
			case 2: // half of one
				half := io.LimitReader(resp.Body, 10)
				resp.ContentLength, resp.Body = -1, io.NopCloser(io.MultiReader(half, endless{ctx}))
			}
			return resp, err
		})
		begun := time.Now()
		opts := fetch.Options{BaseURL: "http://localhost", Client: client, Timeout: 50 * time.Millisecond}
		if a := ask(t, byID, opts, "a")[0]; a.Err != nil || o.total() != 3 || time.Since(begun) < 100*time.Millisecond {
			t.Errorf("after %d attempts, %v: %v", o.total(), time.Since(begun), a.Err)
		}
		o.requests = nil
		opts.Retry = retries(polite.NoRetries)
		a := ask(t, byID, opts, "a")[0]
		if a.Err == nil || !strings.Contains(a.Err.Error(), "no answer within 50ms") {
			t.Error(a.Err)
		}
	})
}

// endless is a body that comes to no end while its request is not given up.
type endless struct{ ctx context.Context }

func (e endless) Read([]byte) (int, error) {
	<-e.ctx.Done()
	return 0, e.ctx.Err()
}
