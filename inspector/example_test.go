package inspector_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/inspector"
	"github.com/endpointcache/endpointcache/memory"
	"github.com/endpointcache/endpointcache/settings"
)

func ExampleHandler() {
	ctx := context.Background()
	store, err := memory.New(nil) // or any other
	if err != nil {
		log.Fatal(err)
	}
	recorder := new(inspector.Recorder)
	c, err := cache.New(store, &cache.Options{Name: "music", Hooks: recorder.Hooks()})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	tracks, err := cache.CreateRepository(ctx, c, settings.RepositorySettings[string, string]{
		Name: "tracks", Pattern: "GET api.example.com/tracks/{id}", NameOf: strings.ToUpper,
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := tracks.Save(ctx, "6rqhFg", "harder"); err != nil {
		log.Fatal(err)
	}

	pages, err := inspector.Handler(c, &inspector.Options{Recorder: recorder})
	if err != nil {
		log.Fatal(err)
	}
	defer pages.Close()
	mux := http.NewServeMux()
	mux.Handle("/debug/cache/", pages)
	server := httptest.NewServer(mux)
	defer server.Close()

	// People open /debug/cache/ in a browser; programs get the same as JSON.
	resp, err := http.Get(server.URL + "/debug/cache/list?name=HAR*&format=json")
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	fmt.Println(resp.Status, strings.Contains(string(body), `"key": "6rqhFg"`), err)
	// Output: 200 OK true <nil>
}
