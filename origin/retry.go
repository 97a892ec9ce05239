package origin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// NoRetries is the value of [RetryOptions.Retries] for one attempt at each request.
const NoRetries = -1

// RetryOptions are the settings of a retrier. A nil *RetryOptions means the defaults. A
// panic in one of their functions is the error of the request that it was called for.
type RetryOptions struct {
	// Retries is how many more attempts there are at a request after the first.
	// The default is 3, and [NoRetries] is none. See also [WithRetryBudget].
	Retries int

	// Wait is how long the first wait is if the server does not say. It doubles with each
	// attempt, and each wait is up to a tenth longer at random. The default is 100
	// milliseconds.
	Wait time.Duration

	// MaxWait is the longest wait. If the server asks for a longer one, its response is
	// returned at once. The default is 30 seconds.
	MaxWait time.Duration

	// AnyMethod repeats requests of all methods, for clients whose POSTs are
	// reads or harmless to repeat. The default is those that RFC 9110 calls
	// idempotent (9.2.2), which are GET, HEAD, OPTIONS, TRACE, PUT and DELETE,
	// and requests with an Idempotency-Key.
	AnyMethod bool

	// Retry decides, instead of the rules, whether to make another attempt; usual is the
	// rules' decision. It is called for each outcome, even a good one, but not for errors
	// that are never retried. A retry still needs a request that can be repeated, and
	// attempts left. It must neither read nor close the body. The default is nil.
	Retry func(resp *http.Response, err error, usual bool) bool

	// OnRetry is called after each attempt that is followed by another, before the wait.
	// The default is nil.
	OnRetry func(Attempt)
}

// Attempt is one that is followed by another.
type Attempt struct {
	Request *http.Request // the caller's, which is not to be changed
	Number  int           // counted from 1
	Status  int           // of the response, 0 without one
	Err     error         // nil where only the status was the reason
	Wait    time.Duration // until the next attempt
}

// Retrier is an [http.RoundTripper] that sends a request again when it has failed and may
// succeed a little later: after
//
//   - an error of the connection, which is any error of the base that is not about a
//     certificate and not [Permanent], or of a body that was cut short (see [Retrier.Do]);
//   - the statuses 408, 425, 429, and 5xx except for 501 and 505;
//   - the status 403 with a Retry-After header, a limit of requests at some APIs.
//
// It waits for as long as Retry-After says (see [RetryAfter]), never less, or else for
// a while that grows. If that is longer than [RetryOptions.MaxWait], or than what is left
// until the context's deadline, there is no wait and the outcome is returned at once; a
// response's Retry-After then tells when to come back.
//
// A request that has a body is repeated where it has GetBody, as those of
// [http.NewRequest] have for buffers and strings. Neither it nor its header is changed.
//
// The outcome of the last attempt is returned as it is: a 503 is a response and no error.
// Requests whose context is done are not repeated; where that happens during a wait, the
// error wraps the context's.
//
// Over a [Transport], each attempt keeps to the limits and the pauses, and has the
// credentials. Many goroutines may use a retrier at once.
type Retrier struct {
	base http.RoundTripper
	opts RetryOptions
}

// NewRetrier returns a retrier that sends with base, or [http.DefaultTransport] where
// that is nil.
func NewRetrier(base http.RoundTripper, opts *RetryOptions) (*Retrier, error) {
	r := &Retrier{base: base}
	if opts != nil {
		r.opts = *opts
	}
	switch {
	case r.opts.Retries < NoRetries:
		return nil, fmt.Errorf("origin: Retries is %d: it cannot be less than %d", r.opts.Retries, NoRetries)
	case r.opts.Wait < 0:
		return nil, fmt.Errorf("origin: Wait is %v: it cannot be negative", r.opts.Wait)
	case r.opts.MaxWait < 0:
		return nil, fmt.Errorf("origin: MaxWait is %v: it cannot be negative", r.opts.MaxWait)
	}
	if r.base == nil {
		r.base = http.DefaultTransport
	}
	switch r.opts.Retries {
	case 0:
		r.opts.Retries = 3
	case NoRetries:
		r.opts.Retries = 0
	}
	if r.opts.Wait == 0 {
		r.opts.Wait = 100 * time.Millisecond
	}
	if r.opts.MaxWait == 0 {
		r.opts.MaxWait = 30 * time.Second
	}
	return r, nil
}

// RoundTrip implements [http.RoundTripper]. It does not read the body of a response that it
// returns, so one that is cut short is the caller's to notice, or [Retrier.Do]'s.
func (r *Retrier) RoundTrip(req *http.Request) (*http.Response, error) {
	return r.send(req, req, r.base.RoundTrip)
}

// CloseIdleConnections closes those of the base, for [http.Client].
func (r *Retrier) CloseIdleConnections() {
	if base, ok := r.base.(interface{ CloseIdleConnections() }); ok {
		base.CloseIdleConnections()
	}
}

