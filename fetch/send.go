package fetch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-resty/resty/v2"
)

// sender is what clients share that differ in their budget.
type sender struct {
	base       *url.URL
	client     *resty.Client
	getBody    *resty.Client // for the body of a GET, which client does not send
	retries    int
	conditions []resty.RetryConditionFunc
	backoff    []resty.Option
	timeout    time.Duration // of an attempt; 0: none
	offline    bool          // nothing is sent
	closing    closing

	closeTransport func()
}

// sending is a request that is made until there is an answer.
type sending struct {
	*Client
	req      *http.Request
	body     []byte
	inFlight *atomic.Int64
	requests *atomic.Int64
	slots    chan struct{} // see [Source.Limit]

	failures  int  // that were worth another attempt
	exhausted bool // and there was no retry left for one
}

// do makes the request, as often as it takes, and returns the response of status
// 200, with its body read.
func (s *sending) do(ctx context.Context) (*resty.Response, error) {
	var err error
	if s.body, err = readBody(s.req); err != nil {
		return nil, fmt.Errorf("fetch: read the request's body: %w", err)
	}
	if s.offline {
		return nil, fmt.Errorf("fetch: %s: %w", s, ErrOffline)
	}
	var resp *resty.Response
	err = resty.Backoff(func() (*resty.Response, error) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		var err error
		resp, err = s.attempt(ctx)
		return resp, err
	}, append(s.backoff[:len(s.backoff):len(s.backoff)], resty.RetryConditions([]resty.RetryConditionFunc{s.again}))...)
	err = s.describe(resp, err)
	if err != nil && s.exhausted {
		err = fmt.Errorf("%w: %w", err, ErrRetryBudget)
	}
	return resp, err
}

// again decides about another attempt, for which it takes a retry from the budget.
// After the last one it only says whether the client's hooks are to be told.
func (s *sending) again(resp *resty.Response, err error) bool {
	var permanent *permanentError
	if errors.As(err, &permanent) {
		return false
	}
	transient := false
	for _, condition := range s.conditions {
		transient = transient || condition(resp, err)
	}
	if !transient {
		return false
	}
	s.failures++
	s.exhausted = s.failures <= s.retries && !s.budget.take()
	return !s.exhausted
}

// attempt makes the request once, with one of resty of its own: resty takes back
// the buffers of one that was executed.
func (s *sending) attempt(ctx context.Context) (*resty.Response, error) {
	client, method := s.client, s.method()
	if method == http.MethodGet && len(s.body) > 0 {
		client = s.getBody
	}
	if s.slots != nil {
		select {
		case s.slots <- struct{}{}:
			defer func() { <-s.slots }()
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	timed, stop := withTimeout(ctx, s.timeout)
	defer stop()
	r := client.R().SetContext(timed)
	maps.Copy(r.Header, s.req.Header)
	if s.req.Host != "" && s.req.Host != s.req.URL.Host {
		r.Header.Set("Host", s.req.Host)
	}
	if len(s.body) > 0 {
		r.SetBody(s.body)
	}
	s.requests.Add(1)
	s.inFlight.Add(1)
	defer s.inFlight.Add(-1)
	resp, err := r.Execute(method, s.req.URL.String())
	r.SetContext(ctx) // resty asks it whether to go on
	switch {
	case err == nil:
		err = checkWhole(resp)
	case ctx.Err() == nil && timed.Err() != nil:
		err = context.Cause(timed)
	}
	return resp, err
}

// withTimeout returns a context that ends when d has passed since an [http.Transport]
// was last given a request with it. So what waits above that has the time it needs.
func withTimeout(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if d == 0 {
		return ctx, func() {}
	}
	timed, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(math.MaxInt64, func() {
		cancel(fmt.Errorf("no answer within %v: %w", d, os.ErrDeadlineExceeded))
	})
	timed = httptrace.WithClientTrace(timed, &httptrace.ClientTrace{GetConn: func(string) { timer.Reset(d) }})
	return timed, func() {
		timer.Stop()
		cancel(nil)
	}
}

func (s *sending) method() string { return cmp.Or(s.req.Method, http.MethodGet) }

// describe is the error of a request whose attempts ended so, nil where it has a
// response of status 200.
func (s *sending) describe(resp *resty.Response, err error) error {
	isOK := resp != nil && resp.StatusCode() == http.StatusOK
	if err == nil && isOK {
		return nil
	}
	err = withoutURL(err)
	if resp != nil && resp.RawResponse != nil && !isOK {
		return &StatusError{Code: resp.StatusCode(), Method: resp.Request.Method, URL: withoutSecrets(s.req.URL), Err: err}
	}
	return &RequestError{Method: s.method(), URL: withoutSecrets(s.req.URL), Err: err}
}

// String is the request as errors have it, without what may be secret.
func (s *sending) String() string { return s.method() + " " + withoutSecrets(s.req.URL) }

func readBody(req *http.Request) ([]byte, error) {
	if req.Body == nil || req.Body == http.NoBody {
		return nil, nil
	}
	body, err := io.ReadAll(req.Body)
	if len(body) > 0 && (req.Method == http.MethodHead || req.Method == http.MethodOptions) {
		err = fmt.Errorf("resty sends none with %s", req.Method)
	}
	return body, errors.Join(err, req.Body.Close())
}

// checkWhole finds what net/http does itself, but other transports may not.
func checkWhole(resp *resty.Response) error {
	raw := resp.RawResponse
	switch {
	case resp.Body() == nil:
		// A middleware had resty leave it alone.
		raw.Body.Close()
		return errors.New("the client does not read the body of the response")
	case raw.ContentLength < 0, resp.Size() == raw.ContentLength, resp.Request.Method == http.MethodHead, isUnpacked(raw):
		return nil
	}
	return fmt.Errorf("%w: %d bytes of %d", io.ErrUnexpectedEOF, resp.Size(), raw.ContentLength)
}

// isUnpacked tells whether resty has unpacked the body and left the headers as
// they were. Transports that unpack remove the header.
func isUnpacked(raw *http.Response) bool {
	return strings.EqualFold(raw.Header.Get("Content-Encoding"), "gzip") && raw.ContentLength != 0
}
