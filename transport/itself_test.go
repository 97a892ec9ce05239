package transport_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/transport"
)

// A redirect that leads to a request of its own key would lead to itself, served from
// the cache: what means another scheme, host or spelling to the origin is one to the key.
func TestARedirectToItsOwnKeyIsNotCached(t *testing.T) {
	pattern := func(p string) settings.RepositorySettings[string, string] {
		return settings.RepositorySettings[string, string]{Name: "r", Pattern: p, Payload: payload.String()}
	}
	type query struct {
		A string `query:"a"`
		B string `query:"b"`
	}
	catchAll := settings.CatchAll("r", &request.AnyOptions{IgnoreQuery: []string{"session"}})
	for _, test := range []struct {
		name     string
		from, to string
		status   int
		header   string
		create   func(*cache.ResponseCache) error
		policy   policy.Policy
	}{
		{"from http to https", "http://api.example/v1/a", "https://api.example/v1/a", 301, "", creates(pattern("/v1/{id}")), policy.Policy{}},
		{"to the host with www", "http://example.com/v1/a", "http://www.example.com/v1/a", 308, "", creates(pattern("/v1/{id}")), policy.Policy{}},
		{"from http to https, where the pattern has a host", "http://api.example/v1/a", "https://api.example/v1/a", 301, "", creates(pattern("GET api.example/v1/{id}")), policy.Policy{}},
		{"the same with 308", "http://api.example/v1/a", "https://api.example/v1/a", 308, "", creates(pattern("GET api.example/v1/{id}")), policy.Policy{}},
		{"from https to http", "https://api.example/v1/a", "http://api.example/v1/a", 301, "", creates(pattern("GET api.example/v1/{id}")), policy.Policy{}},
		{"to the host with www, with 301", "http://api.example/v1/a", "http://www.api.example/v1/a", 301, "", creates(pattern("/v1/{id}")), policy.Policy{}},
		{"to an escape", "http://api.example/v1/a", "http://api.example/v1/%61", 301, "", creates(pattern("/v1/{id}")), policy.Policy{}},
		{"to another port", "http://api.example/v1/a", "http://api.example:8080/v1/a", 301, "", creates(pattern("/v1/{id}")), policy.Policy{}},
		{"to another case of the host", "http://api.example/v1/a", "http://API.example/v1/a", 301, "", creates(pattern("GET api.example/v1/{id}")), policy.Policy{}},
		{"without a parameter that is ignored", "http://api.example/p?session=x", "http://api.example/p", 301, "", creates(catchAll), policy.Policy{}},
		{"the same with 308, in a catch-all", "http://api.example/p?session=x", "http://api.example/p", 308, "", creates(catchAll), policy.Policy{}},
		{"to another order, in a catch-all", "http://api.example/p?b=2&a=1", "http://api.example/p?a=1&b=2", 301, "", creates(catchAll), policy.Policy{}},
		{"from an escape, in a catch-all", "http://api.example/%7Eme", "http://api.example/~me", 301, "", creates(catchAll), policy.Policy{}},
		{"302 in Cache-Control mode, in a catch-all", "http://api.example/p?session=x", "http://api.example/p", 302, "max-age=60", creates(catchAll), policy.Policy{CacheControl: policy.On}},
		{"303 in Cache-Control mode", "http://api.example/v1/a", "https://api.example/v1/a", 303, "max-age=60", creates(pattern("/v1/{id}")), policy.Policy{CacheControl: policy.On}},
		{"301 in Cache-Control mode", "http://api.example/v1/a", "https://api.example/v1/a", 301, "", creates(pattern("/v1/{id}")), policy.Policy{CacheControl: policy.On}},
		{"to another spelling of the path", "http://api.example/v1/%61", "http://api.example/v1/a", 301, "", creates(pattern("/v1/{id}")), policy.Policy{}},
		{"to a parameter that is ignored", "http://api.example/a?x=1", "http://api.example/a?x=1&session=2", 301, "", creates(catchAll), policy.Policy{}},
		{"to another order of the query", "http://api.example/a?b=2&a=1", "http://api.example/a?a=1&b=2", 301, "", creates(settings.RepositorySettings[query, string]{Name: "r", Pattern: "/a", Payload: payload.String()}), policy.Policy{}},
		{"to another order of any query", "http://api.example/a?b=2&a=1", "http://api.example/a?a=1&b=2", 301, "", creates(catchAll), policy.Policy{}},
		{"to another order of a sorted query", "http://api.example/a?b=2&a=1", "http://api.example/a?a=1&b=2", 301, "", creates(settings.CatchAll("r", &request.AnyOptions{SortQuery: true})), policy.Policy{}},
		{"302 in Cache-Control mode", "http://api.example/v1/a", "https://api.example/v1/a", 302, "max-age=60", creates(pattern("/v1/{id}")), policy.Policy{CacheControl: policy.On}},
		{"307 where the policy names it", "http://api.example/v1/a", "https://api.example/v1/a", 307, "", creates(pattern("/v1/{id}")), policy.Policy{Statuses: []int{200, 307}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			noLeaks(t)
			// The origin is not a server of this machine: its URLs have other hosts.
			origin := roundTripper(func(req *http.Request) (*http.Response, error) {
				if req.URL.String() != test.from {
					return plainResponse(req, 200, "the answer to "+req.URL.String()), nil
				}
				resp := plainResponse(req, test.status, "moved")
				resp.Header.Set("Location", test.to)
				if test.header != "" {
					resp.Header.Set("Cache-Control", test.header)
				}
				return resp, nil
			})
			c, err := cache.New(memoryStore(t), &cache.Options{Policy: test.policy})
			check(t, err)
			defer c.Close()
			check(t, test.create(c))
			bare := &http.Client{Transport: origin}
			cached := &http.Client{Transport: transport.New(c, &transport.Options{Base: origin})}
			want, _ := fetchBodyBy(t, bare, test.from)
			for i := range 3 {
				if got, err := fetchBodyBy(t, cached, test.from); got != want {
					t.Errorf("time %d: %q (%v), without a cache it is %q", i+1, got, err, want)
				}
			}
			var all sync.WaitGroup // nor do callers at one time share it
			check(t, clearAll(c))
			for range 8 {
				all.Go(func() {
					if got, err := fetchBodyBy(t, cached, test.from); got != want {
						t.Errorf("among others: %q (%v)", got, err)
					}
				})
			}
			all.Wait()
		})
	}
}

