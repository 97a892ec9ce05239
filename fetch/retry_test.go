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
	"time"

	"github.com/go-resty/resty/v2"

	"github.com/endpointcache/endpointcache/fetch"
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
			a := ask(t, byID, fetch.Options{BaseURL: server.URL, Retries: 2}, "a")[0]
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
			for _, a := range ask(t, byID, fetch.Options{BaseURL: server.URL, Retries: 1}, "a", "b") {
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
	client := resty.New().SetTransport(short{}).SetRetryWaitTime(time.Millisecond)
	a := ask(t, byID, fetch.Options{BaseURL: "http://localhost", Client: client}, "a")[0]
	if !errors.Is(a.Err, io.ErrUnexpectedEOF) {
		t.Error(a.Err)
	}
}

func TestRetriesAreExhausted(t *testing.T) {
	server := newOrigin(t, status(http.StatusBadGateway))
	for _, test := range []struct{ retries, want int }{{0, 4}, {1, 2}, {fetch.NoRetries, 1}} {
		before := server.total()
		a := ask(t, byID, fetch.Options{BaseURL: server.URL, Retries: test.retries}, "a")[0]
		var err *fetch.StatusError
		if !errors.As(a.Err, &err) || err.Code != 502 || errors.Is(a.Err, fetch.ErrRetryBudget) {
			t.Error(a.Err)
		}
		if got := server.total() - before; got != test.want {
			t.Errorf("Retries %d: %d attempts, want %d", test.retries, got, test.want)
		}
	}
}

func TestSomeFailuresAreFinal(t *testing.T) {
	for _, code := range []int{201, 203, 204, 206, 304, 400, 401, 403, 404, 410, 501, 505} {
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

func TestRetryBudget(t *testing.T) {
	server := newOrigin(t, status(http.StatusServiceUnavailable))
	client := clientOf(t, fetch.Options{BaseURL: server.URL, Retries: 2})
	for _, test := range []struct {
		budget, want int // requests for 5 keys
		final        int // keys with the error
	}{{0, 5, 5}, {1, 6, 5}, {4, 9, 3}, {5, 10, 3}, {9, 14, 1}, {10, 15, 0}, {-1, 5, 5}} {
		before, final := server.total(), 0
		source := sourceOf(t, client.WithRetryBudget(test.budget), plain(byID))
		for _, a := range answers(t, source, "a", "b", "c", "d", "e") {
			var status *fetch.StatusError
			if !errors.As(a.Err, &status) || status.Code != 503 {
				t.Error(a.Err)
			}
			if errors.Is(a.Err, fetch.ErrRetryBudget) {
				final++
			}
		}
		if got := server.total() - before; got != test.want || final != test.final {
			t.Errorf("budget %d: %d requests, and %d keys failed for it; want %d and %d", test.budget, got, final, test.want, test.final)
		}
	}
	if got := len(answers(t, sourceOf(t, client, plain(byID)), "a")); got != 1 || server.total() != 5+6+9+10+14+15+5+3 {
		t.Error("the budget is that of the client it was made of, too")
	}
}

// A condition of the client may want what is an answer after all.
func TestRetryOfAnAnswer(t *testing.T) {
	server := newOrigin(t, nil)
	client := clientOf(t, fetch.Options{BaseURL: server.URL, Client: quick(t).
		AddRetryCondition(func(resp *resty.Response, _ error) bool { return resp.StatusCode() == http.StatusOK })})
	for budget, requests := range map[int]int{0: 1, 2: 3, 9: 4} {
		before := server.total()
		a := answers(t, sourceOf(t, client.WithRetryBudget(budget), plain(byID)), "a")[0]
		if n := server.total() - before; a.Err != nil || n != requests {
			t.Errorf("budget %d: %v after %d requests", budget, a.Err, n)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	elapsed := func(t *testing.T, opts fetch.Options, set func(http.Header)) time.Duration {
		server := newOrigin(t, failOnce(set))
		opts.BaseURL = server.URL
		start := time.Now()
		if a := ask(t, byID, opts, "a")[0]; a.Err != nil {
			t.Error(a.Err)
		}
		return time.Since(start)
	}
	for name, set := range map[string]func(http.Header){
		"seconds": func(h http.Header) { h.Set("Retry-After", "1") },
		"date": func(h http.Header) { // on a clock that is years off
			h.Set("Date", at.Format(http.TimeFormat))
			h.Set("Retry-After", at.Add(time.Second).Format(http.TimeFormat))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if d := elapsed(t, fetch.Options{}, set); d < time.Second || d > 5*time.Second {
				t.Errorf("it took %v", d)
			}
		})
	}
	for name, set := range map[string]func(http.Header){
		"long":      func(h http.Header) { h.Set("Retry-After", "3600") },
		"very long": func(h http.Header) { h.Set("Retry-After", "99999999999") },
		"past":      func(h http.Header) { h.Set("Retry-After", time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat)) },
		"negative":  func(h http.Header) { h.Set("Retry-After", "-5") },
		"nonsense":  func(h http.Header) { h.Set("Retry-After", "soon") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if d := elapsed(t, fetch.Options{MaxRetryWait: 50 * time.Millisecond}, set); d > 2*time.Second {
				t.Errorf("it took %v", d)
			}
		})
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
	transport := client.GetClient().Transport.(*http.Transport)
	dial := http.DefaultTransport.(*http.Transport).DialContext
	transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		dials.Add(1)
		return dial(ctx, network, addr)
	}
	for _, a := range ask(t, byID, fetch.Options{BaseURL: server.URL, Client: client, Retries: 20}, numbered(50)...) {
		if a.Err != nil {
			t.Error(a.Err)
		}
	}
	if dials.Load() > 5 { // 50 would be one for each failure
		t.Errorf("%d connections", dials.Load())
	}
}

func TestTimeoutOfAnAttempt(t *testing.T) {
	var served atomic.Int32
	release := make(chan struct{})
	defer close(release)
	server := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		switch served.Add(1) {
		case 1: // no answer
			<-release
		case 2: // half of one
			w.Header().Set("Content-Length", "1000")
			serve(w, r)
			w.(http.Flusher).Flush()
			<-release
		default:
			serve(w, r)
		}
	})
	a := ask(t, byID, fetch.Options{BaseURL: server.URL, Timeout: 50 * time.Millisecond}, "a")[0]
	if a.Err != nil || served.Load() != 3 {
		t.Errorf("after %d attempts: %v", served.Load(), a.Err)
	}
	served.Store(0)
	a = ask(t, byID, fetch.Options{BaseURL: server.URL, Timeout: 50 * time.Millisecond, Retries: fetch.NoRetries}, "a")[0]
	if a.Err == nil || !strings.Contains(a.Err.Error(), "no answer within 50ms") {
		t.Error(a.Err)
	}
}
