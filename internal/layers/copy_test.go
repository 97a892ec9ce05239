package layers

import (
	"fmt"
	"strings"
	"testing"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/identity"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/seal"
	"github.com/endpointcache/endpointcache/settings"
)

var pages = settings.RepositorySettings[string, string]{
	Name: "pages", Pattern: "GET /pages/{id}", Payload: payload.String(), Compression: settings.Zstd, Scope: settings.PerIdentity, Version: 2,
	NameOf: func(v string) string { return v[:20] }, Tags: func(key, _ string) []string { return []string{key[:1]} },
}

func cacheOver(t *testing.T, s driver.Store) *cache.ResponseCache {
	t.Helper()
	c, err := cache.New(s, &cache.Options{KeepExpired: -1})
	check(t, err)
	t.Cleanup(func() { check(t, c.Close()) })
	return c
}

// hasDictionary reports whether there is a dictionary, whatever its key is.
func (p place) hasDictionary(t *testing.T) bool {
	t.Helper()
	s := p.open(t)
	defer func() { check(t, s.Close()) }()
	specs, err := s.Tables(t.Context())
	check(t, err)
	for _, spec := range specs {
		if spec.Name != "endpointcache_dictionaries" {
			continue
		}
		table, err := s.OpenTable(t.Context(), spec)
		check(t, err)
		for e, err := range table.Entries(t.Context(), driver.Selection{Parts: driver.Meta}) {
			check(t, err)
			if e.ExpiresAt.IsZero() { // the right to make one is not for ever
				return true
			}
		}
	}
	return false
}

// Who has no key copies what is sealed as it stands: with it, the target is read as the source is,
// compressed bodies and invalidations included.
func TestSealedStoresAreCopiedWithoutTheKey(t *testing.T) {
	modes := map[string]*seal.Options{
		"encrypted": nil,
		"digested":  {Names: seal.Digest, KeyColumn: func(string, string) seal.Form { return seal.Digest }, DigestKey: secret(9)},
		"signed":    {Mode: seal.Sign},
	}
	for mode, o := range modes {
		for kind := range backends {
			if kind == "memory" || testing.Short() && kind != "postgres" && kind != "filesystem" {
				continue // no second program can open memory
			}
			t.Run(mode+" "+kind, func(t *testing.T) {
				source, target := newPlace(t, "sqlite"), newPlace(t, kind)
				alice := identity.With(t.Context(), "alice")
				body := func(i int) string {
					return fmt.Sprintf(`{"title":"The title of page %d","links":{"self":"https://api.example.com/v1/pages/%d"}}`, i, uint32(i)*2654435761)
				}
				{
					c := cacheOver(t, source.open(t, sealedBelow(o)))
					r, err := cache.CreateRepository(t.Context(), c, pages)
					check(t, err)
					values := make(map[string]string)
					for i := range 600 {
						values[fmt.Sprintf("%c%d", 'a'+i%2, i)] = body(i)
					}
					waitfor.True(t, "a dictionary", func() bool {
						check(t, r.SaveMany(alice, values))
						return source.hasDictionary(t)
					})
					check(t, r.SaveMany(alice, values))
					check(t, c.InvalidateTags(t.Context(), "b"))
					check(t, c.Close())
				}
				from := cacheOver(t, source.open(t))
				to := cacheOver(t, target.open(t))
				progress, err := from.CopyTo(t.Context(), to, nil)
				if err != nil || progress.Copied != 600 {
					t.Fatal(progress, err)
				}
				if again, err := from.CopyTo(t.Context(), to, nil); err != nil || again.Copied != 0 {
					t.Errorf("a second time: %+v, %v", again, err)
				}
				check(t, to.Close())

				sealed := target.open(t, sealedBelow(o))
				c := cacheOver(t, sealed)
				r, err := cache.CreateRepository(t.Context(), c, pages)
				check(t, err)
				for i := range 600 {
					key := fmt.Sprintf("%c%d", 'a'+i%2, i)
					got, ok, err := r.Get(alice, key)
					if want := i%2 == 0; err != nil || ok != want || ok && got != body(i) {
						t.Fatalf("%s is %q, %v, %v", key, got, ok, err)
					}
				}
				if s, _ := driver.As[*seal.Store](sealed); s.Stats().Failed > 0 || c.Stats().Damaged > 0 {
					t.Errorf("%+v, %+v", s.Stats(), c.Stats())
				}
				check(t, c.Close())

				// To where another program has sealed its own, nobody without the keys can copy.
				other := newPlace(t, "sqlite")
				own := cacheOver(t, other.open(t, sealedBelow(o)))
				_, err = cache.CreateRepository(t.Context(), own, pages)
				check(t, err)
				check(t, own.InvalidateTags(t.Context(), "b"))
				check(t, own.Close())
				unknown := cacheOver(t, other.open(t))
				if _, err := from.CopyTo(t.Context(), unknown, nil); err == nil || !strings.Contains(err.Error(), "sealed") {
					t.Errorf("to a store that is sealed: %v", err)
				}
			})
		}
	}
}

// Who has the keys copies between what is sealed and what is not, and from one key to another.
func TestSealedStoresAreCopiedWithTheKey(t *testing.T) {
	plain, sealed, signed, back := newPlace(t, "sqlite"), newPlace(t, "sqlite"), newPlace(t, "filesystem"), newPlace(t, "sqlite")
	alice := identity.With(t.Context(), "alice")
	c := cacheOver(t, plain.open(t))
	r, err := cache.CreateRepository(t.Context(), c, pages)
	check(t, err)
	values := map[string]string{"a": strings.Repeat("a", 200), "b": strings.Repeat("b", 200)}
	check(t, r.SaveMany(alice, values))
	check(t, c.InvalidateTags(t.Context(), "b"))
	for _, to := range []*cache.ResponseCache{
		cacheOver(t, sealed.open(t, sealedBelow(nil))), cacheOver(t, signed.open(t, sealedBelow(&seal.Options{Mode: seal.Sign}))), cacheOver(t, back.open(t)),
	} {
		if progress, err := c.CopyTo(t.Context(), to, nil); err != nil || progress.Copied != 2 {
			t.Errorf("%+v, %v", progress, err)
		}
		c = to
	}
	r, err = cache.CreateRepository(t.Context(), c, pages)
	check(t, err)
	if got, ok, err := r.Get(alice, "a"); got != values["a"] || !ok || err != nil {
		t.Errorf("%q, %v, %v", got, ok, err)
	}
	if _, ok, err := r.Get(alice, "b"); ok || err != nil {
		t.Errorf("what is old: %v, %v", ok, err)
	}
}
