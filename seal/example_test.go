package seal_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"log"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/memory"
	"github.com/endpointcache/endpointcache/seal"
	"github.com/endpointcache/endpointcache/settings"
)

// Responses are stored encrypted. Later the key is changed, while the cache is in use.
func Example() {
	ctx := context.Background()
	store, err := memory.New(nil)
	if err != nil {
		log.Fatal(err)
	}
	secret := make([]byte, 32) // in a program: from where it keeps its secrets
	_, _ = rand.Read(secret)
	keys, err := seal.FromBytes(secret)
	if err != nil {
		log.Fatal(err)
	}
	sealed, err := seal.New(store, keys, nil)
	if err != nil {
		log.Fatal(err)
	}
	c, err := cache.New(sealed, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	type Track struct{ Title string }
	tracks, err := cache.CreateRepository(ctx, c, settings.RepositorySettings[string, Track]{Name: "tracks"})
	if err != nil {
		log.Fatal(err)
	}
	if err := tracks.Save(ctx, "1", Track{"So What"}); err != nil {
		log.Fatal(err)
	}

	newer := make([]byte, 32)
	_, _ = rand.Read(newer)
	both, err := seal.FromBytes(newer, secret)
	if err != nil {
		log.Fatal(err)
	}
	if err := sealed.SetKeys(both); err != nil {
		log.Fatal(err)
	}
	if _, err := sealed.Reseal(ctx); err != nil {
		log.Fatal(err)
	}
	only, err := seal.FromBytes(newer)
	if err != nil {
		log.Fatal(err)
	}
	if err := sealed.SetKeys(only); err != nil {
		log.Fatal(err)
	}
	fmt.Println(tracks.Get(ctx, "1"))
	fmt.Println(sealed.Stats().Failed)
	// Output:
	// {So What} true <nil>
	// 0
}
