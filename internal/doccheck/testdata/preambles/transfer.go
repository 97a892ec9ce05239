package preambles

import (
	"github.com/endpointcache/endpointcache/archive"
	"github.com/endpointcache/endpointcache/request"
)

var (
	other *cache.ResponseCache
	file  *os.File
)
