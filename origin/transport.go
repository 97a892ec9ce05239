package origin

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/endpointcache/endpointcache/internal/credential"
)

// Options are the settings of a transport. A nil *Options means the defaults. A panic in one
// of their functions does not end the program: it is the error of the requests that it was
// called for.
type Options struct {
	// Limits are those of each host. The default is none.
	Limits Limits

	// Hosts are hosts with limits of their own, which hold instead of Limits.
	// A host is written as in a URL, with its port where that is not the
	// scheme's default: "api.example.com", "localhost:8080".
	Hosts map[string]Limits

	// MaxPause is the longest pause, whatever a server asks for. The default
	// is 5 minutes.
	MaxPause time.Duration

	// Pause is how long the requests to a host pause after a 429 or 503 without a readable
	// Retry-After, or a 403 with an unreadable one. It doubles each time such a response
	// follows a pause, and is reset by a response with another status. The default is a
	// second.
	Pause time.Duration

	// PauseAfter returns for any response how long the requests to its host are to pause,
	// for APIs that do not use Retry-After. If it returns 0 or less, the response's status
	// and Retry-After decide. It must not read the body. The default is nil.
	PauseAfter func(*http.Response) time.Duration

	// OnPause is called for each pause that begins or becomes longer, with its length from
	// now, by the request whose response caused it. The default is nil.
	OnPause func(host string, d time.Duration)

	// Credentials are sent with the requests to some hosts. The default is
	// none.
	Credentials *Credentials
}

// Limits are those of one host. The zero value has none.
type Limits struct {
	// Rate is how many requests are sent in a second, 0 for no limit.
	Rate float64

	// Burst is how many requests may be sent at once, if fewer than Rate allows were sent
	// before. The default is 1: requests are spaced evenly.
	Burst int

	// InFlight is how many requests may be under way at once, 0 for no limit:
	// from when they are sent until the answer's body was read to its end or
	// closed, or the request's context is done. What an upgraded connection
	// (101) does afterwards does not count.
	InFlight int
}

// Transport is an [http.RoundTripper] that keeps to limits. Requests that have to
// wait are sent in the order in which they came, and the wait ends with the request's
// context. Many goroutines may use it at once, and clients that ask the same API
// should share one.
type Transport struct {
	base    http.RoundTripper
	opts    Options
	invalid error
	hosts   hosts
	tokens  *tokens // nil: no credentials
	counts  struct{ requests, waiting, inFlight, pauses atomic.Int64 }
}

// New returns a transport that sends with base, or [http.DefaultTransport] where that
// is nil. Options that cannot be are the error of every request, and of
// [Options.Validate].
func New(base http.RoundTripper, opts *Options) *Transport {
	t := &Transport{base: base}
	if opts != nil {
		t.opts = *opts
	}
	if t.base == nil {
		t.base = http.DefaultTransport
	}
	if t.opts.MaxPause == 0 {
		t.opts.MaxPause = 5 * time.Minute
	}
	if t.opts.Pause == 0 {
		t.opts.Pause = time.Second
	}
	if t.invalid = Permanent(t.opts.Validate()); t.invalid != nil {
		return t
	}
	t.hosts.init(&t.opts)
	if t.opts.Credentials != nil {
		t.tokens = newTokens(t.opts.Credentials)
	}
	return t
}

// Validate reports what keeps a transport from being used with these options.
func (o *Options) Validate() error {
	if o == nil {
		return nil
	}
	if o.MaxPause < 0 || o.Pause < 0 {
		return errors.New("origin: options: a pause is negative")
	}
	if err := o.Limits.validate(); err != nil {
		return err
	}
	seen := make(map[string]bool, len(o.Hosts))
	for text, limits := range o.Hosts {
		name, err := parseHost(text)
		if err != nil {
			return err
		}
		if seen[name] {
			return fmt.Errorf("origin: options: the host %s is there twice", name)
		}
		seen[name] = true
		if err := limits.validate(); err != nil {
			return fmt.Errorf("%w (host %s)", err, name)
		}
	}
	return o.Credentials.validate()
}

func (l Limits) validate() error {
	if !(l.Rate >= 0) || math.IsInf(l.Rate, 1) || l.Burst < 0 || l.InFlight < 0 {
		return errors.New("origin: options: a limit is no number from 0 on")
	}
	return nil
}

// RoundTrip implements [http.RoundTripper]. An error that comes from waiting wraps
// that of the request's context.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if t.invalid != nil {
		closeBody(req)
		return nil, t.invalid
	}
	if req.URL == nil || req.URL.Host == "" {
		return t.base.RoundTrip(req) // which says what is wrong with it
	}
	switch covered, err := t.tokens.cover(req); {
	case err != nil:
		closeBody(req)
		return nil, err
	case covered:
		return t.sendWithToken(req)
	}
	return t.send(req, func() (*http.Request, error) { return req, nil })
}

