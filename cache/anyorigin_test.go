package cache_test

import (
	"errors"
	"testing"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/settings"
)

// Whoever asks for a request can tell the origin where the store does not know it, and only there.
func TestTheOriginOfARequest(t *testing.T) {
	c := newCache(t, nil)
	saved(t, c, settings.RepositorySettings[string, []byte]{Name: "anywhere", Pattern: "/any/{id}", BaseURL: settings.AnyBaseURL}, "1")
	saved(t, c, settings.RepositorySettings[string, []byte]{Name: "somewhere", Pattern: "/some/{id}", BaseURL: "https://own.test"}, "1")
	want := map[string]string{"anywhere": "https://told.test/any/1", "somewhere": "https://own.test/some/1"}
	for _, e := range entriesOf(t, c.Contents(), cache.Query{}) {
		if _, err := c.Contents().Request(t.Context(), e); errors.Is(err, cache.ErrNoRequest) != (e.Repository == "anywhere") {
			t.Errorf("%s: without an origin: %v", e.Repository, err)
		}
		e.Origin = "https://told.test"
		req, err := c.Contents().Request(t.Context(), e)
		check(t, err)
		if req.URL.String() != want[e.Repository] {
			t.Errorf("%s: the request is to %s", e.Repository, req.URL)
		}
	}
}
