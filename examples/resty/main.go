// Resty shows a cache under a resty client: a typed endpoint, all the rest of an
// API beside it, and a prefetch by the same client, in one SQLite file.
//
//	$ go run ./examples/resty
//
// It makes the same requests in two runs, each with a client, a transport and a
// cache of its own, as two processes would. In the second, all are hits: the file
// has what the first has fetched. For each request it prints where the response
// came from, with its Cache-Status header.
//
// It needs no network: the API is a server of its own on a loopback port, see
// api.go. The file is in a temporary folder, which is removed at the end; with
// -keep folder it stays there, to be looked into:
//
//	$ go run ./examples/resty -keep .
//	$ sqlite3 music.db 'SELECT id, name, status, expires_at FROM tracks'
//	$ sqlite3 music.db 'SELECT method, url, request_headers, status FROM rest'
//
// The next time, its tracks are hits from the beginning. The rest is fetched anew:
// its key is the whole URL, and the API has another port then.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/go-resty/resty/v2"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/fetch/restyfetch"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/prefetch"
	"github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/sqlite"
	"github.com/endpointcache/endpointcache/transport"
)

// Track is what the API tells of a track.
type Track struct {
	ID    string `json:"id"`
	Title string `json:"title"`
}

// Tracks is the endpoint that is declared: its responses are a table of their own,
// by the track's id, which typed code reads, too. A prefetch asks for fifty with one
// request; they are kept as if each had been asked for alone.
var Tracks = settings.RepositorySettings[string, Track]{
	Name:    "tracks",
	Pattern: "GET /v1/tracks/{id}",
	Batch:   request.BatchPattern[string]("GET /v1/tracks?ids={id}", 50, payload.SplitArray("tracks"), nil),
	NameOf:  func(t Track) string { return t.Title },
	Expire:  14 * 24 * time.Hour,
}

// Rest is for the requests to all other endpoints.
var Rest = settings.CatchAll("rest", nil)

// requests are those of each run.
var requests = []string{
	"/v1/tracks/a",
	"/v1/tracks/b",
	"/v1/tracks/a",
	"/v1/search?q=blue&limit=2",
	"/v1/search?limit=2&q=blue", // the same, in another order
	"/v1/me",
	"/v1/tracks/unknown",
	"/v1/tracks/unknown",
}

func main() {
	keep := flag.String("keep", "", "the `folder` to keep music.db in")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := inFolder(*keep, func(folder string) error { return run(ctx, folder, os.Stdout) })
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "resty:", err)
		os.Exit(1)
	}
}

// inFolder calls f with a folder, a temporary one where none is given.
func inFolder(folder string, f func(string) error) error {
	if folder != "" {
		return f(folder)
	}
	folder, err := os.MkdirTemp("", "resty-")
	if err != nil {
		return err
	}
	return errors.Join(f(folder), os.RemoveAll(folder))
}

// run is the program.
func run(ctx context.Context, folder string, out io.Writer) (err error) {
	api, err := startAPI(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, api.Close()) }()
	for _, name := range []string{"first", "second"} {
		fmt.Fprintf(out, "The %s run\n\n", name)
		if err := runOnce(ctx, filepath.Join(folder, "music.db"), api, out); err != nil {
			return fmt.Errorf("the %s run: %w", name, err)
		}
	}
	return nil
}

// runOnce makes the requests with a client over that file.
func runOnce(ctx context.Context, file string, api *api, out io.Writer) (err error) {
	store, err := sqlite.Open(ctx, file, nil)
	if err != nil {
		return err
	}
	c, err := cache.New(store, &cache.Options{Name: "music", Policy: policy.Policy{
		// What is not there may come: it is asked for again, though not at once.
		ExpireStatus: map[int]policy.Expiry{http.StatusNotFound: policy.After(time.Hour)},
	}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	if _, err := cache.CreateRepository(ctx, c, Rest); err != nil {
		return err
	}

	client := resty.New().SetBaseURL(api.URL).SetAuthToken("demo").SetTimeout(time.Minute)
	// What resty sets on its transport, such as a proxy or certificates, is to
	// be set before it is wrapped.
	base, err := client.Transport()
	if err != nil {
		return err
	}
	defer base.CloseIdleConnections()
	client.SetTransport(transport.New(c, &transport.Options{Base: base}))
	// Typed calls are sent by the same client. Their requests pass the transport, as the
	// cache is asked before.
	requests, err := fetch.NewClient(restyfetch.Options(client))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, requests.Close()) }()
	tracks, err := fetch.Create(ctx, c, requests, Tracks, nil)
	if err != nil {
		return err
	}

	api.requests.Store(0)
	if err := show(ctx, client, out); err != nil {
		return err
	}
	if err := fetchTracks(ctx, tracks, out); err != nil {
		return err
	}
	stats := c.Stats()
	fmt.Fprintf(out, "Of the cache: %d hits, %d misses, %d stored. The API was asked %d times.\n\n",
		stats.Hits, stats.Misses, stats.Stored, api.requests.Load())
	return nil
}

// show makes the requests and prints where their responses came from.
func show(ctx context.Context, client *resty.Client, out io.Writer) error {
	table := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "GET\tstatus\tfrom\tCache-Status")
	for _, path := range requests {
		resp, err := client.R().SetContext(ctx).Get(path)
		if err != nil {
			return err
		}
		from := "the API"
		if resp.Header().Get("X-From-Cache") == "1" {
			from = "the cache"
		}
		fmt.Fprintf(table, "%s\t%d\t%s\t%s\n", path, resp.StatusCode(), from, resp.Header().Get("Cache-Status"))
	}
	return table.Flush()
}

// fetchTracks prefetches tracks and reads them.
func fetchTracks(ctx context.Context, tracks *fetch.Fetcher[string, Track], out io.Writer) (err error) {
	ids := []string{"a", "b", "c", "d", "unknown"}
	result, err := prefetch.Run(ctx, tracks, slices.Values(ids), nil)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "\nPrefetch of %d tracks: %d cached, %d fetched, %d absent, %d failed, with %d requests.\n",
		len(ids), result.Cached, result.Fetched, result.Absent, result.Failed, result.Requests)
	found, err := tracks.Repository().GetMany(ctx, ids)
	if err != nil {
		return err
	}
	for _, item := range result.Items {
		if item.Status == prefetch.Absent {
			fmt.Fprintf(out, "  %s is absent\n", item.Key)
			continue
		}
		fmt.Fprintf(out, "  %s is %q\n", item.Key, found[item.Key].Title)
	}
	return nil
}
