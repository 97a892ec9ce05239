package preambles

import (
	"crypto/subtle"
	"net/http"

	"github.com/endpointcache/endpointcache/inspector"
)

var (
	token       string
	transportOf func(user string) (http.RoundTripper, error)
)
