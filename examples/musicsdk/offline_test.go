package musicsdk_test

import (
	"context"
	"errors"
	"flag"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/examples/musicsdk"
	"github.com/endpointcache/endpointcache/examples/musicsdk/musicapi"
	"github.com/endpointcache/endpointcache/origin"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/sqlite"
	"github.com/endpointcache/endpointcache/transport"
)

// The tests of this file need no API: they ask a file with the answers that it has
// given once. It is made anew by
//
//	go test ./examples/musicsdk -run Recorded -record

var record = flag.Bool("record", false, "ask the API, and keep its answers in testdata")

// recorded is the file with the answers.
var recorded = filepath.Join("testdata", "recorded.db")

// recordedAt is the time in these tests, so that what was recorded does not expire.
func recordedAt() time.Time { return time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC) }

// recordedClient answers from the file. With -record it asks the API, and writes to the
// file.
func recordedClient(t *testing.T) *musicsdk.Client {
	t.Helper()
	file, url, opts := recorded, realAPI, &musicsdk.Options{Market: "DE", Now: recordedAt, Origin: settings.AnyOrigin}
	if *record {
		url, opts.Token = connectionToAPI(t)
	} else {
		file, opts.Offline = copyOf(t, recorded), true
	}
	store, err := sqlite.Open(t.Context(), file, nil)
	if err != nil {
		t.Fatal(err)
	}
	opts.Store = store
	return connect(t, url, opts)
}

// copyOf is a copy for one test, which may change it.
func copyOf(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), filepath.Base(file))
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// realAPI is asked when answers are recorded. That of this package is made up, so it is
// served here; that of yours has an address, and credentials in the environment.
const realAPI = "https://api.example.com"

func connectionToAPI(t *testing.T) (url string, token musicsdk.TokenSource) {
	_, url = serve(t, &musicapi.Options{ClientID: "id", ClientSecret: "secret"})
	return url, musicsdk.ClientCredentials(url, "id", "secret", nil)
}

// What a program does with the client is tested against the answers of the real API.
func TestRecordedLongestTrack(t *testing.T) {
	client := recordedClient(t)
	longest, err := longestTrack(t.Context(), client, recordedIDs)
	if err != nil {
		t.Fatal(err)
	}
	if longest.ID != recordedIDs[2] || longest.DurationMS != 105_838 {
		t.Errorf("the longest is %+v", longest)
	}
}

var recordedIDs = []string{musicapi.TrackID(0), musicapi.TrackID(1), musicapi.TrackID(2)}

// longestTrack is the code under test.
func longestTrack(ctx context.Context, client *musicsdk.Client, ids []string) (longest musicsdk.Track, err error) {
	results, err := client.Tracks(ctx, ids)
	if err != nil {
		return longest, err
	}
	for _, r := range results {
		if r.Err != nil {
			return longest, r.Err
		}
		if r.Value.Duration() > longest.Duration() {
			longest = r.Value
		}
	}
	return longest, nil
}

func TestRecordedAlbum(t *testing.T) {
	client := recordedClient(t)
	got, err := ids(client.AlbumTracks(t.Context(), musicapi.AlbumID(9)), trackID)
	if err != nil || len(got) != 10 {
		t.Errorf("there are %d tracks, %v", len(got), err)
	}
}

// An answer of nothing is recorded, too.
func TestRecordedUnknownTrack(t *testing.T) {
	_, err := longestTrack(t.Context(), recordedClient(t), []string{recordedIDs[0], unknown})
	if !errors.Is(err, musicsdk.ErrNotFound) {
		t.Errorf("the error is %v", err)
	}
}

// What was not recorded is an error, and not a request that nobody notices.
func TestNotRecorded(t *testing.T) {
	if *record {
		t.Skip("it is about what is not there")
	}
	_, err := recordedClient(t).Track(t.Context(), musicapi.TrackID(9_999))
	if !errors.Is(err, musicsdk.ErrOffline) {
		t.Errorf("the error is %v", err)
	}
}