// send sends what prepare returns once the host of req may be asked.
func (t *Transport) send(req *http.Request, prepare func() (*http.Request, error)) (*http.Response, error) {
	h := t.hosts.use(hostName(req.URL))
	p, err := t.wait(req.Context(), h)
	if err != nil {
		t.hosts.done(h)
		closeBody(req)
		return nil, err
	}
	t.counts.requests.Add(1)
	t.counts.inFlight.Add(1)
	leave := sync.OnceFunc(func() {
		t.counts.inFlight.Add(-1)
		h.leave()
		t.hosts.done(h)
	})
	var resp *http.Response
	answered := false
	defer func() {
		if answered {
			return
		}
		// It failed, or the base has panicked, from which the caller may recover: others
		// still wait for the place.
		h.failed(p)
		leave()
		closeResponse(resp)
	}()
	prepared, err := prepare()
	if err != nil {
		closeBody(req)
		return nil, err
	}
	resp, err = t.base.RoundTrip(prepared)
	if err != nil {
		return nil, err
	}
	if resp == nil {
		return nil, errNoAnswer
	}
	resp.Request = t.answered(req, prepared, resp.Request)
	if err = t.heed(h, p, resp); err != nil {
		return nil, err
	}
	keepUntilRead(resp, leave)
	answered = true
	return resp, nil
}

// answered is the request of a response, without the credentials that were added to it: there
// is a trace of these where a cache above does not know of them. Prepared was sent, and
// answered as sent.
func (t *Transport) answered(req, prepared, sent *http.Request) *http.Request {
	if sent == nil {
		sent = prepared
	}
	if t.tokens != nil && credential.TakenIntoAccount(req.Context(), signer{t.tokens}) {
		return credential.AsSentOf(req, prepared, sent)
	}
	return credential.AsSent(req, sent)
}

// errNoAnswer is the error of a base that breaks the rule of [http.RoundTripper].
var errNoAnswer = Permanent(errors.New("origin: an attempt has neither a response nor an error"))

func (t *Transport) wait(ctx context.Context, h *host) (*place, error) {
	t.counts.waiting.Add(1)
	defer t.counts.waiting.Add(-1)
	p, err := h.enter(ctx)
	if err != nil {
		return nil, &waitError{"to ask " + h.name, err}
	}
	return p, nil
}

// heed pauses the requests to a host where its answer asks for that. The error is a panic
// of the user's functions.
func (t *Transport) heed(h *host, p *place, resp *http.Response) error {
	var asks plea
	if err := caught("PauseAfter", func() { asks = t.opts.plea(resp) }); err != nil {
		return err
	}
	d := h.answered(p, asks)
	if d <= 0 {
		return nil
	}
	t.counts.pauses.Add(1)
	if t.opts.OnPause == nil {
		return nil
	}
	return caught("OnPause", func() { t.opts.OnPause(h.name, d) })
}

// Stats are counts of a transport, of all hosts together.
type Stats struct {
	Requests  int64 // that were sent, those with a new token included
	Waiting   int64 // requests that may not be sent yet
	InFlight  int64 // requests that were sent and not answered to the end yet
	Pauses    int64 // that have begun or become longer
	Refreshes int64 // calls of Credentials.Token
}

// Stats returns the counts so far, which are not of one instant.
func (t *Transport) Stats() Stats {
	s := Stats{
		Requests: t.counts.requests.Load(),
		Waiting:  t.counts.waiting.Load(),
		InFlight: t.counts.inFlight.Load(),
		Pauses:   t.counts.pauses.Load(),
	}
	if t.tokens != nil {
		s.Refreshes = t.tokens.refreshes.Load()
	}
	return s
}

// Close ends a refresh of the credentials that is under way, and waits for it.
// Requests that would need one fail with [ErrClosed] from then on; others may still
// be made. Without Credentials there is nothing to close. The base stays open.
func (t *Transport) Close() error {
	if t.tokens != nil {
		t.tokens.close()
	}
	return nil
}

// CloseIdleConnections closes those of the base, for [http.Client].
func (t *Transport) CloseIdleConnections() {
	if base, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		base.CloseIdleConnections()
	}
}

// waitError is the end of a request's context before the request was sent.
type waitError struct {
	what string
	err  error // the context's
}

func (e *waitError) Error() string { return "origin: wait " + e.what + ": " + e.err.Error() }
func (e *waitError) Unwrap() error { return e.err }

// Timeout is for [net/url.Error], which asks its error alone.
func (e *waitError) Timeout() bool { return errors.Is(e.err, context.DeadlineExceeded) }

func closeResponse(resp *http.Response) {
	if resp != nil && resp.Body != nil {
		_ = resp.Body.Close()
	}
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
}
