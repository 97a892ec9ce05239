package prefetch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-resty/resty/v2"
	"golang.org/x/time/rate"

	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/request"
)

// fetcher sends the requests for keys. Its client is the user's, cloned.
type fetcher[K comparable] struct {
	endpoint request.Endpoint[K]
	base     *url.URL
	client   *resty.Client
	getBody  *resty.Client // for the body of a GET, which client does not send
	limiter  *rate.Limiter
	backoff  []resty.Option
	inFlight atomic.Int64
}

// newFetcher has resty make one attempt at a time, so that each waits for the
// limiter, and nothing is logged of those that fail. What repeats them is resty,
// too, see [resty.Backoff].
func newFetcher[K comparable](endpoint request.Endpoint[K], p *plan) *fetcher[K] {
	client := p.Client.Clone()
	client.RetryCount = 0
	if client.RetryAfter == nil {
		client.RetryAfter = retryAfter
	}
	client.ResponseBodyLimit = p.MaxBody
	client.SetDoNotParseResponse(false)
	// The request is the endpoint's: these would change its URL and its body.
	client.PathParams, client.RawPathParams, client.FormData = nil, nil, nil
	client.SetUnescapeQueryParams(false)
	client.AllowGetMethodPayload = false // costs each GET without a body a goroutine
	getBody := client.Clone()
	getBody.AllowGetMethodPayload = true
	return &fetcher[K]{
		endpoint: endpoint,
		base:     p.base,
		client:   client,
		getBody:  getBody,
		limiter:  p.Limiter,
		backoff: []resty.Option{
			resty.Retries(p.Retries),
			resty.WaitTime(client.RetryWaitTime),
			resty.MaxWaitTime(p.MaxRetryWait),
			resty.RetryConditions(retryConditions(client)),
			resty.RetryHooks(client.RetryHooks),
		},
	}
}

// fetch returns the response for key, from the first attempt that has one.
func (f *fetcher[K]) fetch(ctx context.Context, key K) (repository.Entry, error) {
	req, err := f.endpoint.Request(ctx, f.base, key)
	if err != nil {
		return repository.Entry{}, fmt.Errorf("prefetch: %w", err)
	}
	body, err := readBody(req)
	if err != nil {
		return repository.Entry{}, fmt.Errorf("prefetch: read the request's body: %w", err)
	}
	var resp *resty.Response
	err = resty.Backoff(func() (*resty.Response, error) {
		err := wait(ctx, f.limiter)
		if err != nil {
			return nil, err
		}
		resp, err = f.send(ctx, req, body)
		return resp, err
	}, f.backoff...)
	if err = describe(req, resp, err); err != nil {
		return repository.Entry{}, err
	}
	if len(body) == 0 { // another has been read
		if err := f.verify(ctx, key, req, resp.Request.RawRequest); err != nil {
			return repository.Entry{}, fmt.Errorf("prefetch: %w", err)
		}
	}
	return newEntry(resp)
}

// verify reads the key back from what the client has sent: a header or parameter
// that it adds may have made it another's request, whose answer must not be saved
// under this key.
func (f *fetcher[K]) verify(ctx context.Context, key K, req, sent *http.Request) error {
	hasPath := f.base != nil && strings.Trim(f.base.Path, "/") != ""
	if _, ok, err := f.endpoint.Key(req); err != nil || !ok || hasPath {
		// The base has another host, or a path. Without it there is a key,
		// unless the endpoint takes none from its own requests.
		bare, err := f.endpoint.Request(ctx, nil, key)
		if err != nil && f.base != nil {
			bare, err = f.endpoint.Request(ctx, &url.URL{Scheme: f.base.Scheme, Host: f.base.Host}, key)
		}
		if err != nil {
			return nil //nolint:nilerr // it cannot be told
		}
		if _, ok, err := f.endpoint.Key(bare); err != nil || !ok {
			return err
		}
		req = bare
	}
	location := *req.URL
	location.RawQuery = sent.URL.RawQuery
	actual := *sent
	actual.URL, actual.Host = &location, req.Host
	got, ok, err := f.endpoint.Key(&actual)
	switch {
	case err != nil:
		return err
	case !ok:
		return errors.New("with what the client adds to it, the request is not the endpoint's: a query parameter may have to be ignored, see request.IgnoreQuery")
	case got != key:
		return fmt.Errorf("with what the client adds to it, the request has another key: %+v", got)
	}
	return nil
}

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

// wait waits for its turn. Limiter.Wait would rather fail at once than wait for
// a deadline to pass, and its error is not the context's.
func wait(ctx context.Context, limiter *rate.Limiter) error {
	turn := limiter.Reserve()
	if !turn.OK() {
		return errors.New("the limiter lets nothing pass")
	}
	delay := turn.Delay()
	if delay == 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		turn.Cancel()
		return ctx.Err()
	}
}

// send makes one attempt, with a request of its own: resty takes back the
// buffers of one that was executed.
func (f *fetcher[K]) send(ctx context.Context, req *http.Request, body []byte) (*resty.Response, error) {
	client, method := f.client, cmp.Or(req.Method, http.MethodGet)
	if method == http.MethodGet && len(body) > 0 {
		client = f.getBody
	}
	r := client.R().SetContext(ctx)
	maps.Copy(r.Header, req.Header)
	if req.Host != "" && req.Host != req.URL.Host {
		r.Header.Set("Host", req.Host)
	}
	if len(body) > 0 {
		r.SetBody(body)
	}
	f.inFlight.Add(1)
	defer f.inFlight.Add(-1)
	resp, err := r.Execute(method, req.URL.String())
	if err == nil {
		err = checkWhole(resp)
	}
	return resp, err
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

// describe is the error of a key whose attempts ended so, nil where it has a
// response of status 200.
func describe(req *http.Request, resp *resty.Response, err error) error {
	isOK := resp != nil && resp.StatusCode() == http.StatusOK
	if err == nil && isOK {
		return nil
	}
	for {
		inner, ok := err.(*url.Error) // it has the whole URL
		if !ok {
			break
		}
		err = inner.Err
	}
	location := withoutSecrets(req.URL)
	if resp != nil && resp.RawResponse != nil && !isOK {
		return &StatusError{Code: resp.StatusCode(), Method: resp.Request.Method, URL: location, Err: err}
	}
	return fmt.Errorf("prefetch: %s %s: %w", cmp.Or(req.Method, http.MethodGet), location, err)
}

func withoutSecrets(u *url.URL) string {
	bare := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}
	return bare.String()
}

// newEntry is the entry for a response of which resty has read the body. Its
// headers describe the body as it is now.
func newEntry(resp *resty.Response) (repository.Entry, error) {
	raw, body := *resp.RawResponse, resp.Body()
	length := raw.Header.Get("Content-Length")
	if isUnpacked(resp.RawResponse) || length != "" && length != strconv.Itoa(len(body)) {
		raw.Header = raw.Header.Clone()
		raw.Header.Del("Content-Length")
		if isUnpacked(resp.RawResponse) {
			raw.Header.Del("Content-Encoding")
		}
	}
	return repository.EntryOf(&raw, body)
}
