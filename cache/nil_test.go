package cache_test

import (
	"context"
	"testing"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/settings"
)

// What is nil by mistake is an error, and not a panic.
func TestNilIsAnError(t *testing.T) {
	var none context.Context
	c := newCache(t, nil)
	s := endpoint("tracks", "GET api.test/tracks/{id}")
	tracks := create(t, c, s)
	first := func(_ any, err error) error { return err }
	for name, err := range map[string]error{
		"a repository in no cache":      first(cache.CreateRepository(t.Context(), nil, s)),
		"a repository of no cache":      first(cache.Repository[string, string](nil, "tracks")),
		"a write of no cache":           first(cache.AddWrite(nil, settings.WriteSettings[string]{Pattern: "PUT /tracks/{id}"})),
		"a cache on no store":           first(cache.New(nil, nil)),
		"a repository, no context":      first(cache.CreateRepository(none, c, endpoint("albums", "GET api.test/albums/{id}"))),
		"a save, no context":            tracks.Save(none, "a", "b"),
		"a bulk get, no context":        first(tracks.GetMany(none, []string{"a"})),
		"a count, no context":           first(tracks.Count(none, repository.All)),
		"a clear, no context":           first(c.Clear(none, repository.All)),
		"contents, no context":          first(c.Contents().Count(none, cache.Query{})),
		"a listing, no context":         first(c.Contents().List(none, cache.Listing{})),
		"a drop, no context":            c.Drop(none, "albums"),
		"tags to forget, no context":    c.InvalidateTags(none, "tag"),
		"a list of tables, no context":  first(c.Tables(none)),
		"a save of nothing, no context": first(c.Contents().Save(none, sequence(), nil)),
		"a copy, no context":            first(c.CopyTo(none, newCache(t, nil), nil)),
		"a copy to no cache":            first(c.CopyTo(t.Context(), nil, nil)),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	for _, err := range tracks.Keys(none) {
		if err == nil {
			t.Error("an iteration, no context: no error")
		}
	}
}
