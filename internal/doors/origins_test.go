package doors

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/transport"
)

// world answers for all hosts, each with its name.
type world func(*http.Request) string

// RoundTrip implements [http.RoundTripper].
func (w world) RoundTrip(req *http.Request) (*http.Response, error) {
	body := w(req)
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{}, Request: req, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
	}, nil
}

func TestHostsWithoutEndDoNotFillTheStoreWithTables(t *testing.T) {
	c, err := cache.New(inMemory(t), nil)
	check(t, err)
	defer c.Close()
	repo, err := cache.CreateRepository(t.Context(), c, settings.RepositorySettings[string, string]{Name: "all", Pattern: "/{id}"})
	check(t, err)
	client := &http.Client{Transport: transport.New(c, &transport.Options{Base: world(func(req *http.Request) string {
		return fmt.Sprintf("%q", req.URL.Host)
	})})}
	get := func(host string) (hit bool) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+host+"/a", nil)
		check(t, err)
		resp, err := client.Do(req)
		check(t, err)
		body, err := io.ReadAll(resp.Body)
		check(t, err)
		check(t, resp.Body.Close())
		if want := fmt.Sprintf("%q", host); string(body) != want {
			t.Errorf("%s has answered, want %s", body, want)
		}
		return resp.Header.Get("X-From-Cache") != ""
	}
	const hosts, kept = 80, 65
	var group sync.WaitGroup
	get("h0")
	for i := range hosts {
		group.Go(func() { get(fmt.Sprint("h", i)) })
	}
	group.Wait()
	hits := 0
	for i := range hosts {
		if get(fmt.Sprint("h", i)) {
			hits++
		}
	}
	if n, err := repo.Count(t.Context(), repository.All); hits != kept || n != kept || err != nil {
		t.Errorf("%d hosts are kept with %d entries, %v; want %d", hits, n, err, kept)
	}
	if v, ok, err := repo.Get(t.Context(), "a"); v != "h0" || !ok || err != nil {
		t.Errorf("typed calls have the answer of %q, %t, %v", v, ok, err)
	}
}

// What another host answers to a request that a pattern without a host matches is that host's,
// and a write to it leaves the API's answers alone.
func TestAnotherHostNeitherAnswersNorWrites(t *testing.T) {
	c, err := cache.New(inMemory(t), nil)
	check(t, err)
	defer c.Close()
	_, err = cache.CreateRepository(t.Context(), c, settings.RepositorySettings[string, string]{Name: "tracks", Pattern: "/v1/{id}"})
	check(t, err)
	rt := transport.New(c, &transport.Options{Base: world(func(req *http.Request) string {
		return fmt.Sprintf("%q", req.URL.Scheme+" "+strings.TrimSuffix(strings.ToLower(req.URL.Host), ":443"))
	})})
	send := func(method, url string) string {
		req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
		check(t, err)
		resp, err := rt.RoundTrip(req)
		check(t, err)
		body, err := io.ReadAll(resp.Body)
		check(t, err)
		check(t, resp.Body.Close())
		return strings.Trim(string(body), `"`)
	}
	for range 2 {
		for url, want := range map[string]string{
			"https://api.test/v1/a": "https api.test", "https://evil.test/v1/a": "https evil.test", "http://api.test/v1/a": "http api.test",
			"https://API.test:443/v1/a": "https api.test", "https://api.test:8443/v1/a": "https api.test:8443",
		} {
			if got := send(http.MethodGet, url); got != want {
				t.Errorf("%s is answered by %s", url, got)
			}
		}
	}
	before := c.Stats().Misses
	send(http.MethodPost, "https://evil.test/v1/a")
	send(http.MethodPost, "http://api.test/v1/a")
	send(http.MethodGet, "https://api.test/v1/a")
	if n := c.Stats().Misses - before; n != 0 {
		t.Errorf("after a write to another origin, the API is asked again")
	}
	send(http.MethodPost, "https://api.test:443/v1/a")
	send(http.MethodGet, "https://api.test/v1/a")
	if n := c.Stats().Misses - before; n != 1 {
		t.Errorf("after a write, the API is asked %d times", n)
	}
}
