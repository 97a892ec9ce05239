package cache_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/exchange"
	"github.com/endpointcache/endpointcache/memory"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/sqlite"
)

// endpoint describes the text responses of a pattern with one wildcard.
func endpoint(name, pattern string) settings.RepositorySettings[string, string] {
	return settings.RepositorySettings[string, string]{
		Name: name, Endpoint: request.Pattern[string](pattern), Payload: payload.String(),
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newCache(t *testing.T, opts *cache.Options) *cache.ResponseCache {
	t.Helper()
	store, err := sqlite.OpenMemory(t.Context(), nil)
	check(t, err)
	c, err := cache.New(store, opts)
	check(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

func create(t *testing.T, c *cache.ResponseCache, s settings.RepositorySettings[string, string]) *repository.ResponseRepository[string, string] {
	t.Helper()
	r, err := cache.CreateRepository(t.Context(), c, s)
	check(t, err)
	return r
}

func get(t *testing.T, url string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	check(t, err)
	return req
}

func answer(req *http.Request, body string) *http.Response {
	return &http.Response{
		StatusCode: 200, Request: req, Proto: "HTTP/1.1", Header: http.Header{},
		ContentLength: int64(len(body)), Body: io.NopCloser(strings.NewReader(body)),
	}
}

func routed(t *testing.T, c *cache.ResponseCache, url string) string {
	t.Helper()
	return routedRequest(t, c, get(t, url))
}

func routedRequest(t *testing.T, c *cache.ResponseCache, req *http.Request) string {
	t.Helper()
	table, _, ok, err := exchange.OfCache(c).Route(req, nil)
	check(t, err)
	if !ok {
		return ""
	}
	return table.Name
}

func TestACacheIsACollection(t *testing.T) {
	c := newCache(t, &cache.Options{Name: "music"})
	tracks := create(t, c, endpoint("tracks", "/tracks/{id}"))
	create(t, c, endpoint("albums", "/albums/{id}"))

	if c.Name() != "music" || c.Kind() != "sqlite" || c.Len() != 2 {
		t.Errorf("%q on %q has %d", c.Name(), c.Kind(), c.Len())
	}
	var names []string
	for name, r := range c.Repositories() {
		if r.Name() != name {
			t.Errorf("%q is under %q", r.Name(), name)
		}
		names = append(names, name)
		c.Remove(name) // a body may
	}
	if !slices.Equal(names, []string{"tracks", "albums"}) || c.Len() != 0 {
		t.Errorf("names %q, then %d left", names, c.Len())
	}
	create(t, c, endpoint("albums", "/albums/{id}"))
	if c.Remove("tracks") || !c.Remove("albums") {
		t.Error("Remove does not tell what was there")
	}
	if err := tracks.Save(t.Context(), "a", "A"); err != nil {
		t.Errorf("a removed repository cannot be used: %v", err)
	}
	again := create(t, c, endpoint("tracks", "/tracks/{id}"))
	if v, ok, err := again.Get(t.Context(), "a"); err != nil || !ok || v != "A" {
		t.Errorf("made again, it has %q, %v, %v", v, ok, err)
	}
}

// What is declared answers requests, and is there by its types when they are asked for.
func TestADeclaredRepositoryIsAnyOther(t *testing.T) {
	c := newCache(t, nil)
	if err := cache.Declare(t.Context(), c, endpoint("tracks", "/tracks/{id}")); err != nil {
		t.Fatal(err)
	}
	if err := cache.Declare(t.Context(), c, endpoint("tracks", "/others/{id}")); !errors.Is(err, cache.ErrExists) {
		t.Errorf("the same name: %v", err)
	}
	if err := cache.Declare(t.Context(), c, endpoint("others", "/tracks/{other}")); !errors.Is(err, cache.ErrSamePattern) {
		t.Errorf("the same pattern: %v", err)
	}
	if err := cache.Declare(t.Context(), nil, endpoint("tracks", "/tracks/{id}")); err == nil {
		t.Error("a nil cache is no error")
	}
	tracks, err := cache.Repository[string, string](c, "tracks")
	if err != nil {
		t.Fatal(err)
	}
	if again, err := cache.Repository[string, string](c, "tracks"); err != nil || again != tracks {
		t.Errorf("the second time, it is %p, not %p: %v", again, tracks, err)
	}
	if _, err := cache.Repository[string, []byte](c, "tracks"); !errors.Is(err, cache.ErrType) {
		t.Errorf("another type: %v", err)
	}
	if err := tracks.Save(t.Context(), "a", "A"); err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://api.example.com/tracks/a", nil)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := c.Count(t.Context(), repository.Live); n != 1 || err != nil {
		t.Errorf("%d entries, %v", n, err)
	}
	if key, ok, err := tracks.Key(req); key != "a" || !ok || err != nil {
		t.Errorf("the request has the key %q, %t, %v", key, ok, err)
	}
}

func TestRepositoriesAreFoundByNameAndType(t *testing.T) {
	c := newCache(t, nil)
	tracks := create(t, c, endpoint("tracks", "/tracks/{id}"))
	if r, err := cache.Repository[string, string](c, "tracks"); err != nil || r != tracks {
		t.Errorf("%v, %v", r, err)
	}
	if _, err := cache.Repository[string, []byte](c, "tracks"); !errors.Is(err, cache.ErrType) {
		t.Errorf("another type: %v", err)
	}
	if _, err := cache.Repository[string, string](c, "x"); !errors.Is(err, cache.ErrNotFound) {
		t.Errorf("another name: %v", err)
	}
	if r, ok := c.Responses("tracks"); !ok || r != tracks.Responses {
		t.Errorf("Responses = %v, %v", r, ok)
	}
	if r, ok := c.Responses("x"); ok || r != nil {
		t.Errorf("Responses of another name = %v, %v", r, ok)
	}
}

func TestNamesAreTakenOnce(t *testing.T) {
	c := newCache(t, nil)
	create(t, c, endpoint("tracks", "/tracks/{id}"))
	for _, name := range []string{"tracks", "Tracks"} {
		if _, err := cache.CreateRepository(t.Context(), c, endpoint(name, "/x/{id}")); !errors.Is(err, cache.ErrExists) {
			t.Errorf("%s: %v", name, err)
		}
	}
	bad := endpoint("albums", "/albums/{id")
	if _, err := cache.CreateRepository(t.Context(), c, bad); err == nil {
		t.Error("a bad pattern was taken")
	}
	create(t, c, endpoint("albums", "/albums/{id}")) // the name is free again

	var wait sync.WaitGroup
	var mu sync.Mutex
	created := 0
	for range 16 {
		wait.Add(1)
		go func() {
			defer wait.Done()
			_, err := cache.CreateRepository(t.Context(), c, endpoint("artists", "/artists/{id}"))
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				created++
			} else if !errors.Is(err, cache.ErrExists) {
				t.Error(err)
			}
		}()
	}
	wait.Wait()
	if created != 1 {
		t.Errorf("%d were created", created)
	}
}

func TestRequestsGoToTheMostSpecificRepository(t *testing.T) {
	declared := []settings.RepositorySettings[string, string]{
		endpoint("rest", "/v1/{path...}"),
		endpoint("tracks", "/v1/tracks/{id}"),
		endpoint("tracks again", "/v1/tracks/{id}?page=1"),
		endpoint("top", "/v1/tracks/top-{n}"),
		endpoint("host", "api.com/v1/{path...}"),
	}
	for name, order := range map[string][]int{"declared": {0, 1, 2, 3, 4}, "reversed": {4, 3, 1, 2, 0}} {
		t.Run(name, func(t *testing.T) {
			c := newCache(t, nil)
			for _, i := range order {
				create(t, c, declared[i])
			}
			for url, want := range map[string]string{
				"https://x/v1/tracks/a":              "tracks",
				"https://x/v1/tracks/top-3":          "top",
				"https://x/v1/albums/b":              "rest",
				"https://api.com/v1/albums/b":        "host",
				"https://api.com.evil.org/v1/albums": "rest",
				"https://x/v2":                       "",
			} {
				if got := routed(t, c, url); got != want {
					t.Errorf("%s goes to %q, want %q", url, got, want)
				}
			}
		})
	}
}

// Whatever is declared comes before the repository for all the rest, functions too.
func TestTheCatchAllIsAskedLast(t *testing.T) {
	c := newCache(t, nil)
	_, err := cache.CreateRepository(t.Context(), c, settings.CatchAll("rest", nil))
	check(t, err)
	byHand := endpoint("by hand", "")
	byHand.Endpoint = request.Func(func(req *http.Request) (string, bool, error) {
		return req.URL.Path, req.URL.Path == "/by-hand", nil
	}, nil)
	create(t, c, byHand)
	create(t, c, endpoint("tracks", "/{path...}/tracks"))
	for url, want := range map[string]string{
		"https://x/by-hand": "by hand", "https://x/v1/tracks": "tracks", "https://x/v1/albums": "rest",
	} {
		if got := routed(t, c, url); got != want {
			t.Errorf("%s goes to %q, want %q", url, got, want)
		}
	}
}

func TestTwoRepositoriesForTheSameRequestsAreAnError(t *testing.T) {
	type paged struct {
		ID   string `path:"track"`
		Page int    `query:"page"`
	}
	type fixed struct {
		ID string `path:"id"`
		Q  string `query:"q,required"`
	}
	type search struct {
		Q string `body:"filter.q"`
		N int    `body:"n"`
	}
	type searchToo struct {
		Number int    `body:"n"`
		Text   string `body:"filter.q"`
	}
	type searchFewer struct {
		Q string `body:"filter.q"`
	}
	function := request.Func(func(*http.Request) (string, bool, error) { return "", false, nil }, nil)
	for name, test := range map[string]struct {
		first, second func(*cache.ResponseCache) error
		same          bool
	}{
		"the same pattern":         {adding[string]("a", "GET /t/{id}"), adding[string]("b", "GET /t/{id}"), true},
		"another wildcard's name":  {adding[string]("a", "/t/{id}"), adding[string]("b", "GET /t/{track}"), true},
		"an escape":                {adding[string]("a", "/~t/{id}"), adding[string]("b", "/%7Et/{id}"), true},
		"a host's case":            {adding[string]("a", "API.example.com/{id}"), adding[string]("b", "api.example.com/{id}"), true},
		"an order of parameters":   {adding[string]("a", "/t/{id}?a=1&b=2"), adding[string]("b", "/t/{id}?b=2&a=1"), true},
		"fewer parameters":         {adding[paged]("a", "/t/{track}"), adding[string]("b", "/t/{id}"), true},
		"the same members":         {adding[search]("a", "POST /s"), adding[searchToo]("b", "POST /s"), true},
		"fewer members":            {adding[search]("a", "POST /s"), adding[searchFewer]("b", "POST /s"), true},
		"the same function":        {addingEndpoint("a", function), addingEndpoint("b", function), true},
		"two catch-alls":           {addingRest("a"), addingRest("b"), true},
		"another method":           {adding[string]("a", "GET /t/{id}"), adding[string]("b", "POST /t/{id}"), false},
		"another host":             {adding[string]("a", "a.example.com/{id}"), adding[string]("b", "b.example.com/{id}"), false},
		"another port":             {adding[string]("a", "a.example.com:80/{id}"), adding[string]("b", "a.example.com:81/{id}"), false},
		"another path":             {adding[string]("a", "/a/{id}"), adding[string]("b", "/{id}/b"), false},
		"another text beside":      {adding[string]("a", "/{id}.json"), adding[string]("b", "/{id}.html"), false},
		"more parameters":          {adding[string]("a", "/t/{id}"), adding[paged]("b", "/t/{track}"), false},
		"a required parameter":     {adding[string]("a", "/t/{id}"), adding[fixed]("b", "/t/{id}"), false},
		"another fixed parameter":  {adding[string]("a", "/t/{id}?a=1"), adding[string]("b", "/t/{id}?a=2"), false},
		"a narrower wildcard":      {adding[string]("a", "/t/{id}"), adding[int]("b", "/t/{id}"), false},
		"more members":             {adding[searchFewer]("a", "POST /s"), adding[search]("b", "POST /s"), false},
		"functions of their own":   {addingEndpoint("a", function), adding[string]("b", "/t/{id}"), false},
		"repositories without any": {addingEndpoint("a", nil), addingEndpoint("b", nil), false},
	} {
		c := newCache(t, nil)
		check(t, test.first(c))
		if err := test.second(c); errors.Is(err, cache.ErrSamePattern) != test.same || !test.same && err != nil {
			t.Errorf("%s: %v", name, err)
		} else if test.same && !strings.Contains(err.Error(), `"a"`) {
			t.Errorf("%s: %v, want the other's name", name, err)
		}
		c.Remove("a")
		if test.same {
			check(t, test.second(c))
		}
		// A router tells them apart.
		routing := newCache(t, &cache.Options{Router: func(*http.Request) string { return "a" }})
		check(t, test.first(routing))
		check(t, test.second(routing))
	}
}

func adding[K comparable](name, pattern string) func(*cache.ResponseCache) error {
	return func(c *cache.ResponseCache) error {
		_, err := cache.CreateRepository(context.Background(), c, settings.RepositorySettings[K, string]{Name: name, Pattern: pattern})
		return err
	}
}

func addingEndpoint(name string, e request.Endpoint[string]) func(*cache.ResponseCache) error {
	return func(c *cache.ResponseCache) error {
		_, err := cache.CreateRepository(context.Background(), c, settings.RepositorySettings[string, string]{Name: name, Endpoint: e})
		return err
	}
}

func addingRest(name string) func(*cache.ResponseCache) error {
	return func(c *cache.ResponseCache) error {
		_, err := cache.CreateRepository(context.Background(), c, settings.CatchAll(name, nil))
		return err
	}
}

func TestARouterThatNamesNoRepositoryIsAnError(t *testing.T) {
	c := newCache(t, &cache.Options{Router: func(*http.Request) string { return "tarcks" }})
	create(t, c, endpoint("tracks", "/{id}"))
	req := get(t, "http://x/a")
	_, _, ok, routing := exchange.OfCache(c).Route(req, nil)
	_, _, reading := c.GetResponse(t.Context(), req)
	_, saving := c.SaveResponse(t.Context(), answer(req, "A"))
	_, deleting := c.DeleteResponse(t.Context(), req)
	for _, err := range []error{routing, reading, saving, deleting} {
		if ok || !errors.Is(err, cache.ErrNotFound) || !strings.Contains(err.Error(), "tarcks") {
			t.Errorf("%t, %v, want ErrNotFound with the name", ok, err)
		}
	}
}

func TestARouterOfTheUsersOwn(t *testing.T) {
	c := newCache(t, &cache.Options{Router: func(req *http.Request) string { return req.Header.Get("Repository") }})
	create(t, c, endpoint("one", "/{id}"))
	create(t, c, endpoint("two", "/{id}"))
	for name, want := range map[string]string{"one": "one", "two": "two", "": ""} {
		req := get(t, "http://x/a")
		req.Header.Set("Repository", name)
		if got := routedRequest(t, c, req); got != want {
			t.Errorf("%q goes to %q", name, got)
		}
	}
}

func TestABulkCallSpansRepositories(t *testing.T) {
	ctx := t.Context()
	c := newCache(t, nil)
	tracks := create(t, c, endpoint("tracks", "/tracks/{id}"))
	create(t, c, endpoint("albums", "/albums/{id}"))
	track, album, other := get(t, "http://x/tracks/1"), get(t, "http://x/albums/1"), get(t, "http://x/other")

	n, err := c.SaveResponses(ctx, []*http.Response{answer(track, "track"), answer(other, "other"), answer(album, "album")})
	if err != nil || n != 2 {
		t.Fatalf("SaveResponses = %d, %v", n, err)
	}
	if ok, err := c.SaveResponse(ctx, answer(other, "other")); err != nil || ok {
		t.Errorf("SaveResponse of an unkeyable request = %v, %v", ok, err)
	}
	got, err := c.GetResponses(ctx, []*http.Request{album, other, track, album, nil, get(t, "http://x/tracks/2")})
	check(t, err)
	var bodies []string
	for _, resp := range got {
		if resp == nil {
			bodies = append(bodies, "-")
			continue
		}
		body, err := io.ReadAll(resp.Body)
		check(t, err)
		bodies = append(bodies, string(body))
	}
	if strings.Join(bodies, " ") != "album - track album - -" {
		t.Errorf("GetResponses = %q", bodies)
	}
	if v, ok, err := tracks.Get(ctx, "1"); err != nil || !ok || v != "track" {
		t.Errorf("typed, it is %q, %v, %v", v, ok, err)
	}
	if n, err := c.Count(ctx, repository.Live); err != nil || n != 2 {
		t.Errorf("Count = %d, %v", n, err)
	}
	if n, err := c.DeleteResponses(ctx, []*http.Request{track, other, nil}); err != nil || n != 1 {
		t.Errorf("DeleteResponses = %d, %v", n, err)
	}
	if n, err := c.Clear(ctx, repository.All); err != nil || n != 1 {
		t.Errorf("Clear = %d, %v", n, err)
	}
}

// A key function that cannot read one request does not keep other repositories
// from being asked.
func TestAFailingKeyIsAnErrorOnlyIfNobodyElseMatches(t *testing.T) {
	c := newCache(t, nil)
	failed := errors.New("no body")
	create(t, c, settings.RepositorySettings[string, string]{
		Name: "posts", Payload: payload.String(),
		Endpoint: request.Func(func(*http.Request) (string, bool, error) { return "", false, failed }, nil),
	})
	create(t, c, endpoint("tracks", "/tracks/{id}"))
	if got := routed(t, c, "http://x/tracks/1"); got != "tracks" {
		t.Errorf("routed to %q", got)
	}
	if _, _, err := c.GetResponse(t.Context(), get(t, "http://x/other")); !errors.Is(err, failed) {
		t.Errorf("the error is %v", err)
	}
}

func TestTheCachesClockAndExpiryAreItsRepositories(t *testing.T) {
	ctx := t.Context()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	c := newCache(t, &cache.Options{Expire: time.Minute, Now: func() time.Time { return now }})
	own := endpoint("own", "/own/{id}")
	own.Expire = time.Hour
	for _, r := range []*repository.ResponseRepository[string, string]{create(t, c, own), create(t, c, endpoint("shared", "/shared/{id}"))} {
		check(t, r.Save(ctx, "a", "A"))
	}
	now = now.Add(time.Minute)
	for url, want := range map[string]bool{"http://x/own/a": true, "http://x/shared/a": false} {
		if _, ok, err := c.GetResponse(ctx, get(t, url)); err != nil || ok != want {
			t.Errorf("%s: %v, %v", url, ok, err)
		}
	}
	if _, ok, err := c.GetResponse(ctx, get(t, "http://x/shared/a"), repository.AllowExpired()); err != nil || !ok {
		t.Errorf("a read that allows expired entries: %v, %v", ok, err)
	}
}

func TestAfterCloseEverythingIsErrClosed(t *testing.T) {
	ctx := t.Context()
	c := newCache(t, nil)
	r := create(t, c, endpoint("tracks", "/tracks/{id}"))
	check(t, c.Close())
	_, createErr := cache.CreateRepository(ctx, c, endpoint("albums", "/albums/{id}"))
	_, _, getErr := c.GetResponse(ctx, get(t, "http://x/tracks/1"))
	_, _, typedErr := r.Get(ctx, "1")
	for _, err := range []error{createErr, getErr, typedErr, r.Save(ctx, "1", "")} {
		if !errors.Is(err, driver.ErrClosed) {
			t.Errorf("the error is %v", err)
		}
	}
	check(t, c.Close())
}

func TestWrongOptionsAreRefused(t *testing.T) {
	if _, err := cache.New(nil, nil); err == nil {
		t.Error("a nil store was taken")
	}
	store, err := memory.New(nil)
	check(t, err)
	if _, err := cache.New(store, &cache.Options{Expire: -time.Second}); err == nil {
		t.Error("a negative expiry was taken")
	}
}

func Example() {
	type TrackKey struct {
		ID     string `path:"id"`
		Market string `query:"market"`
	}
	type Track struct {
		Title string `json:"title"`
	}
	ctx := context.Background()
	store, err := memory.New(nil)
	if err != nil {
		panic(err)
	}
	c, err := cache.New(store, &cache.Options{Name: "music"})
	if err != nil {
		panic(err)
	}
	defer c.Close()
	tracks, err := cache.CreateRepository(ctx, c, settings.RepositorySettings[TrackKey, Track]{
		Name:     "tracks",
		Endpoint: request.Pattern[TrackKey]("GET /v1/tracks/{id}"),
		Payload:  payload.JSON[Track](),
		NameOf:   func(t Track) string { return t.Title },
	})
	if err != nil {
		panic(err)
	}
	if err := tracks.Save(ctx, TrackKey{ID: "6fW", Market: "DE"}, Track{Title: "Blue"}); err != nil {
		panic(err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://api.example.com/v1/tracks/6fW?market=DE", nil)
	if err != nil {
		panic(err)
	}
	resp, ok, err := c.GetResponse(ctx, req)
	if err != nil {
		panic(err)
	}
	body, err := io.ReadAll(resp.Body)
	fmt.Println(ok, string(body), err)
	// Output: true {"title":"Blue"} <nil>
}
