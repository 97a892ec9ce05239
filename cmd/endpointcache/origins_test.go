package main

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/settings"
)

// The responses of several origins are told apart.
func TestSeveralOrigins(t *testing.T) {
	p := newLocation(t, "sqlite")
	c := p.cache(t, nil)
	_, err := cache.CreateRepository(t.Context(), c, settings.RepositorySettings[string, string]{Name: "texts", Pattern: "GET /texts/{id}", Payload: payload.String()})
	check(t, err)
	for _, url := range []string{"https://one.test/texts/a", "https://two.test/texts/a", "https://one.test/texts/b"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		check(t, err)
		saved, err := c.SaveResponse(t.Context(), &http.Response{
			StatusCode: http.StatusOK, Header: http.Header{}, Request: req, ContentLength: -1, Body: io.NopCloser(strings.NewReader(url)),
		})
		if err != nil || !saved {
			t.Fatal(saved, err)
		}
	}
	check(t, c.Close())
	p.golden(t, "origins")
}
