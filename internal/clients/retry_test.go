package clients_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-resty/resty/v2"
	"github.com/hashicorp/go-retryablehttp"
)

// flaky is an API that refuses what is asked for the first times.
type flaky struct {
	arrived chan struct{} // a request whose caller is to go

	mu    sync.Mutex
	asked map[string]int
	jobs  []string
}

// refuses reports whether a request is one of the first n of its kind.
func (f *flaky) refuses(w http.ResponseWriter, kind string, n int) bool {
	f.asked[kind]++
	if f.asked[kind] > n {
		return false
	}
	w.Header().Del("Cache-Control")
	w.Header().Set("Retry-After", "0")
	w.WriteHeader(http.StatusServiceUnavailable)
	fmt.Fprint(w, "not now: ", kind)
	return true
}

func (f *flaky) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/stuck") {
		f.mu.Lock()
		f.asked[r.URL.Path]++
		first := f.asked[r.URL.Path] == 1
		f.mu.Unlock()
		switch {
		case r.URL.Path == "/stuck/always":
			<-r.Context().Done()
			return
		case first:
			f.arrived <- struct{}{}
			<-r.Context().Done()
			return
		}
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	w.Header().Set("Cache-Control", "max-age=60")
	switch {
	case r.URL.Path == "/down" && f.refuses(w, r.URL.Path, 1<<20):
	case r.URL.Path == "/songs" && f.refuses(w, r.URL.Path, 2):
	case r.URL.Path != "/jobs":
		fmt.Fprint(w, "here is ", r.URL.Path)
	case r.Method == http.MethodGet:
		fmt.Fprintf(w, "%q", f.jobs)
	case f.refuses(w, "POST "+string(body), 1):
	default:
		f.jobs = append(f.jobs, string(body))
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, "job %d: %s", len(f.jobs), body)
	}
}

// sender sends a request until it is accepted, and gives up after some attempts.
type sender interface {
	send(ctx context.Context, method, path, body string) (status int, answer string, err error)
}

type restySender struct{ *resty.Client }

func newResty(via http.RoundTripper, timeout time.Duration) sender {
	client := resty.New().SetBaseURL("http://" + host).SetTransport(via).SetTimeout(timeout).SetLogger(silent{}).
		SetRetryCount(3).SetRetryWaitTime(time.Millisecond).SetRetryMaxWaitTime(2 * time.Millisecond)
	return restySender{client.AddRetryCondition(func(resp *resty.Response, err error) bool {
		return err == nil && resp.StatusCode() == http.StatusServiceUnavailable
	})}
}

func (c restySender) send(ctx context.Context, method, path, body string) (int, string, error) {
	req := c.R().SetContext(ctx)
	if body != "" {
		req.SetBody(body)
	}
	resp, err := req.Execute(method, path)
	if err != nil {
		return 0, "", err
	}
	return resp.StatusCode(), resp.String(), nil
}

type silent struct{}

func (silent) Errorf(string, ...any) {}
func (silent) Warnf(string, ...any)  {}
func (silent) Debugf(string, ...any) {}

type retryableSender struct{ *retryablehttp.Client }

func newRetryable(via http.RoundTripper, timeout time.Duration) sender {
	client := retryablehttp.NewClient()
	client.Logger, client.RetryMax, client.RetryWaitMin, client.RetryWaitMax = nil, 3, time.Millisecond, 2*time.Millisecond
	client.HTTPClient = &http.Client{Transport: via, Timeout: timeout}
	client.ErrorHandler = retryablehttp.PassthroughErrorHandler
	client.CheckRetry = func(ctx context.Context, resp *http.Response, err error) (bool, error) {
		if err != nil {
			return false, err
		}
		return retryablehttp.DefaultRetryPolicy(ctx, resp, err)
	}
	return retryableSender{client}
}

func (c retryableSender) send(ctx context.Context, method, path, body string) (int, string, error) {
	req, err := retryablehttp.NewRequestWithContext(ctx, method, "http://"+host+path, []byte(body))
	if err != nil {
		return 0, "", err
	}
	resp, err := c.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(answer), err
}

// insist sends what is refused at first, what is always, and what takes too long.
func insist(t testing.TB, n int, arrived chan struct{}, open func(timeout time.Duration) sender) (read []any) {
	t.Helper()
	c := open(time.Minute)
	send := func(ctx context.Context, c sender, method, path, body string) {
		status, answer, err := c.send(ctx, method, path, body)
		var failure net.Error
		read = append(read, status, answer, err != nil, errors.As(err, &failure) && failure.Timeout(), errors.Is(err, context.Canceled))
	}
	for i := range 2 {
		send(t.Context(), c, "GET", "/songs", "")
		send(t.Context(), c, "GET", "/down", "")
		send(t.Context(), c, "GET", "/jobs", "")
		send(t.Context(), c, "POST", "/jobs", fmt.Sprintf("job %d of pass %d", i, n))
		send(t.Context(), c, "GET", "/jobs", "")
	}
	// The caller goes when the API has the request, and comes back.
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		<-arrived
		cancel()
	}()
	gone := fmt.Sprintf("/stuck/%d", n)
	send(ctx, c, "GET", gone, "")
	for range 2 {
		send(t.Context(), c, "GET", gone, "")
	}
	// It takes longer than the client waits.
	send(t.Context(), open(50*time.Millisecond), "GET", "/stuck/always", "")
	return read
}

func TestRetries(t *testing.T) {
	for name, open := range map[string]func(http.RoundTripper, time.Duration) sender{
		"resty": newResty, "retryablehttp": newRetryable,
	} {
		t.Run(name, func(t *testing.T) {
			arrived := make(chan struct{})
			want := asked{cold: reached{21, 0}, warm: reached{17, 0}, expired: reached{19, 0}}
			(&scene{
				origin: func() http.Handler { return &flaky{arrived: arrived, asked: make(map[string]int)} },
				client: func(t testing.TB, n int, via http.RoundTripper) any {
					return insist(t, n, arrived, func(timeout time.Duration) sender { return open(via, timeout) })
				},
				policy: want, control: want,
			}).compare(t)
		})
	}
}
