package origin_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/go-resty/resty/v2"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/memory"
	"github.com/endpointcache/endpointcache/origin"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/transport"
)

// newAPI returns a server that wants the token "t2", and its host.
func newAPI() (server *httptest.Server, host string) {
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer t2" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		io.WriteString(w, `{"title": "Blue"}`)
	}))
	u, err := url.Parse(server.URL)
	if err != nil {
		log.Fatal(err)
	}
	return server, u.Host
}

// Under a cache, so that what is cached costs none of it, and under resty, so that
// each of its attempts counts.
func Example() {
	api, host := newAPI()
	defer api.Close()
	store, err := memory.New(nil) // or sqlite.Open(ctx, "api.db", nil)
	if err != nil {
		log.Fatal(err)
	}
	c, err := cache.New(store, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	if _, err := cache.CreateRepository(context.Background(), c, settings.CatchAll("rest", nil)); err != nil {
		log.Fatal(err)
	}

	issued := 0
	manners := origin.New(api.Client().Transport, &origin.Options{
		Limits: origin.Limits{Rate: 20, Burst: 5, InFlight: 8},
		OnPause: func(host string, d time.Duration) {
			log.Printf("%s wants us to wait for %v", host, d)
		},
		Credentials: &origin.Credentials{
			Hosts: []string{host},
			Token: func(context.Context, string) (origin.Token, error) {
				issued++ // where a real one asks the API's issuer of tokens
				return origin.Token{Value: fmt.Sprint("t", issued)}, nil
			},
		},
	})
	defer manners.Close()
	cached := transport.New(c, &transport.Options{Base: manners})
	defer cached.Close()
	client := resty.New().SetBaseURL(api.URL).SetTransport(cached).SetRetryCount(3)

	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			if _, err := client.R().Get("/v1/tracks/a"); err != nil {
				log.Fatal(err)
			}
		})
	}
	all.Wait()
	stats := manners.Stats()
	fmt.Println(stats.Requests, "requests,", stats.Refreshes, "tokens")
	// Output:
	// 2 requests, 2 tokens
}

// An API key that does not change, in a header of the API's own.
func ExampleInHeader() {
	api := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		fmt.Println("the API got", r.Header.Get("X-Api-Key"))
	}))
	defer api.Close()
	u, err := url.Parse(api.URL)
	if err != nil {
		log.Fatal(err)
	}

	client := &http.Client{Transport: origin.New(api.Client().Transport, &origin.Options{
		Credentials: &origin.Credentials{
			Hosts: []string{u.Host},
			Token: origin.Static("k1"),
			Set:   origin.InHeader("X-Api-Key"),
		},
	})}
	resp, err := client.Get(api.URL)
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	// Output:
	// the API got k1
}

// An API that tells in headers of its own when there is something left again, here as
// GitHub does: in seconds since 1970.
func ExampleOptions_pauseAfter() {
	_ = origin.New(nil, &origin.Options{
		PauseAfter: func(resp *http.Response) time.Duration {
			if resp.Header.Get("X-RateLimit-Remaining") != "0" {
				return 0
			}
			reset, err := strconv.ParseInt(resp.Header.Get("X-RateLimit-Reset"), 10, 64)
			if err != nil {
				return 0
			}
			return time.Until(time.Unix(reset, 0))
		},
	})
}
