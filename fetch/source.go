package fetch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"sync/atomic"

	"github.com/endpointcache/endpointcache/internal/credential"
	"github.com/endpointcache/endpointcache/internal/endpoint"
	"github.com/endpointcache/endpointcache/internal/exchange"
	"github.com/endpointcache/endpointcache/internal/keytype"
	"github.com/endpointcache/endpointcache/internal/redirect"
	"github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
)

// source asks the origin for the responses of one endpoint, and knows no store.
// Many goroutines may use it at once.
type source[K comparable] struct {
	client   *Client
	name     string
	endpoint request.Endpoint[K] // may be nil where there is a batch
	batch    request.Batch[K]    // may be nil
	key      *keytype.Type
	headers  bool // that the client adds may make a difference to the key
	hosts    redirect.Hosts
	signer   credential.Signer // of the client, where keys have what it adds; nil for none

	ownBase atomic.Pointer[url.URL] // with which requests are recognized; nil: the client's, as far as is known
	traffic *Traffic
	slots   chan struct{} // one for each request under way; nil: any number
}

// newSource returns a source for the endpoint and the batch of the settings, of
// which they have to have one.
func newSource[K comparable, V any](c *Client, s settings.RepositorySettings[K, V]) (*source[K], error) {
	switch {
	case c == nil:
		return nil, errors.New("fetch: the client is nil")
	case s.Endpoint == nil && s.Batch == nil && s.Pattern == "":
		return nil, fmt.Errorf("fetch: repository %q has no endpoint", s.Name)
	}
	s, err := s.Resolve()
	if err != nil {
		return nil, fmt.Errorf("fetch: %w", err)
	}
	key, err := keytype.Of[K]()
	if err != nil {
		return nil, fmt.Errorf("fetch: %w", err)
	}
	hosts, err := redirect.ParseHosts(s.RedirectHosts)
	if err != nil {
		return nil, fmt.Errorf("fetch: %w", err)
	}
	return &source[K]{
		client: c, name: s.Name, endpoint: s.Endpoint, batch: s.Batch, key: key, hosts: hosts,
		headers: endpoint.ReadsHeaders(s.Endpoint), traffic: &Traffic{},
	}, nil
}

// BatchSize is how many keys a request can be for, at most; 1 where the settings
// have no batch.
func (s *source[K]) BatchSize() int {
	if s.batch == nil {
		return 1
	}
	return s.batch.Size()
}

// Group tells which keys a request can be for: those of one group, which is a
// comparable value. ok is false for a key that is asked for alone.
func (s *source[K]) Group(key K) (group any, ok bool) {
	if s.batch == nil {
		return nil, false
	}
	return s.batch.Group(key)
}

// limited is the source with no more than n requests under way at once, and with its own
// counts in traffic. A request is under way during each attempt, and not while it waits for
// a retry or its answer is taken apart.
func (s *source[K]) limited(n int, traffic *Traffic) *source[K] {
	return &source[K]{
		client: s.client, name: s.name, endpoint: s.endpoint, batch: s.batch, headers: s.headers, key: s.key, hosts: s.hosts, signer: s.signer,
		slots: make(chan struct{}, n), traffic: traffic,
	}
}

// failed are the answers for n keys that have failed together; resp is what the error is
// about, nil for none.
func failed(n int, resp *http.Response, err error) []answer {
	return slices.Repeat([]answer{{resp: resp, err: err}}, n)
}

// ask asks for keys, and for their halves where they are refused together, as they
// may be known to be. It calls answered with those that come together, from the
// first one's index on, and reports whether the batch was accepted.
func (s *source[K]) ask(ctx context.Context, keys []K, refused bool, answered func(from int, answers []answer)) bool {
	if err := ended(ctx); err != nil {
		answered(0, failed(len(keys), nil, err))
		return false
	}
	if len(keys) == 1 {
		answered(0, []answer{s.askOne(ctx, keys[0], nil)})
		return false // the endpoint may take what the batch does not
	}
	known := aKey
	if !refused && s.batch != nil {
		answers, resp, err := s.askBatch(ctx, keys) //nolint:bodyclose // it has been read
		if err == nil {
			answered(0, answers)
			return true
		}
		if known = faultOf(err); known == noKey || ctx.Err() != nil {
			answered(0, failed(len(keys), resp, cmp.Or(ended(ctx), err)))
			return false
		}
	}
	half := len(keys) / 2
	accepted := s.ask(ctx, keys[:half], false, answered)
	// If nothing is wrong with the keys of the first half, something is with those
	// of the second, unless there were only too many.
	s.ask(ctx, keys[half:], accepted && known == aKey, func(from int, answers []answer) {
		answered(half+from, answers)
	})
	return false
}

