package transport_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/go-resty/resty/v2"
	"golang.org/x/time/rate"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/memory"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/transport"
)

// newCache returns a cache for the responses of a whole API.
func newCache() *cache.ResponseCache {
	store, err := memory.New(nil) // or sqlite.Open(ctx, "api.db", nil)
	if err != nil {
		log.Fatal(err)
	}
	c, err := cache.New(store, nil)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := cache.CreateRepository(context.Background(), c, settings.CatchAll("rest", nil)); err != nil {
		log.Fatal(err)
	}
	return c
}

// newAPI returns a server that tells when a request reaches it.
func newAPI() *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Println("the API is asked for", r.URL.Path)
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"title": "Blue"}`)
	}))
}

// show prints a response and whether it came from the cache.
func show(resp *http.Response, err error) {
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s, from the cache: %t\n", body, resp.Header.Get("X-From-Cache") == "1")
}

// Under an http.Client, and so under all that takes one.
func Example_httpClient() {
	api, c := newAPI(), newCache()
	defer api.Close()
	defer c.Close()

	cached := transport.New(c, &transport.Options{Base: api.Client().Transport})
	client := &http.Client{Transport: cached}

	show(client.Get(api.URL + "/v1/tracks/a"))
	show(client.Get(api.URL + "/v1/tracks/a"))
	// Output:
	// the API is asked for /v1/tracks/a
	// {"title": "Blue"}, from the cache: false
	// {"title": "Blue"}, from the cache: true
}

// Under a resty client. What concerns the connections, such as a proxy, is set
// before: it is the base's.
func Example_resty() {
	api, c := newAPI(), newCache()
	defer api.Close()
	defer c.Close()

	client := resty.New().SetBaseURL(api.URL) // and SetProxy, SetRootCertificate, …
	base, err := client.Transport()
	if err != nil {
		log.Fatal(err)
	}
	defer base.CloseIdleConnections()
	cached := transport.New(c, &transport.Options{Base: base})
	client.SetTransport(cached)

	for range 2 {
		var track struct{ Title string }
		resp, err := client.R().SetResult(&track).Get("/v1/tracks/a")
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s, from the cache: %t\n", track.Title, resp.Header().Get("X-From-Cache") == "1")
	}
	// Output:
	// the API is asked for /v1/tracks/a
	// Blue, from the cache: false
	// Blue, from the cache: true
}

// SDK is one whose client can be replaced by anything that has its method Do.
type SDK struct {
	URL    string
	Client interface {
		Do(req *http.Request) (*http.Response, error)
	}
}

func (s *SDK) Track(ctx context.Context, id string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/v1/tracks/"+id, nil)
	if err != nil {
		return nil, err
	}
	return s.Client.Do(req)
}

// In front of a client that is no more than a method Do. What it was is the base,
// and the transport has that method, too.
func ExampleDoer() {
	api, c := newAPI(), newCache()
	defer api.Close()
	defer c.Close()

	sdk := &SDK{URL: api.URL, Client: api.Client()}
	cached := transport.New(c, &transport.Options{Base: transport.Doer(sdk.Client)})
	sdk.Client = cached

	show(sdk.Track(context.Background(), "a"))
	show(sdk.Track(context.Background(), "a"))
	// Output:
	// the API is asked for /v1/tracks/a
	// {"title": "Blue"}, from the cache: false
	// {"title": "Blue"}, from the cache: true
}

// As one of the middlewares of a client that has these.
func ExampleTransport_Intercept() {
	api, c := newAPI(), newCache()
	defer api.Close()
	defer c.Close()

	cached := transport.New(c, nil)

	type next = func(*http.Request) (*http.Response, error)
	type middleware = func(*http.Request, next) (*http.Response, error)

	sign := func(req *http.Request, next next) (*http.Response, error) {
		fmt.Println("signed")
		req.Header.Set("X-Signature", "…")
		return next(req)
	}
	send := api.Client().Do
	for _, m := range []middleware{sign, cached.Intercept} { // the innermost first
		inner := send
		send = func(req *http.Request) (*http.Response, error) { return m(req, inner) }
	}

	for range 2 {
		req, err := http.NewRequest(http.MethodGet, api.URL+"/v1/tracks/a", nil)
		if err != nil {
			log.Fatal(err)
		}
		show(send(req))
	}
	// Output:
	// signed
	// the API is asked for /v1/tracks/a
	// {"title": "Blue"}, from the cache: false
	// {"title": "Blue"}, from the cache: true
}

// RateLimited is a transport that waits for its turn.
type RateLimited struct {
	Base    http.RoundTripper
	Limiter *rate.Limiter
}

func (r RateLimited) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := r.Limiter.Wait(req.Context()); err != nil {
		return nil, err
	}
	return r.Base.RoundTrip(req)
}

// What limits, repeats or signs requests belongs below the cache: what is a hit
// costs none of it.
func Example_order() {
	api, c := newAPI(), newCache()
	defer api.Close()
	defer c.Close()

	limited := RateLimited{api.Client().Transport, rate.NewLimiter(rate.Limit(1), 1)}
	cached := transport.New(c, &transport.Options{Base: limited})
	client := &http.Client{Transport: cached}

	for range 1000 { // in no time, of which one request a second is allowed
		resp, err := client.Get(api.URL + "/v1/tracks/a")
		if err != nil {
			log.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			log.Fatal(err)
		}
		resp.Body.Close()
	}
	stats := c.Stats()
	fmt.Println(stats.Misses, "fetched,", stats.Hits, "hits")
	// Output:
	// the API is asked for /v1/tracks/a
	// 1 fetched, 999 hits
}
