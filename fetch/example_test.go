package fetch_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"

	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/memory"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
)

// Track is what the API of the examples serves.
type Track struct {
	ID    string `json:"id"`
	Title string `json:"title"`
}

var trackSettings = settings.RepositorySettings[string, Track]{
	Name:         "tracks",
	Endpoint:     request.Pattern[string]("GET /v1/tracks/{id}"),
	Batch:        request.BatchPattern[string]("GET /v1/tracks?ids={id}", 50, payload.SplitArray("tracks"), nil),
	Payload:      payload.JSON[Track](),
	Expire:       14 * 24 * time.Hour,
	ExpireAbsent: 24 * time.Hour,
}

// newAPI serves tracks, one or several in a request, and may print what it is asked
// for.
func newAPI(prints bool) *httptest.Server {
	body := func(id string) string {
		if id == "unknown" {
			return "null"
		}
		return fmt.Sprintf(`{"id": %q, "title": "Title of %s"}`, id, id)
	}
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if prints {
			fmt.Println(r.Method, r.URL)
		}
		if id, ok := strings.CutPrefix(r.URL.Path, "/v1/tracks/"); ok {
			fmt.Fprint(w, body(id))
			return
		}
		var items []string
		for id := range strings.SplitSeq(r.URL.Query().Get("ids"), ",") {
			items = append(items, body(id))
		}
		fmt.Fprintf(w, `{"tracks": [%s]}`, strings.Join(items, ","))
	}))
}

func Example() {
	api := newAPI(true)
	defer api.Close()
	ctx := context.Background()
	store, err := memory.New(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	repo, err := repository.New(ctx, store, trackSettings, nil)
	if err != nil {
		log.Fatal(err)
	}
	client, err := fetch.NewClient(&fetch.Options{BaseURL: api.URL})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	tracks, err := fetch.New(client, repo, nil)
	if err != nil {
		log.Fatal(err)
	}

	for range 2 { // the second time from the cache
		track, err := tracks.Fetch(ctx, "a")
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(track.Title)
	}
	results, err := tracks.FetchMany(ctx, []string{"b", "a", "unknown", "c"})
	if err != nil {
		log.Fatal(err)
	}
	for _, r := range results {
		fmt.Printf("%s %v %q\n", r.Key, r.Status, r.Value.Title)
	}
	// Output:
	// GET /v1/tracks/a
	// Title of a
	// Title of a
	// GET /v1/tracks?ids=b,unknown,c
	// b fetched "Title of b"
	// a cached "Title of a"
	// unknown absent ""
	// c fetched "Title of c"
}

// Callers that each want one key can share a request for all.
func ExampleFetcherOptions_gather() {
	api := newAPI(false)
	defer api.Close()
	client, err := fetch.NewClient(&fetch.Options{BaseURL: api.URL})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	s := trackSettings
	s.Batch = request.BatchPattern[string]("GET /v1/tracks?ids={id}", 2, payload.SplitArrayBy("tracks", "id"), nil)
	tracks, err := fetch.Uncached(client, s, &fetch.FetcherOptions{Gather: time.Second})
	if err != nil {
		log.Fatal(err)
	}

	var callers sync.WaitGroup
	for _, id := range []string{"a", "b"} {
		callers.Go(func() {
			track, err := tracks.Fetch(context.Background(), id)
			if err != nil {
				log.Fatal(err)
			}
			fmt.Println(track.Title)
		})
	}
	callers.Wait()
	fmt.Println("requests:", tracks.Requests())
	// Unordered output:
	// Title of a
	// Title of b
	// requests: 1
}

func ExampleFetcher_Fetch_errors() {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/tracks/unknown" {
			http.NotFound(w, r)
			return
		}
		http.Error(w, "not for you", http.StatusForbidden)
	}))
	defer api.Close()
	client, err := fetch.NewClient(&fetch.Options{BaseURL: api.URL})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	tracks, err := fetch.Uncached(client, trackSettings, nil)
	if err != nil {
		log.Fatal(err)
	}

	for _, id := range []string{"unknown", "secret"} {
		_, err := tracks.Fetch(context.Background(), id)
		var status *fetch.StatusError
		switch {
		case errors.Is(err, fetch.ErrAbsent):
			fmt.Println(id, "does not exist")
		case errors.As(err, &status):
			fmt.Println(id, "is refused with", status.Code)
		}
	}
	// Output:
	// unknown does not exist
	// secret is refused with 403
}

// An expired value is better than none while the API is down.
func ExampleWith() {
	ctx := context.Background()
	store, err := memory.New(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	repo, err := repository.New(ctx, store, trackSettings, nil)
	if err != nil {
		log.Fatal(err)
	}
	old := Track{ID: "a", Title: "As it was"}
	if err := repo.Save(ctx, "a", old, repository.ExpireAt(time.Now().Add(-time.Hour))); err != nil {
		log.Fatal(err)
	}

	api := newAPI(false)
	api.Close() // it is down
	client, err := fetch.NewClient(&fetch.Options{BaseURL: api.URL})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	tracks, err := fetch.New(client, repo, nil)
	if err != nil {
		log.Fatal(err)
	}
	track, err := tracks.Fetch(ctx, "a", fetch.With(policy.Policy{StaleIfError: 24 * time.Hour}))
	fmt.Println(track.Title, err)
	// Output: As it was <nil>
}
