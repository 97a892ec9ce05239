package preambles

import (
	"net/http"

	"github.com/endpointcache/endpointcache/origin"
)

var (
	login   func(context.Context) (origin.Token, error)
	manners *origin.Transport
	retrier *origin.Retrier
	client  *http.Client
)
