package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/settings"
)

// music is the API whose responses the tests' caches hold.
const music = "https://api.music.test"

type trackKey struct {
	ID     string `path:"id"`
	Market string `query:"market" default:"US"`
}

type track struct {
	ID    string `json:"id"`
	Title string `json:"title"`
}

var tracks = settings.RepositorySettings[trackKey, track]{
	Name: "tracks", Pattern: "GET api.music.test/v1/tracks/{id}", NameOf: func(t track) string { return t.Title },
}

type pageKey struct {
	Number int  `query:"number"`
	Live   bool `query:"live"`
}

var pages = settings.RepositorySettings[pageKey, string]{
	Name: "pages", Pattern: "GET api.music.test/v1/pages", Payload: payload.String(),
}

// fill saves what most of the tests look at.
func fill(tb testing.TB, c *cache.ResponseCache) {
	tb.Helper()
	ctx := tb.Context()
	r, err := cache.CreateRepository(ctx, c, tracks)
	check(tb, err)
	save := func(id, market string, status int, body string, ago, lives time.Duration, header ...string) {
		tb.Helper()
		h := http.Header{"Content-Type": {"application/json"}}
		for i := 0; i < len(header); i += 2 {
			h.Add(header[i], header[i+1])
		}
		e, err := repository.NewEntry(status, repository.Head{Header: h}, []byte(body))
		check(tb, err)
		expires := repository.ExpireAt(noon.Add(lives))
		if lives == 0 {
			expires = repository.ExpireIn(settings.NeverExpire)
		}
		check(tb, r.SaveEntry(ctx, trackKey{id, market}, e, repository.AsOf(noon.Add(-ago)), expires))
	}
	save("aero", "DE", http.StatusOK, `{"id":"aero","title":"Aerodynamic","n":12345678901234567890}`, 3*time.Hour, 9*time.Hour, "Etag", `"a1"`)
	save("aero", "US", http.StatusOK, `{"id":"aero","title":"Aerodynamic"}`, 26*time.Hour, -2*time.Hour)
	save("harder", "DE", http.StatusOK, `{"id":"harder","title":"Harder, Better"}`, 5*time.Minute, 0)
	save("gone", "DE", http.StatusNotFound, `{"error":"not found"}`, 90*time.Second, time.Hour)

	p, err := cache.CreateRepository(ctx, c, pages)
	check(tb, err)
	for i := range 7 {
		at := repository.AsOf(noon.Add(-time.Duration(i) * 24 * time.Hour))
		check(tb, p.Save(ctx, pageKey{i - 1, i%2 == 0}, strings.Repeat(fmt.Sprint("line ", i, "\n"), 4*i), at, repository.ExpireIn(4*24*time.Hour)))
	}
}

// filled is a place with what fill saves.
func filled(tb testing.TB, p *location) *location {
	tb.Helper()
	c := p.cache(tb, nil)
	fill(tb, c)
	check(tb, c.Close())
	return p
}
