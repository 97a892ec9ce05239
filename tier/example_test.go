package tier_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/sqlite"
	"github.com/endpointcache/endpointcache/tier"
)

func Example() {
	ctx := context.Background()
	folder, err := os.MkdirTemp("", "tier")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(folder)
	below, err := sqlite.Open(ctx, filepath.Join(folder, "music.db"), nil)
	if err != nil {
		log.Fatal(err)
	}
	store, err := tier.New(below, nil) // the line
	if err != nil {
		log.Fatal(err)
	}
	c, err := cache.New(store, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	tracks, err := cache.CreateRepository(ctx, c, settings.RepositorySettings[string, string]{Name: "tracks", Payload: payload.String()})
	if err != nil {
		log.Fatal(err)
	}
	if err := tracks.Save(ctx, "4uLU6hMCjMI75M1A2tKUQC", "Never Gonna Give You Up"); err != nil {
		log.Fatal(err)
	}
	name, ok, err := tracks.Get(ctx, "4uLU6hMCjMI75M1A2tKUQC")
	fmt.Println(name, ok, err)
	// Output: Never Gonna Give You Up true <nil>
}
