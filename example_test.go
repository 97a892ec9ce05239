package endpointcache_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"time"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/prefetch"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/sqlite"
)

// TrackKey is the key of a track: a column for each field, in this order.
type TrackKey struct {
	ID     string `path:"id"`
	Market string `query:"market"`
}

// Track is what a response holds.
type Track struct {
	Title string `json:"title"`
}

// Tracks is the endpoint.
var Tracks = settings.RepositorySettings[TrackKey, Track]{
	Name:    "tracks",
	Pattern: "GET /v1/tracks/{id}",
	NameOf:  func(t Track) string { return t.Title },
	Expire:  14 * 24 * time.Hour,
}

// An API's endpoint, declared once, filled in bulk and read back typed.
func Example() {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"title": "Title of %s"}`, r.URL.Path)
	}))
	defer api.Close()
	ctx := context.Background()

	store, err := sqlite.OpenTemp(ctx, nil) // or sqlite.Open(ctx, "music.db", nil)
	if err != nil {
		log.Fatal(err)
	}
	c, err := cache.New(store, &cache.Options{Name: "music"})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	client, err := fetch.NewClient(&fetch.Options{BaseURL: api.URL})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	tracks, err := fetch.Create(ctx, c, client, Tracks, nil)
	if err != nil {
		log.Fatal(err)
	}

	keys := []TrackKey{{ID: "a", Market: "DE"}, {ID: "b", Market: "DE"}}
	for range 2 {
		result, err := prefetch.Run(ctx, tracks, slices.Values(keys), nil)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(result.Cached, "cached,", result.Fetched, "fetched")
	}
	track, err := tracks.Fetch(ctx, keys[0])
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(track.Title)
	// Output:
	// 0 cached, 2 fetched
	// 2 cached, 0 fetched
	// Title of /v1/tracks/a
}
