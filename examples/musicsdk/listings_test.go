package musicsdk_test

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/examples/musicsdk"
	"github.com/endpointcache/endpointcache/examples/musicsdk/musicapi"
	"github.com/endpointcache/endpointcache/prefetch"
)

// ids are those of a listing's items, up to its end or an error.
func ids[V any](listing iter.Seq2[V, error], id func(V) string) (all []string, err error) {
	for item, err := range listing {
		if err != nil {
			return all, err
		}
		all = append(all, id(item))
	}
	return all, nil
}

func trackID(t musicsdk.Track) string { return t.ID }
func albumID(a musicsdk.Album) string { return a.ID }

// some are the ids with the numbers from, from+step and so on, before to.
func some(id func(int) string, from, to, step int) (all []string) {
	for n := from; n < to; n += step {
		all = append(all, id(n))
	}
	return all
}

func TestAlbumTracks(t *testing.T) {
	api, url := serve(t, &musicapi.Options{Albums: 3, TracksPerAlbum: 120})
	client := connect(t, url, &musicsdk.Options{Store: inMemory(t), Market: "AR"})
	// Some of them are not licensed, which the API answers with null.
	want := slices.DeleteFunc(some(musicapi.TrackID, 120, 240, 1), func(id string) bool {
		return slices.Contains([]string{musicapi.TrackID(127), musicapi.TrackID(128), musicapi.TrackID(129),
			musicapi.TrackID(187), musicapi.TrackID(188), musicapi.TrackID(189)}, id)
	})
	for range 2 {
		got, err := ids(client.AlbumTracks(t.Context(), musicapi.AlbumID(1)), trackID)
		if err != nil || !slices.Equal(got, want) {
			t.Fatalf("%v\n%s", err, cmp.Diff(want, got))
		}
	}
	results, err := client.Tracks(t.Context(), want)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		if !r.Cached {
			t.Errorf("a track of a page is not stored: %+v", r)
		}
	}
	if stats := api.Stats(); stats.Total != 3 || stats.Requests["GET /v1/albums/{id}/tracks"] != 3 {
		t.Errorf("the requests were %+v, want 3 for pages", stats.Requests)
	}
}

func TestArtistAlbums(t *testing.T) {
	api, url := serve(t, &musicapi.Options{Albums: 360, Artists: 3})
	client := connect(t, url, &musicsdk.Options{Store: inMemory(t)})
	want := some(musicapi.AlbumID, 2, 360, 3)
	for range 2 {
		got, err := ids(client.ArtistAlbums(t.Context(), musicapi.ArtistID(2)), albumID)
		if err != nil || !slices.Equal(got, want) {
			t.Fatalf("%v\n%s", err, cmp.Diff(want, got))
		}
	}
	if album, err := client.Album(t.Context(), want[100]); err != nil || album.Name != api.Album(302).Name {
		t.Errorf("Album = %+v, %v", album, err)
	}
	if n := api.Stats().Total; n != 3 {
		t.Errorf("there were %d requests, want 3", n)
	}
}

func TestNewReleases(t *testing.T) {
	api, url := serve(t, &musicapi.Options{Albums: 120})
	now := newClock()
	client := connect(t, url, &musicsdk.Options{Store: inMemory(t), Now: now.Now})
	want := some(musicapi.AlbumID, 0, 120, 1)
	for range 2 {
		got, err := ids(client.NewReleases(t.Context()), albumID)
		if err != nil || !slices.Equal(got, want) {
			t.Fatalf("%v\n%s", err, cmp.Diff(want, got))
		}
	}
	if n := api.Stats().Total; n != 3 {
		t.Errorf("there were %d requests, want 3", n)
	}
	now.add(time.Hour)
	if _, err := ids(client.NewReleases(t.Context()), albumID); err != nil {
		t.Fatal(err)
	}
	if n := api.Stats().Total; n != 6 {
		t.Errorf("after an hour there were %d requests, want 6", n)
	}
}

// A loop that breaks off has no more pages fetched.
func TestBreakOff(t *testing.T) {
	api, url := serve(t, nil)
	client := connect(t, url, nil)
	for album, err := range client.NewReleases(t.Context()) {
		if err != nil || album.ID != musicapi.AlbumID(0) {
			t.Errorf("the first is %+v, %v", album, err)
		}
		break
	}
	if n := api.Stats().Total; n != 1 {
		t.Errorf("there were %d requests, want 1", n)
	}
}

