package cache_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"time"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/memory"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/settings"
)

type marketKey struct {
	ID     string `path:"id"`
	Market string `query:"market"`
}

// shelf is a cache with one stored response. Its clock stands still.
func shelf(ctx context.Context) *cache.ResponseCache {
	store, err := memory.New(nil)
	if err != nil {
		log.Fatal(err)
	}
	noon := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	c, err := cache.New(store, &cache.Options{Now: func() time.Time { return noon }, BaseURL: "https://api.example.com"})
	if err != nil {
		log.Fatal(err)
	}
	tracks, err := cache.CreateRepository(ctx, c, settings.RepositorySettings[marketKey, []byte]{
		Name: "tracks", Pattern: "GET /v1/tracks/{id}", Payload: payload.Bytes(),
	})
	if err != nil {
		log.Fatal(err)
	}
	err = tracks.Save(ctx, marketKey{"6rqhFg", "SE"}, []byte(`{"title":"Harder"}`), repository.ExpireIn(200*time.Minute))
	if err != nil {
		log.Fatal(err)
	}
	return c
}

// Why was this call a miss?
func ExampleContents_Lookup() {
	ctx := context.Background()
	c := shelf(ctx)
	defer c.Close()

	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://api.example.com/v1/tracks/6rqhFg?market=DE", nil)
	if err != nil {
		log.Fatal(err)
	}
	found, err := c.Contents().Lookup(ctx, req)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(found.Found, found.Repository, found.Key)
	for _, reason := range found.Reasons {
		fmt.Println(reason)
	}
	// Output:
	// false tracks [{id 6rqhFg} {market DE}]
	// Nothing is stored for its key.
	// It is stored with "SE" in market, where the request has "DE".
}

func ExampleContents_Explain() {
	ctx := context.Background()
	c := shelf(ctx)
	defer c.Close()

	for e, err := range c.Contents().Entries(ctx, cache.Query{}) {
		if err != nil {
			log.Fatal(err)
		}
		told, err := c.Contents().Explain(ctx, e)
		if err != nil {
			log.Fatal(err)
		}
		req, err := c.Contents().Request(ctx, e)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(req.Method, req.URL)
		fmt.Println(told.Verdict, told.Reasons)
	}
	// Output:
	// GET https://api.example.com/v1/tracks/6rqhFg?market=SE
	// serve [It is fresh for another 3h20m.]
}
