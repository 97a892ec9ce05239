package restyfetch_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-resty/resty/v2"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/fetch/restyfetch"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/prefetch"
	"github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/sqlite"
	"github.com/endpointcache/endpointcache/transport"
)

// Track is what the API tells of a track.
type Track struct {
	ID    string `json:"id"`
	Title string `json:"title"`
}

// Tracks is a declared endpoint: its responses are a table of their own. A prefetch asks
// for up to 50 tracks with one request; each is kept as if it had been asked for alone.
var Tracks = settings.RepositorySettings[string, Track]{
	Name:    "tracks",
	Pattern: "GET /v1/tracks/{id}",
	Batch:   request.BatchPattern[string]("GET /v1/tracks?ids={id}", 50, payload.SplitArray("tracks"), nil),
	Expire:  14 * 24 * time.Hour,
}

// musicAPI is a small API, which counts its requests.
func musicAPI(requests *atomic.Int32) *httptest.Server {
	titles := map[string]string{"a": "Blue in Green", "b": "So What", "c": "All Blues"}
	item := func(id string) string {
		if titles[id] == "" {
			return "null"
		}
		return fmt.Sprintf(`{"id": %q, "title": %q}`, id, titles[id])
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/tracks/{id}", func(w http.ResponseWriter, r *http.Request) {
		if titles[r.PathValue("id")] == "" {
			http.Error(w, "no such track", http.StatusNotFound)
			return
		}
		fmt.Fprint(w, item(r.PathValue("id")))
	})
	mux.HandleFunc("GET /v1/tracks", func(w http.ResponseWriter, r *http.Request) {
		var items []string
		for id := range strings.SplitSeq(r.FormValue("ids"), ",") {
			items = append(items, item(id))
		}
		fmt.Fprintf(w, `{"tracks": [%s]}`, strings.Join(items, ", "))
	})
	mux.HandleFunc("GET /v1/search", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "[]") })
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		mux.ServeHTTP(w, r)
	}))
}

// One resty client has the cache below it, and typed calls and a prefetch are sent by the
// same client. What one of them has fetched is a hit for the others.
func Example_everyDoor() {
	var requests atomic.Int32
	api := musicAPI(&requests)
	defer api.Close()
	ctx := context.Background()
	store, err := sqlite.OpenTemp(ctx, nil)
	if err != nil {
		log.Fatal(err)
	}
	c, err := cache.New(store, &cache.Options{Policy: policy.Policy{
		// What is not there may come: it is asked for again, though not at once.
		ExpireStatus: map[int]policy.Expiry{http.StatusNotFound: policy.After(time.Hour)},
	}})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	// All endpoints that are not declared have a table for themselves.
	if _, err := cache.CreateRepository(ctx, c, settings.CatchAll("rest", nil)); err != nil {
		log.Fatal(err)
	}

	own := resty.New().SetBaseURL(api.URL)
	base, err := own.Transport() // what resty sets on it, such as a proxy, comes before
	if err != nil {
		log.Fatal(err)
	}
	defer base.CloseIdleConnections()
	own.SetTransport(transport.New(c, &transport.Options{Base: base}))
	client, err := fetch.NewClient(restyfetch.Options(own))
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	tracks, err := fetch.Create(ctx, c, client, Tracks, nil)
	if err != nil {
		log.Fatal(err)
	}

	for _, path := range []string{
		"/v1/tracks/a", "/v1/tracks/a", "/v1/search?q=blue", "/v1/search?q=blue",
		"/v1/tracks/unknown", "/v1/tracks/unknown",
	} {
		resp, err := own.R().Get(path)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%-18s  %d, from the cache: %t\n", path, resp.StatusCode(), resp.Header().Get("X-From-Cache") == "1")
	}
	result, err := prefetch.Run(ctx, tracks, slices.Values([]string{"a", "b", "c", "unknown"}), nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(result.Cached, "cached,", result.Fetched, "fetched,", result.Absent, "absent, with", result.Requests, "request")
	track, err := tracks.Fetch(ctx, "c")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(track.Title)
	fmt.Println("The API was asked", requests.Load(), "times.")
	// Output:
	// /v1/tracks/a        200, from the cache: false
	// /v1/tracks/a        200, from the cache: true
	// /v1/search?q=blue   200, from the cache: false
	// /v1/search?q=blue   200, from the cache: true
	// /v1/tracks/unknown  404, from the cache: false
	// /v1/tracks/unknown  404, from the cache: true
	// 1 cached, 2 fetched, 1 absent, with 1 request
	// All Blues
	// The API was asked 4 times.
}
