package scopetest

import (
	"context"
	"errors"
	"testing"

	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/identity"
	"github.com/endpointcache/endpointcache/repository"
)

// identities checks what can be done with all entries of one identity.
func identities(t *testing.T, repo *repository.ResponseRepository[string, own], fetchers map[string]*fetch.Fetcher[string, own]) {
	ctx := t.Context()
	if _, _, err := repo.Get(ctx, "sone"); !errors.Is(err, identity.ErrMissing) {
		t.Errorf("a typed read without an identity: %v", err)
	}
	for key, err := range repo.Keys(ctx) {
		if !errors.Is(err, identity.ErrMissing) {
			t.Errorf("a list without an identity has %q, %v", key, err)
		}
	}
	alice, err := fetchers["alice"].Identify(ctx)
	check(t, err)
	if got, ok, err := repo.Get(alice, "sone"); err != nil || !ok || got.User != "alice" {
		t.Errorf("as alice, the repository has %+v, %t, %v", got, ok, err)
	}
	for item, err := range repo.All(alice) {
		if err != nil || item.Value.User != "alice" {
			t.Errorf("a list of alice's has %+v, %v", item.Value, err)
		}
	}
	for _, name := range []string{"carol", "~carol", "a%_*\x00", "carol2"} {
		check(t, repo.SaveMany(identity.With(ctx, name), map[string]own{"x": {"x", name}, "y": {"y", name}}))
	}
	carol := repo.Identity("carol")
	count := func(i *repository.Identity, want int) {
		t.Helper()
		if n, err := i.Count(ctx, repository.All); err != nil || n != want {
			t.Errorf("%q has %d entries, %v; want %d", i.Name(), n, err, want)
		}
	}
	for _, name := range []string{"carol", "~carol", "a%_*\x00", "carol2"} {
		count(repo.Identity(name), 2)
	}
	count(repo.Identity("car"), 0)
	listed := 0
	for e, err := range carol.Entries(ctx, repository.All) {
		if listed++; err != nil || e.Repository != repo.Name() || e.Key != "x" && e.Key != "y" || len(e.Payload) == 0 {
			t.Errorf("carol's entry %+v, %v", e, err)
		}
	}
	if n, err := carol.MoveTo(ctx, "dora"); err != nil || n != 2 || listed != 2 {
		t.Errorf("%d of carol's %d entries are moved, %v", n, listed, err)
	}
	count(carol, 0)
	count(repo.Identity("dora"), 2)
	if got, ok, err := repo.Get(identity.With(ctx, "dora"), "x"); err != nil || !ok || got.User != "carol" {
		t.Errorf("moved: %+v, %t, %v", got, ok, err)
	}
	if n, err := repo.Identity("dora").Delete(ctx); err != nil || n != 2 {
		t.Errorf("%d deleted, %v", n, err)
	}
	count(repo.Identity("dora"), 0)
	count(repo.Identity("~carol"), 2)
	count(repo.Identity("carol2"), 2)
	wholeCount(ctx, t, repo)
}

// wholeCount checks that those of all identities count together.
func wholeCount(ctx context.Context, t *testing.T, repo *repository.ResponseRepository[string, own]) {
	n, err := repo.Count(ctx, repository.All)
	if err != nil || n < 6 {
		t.Errorf("%d entries of all identities, %v", n, err)
	}
}
