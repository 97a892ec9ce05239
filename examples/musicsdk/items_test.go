package musicsdk_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/examples/musicsdk"
	"github.com/endpointcache/endpointcache/examples/musicsdk/musicapi"
	"github.com/endpointcache/endpointcache/fetch"
)

// unknown is an id that could be one.
var unknown = musicapi.TrackID(1_000_000)

func TestItems(t *testing.T) {
	api, url := serve(t, nil)
	client := connect(t, url, &musicsdk.Options{Store: inMemory(t), Market: "DE"})
	for range 2 {
		track, err := client.Track(t.Context(), musicapi.TrackID(1))
		if want := api.Track(1); err != nil || track.Title != want.Title || track.Album.Name != want.Album.Name {
			t.Errorf("Track = %+v, %v, want %+v", track, err, want)
		}
		album, err := client.Album(t.Context(), musicapi.AlbumID(2))
		if want := api.Album(2); err != nil || album.Name != want.Name || album.TotalTracks != 10 {
			t.Errorf("Album = %+v, %v, want %+v", album, err, want)
		}
		artist, err := client.Artist(t.Context(), musicapi.ArtistID(3))
		if want := api.Artist(3); err != nil || artist.Name != want.Name || !slices.Equal(artist.Genres, want.Genres) {
			t.Errorf("Artist = %+v, %v, want %+v", artist, err, want)
		}
	}
	if n := api.Stats().Total; n != 3 {
		t.Errorf("there were %d requests, want 3", n)
	}
}

func TestMany(t *testing.T) {
	api, url := serve(t, nil)
	client := connect(t, url, &musicsdk.Options{Store: inMemory(t)})
	for _, test := range []struct {
		name    string
		id      func(int) string
		nameOf  func(int) string
		names   func(context.Context, []string) ([]musicsdk.Result[string], error)
		pattern string
	}{
		{"tracks", musicapi.TrackID, func(n int) string { return api.Track(n).Title }, titles(client.Tracks, func(v musicsdk.Track) string { return v.Title }), "GET /v1/tracks"},
		{"albums", musicapi.AlbumID, func(n int) string { return api.Album(n).Name }, titles(client.Albums, func(v musicsdk.Album) string { return v.Name }), "GET /v1/albums"},
		{"artists", musicapi.ArtistID, func(n int) string { return api.Artist(n).Name }, titles(client.Artists, func(v musicsdk.Artist) string { return v.Name }), "GET /v1/artists"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var ids, want []string
			for n := range 120 {
				ids, want = append(ids, test.id(n)), append(want, test.nameOf(n))
			}
			ids = slices.Insert(ids, 60, unknown, ids[0]) // and one twice
			want = slices.Insert(want, 60, "", want[0])
			for _, cached := range []bool{false, true} {
				found, err := test.names(t.Context(), ids)
				if err != nil || len(found) != len(ids) {
					t.Fatalf("there are %d of %d, %v", len(found), len(ids), err)
				}
				for i, r := range found {
					if r.ID != ids[i] || r.Value != want[i] {
						t.Errorf("%d is %+v, want %q of %s", i, r, want[i], ids[i])
					}
					if i == 60 {
						if !errors.Is(r.Err, musicsdk.ErrNotFound) {
							t.Errorf("the error of an unknown id is %v", r.Err)
						}
					} else if r.Err != nil || r.Cached != cached {
						t.Errorf("%d is %+v, want it to be cached: %t", i, r, cached)
					}
				}
			}
			if n := api.Stats().Requests[test.pattern]; n != 3 {
				t.Errorf("121 ids took %d requests, want 3", n)
			}
		})
	}
	if n := api.Stats().Total; n != 9 {
		t.Errorf("there were %d requests in all, want 9", n)
	}
}

