package transport_test

import (
	"slices"
	"testing"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/fetch/restyfetch"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/prefetch"
	"github.com/endpointcache/endpointcache/repository"
	keys "github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
)

func TestWhatWasPrefetchedIsAHit(t *testing.T) {
	onEachMode(t, func(t *testing.T, opts *options) {
		onEachStore(t, func(t *testing.T, open func(*testing.T) driver.Store) {
			h := startTyped(t, open(t), opts)
			client, err := fetch.NewClient(&fetch.Options{BaseURL: h.server.URL, Transport: h.base})
			check(t, err)
			defer client.Close()
			tracks, err := fetch.New(client, h.tracks, nil)
			check(t, err)
			result, err := prefetch.Run(t.Context(), tracks, slices.Values([]string{"a", "b"}), nil)
			if err != nil || result.Fetched != 2 {
				t.Fatal(result, err)
			}
			for _, encoding := range [][]string{nil, {"Accept-Encoding", "identity"}} { // they vary by it
				resp, body := h.get("/tracks/a", encoding...)
				if !hit(resp) || body != `{"title": "a"}` || resp.Header.Get("Vary") != "Accept-Encoding" {
					t.Errorf("%v %q %v", hit(resp), body, resp.Header)
				}
			}
			h.wantRequests(2)
		})
	})
}

// A prefetch takes the client whose transport is over the same cache: its requests pass
// that, so that nothing is stored twice, and Refresh asks the origin.
func TestAPrefetchPassesATransportOverTheSameCache(t *testing.T) {
	h := start(t, serveSong, nil)
	songs, err := cache.CreateRepository(t.Context(), h.cache, settings.RepositorySettings[string, song]{
		Name: "songs", Endpoint: keys.Pattern[string]("GET /songs/{id}"), Payload: payload.JSON[song](),
	})
	check(t, err)
	client, _ := h.resty()
	byResty(t, client.R(), "GET", "/songs/a")
	sender, err := fetch.NewClient(restyfetch.Options(client))
	check(t, err)
	defer sender.Close()
	fetcher, err := fetch.New(sender, songs, nil)
	check(t, err)

	run := func(opts *prefetch.Options, wanted ...string) *prefetch.Result[string] {
		t.Helper()
		result, err := prefetch.Run(t.Context(), fetcher, slices.Values(wanted), opts)
		check(t, err)
		if result.Failed > 0 {
			t.Errorf("%+v", result)
		}
		return result
	}
	if r := run(nil, "a", "b"); r.Cached != 1 || r.Fetched != 1 {
		t.Errorf("what the transport has stored is fetched: %+v", r)
	}
	if s := h.transport.Stats(); s.Stored != 2 || s.Misses != 2 {
		t.Errorf("the transport has stored what was prefetched, too: %+v", s)
	}
	if resp := byResty(t, client.R(), "GET", "/songs/b"); !hit(resp.RawResponse) {
		t.Error("what was prefetched is no hit")
	}
	h.wantRequests(2)
	run(&prefetch.Options{Refresh: true}, "a")
	h.wantRequests(3)
	if n, err := songs.Count(t.Context(), repository.Live); n != 2 || err != nil {
		t.Errorf("%d songs, %v", n, err)
	}
}
