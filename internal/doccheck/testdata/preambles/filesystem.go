package preambles

import "github.com/endpointcache/endpointcache/filesystem"

var store *filesystem.Store
