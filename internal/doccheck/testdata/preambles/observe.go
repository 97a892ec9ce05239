package preambles

import (
	"expvar"

	"github.com/endpointcache/endpointcache/hooks"
	"github.com/endpointcache/endpointcache/observe"
)
