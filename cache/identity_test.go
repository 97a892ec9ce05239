package cache_test

import (
	"net/http"
	"testing"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/identity"
	"github.com/endpointcache/endpointcache/memory"
	"github.com/endpointcache/endpointcache/repository"
)

// Whose request it is tells its context, or else its credentials; without a request, only
// the context can tell.
func TestIdentityOf(t *testing.T) {
	store, err := memory.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := cache.New(store, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	bare, err := http.NewRequest(http.MethodGet, "https://api.test/a", nil)
	if err != nil {
		t.Fatal(err)
	}
	carrying := bare.Clone(t.Context())
	carrying.Header.Set("Authorization", "Bearer secret")
	alice := identity.With(t.Context(), "alice")

	of := func(found *repository.Identity, ok bool, err error) string {
		t.Helper()
		switch {
		case err != nil:
			t.Fatal(err)
		case !ok:
			return "nobody"
		case found.Name() == "":
			return "a digest"
		}
		return found.Name()
	}
	for _, test := range []struct{ got, want string }{
		{of(c.IdentityOf(alice, nil)), "alice"},
		{of(c.IdentityOf(alice, carrying)), "alice"},
		{of(c.IdentityOf(t.Context(), carrying)), "a digest"},
		{of(c.IdentityOf(t.Context(), bare)), "nobody"},
		{of(c.IdentityOf(t.Context(), nil)), "nobody"},
	} {
		if test.got != test.want {
			t.Errorf("it is of %s, want %s", test.got, test.want)
		}
	}
}
