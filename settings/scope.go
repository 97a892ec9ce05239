package settings

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/weborigin"
	"github.com/endpointcache/endpointcache/internal/whose"
)

// Scope says who may be given a stored response.
//
// It has to be declared if requests carry credentials that are no part of the key: an
// Authorization or Cookie header, one such as X-Api-Key, or a parameter such as
// access_token. Without a declaration, nobody knows whether the response is one for all or
// one user's own. Fetchers whose client has credentials are then refused with [ErrScope];
// requests in which they are found bypass the cache, which is counted and logged once.
type Scope uint8

const (
	// Undeclared is the default. It serves endpoints whose requests carry no credentials, or
	// only such as are part of the key.
	Undeclared Scope = iota

	// Shared lets all callers share responses. It is for endpoints that give everybody the
	// same, whatever credentials they need.
	Shared

	// PerIdentity keeps the responses of each identity apart: the table has a column
	// "identity" first in its key. The identity is the one that the call's context names
	// ([identity.With]), or that the Identity function finds in the request, or else it
	// stands for the request's credentials, by a digest that does not give them away. A
	// request without any bypasses the cache; a typed call fails with
	// [identity.ErrMissing].
	//
	// [identity.With]: https://pkg.go.dev/github.com/endpointcache/endpointcache/identity#With
	// [identity.ErrMissing]: https://pkg.go.dev/github.com/endpointcache/endpointcache/identity#ErrMissing
	PerIdentity
)

// AnyBaseURL is the [RepositorySettings] BaseURL of responses that are the same wherever they
// come from, such as those of mirrors.
const AnyBaseURL = "*"

// ErrScope means that requests of a repository carry credentials and its settings do not say
// who may be given the responses.
var ErrScope = errors.New("the requests carry credentials: set Scope to settings.PerIdentity, which keeps each user's responses apart, or to settings.Shared, which gives them to everybody")

func (s Scope) String() string {
	switch s {
	case Undeclared:
		return "undeclared"
	case Shared:
		return "shared"
	case PerIdentity:
		return "per identity"
	default:
		return fmt.Sprintf("Scope(%d)", uint8(s))
	}
}

// validScope reports a scope that is none.
func validScope(s Scope) error {
	if s > PerIdentity {
		return fmt.Errorf("unknown scope %d", s)
	}
	return nil
}

func (s *RepositorySettings[K, V]) validateScope(key []driver.Column) error {
	if err := validScope(s.Scope); err != nil {
		return err
	}
	if s.Scope == PerIdentity {
		for _, c := range key {
			if strings.EqualFold(c.Name, whose.Column) {
				return fmt.Errorf("the key has a column %q, which PerIdentity adds itself: rename it with a column tag", c.Name)
			}
		}
	}
	return ValidateBaseURL(s.BaseURL)
}

// ValidateBaseURL reports what keeps a text from being the BaseURL of settings.
func ValidateBaseURL(base string) error {
	if base == "" || base == AnyBaseURL {
		return nil
	}
	u, err := url.Parse(base)
	switch {
	case err != nil:
		return errors.New("BaseURL cannot be parsed") // not err, which has all of it
	case u.Scheme != "http" && u.Scheme != "https", weborigin.Of(u) == "":
		return errors.New(`BaseURL is not of the form "https://host"`)
	}
	return nil
}
