package filesystem_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/filesystem"
)

// Other programs find the responses as files.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "music-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)

	store, err := filesystem.Open(ctx, dir, nil)
	if err != nil {
		panic(err)
	}
	defer store.Close()
	tracks, err := store.OpenTable(ctx, driver.TableSpec{Name: "tracks", Key: []driver.Column{{Name: "id", Kind: driver.String}}})
	if err != nil {
		panic(err)
	}
	err = tracks.Put(ctx, []driver.Entry{{
		Key: driver.Key{"6rqhFg"}, Status: 200, Payload: []byte(`{"name":"One More Time"}`), CachedAt: time.Now().UTC().Truncate(time.Microsecond),
	}})
	if err != nil {
		panic(err)
	}
	for path, err := range store.Paths(ctx, "tracks", driver.Filter{}) {
		if err != nil {
			panic(err)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			panic(err)
		}
		_, payload, _ := bytes.Cut(content, []byte("\n\n"))
		inside, err := filepath.Rel(dir, path)
		if err != nil {
			panic(err)
		}
		fmt.Println(filepath.ToSlash(inside))
		fmt.Printf("%s\n", payload)
	}
	// Output:
	// tracks/80/6rqhFg~e46e6e7d423f83c25f714fd8de4841
	// {"name":"One More Time"}
}
