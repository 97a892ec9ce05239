package settings_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/memory"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/transport"
)

// Both endpoints need a token. The catalogue is the same for all; a playlist is its owner's.
func ExampleRepositorySettings_scope() {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Println("the API is asked for", r.URL, "by", r.Header.Get("X-Api-Key"))
		fmt.Fprint(w, "an answer to ", r.Header.Get("X-Api-Key"))
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

	_, err = cache.CreateRepository(ctx, c, settings.RepositorySettings[string, string]{
		Name: "tracks", Pattern: "GET /tracks/{id}", Payload: payload.String(), Scope: settings.Shared,
	})
	if err != nil {
		log.Fatal(err)
	}
	_, err = cache.CreateRepository(ctx, c, settings.RepositorySettings[string, string]{
		Name: "playlists", Pattern: "GET /playlists/{id}", Payload: payload.String(), Scope: settings.PerIdentity,
	})
	if err != nil {
		log.Fatal(err)
	}

	client := &http.Client{Transport: transport.New(c, nil)}
	for _, path := range []string{"/tracks/1", "/playlists/mine"} {
		for _, user := range []string{"alice", "bob", "alice"} {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, api.URL+path, nil)
			if err != nil {
				log.Fatal(err)
			}
			req.Header.Set("X-Api-Key", user)
			resp, err := client.Do(req)
			if err != nil {
				log.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			fmt.Println(user, "gets", string(body), err)
		}
	}
	// Output:
	// the API is asked for /tracks/1 by alice
	// alice gets an answer to alice <nil>
	// bob gets an answer to alice <nil>
	// alice gets an answer to alice <nil>
	// the API is asked for /playlists/mine by alice
	// alice gets an answer to alice <nil>
	// the API is asked for /playlists/mine by bob
	// bob gets an answer to bob <nil>
	// alice gets an answer to alice <nil>
}
