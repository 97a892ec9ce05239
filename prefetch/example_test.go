package prefetch_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"time"

	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/prefetch"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/sqlite"
)

func ExampleRun() {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/tracks/unknown" {
			http.NotFound(w, r)
			return
		}
		fmt.Fprintf(w, `{"title": "The track of %s"}`, r.URL.Path)
	}))
	defer api.Close()

	ctx := context.Background()
	store, err := sqlite.OpenMemory(ctx, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()

	type Track struct{ Title string }
	tracks, err := repository.New(ctx, store, settings.RepositorySettings[string, Track]{
		Name:     "tracks",
		Endpoint: request.Pattern[string]("GET /v1/tracks/{id}"),
		Payload:  payload.JSON[Track](),
		Expire:   14 * 24 * time.Hour,
	}, nil)
	if err != nil {
		log.Fatal(err)
	}

	opts := &prefetch.Options{BaseURL: api.URL, Rate: 100}
	for _, keys := range [][]string{{"a", "b", "unknown"}, {"a", "b", "c"}} {
		result, err := prefetch.Run(ctx, tracks, slices.Values(keys), opts)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("cached:", result.Cached, "fetched:", result.Fetched, "failed:", result.Failed)
		for key := range result.Failures() {
			fmt.Println("failed:", key)
		}
	}
	// Output:
	// cached: 0 fetched: 2 failed: 1
	// failed: unknown
	// cached: 2 fetched: 1 failed: 0
}
