package settings

import (
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/request"
)

// CatchAll are the settings of a repository for the responses of all requests
// that are no other repository's, as bytes; see [request.Any]. With it a whole
// API is cached before any of its endpoints is declared. opts may be nil.
func CatchAll(name string, opts *request.AnyOptions) RepositorySettings[request.AnyKey, []byte] {
	return RepositorySettings[request.AnyKey, []byte]{
		Name:     name,
		Endpoint: request.Any(opts),
		Payload:  payload.Bytes(),
	}
}
