package store_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/internal/testserver/places"
	"github.com/endpointcache/endpointcache/internal/tracktest"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/store"
	"github.com/endpointcache/endpointcache/transport"
)

type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// What one cache makes old is old for another on the same store, whichever it is.
func TestInvalidationOnEveryStore(t *testing.T) {
	for kind, place := range places.Lasting {
		t.Run(kind, func(t *testing.T) {
			name := tracktest.NewName()
			url := place(t, name)
			requests := 0
			answer := roundTripper(func(req *http.Request) (*http.Response, error) {
				requests++
				body := fmt.Sprint(requests)
				return &http.Response{
					StatusCode: http.StatusOK, Header: http.Header{"X-Other": {"a"}}, Request: req,
					Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
				}, nil
			})
			var caches [2]*cache.ResponseCache
			var clients [2]*http.Client
			for i := range caches {
				s, err := store.Open(t.Context(), url, &store.Options{Name: name})
				check(t, err)
				caches[i], err = cache.New(s, nil)
				check(t, err)
				t.Cleanup(func() { check(t, caches[i].Close()) })
				all := settings.CatchAll("all", nil)
				all.Tags = func(k request.AnyKey, _ []byte) []string { return []string{`a, "\ of all`, k.Headers} }
				_, err = cache.CreateRepository(t.Context(), caches[i], all)
				check(t, err)
				clients[i] = &http.Client{Transport: transport.New(caches[i], &transport.Options{Base: answer})}
			}
			ask := func(by int, method, accept string) string {
				t.Helper()
				req, err := http.NewRequestWithContext(t.Context(), method, "https://api.test/a", nil)
				check(t, err)
				req.Header.Set("Accept", accept)
				resp, err := clients[by].Do(req)
				check(t, err)
				body, err := io.ReadAll(resp.Body)
				check(t, err)
				check(t, resp.Body.Close())
				return string(body)
			}
			want := func(by int, accept, want string) {
				t.Helper()
				if got := ask(by, http.MethodGet, accept); got != want {
					t.Errorf("cache %d has %s for %s, want %s", by, got, accept, want)
				}
			}
			want(0, "a", "1")
			want(1, "a", "1")
			want(1, "b", "2")
			ask(1, http.MethodPut, "c") // 3
			want(0, "a", "4")
			want(1, "a", "4")
			want(1, "b", "5")
			want(0, "b", "5")
			check(t, caches[0].InvalidateTags(t.Context(), "Accept: a"))
			want(1, "b", "5")
			want(1, "a", "6")
			check(t, caches[0].InvalidateTags(t.Context(), `a, "\ of all`))
			want(1, "b", "7")
			want(1, "a", "8")
			want(0, "a", "8")
			_, err := caches[0].Clear(t.Context(), repository.All)
			check(t, err)
			want(1, "a", "9")
		})
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
