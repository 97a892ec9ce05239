package doors

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/exchange"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/transport"
)

// Variants go with the latest response of their key, also where a program maintains the
// store that has no declarations.
func TestMaintenanceReachesVariants(t *testing.T) {
	for _, declared := range []bool{true, false} {
		t.Run(fmt.Sprintf("declared %v", declared), func(t *testing.T) {
			store := inMemory(t)
			c, err := cache.New(store, &cache.Options{Policy: policy.Policy{CacheControl: policy.On}})
			check(t, err)
			defer c.Close()
			_, err = cache.CreateRepository(t.Context(), c, places{Name: "places", Pattern: "GET /places/{id}"})
			check(t, err)
			maintenance := c
			if !declared {
				maintenance, err = cache.New(store, nil)
				check(t, err)
				defer maintenance.Close()
			}
			asked := 0
			client := &http.Client{Transport: transport.New(c, &transport.Options{Base: roundTripFunc(func(r *http.Request) (*http.Response, error) {
				asked++
				body := fmt.Sprintf(`{"id":"a","who":%q}`, r.Header.Get("Accept-Language"))
				return &http.Response{StatusCode: 200, Request: r, Header: http.Header{"Vary": {"Accept-Language"}, "Cache-Control": {"max-age=600"}},
					Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))}, nil
			})})}
			get := func(what string, want int) {
				t.Helper()
				asked = 0
				for _, language := range []string{"en", "de"} {
					req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://one.example.com/places/a", nil)
					req.Header.Set("Accept-Language", language)
					resp, err := client.Do(req)
					check(t, err)
					_, err = io.Copy(io.Discard, resp.Body)
					check(t, err)
					resp.Body.Close()
				}
				if asked != want {
					t.Errorf("%s: the origin was asked %d times, want %d", what, asked, want)
				}
			}
			all := maintenance.Contents()
			get("first", 2)
			get("again", 0)
			if n, err := all.Touch(t.Context(), cache.Query{}, time.Hour); n != 1 || err != nil {
				t.Errorf("%d were touched, %v", n, err)
			}
			get("touched", 0)
			if n, err := all.Expire(t.Context(), cache.Query{}); n != 1 || err != nil {
				t.Errorf("%d expired, %v", n, err)
			}
			get("expired", 2)
			get("again", 0)
			if n, err := all.Delete(t.Context(), cache.Query{Match: func(cache.Stored) bool { return true }}); n != 1 || err != nil {
				t.Errorf("%d were deleted, %v", n, err)
			}
			get("deleted", 2)
			get("again", 0)
			if n, err := all.Delete(t.Context(), cache.Query{}); n != 1 || err != nil {
				t.Errorf("%d were deleted, %v", n, err)
			}
			variants, err := store.OpenTable(t.Context(), driver.TableSpec{Name: exchange.VariantsTable, Key: []driver.Column{
				{Name: "repository", Kind: driver.String}, {Name: "identity", Kind: driver.String},
				{Name: "generation", Kind: driver.String}, {Name: "entry", Kind: driver.String}, {Name: "variant", Kind: driver.String},
			}})
			check(t, err)
			if n, err := variants.Count(t.Context(), driver.Filter{}); n != 0 || err != nil {
				t.Errorf("%d variants are left, %v", n, err)
			}
		})
	}
}

// unclosed is a store that outlives its cache.
type unclosed struct{ driver.Store }

func (unclosed) Close() error { return nil }

// What is under way for a key that is not stored yet is not kept either, whoever runs the
// query.
func TestMaintenanceReachesWhatIsUnderWay(t *testing.T) {
	everything := cache.Query{Match: func(cache.Stored) bool { return true }}
	for what, change := range map[string]func(*testing.T, *cache.Contents) (int, error){
		"expire": func(t *testing.T, s *cache.Contents) (int, error) { return s.Expire(t.Context(), everything) },
		"delete": func(t *testing.T, s *cache.Contents) (int, error) { return s.Delete(t.Context(), everything) },
	} {
		t.Run(what, func(t *testing.T) {
			store := inMemory(t)
			c, err := cache.New(unclosed{store}, nil)
			check(t, err)
			_, err = cache.CreateRepository(t.Context(), c, places{Name: "places", Pattern: "GET /places/{id}"})
			check(t, err)
			arrived, release := make(chan bool), make(chan bool)
			tr := transport.New(c, &transport.Options{Base: roundTripFunc(func(r *http.Request) (*http.Response, error) {
				close(arrived)
				<-release
				return &http.Response{StatusCode: 200, Request: r, Body: io.NopCloser(strings.NewReader(`{"id":"a"}`)), ContentLength: 10}, nil
			})})
			var group sync.WaitGroup
			group.Go(func() {
				req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://one.example.com/places/a", nil)
				resp, err := tr.RoundTrip(req)
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			})
			<-arrived
			_, err = change(t, c.Contents())
			check(t, err)
			close(release)
			group.Wait()
			check(t, c.Close())
			after, err := cache.New(store, nil)
			check(t, err)
			defer after.Close()
			if n, err := after.Contents().Count(t.Context(), cache.Query{}); n != 0 || err != nil {
				t.Errorf("%d were kept, %v", n, err)
			}
		})
	}
}
