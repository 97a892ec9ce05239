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

// Under a cache, so that what is cached costs none of it.
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
	rest := settings.CatchAll("rest", nil)
	rest.Scope = settings.Shared // the API tells all of its users the same
	if _, err := cache.CreateRepository(context.Background(), c, rest); err != nil {
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
	retrier, err := origin.NewRetrier(manners, nil)
	if err != nil {
		log.Fatal(err)
	}
	cached := transport.New(c, &transport.Options{Base: retrier})
	client := resty.New().SetBaseURL(api.URL).SetTransport(cached)

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

// newFlakyAPI returns a server that refuses each of its first n requests.
func newFlakyAPI(n int64) *httptest.Server {
	return httptest.NewServer(refuse(n, http.StatusServiceUnavailable, "Retry-After", "0"))
}

// A plain client whose requests keep to the limits of an API, and are sent again
// where the API has refused them for a while.
func ExampleRetrier() {
	api := newFlakyAPI(2)
	defer api.Close()

	manners := origin.New(nil, &origin.Options{ // nil: over http.DefaultTransport
		Limits: origin.Limits{Rate: 20, Burst: 5, InFlight: 8},
	})
	defer manners.Close()
	retrier, err := origin.NewRetrier(manners, &origin.RetryOptions{
		OnRetry: func(a origin.Attempt) { fmt.Printf("attempt %d: status %d\n", a.Number, a.Status) },
	})
	if err != nil {
		log.Fatal(err)
	}
	client := &http.Client{Transport: retrier}

	resp, err := client.Get(api.URL)
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	fmt.Println(resp.Status)
	// Output:
	// attempt 1: status 503
	// attempt 2: status 503
	// 200 OK
}

// A caller that reads the whole body lets Do repeat requests whose body was cut short.
func ExampleRetrier_Do() {
	api := newFlakyAPI(1)
	defer api.Close()
	client := &http.Client{}
	retrier, err := origin.NewRetrier(nil, nil)
	if err != nil {
		log.Fatal(err)
	}

	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, api.URL, nil)
	if err != nil {
		log.Fatal(err)
	}
	var body []byte
	_, err = retrier.Do(req, func(attempt *http.Request) (*http.Response, error) {
		resp, err := client.Do(attempt)
		if err != nil {
			return resp, err
		}
		defer resp.Body.Close()
		body, err = io.ReadAll(resp.Body)
		return resp, err
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(body))
	// Output:
	// fine
}

// A task of many requests that gives up early when the API is down.
func ExampleWithRetryBudget() {
	api := newFlakyAPI(1000)
	defer api.Close()
	retrier, err := origin.NewRetrier(nil, nil)
	if err != nil {
		log.Fatal(err)
	}
	client := &http.Client{Transport: retrier}

	budget := origin.NewRetryBudget(5)
	ctx := origin.WithRetryBudget(context.Background(), budget)
	requests := 0
	for !budget.Exhausted() {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, api.URL, nil)
		if err != nil {
			log.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			log.Fatal(err)
		}
		resp.Body.Close()
		requests++
	}
	fmt.Println(requests, "requests have failed")
	// Output:
	// 2 requests have failed
}
