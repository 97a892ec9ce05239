package store_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/internal/testserver/places"
	"github.com/endpointcache/endpointcache/internal/tracktest"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/store"
	"github.com/endpointcache/endpointcache/transport"
)

var languages = []string{"en", "de", "fr"}

// linguist is an origin whose answers vary.
type linguist struct {
	*httptest.Server
	later atomic.Int64 // what its clock, and that of the caches, is ahead
	tags  bool         // it confirms what its callers have

	mu       sync.Mutex
	requests map[string]int
	gate     chan struct{} // requests wait until it is closed
}

func newLinguist(t *testing.T, tags bool) *linguist {
	l := &linguist{tags: tags, requests: make(map[string]int), gate: make(chan struct{})}
	l.Server = httptest.NewServer(http.HandlerFunc(l.serve))
	t.Cleanup(l.Close)
	return l
}

func (l *linguist) now() time.Time { return time.Now().Add(time.Duration(l.later.Load())) }

func (l *linguist) serve(w http.ResponseWriter, r *http.Request) {
	language := r.Header.Get("Accept-Language")
	l.mu.Lock()
	l.requests[language]++
	gate := l.gate
	l.mu.Unlock()
	<-gate
	tag := fmt.Sprintf("%q", language)
	w.Header().Set("Date", l.now().UTC().Format(http.TimeFormat))
	w.Header().Set("Vary", "Accept-Language")
	w.Header().Set("Cache-Control", "max-age=60")
	if l.tags {
		w.Header().Set("Etag", tag)
		if r.Header.Get("If-None-Match") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	fmt.Fprint(w, language)
}

// next returns how many requests there were in each language, and lets them wait again, until
// everything that is stored has expired.
func (l *linguist) next() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	requests := l.requests
	l.requests, l.gate = make(map[string]int), make(chan struct{})
	l.later.Add(int64(time.Hour))
	return requests
}

func (l *linguist) get(client *http.Client, language string) (string, error) {
	req, err := http.NewRequest(http.MethodGet, l.URL+"/greetings/a", nil) //nolint:noctx // the test waits for it
	if err != nil {
		return "", err
	}
	req.Header.Set("Accept-Language", language)
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

// client is one over a cache of its own, as each process of a fleet has it.
func (l *linguist) client(t *testing.T, url, name string) *http.Client {
	t.Helper()
	opened, err := store.Open(t.Context(), url, &store.Options{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	c, err := cache.New(opened, &cache.Options{
		StoreTimeout: waitfor.Limit, Now: l.now,
		Policy: policy.Policy{CacheControl: policy.On, Lease: time.Minute},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if _, err := cache.CreateRepository(t.Context(), c, settings.RepositorySettings[string, string]{
		Name: "greetings", Pattern: "GET /greetings/{id}", Payload: payload.String(),
	}); err != nil {
		t.Fatal(err)
	}
	return &http.Client{Transport: transport.New(c, nil)}
}

// Of a response that varies, a fleet asks once for each variant: where nobody knows the key yet,
// and where its variants have expired.
func TestAFleetAsksOnceForEachVariant(t *testing.T) {
	const processes, callers = 8, 12
	for _, kind := range strict {
		for _, tags := range []bool{false, true} {
			t.Run(fmt.Sprint(kind, " tags ", tags), func(t *testing.T) {
				name := tracktest.NewName()
				url := places.Lasting[kind](t, name)
				l := newLinguist(t, tags)
				var clients []*http.Client
				for range processes {
					clients = append(clients, l.client(t, url, name))
				}
				for _, state := range []string{"cold", "expired"} {
					var wait sync.WaitGroup
					for i, client := range clients {
						for j := range callers {
							language := languages[(i+j)%len(languages)]
							wait.Go(func() {
								if got, err := l.get(client, language); err != nil || got != language {
									t.Errorf("%s, %s: %q, %v", state, language, got, err)
								}
							})
						}
					}
					waitfor.Blocked(t, processes*callers, "exchange.(*Flight).wait")
					close(l.gate)
					wait.Wait()
					requests := l.next()
					for _, language := range languages {
						if requests[language] != 1 {
							t.Errorf("%s: %d requests for %s", state, requests[language], language)
						}
					}
				}
			})
		}
	}
}
