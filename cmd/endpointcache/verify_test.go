package main

import (
	"database/sql"
	"net/http"
	"strings"
	"testing"

	_ "github.com/mattn/go-sqlite3" // writes to the files of package sqlite

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/internal/testserver/places"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/seal"
	"github.com/endpointcache/endpointcache/settings"
)

type idKey struct {
	ID string `path:"id"`
}

// A value of another type, which another program has written, is a finding among others.
func TestVerifyFindsValuesOfOtherTypes(t *testing.T) {
	p := filled(t, newLocation(t, "sqlite"))
	db, err := sql.Open("sqlite3", strings.TrimPrefix(p.url, "sqlite:"))
	check(t, err)
	defer func() { check(t, db.Close()) }()
	for _, change := range []string{
		"UPDATE tracks SET payload = 'text' WHERE id = 'harder'", "UPDATE tracks SET cached_us = 'text' WHERE id = 'gone'",
		"UPDATE pages SET number = 'text' WHERE number = 1", "UPDATE tracks SET status = 203, payload = x'00' WHERE id = 'aero' AND market = 'US'",
	} {
		result, err := db.ExecContext(t.Context(), change)
		check(t, err)
		if n, err := result.RowsAffected(); n != 1 || err != nil {
			t.Fatalf("%s changes %d rows, %v", change, n, err)
		}
	}
	p.golden(t, "types", p.url, "STORE")
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

// What is sealed is damaged, too, if there is something of another type, and nobody needs keys to see it.
func TestVerifyFindsValuesOfOtherTypesInSealedStores(t *testing.T) {
	keys, err := seal.FromBytes(make([]byte, 32))
	check(t, err)
	p := sealedLocation(t, keys, nil)
	db, err := sql.Open("sqlite3", strings.TrimPrefix(p.url, "sqlite:"))
	check(t, err)
	defer func() { check(t, db.Close()) }()
	_, err = db.ExecContext(t.Context(), "UPDATE tracks SET payload = 'text' WHERE id = 'harder'")
	check(t, err)
	if r := p.run(t, "", "verify"); strings.Count(r.stdout, "of another type than was saved") != 1 || strings.Count(r.stdout, "it is sealed") != 10 {
		t.Errorf("%+v", r)
	}
}
