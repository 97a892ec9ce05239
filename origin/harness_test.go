package origin_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/endpointcache/endpointcache/origin"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// api is an HTTP server that is reached through pipes in memory, whatever host is
// asked for, so that in a bubble of synctest time passes only while all wait.
type api struct {
	t    *testing.T
	base *http.Transport

	mu      sync.Mutex
	times   []time.Duration // of the requests, since the start
	running int
	most    int // running at once
}

func serve(t *testing.T, handler http.HandlerFunc) *api {
	a := &api{t: t}
	start := time.Now()
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		a.times = append(a.times, time.Since(start))
		a.running++
		a.most = max(a.most, a.running)
		a.mu.Unlock()
		defer func() {
			a.mu.Lock()
			a.running--
			a.mu.Unlock()
		}()
		handler(w, r)
	})}
	l := &listener{conns: make(chan net.Conn), closed: make(chan struct{})}
	go server.Serve(l)
	a.base = &http.Transport{DialContext: l.dial, MaxIdleConnsPerHost: 100}
	t.Cleanup(func() {
		a.base.CloseIdleConnections()
		server.Close()
	})
	return a
}

// sent are the times at which requests reached the server.
func (a *api) sent() []time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]time.Duration(nil), a.times...)
}

type listener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *listener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case l.conns <- server:
		return client, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *listener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

// get makes a request and reads the answer.
func get(ctx context.Context, rt http.RoundTripper, url string) (status int, body string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	resp, err := rt.RoundTrip(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(data), err
}

// mustGet ends the test where there is no answer of that status.
func mustGet(t *testing.T, rt http.RoundTripper, url string, want int) string {
	t.Helper()
	status, body, err := get(t.Context(), rt, url)
	if err != nil || status != want {
		t.Fatalf("status %d, error %v; want status %d", status, err, want)
	}
	return body
}

// all makes n requests at once and waits for their answers.
func all(t *testing.T, n int, rt http.RoundTripper, url string) (statuses map[int]int) {
	t.Helper()
	var mu sync.Mutex
	var wg sync.WaitGroup
	statuses = map[int]int{}
	for range n {
		wg.Go(func() {
			status, _, err := get(t.Context(), rt, url)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			statuses[status]++
		})
	}
	wg.Wait()
	return statuses
}

// wantIdle checks that no request has left anything behind.
func wantIdle(t *testing.T, rt *origin.Transport) {
	t.Helper()
	if s := rt.Stats(); s.Waiting != 0 || s.InFlight != 0 {
		t.Errorf("%d requests wait and %d are in flight, though all have ended", s.Waiting, s.InFlight)
	}
}