// Under a client that knows nothing of the cache, a transport answers from the file.
func TestRecordedByTransport(t *testing.T) {
	if *record {
		t.Skip("it reads what other tests have recorded")
	}
	store, err := sqlite.Open(t.Context(), copyOf(t, recorded), nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := cache.New(store, &cache.Options{Now: recordedAt, Policy: policy.Policy{Use: policy.Offline}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := cache.CreateRepository(t.Context(), c, musicsdk.Tracks); err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: transport.New(c, nil)}

	for path, want := range map[string]int{
		"/v1/tracks/" + recordedIDs[0] + "?market=DE":          http.StatusOK,
		"/v1/tracks/" + musicapi.TrackID(9_999) + "?market=DE": http.StatusGatewayTimeout,
		"/v1/tracks?market=DE&ids=" + recordedIDs[0]:           http.StatusGatewayTimeout,
	} {
		resp, err := client.Get(realAPI + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != want {
			t.Errorf("%s: status %d, want %d: %s, %v", path, resp.StatusCode, want, body, err)
		}
	}
}

// Where no answer of the API is at hand, values stand in for it.
func TestMadeUp(t *testing.T) {
	client := connect(t, realAPI, &musicsdk.Options{Store: inMemory(t), Offline: true})
	tracks, err := cache.Repository[musicsdk.TrackKey, musicsdk.Track](client.Cache(), musicsdk.Tracks.Name)
	if err != nil {
		t.Fatal(err)
	}
	err = tracks.SaveMany(t.Context(), map[musicsdk.TrackKey]musicsdk.Track{
		{ID: "short"}: {ID: "short", DurationMS: 1},
		{ID: "long"}:  {ID: "long", DurationMS: 2},
	})
	if err != nil {
		t.Fatal(err)
	}
	if longest, err := longestTrack(t.Context(), client, []string{"short", "long"}); err != nil || longest.ID != "long" {
		t.Errorf("the longest is %+v, %v", longest, err)
	}
}

// Offline nobody is asked, neither for a token, and what has expired will do.
func TestOffline(t *testing.T) {
	nobody := func(context.Context, string) (origin.Token, error) {
		t.Error("a token is asked for")
		return origin.Token{}, errors.New("there is none")
	}
	now := newClock()
	client := connect(t, realAPI, &musicsdk.Options{Store: inMemory(t), Offline: true, Token: nobody, Now: now.Now})
	tracks, err := cache.Repository[musicsdk.TrackKey, musicsdk.Track](client.Cache(), musicsdk.Tracks.Name)
	if err != nil {
		t.Fatal(err)
	}
	if err := tracks.Save(t.Context(), musicsdk.TrackKey{ID: "a"}, musicsdk.Track{ID: "a"}); err != nil {
		t.Fatal(err)
	}
	now.add(365 * 24 * time.Hour)
	if track, err := client.Track(t.Context(), "a"); err != nil || track.ID != "a" {
		t.Errorf("Track = %+v, %v", track, err)
	}
	found, err := client.Tracks(t.Context(), []string{"a", "b"})
	if err != nil || !found[0].Cached || !errors.Is(found[1].Err, musicsdk.ErrOffline) || errors.Is(found[1].Err, musicsdk.ErrUnavailable) {
		t.Errorf("Tracks = %+v, %v", found, err)
	}
	if _, err := ids(client.ArtistAlbums(t.Context(), "a"), albumID); !errors.Is(err, musicsdk.ErrOffline) {
		t.Errorf("the error of a listing is %v", err)
	}
	result, err := client.PrefetchTracks(t.Context(), slices.Values([]string{"a", "b", "c"}), nil)
	if err != nil || result.Cached != 1 || result.Failed != 2 || len(result.Causes) != 1 || result.Requests != 0 {
		t.Errorf("%v\n%s", err, result.Report())
	}
}