// askOne asks for a key alone. Conditions are headers that are set on the request, or
// removed where they have no values; a batch's has none of them.
func (s *source[K]) askOne(ctx context.Context, key K, conditions http.Header) answer {
	req, err := s.request(ctx, s.client.base, key)
	if errors.Is(err, request.ErrNoRequest) && s.inBatch(key) {
		answers, resp, err := s.askBatch(ctx, []K{key}) //nolint:bodyclose // it has been read
		if err != nil {
			return answer{resp: resp, err: cmp.Or(ended(ctx), err)}
		}
		return answers[0]
	}
	if err != nil {
		return answer{err: fmt.Errorf("fetch: %w", err)}
	}
	setHeaders(req, conditions)
	r := s.sending(req, 1)
	r.conditional = conditions != nil
	a := r.do(ctx)
	if a.err != nil {
		return answer{resp: a.resp, err: cmp.Or(ended(ctx), a.err)}
	}
	if err := s.verify(ctx, key, req, asSent(a.resp)); err != nil {
		return answer{resp: a.resp, err: fmt.Errorf("fetch: answer to %s: %w", r, err)}
	}
	return a
}

func setHeaders(req *http.Request, headers http.Header) {
	if len(headers) == 0 {
		return
	}
	if req.Header = maps.Clone(req.Header); req.Header == nil { // the endpoint may have it, too
		req.Header = make(http.Header)
	}
	for name, values := range headers {
		if len(values) == 0 {
			delete(req.Header, name)
		} else {
			req.Header[name] = values
		}
	}
}

func (s *source[K]) inBatch(key K) bool {
	_, ok := s.Group(key)
	return ok
}

// request is the one for a key alone.
func (s *source[K]) request(ctx context.Context, base *url.URL, key K) (*http.Request, error) {
	if s.endpoint == nil {
		return nil, request.ErrNoRequest
	}
	return s.endpoint.Request(ctx, base, key)
}

func (s *source[K]) sending(req *http.Request, keys int) *sending {
	return &sending{Client: s.client, req: req, keys: keys, inFlight: &s.traffic.inFlight, requests: &s.traffic.requests, slots: s.slots, hosts: s.hosts, signer: s.signer}
}

// errLeftOut is the error of a key that the answer to a batch has left out.
var errLeftOut = fmt.Errorf("%w: the answer to the batch has left it out", ErrAbsent)

// askBatch asks for keys with one request. An error is one of all keys; resp is what it is
// about, nil for none.
func (s *source[K]) askBatch(ctx context.Context, keys []K) (answers []answer, resp *http.Response, err error) {
	req, err := s.batch.Request(ctx, s.client.base, keys)
	if err != nil {
		return nil, nil, &batchError{fmt.Errorf("fetch: %w", err)}
	}
	r := s.sending(req, len(keys))
	whole := r.do(ctx)
	if whole.err != nil {
		return nil, whole.resp, whole.err
	}
	if !exchange.HasValue(whole.resp.StatusCode) {
		return nil, whole.resp, statusError(whole.resp)
	}
	extra, err := r.added(whole.resp)
	if err != nil {
		return nil, whole.resp, fmt.Errorf("fetch: answer to %s: %w", r, err)
	}
	bodies, err := s.batch.Split(whole.body, keys)
	if err == nil && len(bodies) != len(keys) {
		err = fmt.Errorf("it was split into %d bodies for %d keys", len(bodies), len(keys))
	}
	if err != nil {
		return nil, whole.resp, &batchError{fmt.Errorf("fetch: answer to %s: %w", r, err)}
	}
	part := partOf(whole.resp) //nolint:bodyclose // it has none
	answers = make([]answer, len(keys))
	for i, body := range bodies {
		answers[i].resp = part
		switch err := s.verifyPart(ctx, keys[i], extra); {
		case err != nil:
			answers[i].err = fmt.Errorf("fetch: answer to %s: %w", r, err)
		case body == nil:
			answers[i].err = errLeftOut
		default:
			answers[i].body = body
		}
	}
	return answers, nil, nil
}
