package inspectortest

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/examples/musicsdk"
	"github.com/endpointcache/endpointcache/examples/musicsdk/musicapi"
	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/inspector"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/sqlite"
)

// music is a cache of the music API's responses, with the pages that show it.
type music struct {
	api      *httptest.Server
	cache    *cache.ResponseCache
	tracks   *fetch.Fetcher[musicsdk.TrackKey, musicsdk.Track]
	albums   *fetch.Fetcher[musicsdk.AlbumKey, musicsdk.Album]
	artists  *fetch.Fetcher[musicsdk.ArtistKey, musicsdk.Artist]
	recorder *inspector.Recorder
	pages    *httptest.Server
	behind   atomic.Int64 // how far the cache's clock is behind the time
}

// newMusic serves the pages under a path, as a program would mount them.
func newMusic(t *testing.T, delay time.Duration, p policy.Policy, opts inspector.Options) *music {
	t.Helper()
	ctx := t.Context()
	api, err := musicapi.New(&musicapi.Options{Delay: delay})
	must(t, err)
	m := &music{api: httptest.NewServer(api), recorder: new(inspector.Recorder)}
	t.Cleanup(m.api.Close)
	store, err := sqlite.OpenTemp(ctx, nil)
	must(t, err)
	m.cache = newCache(t, store, &cache.Options{
		Name: "music", Hooks: m.recorder.Hooks(),
		Now:    func() time.Time { return time.Now().Add(-time.Duration(m.behind.Load())) },
		Policy: p,
	})
	client, err := fetch.NewClient(&fetch.Options{BaseURL: m.api.URL})
	must(t, err)
	t.Cleanup(func() { must(t, client.Close()) })
	m.tracks = create(t, m, client, musicsdk.Tracks)
	m.albums = create(t, m, client, musicsdk.Albums)
	m.artists = create(t, m, client, musicsdk.Artists)
	opts.Recorder = m.recorder
	opts.Origin = http.DefaultTransport
	m.pages = serve(t, m.cache, &opts)
	return m
}

func create[K comparable, V any](t *testing.T, m *music, client *fetch.Client, s settings.RepositorySettings[K, V]) *fetch.Fetcher[K, V] {
	t.Helper()
	f, err := fetch.Create(t.Context(), m.cache, client, s, nil)
	must(t, err)
	return f
}

func newCache(t *testing.T, store driver.Store, opts *cache.Options) *cache.ResponseCache {
	t.Helper()
	c, err := cache.New(store, opts)
	must(t, err)
	t.Cleanup(func() { must(t, c.Close()) })
	return c
}

// mounted is where the pages are.
const mounted = "/debug/cache/"

func serve(t *testing.T, c *cache.ResponseCache, opts *inspector.Options) *httptest.Server {
	t.Helper()
	pages, err := inspector.Handler(c, opts)
	must(t, err)
	mux := http.NewServeMux()
	mux.Handle(mounted, pages)
	server := httptest.NewServer(mux)
	t.Cleanup(func() { server.Close(); must(t, pages.Close()) })
	return server
}

// fill fetches some of everything, n tracks among it.
func (m *music) fill(ctx context.Context, t *testing.T, n int) {
	t.Helper()
	var tracks []musicsdk.TrackKey
	for i := range n {
		tracks = append(tracks, musicsdk.TrackKey{ID: musicapi.TrackID(i), Market: "DE"})
	}
	tracks = append(tracks, musicsdk.TrackKey{ID: "nothing", Market: "DE"})
	_, err := m.tracks.FetchMany(ctx, tracks)
	must(t, err)
	var albums []musicsdk.AlbumKey
	var artists []musicsdk.ArtistKey
	for i := range n / 10 {
		albums = append(albums, musicsdk.AlbumKey{ID: musicapi.AlbumID(i)})
		artists = append(artists, musicsdk.ArtistKey{ID: musicapi.ArtistID(i)})
	}
	_, err = m.albums.FetchMany(ctx, albums)
	must(t, err)
	_, err = m.artists.FetchMany(ctx, artists)
	must(t, err)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
