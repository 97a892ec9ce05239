package preambles

import (
	"crypto/subtle"

	"github.com/endpointcache/endpointcache/inspector"
)

var token string
