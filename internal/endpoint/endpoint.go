// Package endpoint tells what the library knows of an endpoint beyond the interface
// request.Endpoint. Endpoints tell it by methods that they may have or not; the key
// type makes no difference.
package endpoint

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/endpointcache/endpointcache/internal/credential"
)

// MethodsOf returns the HTTP methods that an endpoint names, in a slice that is the
// caller's: that such requests are reads was said by naming them.
func MethodsOf(endpoint any) []string {
	if e, ok := endpoint.(interface{ Methods() []string }); ok {
		return slices.Clone(e.Methods())
	}
	return nil
}

// Text is what an endpoint says of itself, the same in each program of one version: its
// pattern, or else its type.
func Text(endpoint any) string {
	if e, ok := endpoint.(fmt.Stringer); ok {
		return e.String()
	}
	return fmt.Sprintf("%T", endpoint)
}

// ReadsHeaders tells whether headers may make a difference to the keys of an
// endpoint: one that does not tell may read them.
func ReadsHeaders(endpoint any) bool {
	e, ok := endpoint.(interface{ ReadsHeaders() bool })
	return !ok || e.ReadsHeaders()
}

// HasOrigin tells whether the keys of an endpoint have the scheme and host of a request.
func HasOrigin(endpoint any) bool {
	e, ok := endpoint.(interface{ HasOrigin() bool })
	return ok && e.HasOrigin()
}

// Separates tells whether requests that differ in a credential have different keys. An
// endpoint that does not tell may give them the same one.
func Separates(endpoint any, place credential.Place, name string) bool {
	e, ok := endpoint.(interface {
		Separates(place credential.Place, name string) bool
	})
	return ok && e.Separates(place, name)
}

// BesideURL returns the columns of an endpoint's keys that do not come from a request's
// URL, nil where there are none, or where the endpoint does not tell.
func BesideURL(endpoint any) []string {
	if e, ok := endpoint.(interface{ BesideURL() []string }); ok {
		return slices.Clone(e.BesideURL())
	}
	return nil
}

// Specificity tells which of two endpoints that match one request is meant by it:
// the one with the greater, by the first number that differs. The zero value is that
// of an endpoint which does not tell. Package request says what the numbers are.
type Specificity [11]int

// SpecificityOf is the specificity of an endpoint.
func SpecificityOf(endpoint any) Specificity {
	if e, ok := endpoint.(interface{ Specificity() Specificity }); ok {
		return e.Specificity()
	}
	return Specificity{}
}

// Compare returns a negative number if s is less specific than t, a positive one if
// it is more, and 0 if they are the same.
func (s Specificity) Compare(t Specificity) int { return slices.Compare(s[:], t[:]) }

// Hides tells whether the second of two endpoints would never be asked for a key
// beside the first: it is the same one, or it is as specific and the first matches
// all that it matches.
func Hides(first, second any) bool {
	if first == nil || second == nil {
		return false
	}
	if reflect.ValueOf(first).Comparable() && reflect.ValueOf(second).Comparable() && first == second {
		return true
	}
	e, ok := first.(interface{ Covers(other any) bool })
	return ok && SpecificityOf(first) == SpecificityOf(second) && e.Covers(second)
}

// WantsDigestKey tells whether an endpoint makes digests for its keys and has no secret
// that they are made with.
func WantsDigestKey(endpoint any) bool {
	e, ok := endpoint.(interface{ WantsDigestKey() bool })
	return ok && e.WantsDigestKey()
}

// WithDigestKey returns the endpoint with that secret for its digests, or the same one
// where it makes none.
func WithDigestKey(endpoint any, key []byte) any {
	if e, ok := endpoint.(interface{ WithDigestKey(key []byte) any }); ok {
		return e.WithDigestKey(key)
	}
	return endpoint
}

// ByIdentity is the endpoint for a repository that keeps the responses of each identity apart:
// it may leave out of keys what tells who is asking.
func ByIdentity[E any](e E) E {
	if v, ok := any(e).(interface{ ByIdentity() E }); ok {
		return v.ByIdentity()
	}
	return e
}

// ByVary is the endpoint for a repository that keeps the responses of a key by their Vary
// header: it may leave out of keys what Vary tells apart.
func ByVary[E any](e E) E {
	if v, ok := any(e).(interface{ ByVary() E }); ok {
		return v.ByVary()
	}
	return e
}
