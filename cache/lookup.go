package cache

import (
	"context"
	"errors"
	"net/http"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/declared"
	"github.com/endpointcache/endpointcache/internal/exchange"
)

// ErrNoRequest means that nobody knows what a request for an entry looks like.
var ErrNoRequest = errors.New("the endpoint's requests are not known")

// Request returns the request that a stored response answers, as far as the store remembers the
// endpoint's pattern: without credentials, and without a body. The error wraps [ErrNoRequest]
// where it does not, and where the key has more than a URL and headers.
func (s *Contents) Request(ctx context.Context, e Stored) (*http.Request, error) {
	return nil, errors.ErrUnsupported
}

// Lookup is what the store has for a request.
type Lookup struct {
	Table      string // of the most specific endpoint that the request belongs to; empty: there is none
	Repository string
	Key        []KeyColumn // that the request has there

	Stored Stored // without its body
	Found  bool

	// Near are stored responses whose keys differ from the request's in a single column, at most
	// 10: what a caller has perhaps meant.
	Near []Stored

	// Reasons are sentences that tell why this is a hit or a miss, the deciding one first.
	Reasons []string

	// Explanation tells what the request would bring about now; its Verdict is Fetch where nothing is stored.
	Explanation Explanation
}

// Lookup tells what the store has for a request, and why it would be a hit or a miss. It knows endpoints
// from what the store remembers of them, and from the cache's repositories. It asks no origin, and reads no
// body of the request that has no GetBody.
func (s *Contents) Lookup(ctx context.Context, req *http.Request) (Lookup, error) {
	return Lookup{}, errors.ErrUnsupported
}

func (s *Contents) request(ctx context.Context, listed declared.Table, t *exchange.Table, key driver.Key) (*http.Request, error) {
	return nil, ErrNoRequest
}
