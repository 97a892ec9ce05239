package pages_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strconv"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/memory"
	"github.com/endpointcache/endpointcache/pages"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/settings"
)

type AlbumTracksKey struct {
	ID     string `path:"id"`
	Offset int    `query:"offset" default:"0"`
}

type AlbumTracks struct {
	Items []Track `json:"items"`
	Total int     `json:"total"`
}

type Track struct {
	ID    string `json:"id"`
	Title string `json:"title"`
}

// All tracks of an album, in a repository of their own beside the pages.
func Example() {
	titles := []string{"All I Want", "My Old Man", "Little Green", "Carey", "Blue"}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Println("the API is asked for", r.URL)
		offset, _ := strconv.Atoi(r.URL.Query().Get("offset"))
		fmt.Fprintf(w, `{"total": %d, "items": [`, len(titles))
		for i := offset; i < min(offset+2, len(titles)); i++ {
			if i > offset {
				fmt.Fprint(w, ", ")
			}
			fmt.Fprintf(w, `{"id": "t%d", "title": %q}`, i, titles[i])
		}
		fmt.Fprint(w, "]}")
	}))
	defer server.Close()

	ctx := context.Background()
	store, err := memory.New(nil) // or sqlite.Open(ctx, "music.db", nil)
	if err != nil {
		log.Fatal(err)
	}
	music, err := cache.New(store, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer music.Close()
	client, err := fetch.NewClient(&fetch.Options{BaseURL: server.URL})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	albumTracks, err := fetch.Create(ctx, music, client, settings.RepositorySettings[AlbumTracksKey, AlbumTracks]{
		Name:    "album_tracks",
		Pattern: "/albums/{id}/tracks",
	}, nil)
	if err != nil {
		log.Fatal(err)
	}
	tracks, err := fetch.Create(ctx, music, client, settings.RepositorySettings[string, Track]{
		Name:    "tracks",
		Pattern: "/tracks/{id}",
	}, nil)
	if err != nil {
		log.Fatal(err)
	}

	next := pages.Offset(
		func(k *AlbumTracksKey) *int { return &k.Offset },
		func(p AlbumTracks) pages.Extent { return pages.Extent{Items: len(p.Items), Total: p.Total} })
	walk := pages.Walk(ctx, albumTracks, AlbumTracksKey{ID: "blue"}, next, nil)
	items := pages.Items(ctx, walk, tracks, payload.Array("items"), func(_ AlbumTracksKey, t Track) (string, bool) {
		return t.ID, true
	})
	for item, err := range items {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(item.Value.Title)
	}

	track, err := tracks.Fetch(ctx, "t4") // which needs no request
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("once more:", track.Title)
	// Output:
	// the API is asked for /albums/blue/tracks?offset=0
	// All I Want
	// My Old Man
	// the API is asked for /albums/blue/tracks?offset=2
	// Little Green
	// Carey
	// the API is asked for /albums/blue/tracks?offset=4
	// Blue
	// once more: Blue
}
