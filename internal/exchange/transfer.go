package exchange

import (
	"context"
	"net/http"

	"github.com/endpointcache/endpointcache/driver"
)

// Transfer is what package archive needs of contents besides their methods. It knows the tables as they were
// when it was made: it is for many responses.
type Transfer struct {
	// Request makes the request that the entry of a table answers. The error wraps cache.ErrNoRequest
	// where it is not known.
	Request func(ctx context.Context, table string, key driver.Key) (*http.Request, error)

	// Place finds where the response to a request is kept. Matched tells that there is an endpoint for
	// it, and placed that the response may be kept, as it is known whose it is.
	Place func(ctx context.Context, req *http.Request) (p Placed, matched, placed bool, err error)

	// DigestKey is the secret that digests in keys are made with.
	DigestKey func(context.Context) ([]byte, error)

	// KeptDigestKey is that secret if the store keeps it, nil otherwise; AdoptDigestKey lets the store keep one, unless
	// it does.
	KeptDigestKey  func(context.Context) ([]byte, error)
	AdoptDigestKey func(context.Context, []byte) error
}

// Placed is where the response to a request is kept.
type Placed struct {
	Repository string
	Origin     string // empty where all share a table
	Columns    []driver.Column
	Key        driver.Key
}

// TransferOf makes the one of a cache.Contents, which may be about to be written to. Package cache sets it.
var TransferOf func(ctx context.Context, contents any, writes bool) (*Transfer, error)
