package preambles

import "github.com/endpointcache/endpointcache/tier"

var store *tier.Store
