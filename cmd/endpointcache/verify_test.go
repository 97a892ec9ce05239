package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/internal/testserver/places"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/settings"
)

type idKey struct {
	ID string `path:"id"`
}

// What was changed past the store is found, told and left as it is.
func TestVerifyFindsDamage(t *testing.T) {
	onEveryStore(t, func(t *testing.T, p *location) {
		if p.kind == "memory" {
			t.Skip("nothing can change what is in memory past its store")
		}
		c := p.cache(t, nil)
		r, err := cache.CreateRepository(t.Context(), c, settings.RepositorySettings[idKey, string]{
			Name: "tracks", Pattern: "GET api.music.test/{id}", Payload: payload.String(), NameOf: func(string) string { return "name-a" },
		})
		check(t, err)
		for _, id := range []string{"whole", "broken"} {
			e, err := repository.NewEntry(http.StatusOK, repository.Head{Header: http.Header{"X-Part": {"header-a"}}}, []byte("payload-a and more"))
			check(t, err)
			check(t, r.SaveEntry(t.Context(), idKey{id}, e))
		}
		check(t, c.Close())
		if r := p.run(t, "", "verify"); r.code != exitOK || !strings.Contains(r.stdout, "2 entries read, 0 faults.") {
			t.Errorf("before: %+v", r)
		}
		places.Damage(t, p.kind, p.url, p.name, "broken", places.Payload)
		for range 2 {
			r := p.run(t, "", "verify")
			if r.code != exitDifferent || !strings.Contains(r.stdout, "2 entries read, 1 fault.") || !strings.Contains(r.stdout, "broken") || r.stderr != "" {
				t.Errorf("after: %+v", r)
			}
		}
		if r := p.run(t, "", "verify", "--json"); r.code != exitDifferent || !strings.Contains(r.stdout, `"damage":true`) || !strings.HasSuffix(r.stdout, `{"checked":2,"faults":1}`+"\n") {
			t.Errorf("in JSON: %+v", r)
		}
		if r := p.run(t, "", "show", "tracks", "broken"); r.code != exitError || !strings.Contains(r.stderr, "damaged") {
			t.Errorf("the damaged entry is shown: %+v", r)
		}
		if r := p.run(t, "", "find"); strings.Count(r.stdout, "\n") != 3 {
			t.Errorf("it is not listed: %+v", r)
		}
	})
}
