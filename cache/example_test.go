package cache_test

import (
	"context"
	"fmt"
	"log"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/identity"
	"github.com/endpointcache/endpointcache/memory"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/settings"
)

// A user's data are exported, kept under another name, and deleted.
func ExampleResponseCache_Identity() {
	ctx := context.Background()
	store, err := memory.New(nil)
	if err != nil {
		log.Fatal(err)
	}
	c, err := cache.New(store, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	type Playlist struct{ Title string }
	playlists, err := cache.CreateRepository(ctx, c, settings.RepositorySettings[string, Playlist]{
		Name: "playlists", Scope: settings.PerIdentity,
	})
	if err != nil {
		log.Fatal(err)
	}
	for user, title := range map[string]string{"alice": "Morning", "bob": "Evening"} {
		if err := playlists.Save(identity.With(ctx, user), "1", Playlist{title}); err != nil {
			log.Fatal(err)
		}
	}

	for e, err := range c.Identity("alice").Entries(ctx, repository.All) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(e.Repository, e.Key, string(e.Payload))
	}
	fmt.Println(c.Identity("alice").MoveTo(ctx, "alice@new"))
	fmt.Println(playlists.Get(identity.With(ctx, "alice@new"), "1"))
	fmt.Println(c.Identity("alice@new").Delete(ctx))
	fmt.Println(playlists.Get(identity.With(ctx, "bob"), "1"))
	// Output:
	// playlists 1 {"Title":"Morning"}
	// 1 <nil>
	// {Morning} true <nil>
	// 1 <nil>
	// {Evening} true <nil>
}

// A file is copied to another store, again and again: only what is new is written.
func ExampleResponseCache_CopyTo() {
	ctx := context.Background()
	open := func() *cache.ResponseCache {
		store, err := memory.New(nil)
		if err != nil {
			log.Fatal(err)
		}
		c, err := cache.New(store, nil)
		if err != nil {
			log.Fatal(err)
		}
		return c
	}
	c, other := open(), open()
	defer c.Close()
	defer other.Close()
	type Track struct{ Title string }
	tracks, err := cache.CreateRepository(ctx, c, settings.RepositorySettings[string, Track]{Name: "tracks"})
	if err != nil {
		log.Fatal(err)
	}
	for _, id := range []string{"a", "b"} {
		if err := tracks.Save(ctx, id, Track{"Track " + id}); err != nil {
			log.Fatal(err)
		}
		progress, err := c.CopyTo(ctx, other, nil)
		fmt.Println(progress.Copied, "of", progress.Total, err)
	}
	// Output:
	// 1 of 1 <nil>
	// 1 of 2 <nil>
}
