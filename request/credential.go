package request

import (
	"net/http"
	"strings"

	"github.com/endpointcache/endpointcache/internal/credential"
)

// Separates tells whether a credential is part of the key, for package endpoint.
func (e *pattern[K]) Separates(place credential.Place, name string) bool {
	return e.plan != nil && e.plan.separates(place, name)
}

func (p *plan) separates(place credential.Place, name string) bool {
	if place == credential.Query {
		return p.query.owns(name)
	}
	if place == credential.UserInfo {
		name = "Authorization" // which a client makes of it
	}
	for i := range p.headers {
		if strings.EqualFold(p.headers[i].name, name) {
			return true
		}
	}
	return false
}

// Separates is for package endpoint, as is HasOrigin.
func (e *anyEndpoint) Separates(place credential.Place, name string) bool {
	if place == credential.Query {
		return !matchName(e.query.ignored, name)
	}
	if place == credential.UserInfo {
		name = "Authorization"
	}
	name = http.CanonicalHeaderKey(name)
	return e.headers.count(name, headerKinds[name])
}

func (e *anyEndpoint) HasOrigin() bool { return true }
