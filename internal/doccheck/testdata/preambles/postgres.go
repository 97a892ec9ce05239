package preambles

import "github.com/endpointcache/endpointcache/postgres"

var opts *postgres.Options
