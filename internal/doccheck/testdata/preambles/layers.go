package preambles

import (
	"github.com/endpointcache/endpointcache/observe"
	"github.com/endpointcache/endpointcache/seal"
	"github.com/endpointcache/endpointcache/tier"
)

var (
	keys     *seal.Keys
	observer *observe.Observer
	_        *tier.Store
)
