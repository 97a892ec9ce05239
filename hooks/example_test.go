package hooks_test

import (
	"context"
	"expvar"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/hooks"
	"github.com/endpointcache/endpointcache/memory"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
)

// answers are served at /debug/vars, with all that package expvar has.
var answers = expvar.NewMap("answers")

// Answers are counted by their kind, and a line is printed for each request to the origin.
func Example() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"id": "1"}`)
	}))
	defer server.Close()

	store, err := memory.New(nil) // or sqlite.Open(ctx, "music.db", nil)
	if err != nil {
		log.Fatal(err)
	}
	music, err := cache.New(store, &cache.Options{Hooks: hooks.Hooks{
		Answered: func(_ context.Context, a hooks.Answer) { answers.Add(a.Result.String(), int64(a.Keys)) },
		Requesting: func(ctx context.Context, r hooks.Request) (context.Context, func(hooks.RequestEnd)) {
			return ctx, func(e hooks.RequestEnd) {
				fmt.Printf("%s %s for %d key: %d, %d bytes\n", r.Method, r.Repository, r.Keys, e.Status, e.Bytes)
			}
		},
	}})
	if err != nil {
		log.Fatal(err)
	}
	defer music.Close()
	client, err := fetch.NewClient(&fetch.Options{BaseURL: server.URL, Client: server.Client()})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	ctx := context.Background()
	tracks, err := fetch.Create(ctx, music, client, settings.RepositorySettings[string, track]{
		Name: "tracks", Endpoint: request.Pattern[string]("/tracks/{id}"), Payload: payload.JSON[track](), Scope: settings.Shared,
	}, nil)
	if err != nil {
		log.Fatal(err)
	}
	for range 3 {
		if _, err := tracks.Fetch(ctx, "1"); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(answers)
	// Output:
	// GET tracks for 1 key: 200, 11 bytes
	// {"fetched": 1, "fresh": 2}
}

// Operations on any store are told with their keys' number, their result and their time.
func ExampleStore() {
	below, err := memory.New(nil)
	if err != nil {
		log.Fatal(err)
	}
	store, err := hooks.Store(below, hooks.StoreHooks{
		Operation: func(ctx context.Context, op hooks.StoreOperation) (context.Context, func(hooks.StoreEnd)) {
			return ctx, func(e hooks.StoreEnd) {
				if op.Table == "tracks" {
					fmt.Println(op.Operation, "of", op.Entries, "in", op.Store+":", e.Entries)
				}
			}
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	music, err := cache.New(store, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer music.Close()
	ctx := context.Background()
	tracks, err := cache.CreateRepository(ctx, music, settings.RepositorySettings[string, track]{Name: "tracks"})
	if err != nil {
		log.Fatal(err)
	}
	if err := tracks.Save(ctx, "1", track{ID: "1"}); err != nil {
		log.Fatal(err)
	}
	if _, err := tracks.GetMany(ctx, []string{"1", "2"}); err != nil {
		log.Fatal(err)
	}
	// Output:
	// open_table of 0 in memory: 0
	// put of 1 in memory: 1
	// get of 2 in memory: 1
}
