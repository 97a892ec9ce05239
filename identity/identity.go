// Package identity says on whose behalf a call is made: which user, account or tenant. A
// repository whose scope is settings.PerIdentity keeps the responses of each apart.
//
//	ctx = identity.With(ctx, user.ID)
//	playlists, err := fetcher.Fetch(ctx, key)
//
// With a name, a user's responses are still found after the user's token has changed.
package identity

import (
	"context"
	"errors"

	"github.com/endpointcache/endpointcache/internal/whose"
)

// ErrMissing is the error of a typed call on a repository that is per identity where
// nothing says whose call it is.
var ErrMissing = errors.New("no identity: name one with identity.With")

// With returns a context whose calls are made on behalf of name, such as a user's ID. The
// name is stored with the responses, so it should not be a secret. An empty name names
// nobody.
func With(ctx context.Context, name string) context.Context {
	return whose.With(ctx, whose.Named(name))
}

// Of returns the name of the identity on whose behalf ctx is; ok is false if there is none,
// or if credentials stand for it.
func Of(ctx context.Context) (name string, ok bool) { return whose.Name(whose.Of(ctx)) }
