package preambles

import "github.com/endpointcache/endpointcache"
