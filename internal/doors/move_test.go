package doors

import (
	"fmt"
	"testing"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/identity"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/sqlite"
)

// Very many entries of an identity are moved and deleted, and no other's.
func TestManyEntriesOfAnIdentityMove(t *testing.T) {
	store, err := sqlite.OpenMemory(t.Context(), nil)
	check(t, err)
	c, err := cache.New(store, nil)
	check(t, err)
	defer c.Close()
	repo, err := cache.CreateRepository(t.Context(), c, places{Name: "places", Scope: settings.PerIdentity, Pattern: "GET /places/{id}"})
	check(t, err)
	n := 100_000
	if testing.Short() {
		n = 3_000
	}
	entries := make(map[string]place, n)
	for i := range n {
		entries[fmt.Sprint(i)] = place{ID: fmt.Sprint(i)}
	}
	check(t, repo.SaveMany(identity.With(t.Context(), "ann"), entries))
	check(t, repo.SaveMany(identity.With(t.Context(), "anna"), map[string]place{"1": {Who: "anna"}}))
	check(t, repo.SaveMany(identity.With(t.Context(), "bob"), map[string]place{"1": {Who: "bob"}}))
	if moved, err := c.Identity("ann").MoveTo(t.Context(), "bob"); err != nil || moved != n {
		t.Errorf("%d entries are moved, %v", moved, err)
	}
	if got, ok, err := repo.Get(identity.With(t.Context(), "bob"), "1"); err != nil || !ok || got.Who != "bob" {
		t.Errorf("the newer entry is replaced by %+v, %v", got, err)
	}
	if deleted, err := c.Identity("bob").Delete(t.Context()); err != nil || deleted != n {
		t.Errorf("%d entries are deleted, %v", deleted, err)
	}
	if left, err := repo.Count(t.Context(), repository.All); err != nil || left != 1 {
		t.Errorf("%d entries are left, %v", left, err)
	}
}