// Nor is one that leads to a request of its own key by way of others.
func TestARedirectThatComesBackToItsOwnKeyIsNotServedAgain(t *testing.T) {
	catchAll := settings.CatchAll("r", &request.AnyOptions{IgnoreQuery: []string{"session"}})
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, way := range [][]string{
			{"http://api.example/p?session=x", "http://login.example/q", "http://api.example/p"},
			{"http://api.example/p?session=x", "http://login.example/q?a", "http://login.example/q?b", "http://api.example/p?session=y"},
		} {
			t.Run(fmt.Sprint(status, " by way of ", len(way)-2), func(t *testing.T) {
				noLeaks(t)
				origin := roundTripper(func(req *http.Request) (*http.Response, error) {
					for i, at := range way[:len(way)-1] {
						if req.URL.String() == at {
							resp := plainResponse(req, status, "moved")
							resp.Header.Set("Location", way[i+1])
							return resp, nil
						}
					}
					return plainResponse(req, 200, "the answer to "+req.URL.String()), nil
				})
				c, err := cache.New(memoryStore(t), &cache.Options{Policy: policy.Policy{Statuses: []int{200, status}}})
				check(t, err)
				defer c.Close()
				check(t, creates(catchAll)(c))
				cached := &http.Client{Transport: transport.New(c, &transport.Options{Base: origin})}
				want := "the answer to " + way[len(way)-1]
				for i := range 3 {
					if got, err := fetchBodyBy(t, cached, way[0]); got != want {
						t.Errorf("time %d: %q (%v), without a cache it is %q", i+1, got, err, want)
					}
				}
				check(t, clearAll(c))
				var all sync.WaitGroup
				for range 8 {
					all.Go(func() {
						if got, err := fetchBodyBy(t, cached, way[0]); got != want {
							t.Errorf("among others: %q (%v)", got, err)
						}
					})
				}
				all.Wait()
			})
		}
	}
}

