package preambles

import (
	"github.com/go-resty/resty/v2"
	"golang.org/x/oauth2"

	"github.com/endpointcache/endpointcache/transport"
)

type wrapped struct{ http.RoundTripper }

type (
	Signing     wrapped
	Retrying    wrapped
	RateLimited struct {
		http.RoundTripper
		limiter any
	}
)

var (
	cached  *transport.Transport
	limiter any
	tokenOf func(user string) (string, error)
	source  oauth2.TokenSource
	proxy   string
	client  *resty.Client
)
