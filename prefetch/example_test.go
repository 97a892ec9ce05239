package prefetch_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"time"

	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/origin"
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

	client, err := fetch.NewClient(&fetch.Options{
		BaseURL: api.URL,
		Origin:  &origin.Options{Limits: origin.Limits{Rate: 100}},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	fetcher, err := fetch.New(client, tracks, nil)
	if err != nil {
		log.Fatal(err)
	}
	for _, keys := range [][]string{{"a", "b", "unknown"}, {"a", "b", "c"}} {
		result, err := prefetch.Run(ctx, fetcher, slices.Values(keys), nil)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("cached:", result.Cached, "fetched:", result.Fetched, "absent:", result.Absent, "failed:", result.Failed)
	}
	// Output:
	// cached: 0 fetched: 2 absent: 1 failed: 0
	// cached: 2 fetched: 1 absent: 0 failed: 0
}

// An endpoint that answers for many keys, and keys that are not to be held in memory.
func ExampleEach() {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		items := []string{}
		for id := range strings.SplitSeq(r.FormValue("ids"), ",") {
			item := "null"
			if id != "13" {
				item = fmt.Sprintf(`{"title": "Track %s"}`, id)
			}
			items = append(items, item)
		}
		fmt.Fprintf(w, `{"tracks": [%s]}`, strings.Join(items, ", "))
	}))
	defer api.Close()

	ctx := context.Background()
	store, err := sqlite.OpenTemp(ctx, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()

	type Track struct{ Title string }
	tracks, err := repository.New(ctx, store, settings.RepositorySettings[int, Track]{
		Name:         "tracks",
		Endpoint:     request.Pattern[int]("GET /v1/tracks/{id}"),
		Batch:        request.BatchPattern[int]("GET /v1/tracks?ids={id}", 50, payload.SplitArray("tracks"), nil),
		Payload:      payload.JSON[Track](),
		ExpireAbsent: 24 * time.Hour,
	}, nil)
	if err != nil {
		log.Fatal(err)
	}
	client, err := fetch.NewClient(&fetch.Options{BaseURL: api.URL})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	fetcher, err := fetch.New(client, tracks, nil)
	if err != nil {
		log.Fatal(err)
	}
	ids := func(yield func(int) bool) {
		for id := 1; id <= 100 && yield(id); id++ {
		}
	}
	result, err := prefetch.Each(ctx, fetcher, ids, nil, func(item prefetch.Item[int]) {
		if item.Status == prefetch.Absent {
			fmt.Println("there is no track", item.Key)
		}
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(result.Fetched, "fetched with", result.Requests, "requests")
	// Output:
	// there is no track 13
	// 99 fetched with 2 requests
}