// titles makes the results of a method comparable.
func titles[V any](many func(context.Context, []string, ...fetch.Option) ([]musicsdk.Result[V], error), title func(V) string) func(context.Context, []string) ([]musicsdk.Result[string], error) {
	return func(ctx context.Context, ids []string) ([]musicsdk.Result[string], error) {
		found, err := many(ctx, ids)
		named := make([]musicsdk.Result[string], len(found))
		for i, r := range found {
			named[i] = musicsdk.Result[string]{ID: r.ID, Cached: r.Cached, Err: r.Err}
			if r.Err == nil {
				named[i].Value = title(r.Value)
			}
		}
		return named, err
	}
}

// An item of a batch is stored as if it had been asked for alone.
func TestItemsOfABatchAreCached(t *testing.T) {
	api, url := serve(t, nil)
	client := connect(t, url, &musicsdk.Options{Store: inMemory(t)})
	ids := []string{musicapi.TrackID(0), musicapi.TrackID(1), unknown}
	if _, err := client.Tracks(t.Context(), ids); err != nil {
		t.Fatal(err)
	}
	if track, err := client.Track(t.Context(), ids[1]); err != nil || track.ID != ids[1] {
		t.Errorf("Track = %+v, %v", track, err)
	}
	if _, err := client.Track(t.Context(), unknown); !errors.Is(err, musicsdk.ErrNotFound) {
		t.Errorf("the error of what is known to be absent is %v", err)
	}
	if n := api.Stats().Total; n != 1 {
		t.Errorf("there were %d requests, want 1", n)
	}
}

// One malformed id, for which the API refuses the whole batch, is found.
func TestMalformedIDAmongMany(t *testing.T) {
	api, url := serve(t, nil)
	client := connect(t, url, &musicsdk.Options{Store: inMemory(t)})
	var ids []string
	for n := range 50 {
		ids = append(ids, musicapi.TrackID(n))
	}
	ids[33] = "malformed"
	found, err := client.Tracks(t.Context(), ids)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range found {
		if malformed := i == 33; malformed != errors.Is(r.Err, musicsdk.ErrInvalid) || !malformed && r.Err != nil {
			t.Errorf("%d: %v", i, r.Err)
		}
	}
	if n := api.Stats().Total; n > 13 {
		t.Errorf("it took %d requests to find one of 50", n)
	}
}

func TestMarkets(t *testing.T) {
	_, url := serve(t, nil)
	store := inMemory(t)
	const unlicensed = 7 // in AR, but nowhere else
	for market, want := range map[string]error{"DE": nil, "AR": musicsdk.ErrNotFound, "AQ": musicsdk.ErrForbidden} {
		client := connect(t, url, &musicsdk.Options{Store: unclosed{store}, Market: market})
		_, err := client.Track(t.Context(), musicapi.TrackID(unlicensed))
		found, errMany := client.Tracks(t.Context(), []string{musicapi.TrackID(unlicensed), musicapi.TrackID(unlicensed + 1)})
		if errMany != nil {
			t.Fatal(errMany)
		}
		for _, err := range []error{err, found[0].Err} {
			if !errors.Is(err, want) {
				t.Errorf("market %s: the error is %v, want %v", market, err, want)
			}
		}
	}
}

// unclosed is a store that several clients share, which its owner closes.
type unclosed struct{ driver.Store }

func (unclosed) Close() error { return nil }

func TestWithoutAStore(t *testing.T) {
	api, url := serve(t, nil)
	client := connect(t, url, nil)
	for range 2 {
		if track, err := client.Track(t.Context(), musicapi.TrackID(1)); err != nil || track.ID != musicapi.TrackID(1) {
			t.Errorf("Track = %+v, %v", track, err)
		}
	}
	if n := api.Stats().Total; n != 2 || client.Cache() != nil {
		t.Errorf("there were %d requests, want 2", n)
	}
}

func TestExpiryAndRefresh(t *testing.T) {
	api, url := serve(t, nil)
	now := newClock()
	client := connect(t, url, &musicsdk.Options{Store: inMemory(t), Now: now.Now})
	id := musicapi.TrackID(1)
	ask := func(want int, opts ...fetch.Option) {
		t.Helper()
		if _, err := client.Track(t.Context(), id, opts...); err != nil {
			t.Error(err)
		}
		if n := api.Stats().Total; n != want {
			t.Errorf("there were %d requests, want %d", n, want)
		}
	}
	ask(1)
	ask(1)
	ask(2, fetch.Refresh())
	now.add(14*24*time.Hour - time.Microsecond)
	ask(2)
	now.add(time.Microsecond)
	ask(3)
}

