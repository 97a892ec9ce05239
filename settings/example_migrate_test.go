package settings_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/sqlite"
)

// The first version of an SDK. Later ones keep as much of it as their migration needs.
type (
	trackKeyV1 struct {
		ID string `path:"id"`
	}
	trackV1 struct {
		Title string `json:"title"`
	}
)

var tracksV1 = settings.RepositorySettings[trackKeyV1, trackV1]{
	Name: "tracks", Version: 1, Pattern: "GET /v1/tracks/{id}", Expire: settings.NeverExpire,
}

// The second version uses version 2 of the API: there is a market, and a title has become an
// object.
type (
	TrackKey struct {
		ID     string `path:"id"`
		Market string `query:"market"`
	}
	Track struct {
		Title struct {
			Text string `json:"text"`
		} `json:"title"`
	}
)

var Tracks = settings.RepositorySettings[TrackKey, Track]{
	Name: "tracks", Version: 2, Pattern: "GET /v2/tracks/{id}", Expire: settings.NeverExpire,
	Migrations: []settings.Migration[TrackKey, Track]{settings.MigrateFrom(tracksV1, fromV1)},
}

func fromV1(key trackKeyV1, old trackV1) (TrackKey, Track, bool, error) {
	var track Track
	track.Title.Text = old.Title
	return TrackKey{ID: key.ID, Market: "DE"}, track, true, nil
}

// A user upgrades an SDK. The tracks that the first version has stored are not fetched again.
func ExampleMigrateFrom() {
	ctx := context.Background()
	folder, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(folder)
	file := filepath.Join(folder, "music.db")

	if err := useV1(ctx, file); err != nil {
		log.Fatal(err)
	}
	if err := useV2(ctx, file); err != nil {
		log.Fatal(err)
	}
	fmt.Println(useV1(ctx, file))
	// Output:
	// {Title:{Text:Harder Better Faster Stronger}} true
	// tracks is of version 2
	// cache: create repository: repository "tracks" was stored by another declaration, of version 2: endpoint "GET /v2/tracks/{id}", payload github.com/endpointcache/endpointcache/settings_test.Track as application/json, key (id string, market string); the settings have version 1: endpoint "GET /v1/tracks/{id}", payload github.com/endpointcache/endpointcache/settings_test.trackV1 as application/json, key (id string): see Version, Migrations and Changed of the settings
}

func useV1(ctx context.Context, file string) error {
	c, err := open(ctx, file)
	if err != nil {
		return err
	}
	defer c.Close()
	tracks, err := cache.CreateRepository(ctx, c, tracksV1)
	if err != nil {
		return err
	}
	return tracks.Save(ctx, trackKeyV1{ID: "6fW"}, trackV1{Title: "Harder Better Faster Stronger"})
}

func useV2(ctx context.Context, file string) error {
	c, err := open(ctx, file)
	if err != nil {
		return err
	}
	defer c.Close()
	tracks, err := cache.CreateRepository(ctx, c, Tracks)
	if err != nil {
		return err
	}
	track, ok, err := tracks.Get(ctx, TrackKey{ID: "6fW", Market: "DE"})
	if err != nil {
		return err
	}
	fmt.Printf("%+v %v\n", track, ok)
	tables, err := c.Tables(ctx)
	for _, table := range tables {
		if d := table.Declaration; d != nil {
			fmt.Println(table.Repository, "is of version", d.Version)
		}
	}
	return err
}

func open(ctx context.Context, file string) (*cache.ResponseCache, error) {
	store, err := sqlite.Open(ctx, file, nil)
	if err != nil {
		return nil, err
	}
	return cache.New(store, nil)
}
