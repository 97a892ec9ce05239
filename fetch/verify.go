package fetch

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"github.com/endpointcache/endpointcache/internal/keytype"
	"github.com/endpointcache/endpointcache/internal/redirect"
)

// additions are what the client has added to a request.
type additions struct {
	query  string      // raw
	header http.Header // all that was sent
}

// asSent is the request that a response has come of, before it was redirected, as far as
// that is known.
func asSent(resp *http.Response) *http.Request {
	req := resp.Request
	for before := range redirect.Way(req, nil) {
		if before.URL == nil {
			break
		}
		req = before
	}
	return req
}

// added returns what the client has added to a request. That it has changed the
// query is an error: the answer may be another's.
func (s *sending) added(resp *http.Response) (additions, error) {
	sent := asSent(resp)
	extra := additions{header: sent.Header}
	if sent.URL.RawQuery == s.req.URL.RawQuery {
		return extra, nil
	}
	built, err := url.ParseQuery(s.req.URL.RawQuery)
	if err != nil {
		return extra, errors.New("the batch's query is malformed")
	}
	query, err := url.ParseQuery(sent.URL.RawQuery)
	if err != nil {
		return extra, errors.New("the query as it was sent is malformed")
	}
	for name, values := range built {
		is := query[name]
		if len(is) < len(values) || !slices.Equal(is[:len(values)], values) {
			return extra, fmt.Errorf("the client changes query parameter %q of the batch", name)
		}
		if query[name] = is[len(values):]; len(query[name]) == 0 {
			delete(query, name)
		}
	}
	extra.query = query.Encode()
	return extra, nil
}

// verifyPart reads the key back from what the client would have sent for it alone,
// where it can be told: what it adds must make no difference to the key.
func (s *source[K]) verifyPart(ctx context.Context, key K, extra additions) error {
	if extra.query == "" && !s.headers {
		return nil // nothing was added that the endpoint looks at
	}
	base := s.client.base
	if own := s.ownBase.Load(); own != nil {
		base = own
	}
	req, err := s.request(ctx, base, key)
	if err != nil {
		return nil //nolint:nilerr // it is only asked for with others
	}
	sent := *req
	sent.URL = &url.URL{RawQuery: joinQuery(req.URL.RawQuery, extra.query)}
	sent.Header = req.Header.Clone()
	for name, values := range extra.header {
		sent.Header[name] = values
	}
	return s.verify(ctx, key, req, &sent)
}

func joinQuery(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "&" + b
}

// verify reads the key back from what the client has sent: a header or parameter
// that it adds may have made it another's request, whose answer must not be saved
// under this key. A request with a body that can be read but once is not looked at.
func (s *source[K]) verify(ctx context.Context, key K, built, sent *http.Request) error {
	if built.Body != nil && built.Body != http.NoBody && built.GetBody == nil {
		return nil
	}
	if !s.headers && sent.URL.RawQuery == built.URL.RawQuery {
		return nil // nothing was added that the endpoint looks at
	}
	if got, ok, err := s.readBack(built, sent); err == nil && ok && s.same(got, key) {
		return nil
	}
	own, err := s.recognized(ctx, key, built)
	if own == nil || err != nil {
		return err
	}
	got, ok, err := s.readBack(own, sent)
	switch {
	case err != nil:
		return err
	case !ok:
		return errors.New("with what the client adds to it, the request is not the endpoint's: a query parameter may have to be ignored, see request.IgnoreQuery")
	case !s.same(got, key):
		return fmt.Errorf("with what the client adds to it, the request has another key: %s", keytype.Show(got))
	}
	return nil
}

// same tells whether two keys are one in the repository.
func (s *source[K]) same(a, b K) bool {
	return a == b || s.key.Same(reflect.ValueOf(&a).Elem(), reflect.ValueOf(&b).Elem())
}

// readBack takes the key from a request with the query and the headers as they were
// sent, and with the body that was built.
func (s *source[K]) readBack(built, sent *http.Request) (K, bool, error) {
	location := *built.URL
	location.RawQuery = sent.URL.RawQuery
	actual := *sent
	actual.URL, actual.Host = &location, built.Host
	if built.GetBody != nil {
		body, err := built.GetBody()
		if err != nil {
			var none K
			return none, false, err
		}
		actual.Body, actual.GetBody = body, built.GetBody
	}
	return s.endpoint.Key(&actual)
}

// recognized is the request for key as the endpoint takes a key from it, nil where
// it takes none from its own requests.
func (s *source[K]) recognized(ctx context.Context, key K, built *http.Request) (*http.Request, error) {
	base := s.client.base
	hasPath := base != nil && strings.Trim(base.Path, "/") != ""
	_, ok, err := s.endpoint.Key(built)
	if base == nil || err == nil && ok && !hasPath {
		if !ok {
			built = nil
		}
		return built, err
	}
	// The base has another host than the endpoint, or a path.
	for _, own := range []*url.URL{{}, {Scheme: base.Scheme, Host: base.Host}} {
		bare, err := s.endpoint.Request(ctx, own, key)
		if err != nil {
			continue
		}
		if _, ok, err := s.endpoint.Key(bare); err != nil || !ok {
			return nil, err
		}
		s.ownBase.Store(own)
		return bare, nil
	}
	return nil, nil // it cannot be told
}