// Nor is it shared with a request that it has led to before.
func TestARedirectIsNotSharedWithARequestThatItHasLedTo(t *testing.T) {
	gate := make(chan struct{})
	h := start(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery != "" {
			<-gate
			http.Redirect(w, r, "/login", http.StatusMovedPermanently)
			return
		}
		io.WriteString(w, "body")
	}, nil)
	h.keyedBy(&request.AnyOptions{IgnoreQuery: []string{"session"}})
	var all sync.WaitGroup
	defer all.Wait()
	first := h.request("GET", "/p?session=x", "")
	all.Go(func() {
		if resp, _ := h.do(first); resp.StatusCode != http.StatusMovedPermanently {
			t.Errorf("status %d", resp.StatusCode)
		}
	})
	waitfor.True(t, "the first request", func() bool { return pending(h) == 1 })
	led := h.request("GET", "/p", "")
	led.Response = &http.Response{Request: h.request("GET", "/login", "")}
	led.Response.Request.Response = &http.Response{Request: first}
	all.Go(func() {
		waitfor.True(t, "the second request", func() bool { return pending(h) == 2 })
		close(gate)
	})
	if resp, body := h.do(led); resp.StatusCode != http.StatusOK || body != "body" {
		t.Errorf("status %d, %q", resp.StatusCode, body)
	}
}

// One that was stored by an older program, or by hand, is not served.
func TestAStoredRedirectToItsOwnKeyIsNotServed(t *testing.T) {
	h := start(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "body") }, nil)
	repo, err := cache.CreateRepository(t.Context(), h.cache, settings.RepositorySettings[string, string]{
		Name: "r", Pattern: "/v1/{id}", Payload: payload.String(),
	})
	check(t, err)
	entry, err := repository.NewEntry(301, repository.Head{Header: http.Header{"Location": {"https://other.example/v1/a"}}}, nil)
	check(t, err)
	check(t, repo.SaveEntry(t.Context(), "a", entry))
	if resp, body := h.get("/v1/a"); hit(resp) || body != "body" {
		t.Errorf("%d %q, hit: %t", resp.StatusCode, body, hit(resp))
	}
	if resp, body := h.get("/v1/a"); !hit(resp) || body != "body" {
		t.Errorf("then %d %q, hit: %t", resp.StatusCode, body, hit(resp))
	}
}

// A request with a body is another than that without.
func TestARedirectOfAPostToItsPageIsTold(t *testing.T) {
	h := start(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Method == "POST" {
			http.Redirect(w, r, "/a", http.StatusSeeOther)
			return
		}
		fmt.Fprint(w, r.Method, string(body))
	}, &options{Policy: policy.Policy{Methods: []string{"POST"}, Statuses: []int{200, 303}}})
	for i := range 2 {
		resp, err := h.client.Post(h.url("/a"), "text/plain", strings.NewReader("body"))
		check(t, err)
		if body := bodyOf(t, resp); body != "GET" {
			t.Errorf("time %d: %q", i+1, body)
		}
	}
	h.wantRequests(2)
}

// strict is an endpoint whose key cannot be taken from some URLs.
type strict struct {
	request.Endpoint[string]
	fail func()
}

func (e strict) Key(req *http.Request) (string, bool, error) {
	if strings.HasSuffix(req.URL.Path, "/odd") {
		e.fail()
	}
	return e.Endpoint.Key(req)
}

// What an endpoint does with the target of a redirect ends neither the process nor the
// call.
func TestAnEndpointThatPanicsOverARedirect(t *testing.T) {
	for name, test := range map[string]struct {
		fail   func()
		answer bool
	}{
		"panic":  {func() { panic("odd") }, true},
		"Goexit": {runtime.Goexit, false},
	} {
		t.Run(name, func(t *testing.T) {
			h := start(t, func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, "/v1/odd", http.StatusMovedPermanently)
			}, nil)
			check(t, creates(settings.RepositorySettings[string, string]{
				Name: "r", Endpoint: strict{request.Pattern[string]("/v1/{id}"), test.fail}, Payload: payload.String(),
			})(h.cache))
			for range 2 {
				resp, err := h.transport.RoundTrip(h.request(http.MethodGet, "/v1/a", ""))
				if answered := err == nil; answered != test.answer {
					t.Error(err)
				}
				if err == nil {
					check(t, resp.Body.Close())
				}
			}
			h.wantRequests(2) // nothing is kept
		})
	}
}

func creates[K comparable, V any](s settings.RepositorySettings[K, V]) func(*cache.ResponseCache) error {
	return func(c *cache.ResponseCache) error {
		_, err := cache.CreateRepository(context.Background(), c, s)
		return err
	}
}

func clearAll(c *cache.ResponseCache) error {
	_, err := c.Clear(context.Background(), repository.All)
	return err
}

// fetchBodyBy is the body at the end of all redirects.
func fetchBodyBy(t *testing.T, client *http.Client, url string) (string, error) {
	ctx, cancel := context.WithTimeout(t.Context(), waitfor.Limit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}
