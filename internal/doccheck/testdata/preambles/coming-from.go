package preambles

import (
	"encoding/xml"

	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/sqlite"
	"github.com/endpointcache/endpointcache/transport"
)

type (
	Result struct{}
	Feed   struct{}
)

var (
	client    *http.Client
	responses *repository.ResponseRepository[request.AnyKey, []byte]
	key       request.AnyKey
)
