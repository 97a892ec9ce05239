package fetch_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/memory"
	manners "github.com/endpointcache/endpointcache/origin"
	"github.com/endpointcache/endpointcache/settings"
)

// Two users have a client each, and share a cache. Identify tells the repository which of
// them reads it.
func ExampleFetcher_Identify() {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer token of ")
		fmt.Println("the API is asked by", user)
		fmt.Fprintf(w, `{"title": "Songs of %s"}`, user)
	}))
	defer api.Close()
	ctx := context.Background()
	store, err := memory.New(nil)
	if err != nil {
		log.Fatal(err)
	}
	c, err := cache.New(store, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	repo, err := cache.CreateRepository(ctx, c, settings.RepositorySettings[string, Track]{
		Name: "playlists", Pattern: "GET /v1/playlists/{id}", Scope: settings.PerIdentity,
	})
	if err != nil {
		log.Fatal(err)
	}

	for _, user := range []string{"alice", "bob"} {
		client, err := fetch.NewClient(&fetch.Options{BaseURL: api.URL, Origin: &manners.Options{
			Credentials: &manners.Credentials{Identity: user, Token: manners.Static("token of " + user)},
		}})
		if err != nil {
			log.Fatal(err)
		}
		defer client.Close()
		playlists, err := fetch.New(client, repo, nil)
		if err != nil {
			log.Fatal(err)
		}
		if _, err := playlists.Fetch(ctx, "1"); err != nil {
			log.Fatal(err)
		}
		as, err := playlists.Identify(ctx)
		if err != nil {
			log.Fatal(err)
		}
		stored, ok, err := repo.Get(as, "1")
		fmt.Println(stored.Title, ok, err)
	}
	// Output:
	// the API is asked by alice
	// Songs of alice true <nil>
	// the API is asked by bob
	// Songs of bob true <nil>
}
