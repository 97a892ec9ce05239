package fetch

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync/atomic"

	"github.com/endpointcache/endpointcache/internal/credential"
	"github.com/endpointcache/endpointcache/internal/exchange"
	"github.com/endpointcache/endpointcache/internal/redirect"
	"github.com/endpointcache/endpointcache/origin"
)

// sending is a request that is made until there is an answer.
type sending struct {
	*Client
	req      *http.Request
	inFlight *atomic.Int64
	requests *atomic.Int64
	slots    chan struct{}  // see [source.limited]
	hosts    redirect.Hosts // that a body may be sent on to
	signer   credential.Signer

	keys        int  // how many it is for
	conditional bool // it asks whether what is stored still holds

	attempts int
	body     []byte // of the last attempt's response
}

// do makes the request, as often as it takes. The answer may have any status.
func (s *sending) do(ctx context.Context) (a answer) {
	if err := keepBody(s.req); err != nil {
		return answer{err: fmt.Errorf("fetch: read the request's body: %w", err)}
	}
	if s.offline {
		return answer{err: fmt.Errorf("fetch: %s: %w", s, ErrOffline)}
	}
	ctx, outgoing := exchange.Begin(ctx, s.method(), s.keys, s.conditional)
	defer func() { outgoing.End(a.resp, s.attempts, int64(len(s.body)), a.err) }()
	if s.req.GetBody != nil && s.hosts != nil {
		ctx = s.hosts.With(ctx)
	}
	if s.signer != nil {
		ctx = credential.WithSigner(ctx, s.signer)
	}
	if s.req.Context() != ctx { // which is one of package context, so it can be compared
		s.req = s.req.WithContext(ctx)
	}
	resp, err := s.retrier.Do(s.req, s.attempt) //nolint:bodyclose // an attempt closes it
	switch {
	case err == nil:
		return answer{resp: resp, body: s.body}
	case resp != nil && !exchange.HasValue(resp.StatusCode):
		failed := statusError(resp)
		failed.Err = withoutURL(err)
		return answer{resp: resp, err: failed}
	}
	return answer{err: &RequestError{Method: s.method(), URL: withoutSecrets(s.req.URL), Err: withoutURL(err)}}
}

// attempt makes the request once and reads the body of the response.
func (s *sending) attempt(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	if s.slots != nil {
		select {
		case s.slots <- struct{}{}:
			defer func() { <-s.slots }()
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	s.attempts++
	s.requests.Add(1)
	s.inFlight.Add(1)
	defer s.inFlight.Add(-1)
	resp, err := s.timed(req)
	if resp != nil && (resp.Request == nil || resp.Request.URL == nil) {
		resp.Request = s.req
	}
	return resp, err
}

// timed is an attempt within the time that it may take. The client gets a copy of the
// request, so that what it changes can be told from what was built.
func (s *sending) timed(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	if s.timeout > 0 {
		var c *clock
		ctx, c = withClock(ctx, s.timeout)
		defer c.stop()
	}
	sent, location := req.WithContext(ctx), *req.URL
	sent.URL = &location
	resp, err := s.exchange(sent)
	if err != nil && req.Context().Err() == nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return resp, err
}

func (s *sending) exchange(req *http.Request) (*http.Response, error) {
	resp, err := s.doer.Do(req)
	switch {
	case err == nil && resp == nil:
		return nil, errors.New("the client has neither a response nor an error")
	case err != nil && resp == nil:
		return nil, withoutURL(err)
	case err != nil:
		// As of a redirect that is not followed, the status decides about another attempt.
		return resp, &url.Error{Op: req.Method, URL: withoutSecrets(req.URL), Err: withoutURL(err)}
	}
	s.body, err = readBody(req.Context(), resp, s.method(), s.maxBody)
	if err != nil || resp.StatusCode >= http.StatusBadRequest {
		exchange.ShareOf(req.Context()).Release() // others need not wait until there is another attempt
	}
	if errors.Is(err, ErrBodyTooLarge) {
		err = origin.Permanent(err)
	}
	return resp, err
}

func (s *sending) method() string { return cmp.Or(s.req.Method, http.MethodGet) }

// String is the request as errors have it, without what may be secret.
func (s *sending) String() string { return s.method() + " " + withoutSecrets(s.req.URL) }

// keepBody lets the body of a request be sent more than once.
func keepBody(req *http.Request) error {
	if req.Body == nil || req.Body == http.NoBody || req.GetBody != nil {
		return nil
	}
	body, err := io.ReadAll(req.Body)
	if err := errors.Join(err, req.Body.Close()); err != nil {
		return err
	}
	req.ContentLength = int64(len(body))
	req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	req.Body, err = req.GetBody()
	return err
}
