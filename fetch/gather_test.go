package fetch_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
)

// Batches of many groups that have waited for more keys are not all asked for at once.
func TestGatheredBatchesAreLimited(t *testing.T) {
	type key struct {
		ID     string `path:"id"`
		Market int    `query:"market"`
	}
	o := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(time.Millisecond)
		serve(w, r)
	})
	e, err := fetch.Uncached(clientOf(t, fetch.Options{BaseURL: o.URL}), settings.RepositorySettings[key, track]{
		Name: "tracks", Endpoint: request.Pattern[key]("/tracks/{id}"), Payload: settingsOf(byID, nil).Payload,
		Batch: request.BatchPattern[key]("/tracks?ids={id}", 10, splitTracks, nil),
	}, &fetch.FetcherOptions{Gather: time.Millisecond, Concurrency: 3})
	if err != nil {
		t.Fatal(err)
	}
	keys := make([]key, 100)
	for i := range keys {
		keys[i] = key{"t" + strconv.Itoa(i), i}
	}
	results, err := e.FetchMany(t.Context(), keys)
	if want := strings.TrimSpace(strings.Repeat("FE ", len(keys))); err != nil || statuses(results) != want {
		t.Error(err, statuses(results))
	}
	if o.total() != len(keys) || o.most > 3 {
		t.Errorf("%d requests, %d at once", o.total(), o.most)
	}
}