// Calls for one item at the same time share a request.
func TestGather(t *testing.T) {
	api, url := serve(t, nil)
	client := connect(t, url, &musicsdk.Options{Store: inMemory(t), Gather: time.Minute})
	var calls sync.WaitGroup
	for n := range 50 { // a full batch does not wait
		calls.Go(func() {
			if track, err := client.Track(t.Context(), musicapi.TrackID(n)); err != nil || track.Title != api.Track(n).Title {
				t.Errorf("Track = %+v, %v", track, err)
			}
		})
	}
	calls.Wait()
	if n := api.Stats().Requests["GET /v1/tracks"]; n != 1 {
		t.Errorf("there were %d requests, want 1", n)
	}
}

func TestErrorsTellWhatWasAskedFor(t *testing.T) {
	_, url := serve(t, nil)
	client := connect(t, url, nil)
	_, err := client.Album(t.Context(), "malformed")
	want := fmt.Sprintf("musicsdk: album malformed: invalid: fetch: GET %s/v1/albums/malformed: status 400 Bad Request", url)
	if err == nil || err.Error() != want {
		t.Errorf("the error is\n%v\nwant\n%s", err, want)
	}
	var status *fetch.StatusError
	if !errors.As(err, &status) || status.Code != 400 {
		t.Errorf("the cause of %v is lost", err)
	}
}

func TestEnds(t *testing.T) {
	_, url := serve(t, &musicapi.Options{Delay: time.Minute})
	client, err := musicsdk.New(t.Context(), url, &musicsdk.Options{Store: inMemory(t)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := client.Track(ctx, musicapi.TrackID(0)); !errors.Is(err, context.Canceled) {
		t.Errorf("after its context, the error is %v", err)
	}
	ended := make(chan error)
	go func() {
		_, err := client.Track(t.Context(), musicapi.TrackID(0))
		ended <- err
	}()
	if err := client.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, fetch.ErrClosed) {
		t.Errorf("of a call that is under way, the error is %v", err)
	}
	if _, err := client.Tracks(t.Context(), []string{musicapi.TrackID(0)}); !errors.Is(err, fetch.ErrClosed) {
		t.Errorf("after Close, the error is %v", err)
	}
}

func TestNewRefuses(t *testing.T) {
	for url, opts := range map[string]*musicsdk.Options{
		"api.example.com":         {},
		"":                        {},
		"ftp://api.example.com":   {},
		"https://api.example.com": {InFlight: -1},
		"https://a.example.com":   {Rate: -1},
		"https://b.example.com":   {Gather: -1},
	} {
		store := inMemory(t)
		opts.Store = store
		if client, err := musicsdk.New(t.Context(), url, opts); err == nil || client != nil || !strings.HasPrefix(err.Error(), "musicsdk: ") {
			t.Errorf("%q: the error is %v", url, err)
		}
		_, err := store.OpenTable(t.Context(), driver.TableSpec{Name: "t", Key: []driver.Column{{Name: "id", Kind: driver.String}}})
		if !errors.Is(err, driver.ErrClosed) {
			t.Errorf("%q: the store was left open: %v", url, err)
		}
	}
}

func TestSettingsAreValid(t *testing.T) {
	for name, err := range map[string]error{
		"Tracks": musicsdk.Tracks.Validate(), "Albums": musicsdk.Albums.Validate(), "Artists": musicsdk.Artists.Validate(),
		"AlbumTracks": musicsdk.AlbumTracks.Validate(), "ArtistAlbums": musicsdk.ArtistAlbums.Validate(), "NewReleases": musicsdk.NewReleases.Validate(),
	} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if diff := cmp.Diff(musicapi.MaxBatch, musicsdk.Tracks.Batch.Size()); diff != "" {
		t.Error(diff)
	}
}
