package policy_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/memory"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/transport"
)

// cacheOfAll is a cache for all requests.
func cacheOfAll(opts *cache.Options) *cache.ResponseCache {
	store, err := memory.New(nil) // or sqlite.Open(ctx, "http.db", nil)
	if err != nil {
		log.Fatal(err)
	}
	c, err := cache.New(store, opts)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := cache.CreateRepository(context.Background(), c, settings.CatchAll("http", nil)); err != nil {
		log.Fatal(err)
	}
	return c
}

// tell makes a request and prints what came of it.
func tell(client *http.Client, req *http.Request) {
	resp, err := client.Do(req)
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		log.Fatal(err)
	}
	from := "the origin"
	switch {
	case resp.Header.Get("X-From-Cache") == "1":
		from = "the cache"
	case resp.StatusCode == http.StatusGatewayTimeout:
		from = "nowhere"
	}
	fmt.Printf("%s %s: %d from %s\n", req.Method, req.URL.Path, resp.StatusCode, from)
}

func getting(ctx context.Context, url string) *http.Request {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		log.Fatal(err)
	}
	return req
}

func ExampleWith() {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "an answer")
	}))
	defer api.Close()

	c := cacheOfAll(nil)
	defer c.Close()
	cached := transport.New(c, nil)
	client := &http.Client{Transport: cached}
	ctx := context.Background()
	tell(client, getting(ctx, api.URL+"/tracks/1"))

	// The cache is off for what is made with this context, and for nothing else.
	off := policy.With(ctx, policy.Policy{Use: policy.Disabled})
	tell(client, getting(off, api.URL+"/tracks/1"))

	// The answer that is stored is replaced, by one that lives an hour.
	anew := policy.With(ctx, policy.Policy{Use: policy.Reload, Expire: policy.After(time.Hour)})
	tell(client, getting(anew, api.URL+"/tracks/1"))

	// The network is not used.
	offline := policy.With(ctx, policy.Policy{Use: policy.Offline})
	tell(client, getting(offline, api.URL+"/tracks/1"))
	tell(client, getting(offline, api.URL+"/tracks/2"))
	// Output:
	// GET /tracks/1: 200 from the origin
	// GET /tracks/1: 200 from the origin
	// GET /tracks/1: 200 from the origin
	// GET /tracks/1: 200 from the cache
	// GET /tracks/2: 504 from nowhere
}

func ExamplePolicy() {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/missing":
			http.NotFound(w, r)
		case "/token":
			fmt.Fprintf(w, `{"expires_in": %d}`, 120)
		default:
			fmt.Fprint(w, "an answer")
		}
	}))
	defer api.Close()

	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	host := api.Listener.Addr().String()
	c := cacheOfAll(&cache.Options{Now: func() time.Time { return now }, Policy: policy.Policy{
		Expire: policy.After(24 * time.Hour),
		ExpireURLs: []policy.URLExpiry{
			{URL: host + "/charts", Expire: policy.After(time.Minute)},
			{URL: host + "/me", Expire: policy.DoNotCache()},
		},
		ExpireStatus: map[int]policy.Expiry{http.StatusNotFound: policy.After(10 * time.Minute)},
		ExpireFunc: func(x *policy.Exchange) policy.Expiry {
			var body struct {
				ExpiresIn int `json:"expires_in"`
			}
			if json.Unmarshal(x.Body, &body) != nil || body.ExpiresIn == 0 {
				return policy.Expiry{} // what follows in the policy tells
			}
			return policy.After(time.Duration(body.ExpiresIn) * time.Second)
		},
	}})
	defer c.Close()

	client := &http.Client{Transport: transport.New(c, nil)}
	for range 2 {
		for _, path := range []string{"/tracks/1", "/charts/de", "/me", "/missing", "/token"} {
			tell(client, getting(context.Background(), api.URL+path))
		}
		now = now.Add(5 * time.Minute)
	}
	// Output:
	// GET /tracks/1: 200 from the origin
	// GET /charts/de: 200 from the origin
	// GET /me: 200 from the origin
	// GET /missing: 404 from the origin
	// GET /token: 200 from the origin
	// GET /tracks/1: 200 from the cache
	// GET /charts/de: 200 from the origin
	// GET /me: 200 from the origin
	// GET /missing: 404 from the cache
	// GET /token: 200 from the origin
}

func ExamplePolicy_cacheControl() {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/secret" {
			w.Header().Set("Cache-Control", "no-store")
		} else {
			w.Header().Set("Cache-Control", "max-age=60")
		}
		fmt.Fprint(w, "an answer")
	}))
	defer api.Close()

	c := cacheOfAll(&cache.Options{Policy: policy.Policy{CacheControl: policy.On}})
	defer c.Close()
	cached := transport.New(c, nil)
	client := &http.Client{Transport: cached}
	for range 2 {
		tell(client, getting(context.Background(), api.URL+"/tracks/1"))
		tell(client, getting(context.Background(), api.URL+"/secret"))
	}
	// Output:
	// GET /tracks/1: 200 from the origin
	// GET /secret: 200 from the origin
	// GET /tracks/1: 200 from the cache
	// GET /secret: 200 from the origin
}