// Do is RoundTrip for a caller that sends in a way of its own: with an [http.Client] that
// follows redirects, for instance, and then reads the whole body, so that one that was cut
// short is asked for again. send is one attempt. It is given a copy of req, from the
// second attempt on with a new body; the base is not used.
//
// send may return an error together with a response that it has read or closed, and so
// does Do where that is final. Its error is taken for one of the connection: one about what
// the response says should be [Permanent]. A redirect that an http.Client has refused to
// follow is not repeated.
func (r *Retrier) Do(req *http.Request, send func(*http.Request) (*http.Response, error)) (*http.Response, error) {
	return r.send(req, copyOf(req), send)
}

// send makes attempts until the outcome of one is final.
func (r *Retrier) send(req, attempt *http.Request, send func(*http.Request) (*http.Response, error)) (*http.Response, error) {
	for n := 1; ; n++ {
		resp, err := send(attempt)
		switch {
		case resp == nil && err == nil:
			err = errNoAnswer
		case resp != nil && resp.Request == attempt:
			resp.Request = req
		}
		if n > r.opts.Retries || !canRepeat(req, r.opts.AnyMethod) {
			return resp, err
		}
		again, panicked := r.worthRepeating(req, resp, err)
		if panicked != nil {
			closeResponse(resp)
			return nil, errors.Join(panicked, err)
		}
		if !again {
			return resp, err
		}
		wait, ok := r.wait(req.Context(), resp, n)
		if !ok {
			return resp, err
		}
		if !budgetOf(req.Context()).take() {
			if err != nil {
				err = &budgetError{err}
			}
			return resp, err
		}
		failed := Attempt{Request: req, Number: n, Status: statusOf(resp), Err: err, Wait: wait}
		if attempt, err = r.prepare(failed, resp); err != nil {
			return nil, err
		}
	}
}

// prepare gives up the outcome of an attempt, waits, and returns the request of the next
// one.
func (r *Retrier) prepare(failed Attempt, resp *http.Response) (*http.Request, error) {
	req := failed.Request
	discard(resp)
	if r.opts.OnRetry != nil {
		if err := caught("OnRetry", func() { r.opts.OnRetry(failed) }); err != nil {
			return nil, errors.Join(err, failed.Err)
		}
	}
	if err := sleep(req.Context(), failed.Wait); err != nil {
		return nil, &waitError{"to try again after " + failed.reason(), err}
	}
	again, err := repeated(copyOf(req))
	if err != nil {
		return nil, fmt.Errorf("origin: get the request's body to try again after %s: %w", failed.reason(), err)
	}
	return again, nil
}

// reason does not have the text of an error: that of an http.Client has the URL.
func (a Attempt) reason() string {
	if a.Err != nil {
		return "an error"
	}
	return fmt.Sprintf("status %d", a.Status)
}

func statusOf(resp *http.Response) int {
	if resp == nil {
		return 0
	}
	return resp.StatusCode
}

// canRepeat reports whether a request can be sent a second time and do no harm.
func canRepeat(req *http.Request, anyMethod bool) bool {
	switch {
	case req.URL == nil, req.URL.Host == "":
		return false // it cannot even be sent once
	case req.Body != nil && req.Body != http.NoBody && req.GetBody == nil:
		return false
	}
	switch req.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
		return true
	}
	return anyMethod || req.Header.Get("Idempotency-Key") != ""
}

// worthRepeating reports whether another attempt may go better. The error is a panic of
// the user's function.
func (r *Retrier) worthRepeating(req *http.Request, resp *http.Response, err error) (again bool, panicked error) {
	var usual bool
	switch {
	case req.Context().Err() != nil:
		return false, nil //nolint:nilerr // it is the attempt's, not a panic
	case err == nil:
		usual = isTransient(resp)
	case isFinal(err):
		return false, nil
	case isRefusedRedirect(resp, err):
		usual = isTransient(resp)
	default:
		usual = true
	}
	if r.opts.Retry == nil {
		return usual, nil
	}
	return r.ask(resp, err, usual)
}

// ask asks the user's function.
func (r *Retrier) ask(resp *http.Response, err error, usual bool) (again bool, panicked error) {
	panicked = caught("Retry", func() { again = r.opts.Retry(resp, err, usual) })
	return again, panicked
}

// wait is how long to wait after the nth attempt, unless that is too long.
func (r *Retrier) wait(ctx context.Context, resp *http.Response, n int) (time.Duration, bool) {
	d, told := RetryAfter(resp)
	if !told {
		d = grown(r.opts.Wait, n-1, r.opts.MaxWait)
	}
	longest := r.opts.MaxWait
	if deadline, ok := ctx.Deadline(); ok {
		longest = min(longest, time.Until(deadline))
	}
	if longer := withJitter(d); longer <= longest {
		return longer, true
	}
	return d, d <= longest
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	return ctx.Err()
}

// copyOf returns a request whose header can be changed, as an [http.Client] does that
// has cookies.
func copyOf(req *http.Request) *http.Request {
	c := *req
	c.Header = req.Header.Clone()
	return &c
}