func TestListingsOfWhatIsNotThere(t *testing.T) {
	_, url := serve(t, nil)
	client := connect(t, url, &musicsdk.Options{Store: inMemory(t)})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, test := range map[string]struct {
		listing iter.Seq2[musicsdk.Track, error]
		want    error
	}{
		"unknown":   {client.AlbumTracks(t.Context(), unknown), musicsdk.ErrNotFound},
		"malformed": {client.AlbumTracks(t.Context(), "malformed"), musicsdk.ErrInvalid},
		"cancelled": {client.AlbumTracks(ctx, musicapi.AlbumID(0)), context.Canceled},
	} {
		got, err := ids(test.listing, trackID)
		if len(got) != 0 || !errors.Is(err, test.want) || !strings.HasPrefix(err.Error(), "musicsdk: tracks of album ") {
			t.Errorf("%s: %d tracks, %v", name, len(got), err)
		}
	}
}

// broken is a store that cannot save.
type broken struct{ driver.Store }

type brokenTable struct{ driver.Table }

func (s broken) OpenTable(ctx context.Context, spec driver.TableSpec) (driver.Table, error) {
	table, err := s.Store.OpenTable(ctx, spec)
	if spec.Name == "endpointcache_records" { // the cache's own
		return table, err
	}
	return brokenTable{table}, err
}

func (brokenTable) PutIf(context.Context, []driver.Entry, driver.Condition) ([]bool, error) {
	return nil, &driver.OpError{Store: "broken", Op: "save to", Err: errors.New("the disk is full")}
}

func TestStoreThatFails(t *testing.T) {
	_, url := serve(t, nil)
	var log bytes.Buffer
	client := connect(t, url, &musicsdk.Options{Store: broken{inMemory(t)}, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if track, err := client.Track(t.Context(), musicapi.TrackID(0)); err != nil || track.ID != musicapi.TrackID(0) {
		t.Errorf("Track = %+v, %v", track, err)
	}
	got, err := ids(client.AlbumTracks(t.Context(), musicapi.AlbumID(0)), trackID)
	if err != nil || len(got) != 10 {
		t.Errorf("there are %d tracks, %v", len(got), err)
	}
	if !strings.Contains(log.String(), "the disk is full") {
		t.Errorf("the logger was told %q", log.String())
	}
}

func TestPrefetchTracks(t *testing.T) {
	api, url := serve(t, nil)
	client := connect(t, url, &musicsdk.Options{Store: inMemory(t)})
	wanted := append(some(musicapi.TrackID, 0, 1000, 1), unknown)
	var last prefetch.Progress
	for _, test := range []struct{ cached, fetched, requests int }{{0, 1000, 21}, {1000, 0, 21}} {
		result, err := client.PrefetchTracks(t.Context(), slices.Values(wanted), &prefetch.Options{
			Total: len(wanted), Progress: func(p prefetch.Progress) { last = p },
		})
		if err != nil {
			t.Fatal(err)
		}
		if result.Cached != test.cached || result.Fetched != test.fetched || result.Absent != 1 || result.Failed != 0 {
			t.Errorf("%s", result.Report())
		}
		if n := api.Stats().Total; n != test.requests {
			t.Errorf("there were %d requests, want %d", n, test.requests)
		}
	}
	if !last.Ended || last.Done != 1001 {
		t.Errorf("the last progress is %+v", last)
	}
	if track, err := client.Track(t.Context(), wanted[999]); err != nil || track.Title != api.Track(999).Title {
		t.Errorf("Track = %+v, %v", track, err)
	}
}

func TestPrefetchNeedsAStore(t *testing.T) {
	client := connect(t, realAPI, nil)
	if _, err := client.PrefetchTracks(t.Context(), slices.Values([]string{unknown}), nil); !errors.Is(err, musicsdk.ErrNoStore) {
		t.Errorf("the error is %v", err)
	}
}

// An interrupted prefetch goes on where it was.
func TestPrefetchGoesOn(t *testing.T) {
	api, url := serve(t, nil)
	client := connect(t, url, &musicsdk.Options{Store: inMemory(t)})
	wanted := some(musicapi.TrackID, 0, 10_000, 1)
	ctx, cancel := context.WithCancel(t.Context())
	stopping := func(yield func(string) bool) {
		for i, id := range wanted {
			if i == 5000 {
				cancel()
			}
			if !yield(id) {
				return
			}
		}
	}
	first, err := client.PrefetchTracks(ctx, stopping, nil)
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("the error is %v", err)
	}
	second, err := client.PrefetchTracks(t.Context(), slices.Values(wanted), nil)
	if err != nil || second.Cached != first.Fetched || second.Fetched != len(wanted)-first.Fetched {
		t.Errorf("%v\n%s%s", err, first.Report(), second.Report())
	}
	if n := api.Stats().Requests["GET /v1/tracks"]; n > 220 { // those that were under way are sent again
		t.Errorf("there were %d requests for 10,000 tracks", n)
	}
}
