package seal_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/identity"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/seal"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/sqlite"
)

type trackV1 struct{ Name string }

type track struct{ Title string }

type trackKey struct {
	Market string
	ID     int
}

var (
	tracksV1 = settings.RepositorySettings[trackKey, trackV1]{
		Name: "tracks", Version: 1, NameOf: func(t trackV1) string { return t.Name },
	}
	tracksV2 = settings.RepositorySettings[trackKey, track]{
		Name: "tracks", Version: 2, NameOf: func(t track) string { return t.Title },
		Migrations: []settings.Migration[trackKey, track]{settings.MigrateFrom(tracksV1, func(k trackKey, t trackV1) (trackKey, track, bool, error) {
			return k, track{t.Name}, true, nil
		})},
	}
	playlists = settings.RepositorySettings[string, track]{
		Name: "playlists", Scope: settings.PerIdentity, Compression: settings.Zstd,
	}
)

// sealedFile opens a cache on a file that is sealed.
func sealedFile(tb testing.TB, path string, k *seal.Keys, opts *seal.Options) *cache.ResponseCache {
	tb.Helper()
	below, err := sqlite.Open(tb.Context(), path, nil)
	check(tb, err)
	s, err := seal.New(below, k, opts)
	check(tb, err)
	c, err := cache.New(s, nil)
	check(tb, err)
	return c
}

// TestACacheOfSealedTables goes through what a cache does with tables, of which it has some for
// its own use: its declarations, and what identities and marks are named by.
func TestACacheOfSealedTables(t *testing.T) {
	for mode, opts := range modes {
		t.Run(mode, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "cache.db")
			c := sealedFile(t, path, keys(t, 1), opts)
			old, err := cache.CreateRepository(t.Context(), c, tracksV1)
			check(t, err)
			for i := range 30 {
				check(t, old.Save(t.Context(), trackKey{"DE", i}, trackV1{fmt.Sprintf("track %02d", 29-i)}))
			}
			alice := identity.With(t.Context(), "alice")
			own, err := cache.CreateRepository(t.Context(), c, playlists)
			check(t, err)
			check(t, own.Save(alice, "1", track{"Morning"}))
			check(t, c.Close())

			c = sealedFile(t, path, keys(t, 2, 1), opts)
			tracks, err := cache.CreateRepository(t.Context(), c, tracksV2)
			check(t, err)
			got, ok, err := tracks.Get(t.Context(), trackKey{"DE", 7})
			if check(t, err); !ok || got.Title != "track 22" {
				t.Errorf("after a migration the track is %+v (found: %v)", got, ok)
			}
			own, err = cache.CreateRepository(t.Context(), c, playlists)
			check(t, err)
			if got, ok, err := own.Get(alice, "1"); err != nil || !ok || got.Title != "Morning" {
				t.Errorf("after a rotation the playlist is %+v (found: %v, %v)", got, ok, err)
			}
			if _, ok, _ := own.Get(identity.With(t.Context(), "bob"), "1"); ok {
				t.Error("another user gets the playlist")
			}
			checkContents(t, c)
			check(t, c.Close())
		})
	}
}

func checkContents(t *testing.T, c *cache.ResponseCache) {
	t.Helper()
	contents := c.Contents("tracks")
	page, err := contents.List(t.Context(), cache.Listing{Query: cache.Query{NamePrefix: "track 1"}, Order: cache.ByName, Limit: 4})
	check(t, err)
	var names []string
	for _, e := range page.Entries {
		names = append(names, e.Name)
	}
	if want := []string{"track 10", "track 11", "track 12", "track 13"}; !slices.Equal(names, want) {
		t.Errorf("the first page is %v, want %v", names, want)
	}
	n, err := contents.Delete(t.Context(), cache.Query{NamePrefix: "track 2"})
	if check(t, err); n != 10 {
		t.Errorf("%d entries were deleted, want 10", n)
	}
	n, err = contents.Expire(t.Context(), cache.Query{Key: map[string]any{"id": 25}})
	if check(t, err); n != 1 {
		t.Errorf("%d entries have expired, want 1", n)
	}
	if n, err := contents.Count(t.Context(), cache.Query{State: repository.Live}); err != nil || n != 19 {
		t.Errorf("%d entries are live, want 19: %v", n, err)
	}
}

// A file that was not sealed is not read, and sealed as it is filled.
func TestACacheThatWasNotSealed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cache.db")
	below, err := sqlite.Open(t.Context(), path, nil)
	check(t, err)
	save := func(s driver.Store) (tracks *repository.ResponseRepository[trackKey, trackV1], c *cache.ResponseCache) {
		c, err := cache.New(s, nil)
		check(t, err)
		tracks, err = cache.CreateRepository(t.Context(), c, tracksV1)
		check(t, err)
		return tracks, c
	}
	tracks, c := save(below)
	check(t, tracks.Save(t.Context(), trackKey{"DE", 1}, trackV1{"in the clear"}))
	own, err := cache.CreateRepository(t.Context(), c, playlists)
	check(t, err)
	alice := identity.With(t.Context(), "alice")
	check(t, own.Save(alice, "1", track{"Morning"}))
	check(t, c.Close())

	for range 2 { // and after another start
		c = sealedFile(t, path, keys(t, 1), nil)
		tracks, err = cache.CreateRepository(t.Context(), c, tracksV1)
		check(t, err)
		if _, ok, err := tracks.Get(t.Context(), trackKey{"DE", 1}); ok || err != nil {
			t.Errorf("what is not sealed is handed out: %v", err)
		}
		check(t, tracks.Save(t.Context(), trackKey{"DE", 2}, trackV1{"sealed"}))
		own, err = cache.CreateRepository(t.Context(), c, playlists)
		check(t, err)
		check(t, own.Save(alice, "1", track{"Evening"}))
		if got, ok, err := own.Get(alice, "1"); err != nil || !ok || got.Title != "Evening" {
			t.Errorf("the playlist is %+v (found: %v, %v)", got, ok, err)
		}
		check(t, c.Close())
	}
	c = sealedFile(t, path, keys(t, 1), nil)
	tracks, err = cache.CreateRepository(context.Background(), c, tracksV1)
	check(t, err)
	if got, ok, err := tracks.Get(t.Context(), trackKey{"DE", 2}); err != nil || !ok || got.Name != "sealed" {
		t.Errorf("the track is %+v (found: %v, %v)", got, ok, err)
	}
	check(t, c.Close())
}
