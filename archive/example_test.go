package archive_test

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"os"
	"strings"
	"time"

	"github.com/endpointcache/endpointcache/archive"
	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/memory"
	"github.com/endpointcache/endpointcache/settings"
)

func open() *cache.ResponseCache {
	store, err := memory.New(nil)
	if err != nil {
		log.Fatal(err)
	}
	noon := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	c, err := cache.New(store, &cache.Options{Now: func() time.Time { return noon }})
	if err != nil {
		log.Fatal(err)
	}
	return c
}

// A backup is written, and read into another store.
func ExampleWriteLines() {
	ctx := context.Background()
	type Track struct{ Title string }
	c := open()
	defer c.Close()
	tracks, err := cache.CreateRepository(ctx, c, settings.RepositorySettings[string, Track]{Name: "tracks", Pattern: "GET /tracks/{id}"})
	if err != nil {
		log.Fatal(err)
	}
	if err := tracks.Save(ctx, "6rqhFg", Track{"One More Time"}); err != nil {
		log.Fatal(err)
	}
	var file bytes.Buffer
	fmt.Println(archive.WriteLines(ctx, &file, c.Contents("tracks"), cache.Query{}))
	lines := strings.Split(file.String(), "\n")
	fmt.Println(lines[0])
	fmt.Println(lines[2])

	other := open()
	defer other.Close()
	fmt.Println(archive.ReadLines(ctx, &file, other.Contents()))
	// Output:
	// 1 <nil>
	// {"format":"endpointcache","version":1}
	// {"response":{"table":"tracks","key":["6rqhFg"],"status":200,"head":{"Content-Type":["application/json"]},"cachedAt":"2026-11-29T12:00:00Z","expiresAt":"2026-12-06T12:00:00Z","body":{"text":"{\"Title\":\"One More Time\"}"}}}
	// 1 <nil>
}

// What a browser has recorded becomes a cassette for tests.
func ExampleReadHAR() {
	ctx := context.Background()
	file, err := os.Open("testdata/har/browser.har")
	if err != nil {
		log.Fatal(err)
	}
	defer file.Close()
	c := open()
	defer c.Close()
	saved, skipped, err := archive.ReadHAR(ctx, file, c.Contents(), archive.HARTarget{
		Repository: "rest", Expire: settings.NeverExpire,
	})
	fmt.Println(saved, "saved,", skipped, "skipped,", err)
	for e, err := range c.Contents("rest").Entries(ctx, cache.Query{}) {
		fmt.Println(e.Key[0].Value, e.Key[1].Value, e.Status, err)
	}
	// Output:
	// 1 saved, 1 skipped, <nil>
	// GET https://api.example.com/v1/tracks?page=2 200 <nil>
}
