package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"sync/atomic"
	"time"

	"github.com/endpointcache/endpointcache/examples/musicsdk"
	"github.com/endpointcache/endpointcache/examples/musicsdk/musicapi"
	"github.com/endpointcache/endpointcache/prefetch"
	"github.com/endpointcache/endpointcache/prefetch/bar"
	"github.com/endpointcache/endpointcache/repository"
)

// job is what the program does, step by step. Each tells how many requests it took.
type job struct {
	*options
	client         *musicsdk.Client
	requests       *atomic.Int64
	stdout, stderr io.Writer
	start          time.Time
}

// newest is how many of the new releases are looked at closely.
const newest = 5

func (j *job) do(ctx context.Context) (failed int, err error) {
	albums, err := j.listReleases(ctx)
	if err != nil {
		return 0, err
	}
	some := albums[:min(newest, len(albums))]
	if err := errors.Join(j.listTracks(ctx, some), j.showArtists(ctx, some)); err != nil {
		return 0, err
	}
	if failed, err = j.fillLibrary(ctx); err != nil {
		return failed, err
	}
	return failed, j.report(ctx)
}

// listReleases lists by cursor.
func (j *job) listReleases(ctx context.Context) (albums []musicsdk.Album, err error) {
	defer j.step("new releases")(func() string { return fmt.Sprintf("%d albums", len(albums)) })
	for album, err := range j.client.NewReleases(ctx) {
		if err != nil {
			return albums, err
		}
		albums = append(albums, album)
	}
	return albums, nil
}

// listTracks lists by offset. The tracks are stored one by one as well.
func (j *job) listTracks(ctx context.Context, albums []musicsdk.Album) error {
	tracks, length := 0, time.Duration(0)
	defer j.step("tracks of the newest")(func() string { return fmt.Sprintf("%d tracks, %v", tracks, length.Round(time.Second)) })
	for _, album := range albums {
		for track, err := range j.client.AlbumTracks(ctx, album.ID) {
			if err != nil {
				return err
			}
			tracks++
			length += track.Duration()
		}
	}
	return nil
}

// showArtists asks for several at once, and lists the albums of each by Link headers.
func (j *job) showArtists(ctx context.Context, albums []musicsdk.Album) error {
	artists, total := 0, 0
	defer j.step("artists of the newest")(func() string { return fmt.Sprintf("%d artists, %d albums", artists, total) })
	var ids []string
	for _, album := range albums {
		ids = append(ids, album.Artists[0].ID)
	}
	found, err := j.client.Artists(ctx, ids)
	if err != nil {
		return err
	}
	for _, artist := range found {
		if artist.Err != nil {
			return artist.Err
		}
		artists++
		for _, err := range j.client.ArtistAlbums(ctx, artist.ID) {
			if err != nil {
				return err
			}
			total++
		}
	}
	return nil
}

// fillLibrary fetches the tracks of a long list of ids.
func (j *job) fillLibrary(ctx context.Context) (failed int, err error) {
	if j.noStore {
		return 0, nil
	}
	var result *prefetch.Result[musicsdk.TrackKey]
	defer j.step("library")(func() string {
		if result == nil {
			return ""
		}
		return fmt.Sprintf("%d tracks: %d cached, %d fetched, %d absent, %d failed",
			len(result.Items), result.Cached, result.Fetched, result.Absent, result.Failed)
	})
	result, err = j.client.PrefetchTracks(ctx, library(j.tracks), &prefetch.Options{
		Total: j.tracks, Concurrency: inFlight, Progress: bar.New(j.stderr, "library"),
	})
	if result == nil {
		return 0, err
	}
	for _, cause := range result.Causes {
		fmt.Fprintf(j.stderr, "%d tracks failed: %v\n", cause.Count, cause)
	}
	if j.verbose {
		for _, item := range result.Items {
			if item.Status != prefetch.Cached {
				fmt.Fprintf(j.stderr, "%s: %v\n", item.Key.ID, item.Status)
			}
		}
	}
	return result.Failed, err
}

// library are the ids of the tracks that a user likes. As the API is made up, so
// are they; some it does not have any more.
func library(n int) iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := range n {
			number := i
			if i%500 == 499 {
				number = -i
			}
			if !yield(musicapi.TrackID(number)) {
				return
			}
		}
	}
}

// step tells of a step of the job when it has ended: what there was, and what it took.
func (j *job) step(name string) func(outcome func() string) {
	before, start := j.requests.Load(), time.Now()
	return func(outcome func() string) {
		fmt.Fprintf(j.stdout, "%-22s %s; %d requests in %v\n", name, outcome(), j.requests.Load()-before, time.Since(start).Round(time.Millisecond))
	}
}

// report tells what is stored, and what all has taken.
func (j *job) report(ctx context.Context) error {
	if c := j.client.Cache(); c != nil {
		fmt.Fprintf(j.stdout, "\n%-14s %7s %7s\n", "table", "entries", "live")
		for name, table := range c.Repositories() {
			all, err := table.Count(ctx, repository.All)
			if err != nil {
				return err
			}
			live, err := table.Count(ctx, repository.Live)
			if err != nil {
				return err
			}
			fmt.Fprintf(j.stdout, "%-14s %7d %7d\n", name, all, live)
		}
	}
	fmt.Fprintf(j.stdout, "\ntotal: %d requests in %v\n", j.requests.Load(), time.Since(j.start).Round(time.Millisecond))
	return nil
}
