package musicsdk_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/examples/musicsdk"
	"github.com/endpointcache/endpointcache/examples/musicsdk/musicapi"
	"github.com/endpointcache/endpointcache/repository"
)

func TestTokens(t *testing.T) {
	api, url := serve(t, &musicapi.Options{ClientID: "id", ClientSecret: "a secret", Delay: time.Millisecond})
	client := connect(t, url, &musicsdk.Options{Token: musicsdk.ClientCredentials(url, "id", "a secret", nil)})
	ask := func() {
		var calls sync.WaitGroup
		for n := range 20 {
			calls.Go(func() {
				if _, err := client.Track(t.Context(), musicapi.TrackID(n)); err != nil {
					t.Error(err)
				}
			})
		}
		calls.Wait()
	}
	ask()
	api.RevokeTokens()
	ask()
	if n := api.Stats().Requests["POST /token"]; n != 2 {
		t.Errorf("%d tokens were asked for, want 2", n)
	}
}

func TestWrongSecret(t *testing.T) {
	api, url := serve(t, &musicapi.Options{ClientID: "id", ClientSecret: "a secret"})
	client := connect(t, url, &musicsdk.Options{Token: musicsdk.ClientCredentials(url, "id", "wrong", nil)})
	_, err := client.Track(t.Context(), musicapi.TrackID(0))
	if !errors.Is(err, musicsdk.ErrUnauthorized) || errors.Is(err, musicsdk.ErrUnavailable) || strings.Contains(err.Error(), "wrong") {
		t.Errorf("the error is %v", err)
	}
	if n := api.Stats().Total; n != 1 {
		t.Errorf("there were %d requests, want 1: the secret stays wrong", n)
	}
}

func TestNoToken(t *testing.T) {
	_, url := serve(t, &musicapi.Options{ClientID: "id", ClientSecret: "a secret"})
	client := connect(t, url, nil)
	if _, err := client.Track(t.Context(), musicapi.TrackID(0)); !errors.Is(err, musicsdk.ErrUnauthorized) {
		t.Errorf("the error is %v", err)
	}
}

// The API's limits are kept by the client's own, and what it answers beyond them is
// waited for.
func TestManners(t *testing.T) {
	api, url := serve(t, &musicapi.Options{Delay: 2 * time.Millisecond, FailEvery: 7})
	var waits atomic.Int64
	client := connect(t, url, &musicsdk.Options{InFlight: 3, OnWait: func(time.Duration) { waits.Add(1) }})
	var ids []string
	for n := range 1000 {
		ids = append(ids, musicapi.TrackID(n))
	}
	found, err := client.Tracks(t.Context(), ids)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range found {
		if r.Err != nil || r.Value.Title != api.Track(i).Title {
			t.Errorf("%d: %+v", i, r)
		}
	}
	if stats := api.Stats(); stats.MaxInFlight > 3 || stats.Statuses[503] == 0 || waits.Load() == 0 {
		t.Errorf("%+v, and the client has waited %d times", stats, waits.Load())
	}
}

func TestUnavailable(t *testing.T) {
	_, url := serve(t, &musicapi.Options{FailEvery: 1})
	client := connect(t, url, nil)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := client.Artist(ctx, musicapi.ArtistID(0)); !errors.Is(err, musicsdk.ErrUnavailable) {
		t.Errorf("the error is %v", err)
	}
}

func TestUnreachable(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	client := connect(t, server.URL, nil)
	if _, err := client.Artist(t.Context(), musicapi.ArtistID(0)); !errors.Is(err, musicsdk.ErrUnavailable) {
		t.Errorf("the error is %v", err)
	}
}

// A connection that breaks in the middle of an answer.
func TestCutShort(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		io.WriteString(w, "{")
	}))
	t.Cleanup(server.Close)
	client := connect(t, server.URL, &musicsdk.Options{Store: inMemory(t)})
	if _, err := client.Artist(t.Context(), musicapi.ArtistID(0)); !errors.Is(err, musicsdk.ErrUnavailable) {
		t.Errorf("the error is %v", err)
	}
	if n, err := client.Cache().Count(t.Context(), repository.All); n != 0 || err != nil {
		t.Errorf("%d answers are stored, %v", n, err)
	}
}
