package preambles

import "github.com/endpointcache/endpointcache/sqlite"

var (
	query cache.Query
	e     cache.Stored
)
