package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/prefetch"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/sqlite"
)

// The batch endpoint: how many keys are in a request, and how long its server waits
// before it answers.
const (
	batchPath    = "/v1/batch"
	batchSize    = 50
	batchLatency = 5 * time.Millisecond
)

// batchTrack is what the server has for an id: about as much as an API's list tells of
// a track, or filled up to a size.
func batchTrack(id string, size int) []byte {
	const (
		before = `{"id":"`
		name   = `","name":"The track of `
		after  = `","uri":"spotify:track:0123456789","explicit":false,"popularity":42,"duration_ms":215000,"disc_number":1,"track_number":7,` +
			`"artists":[{"id":"0123456789ABCDEFGHIJKL","name":"Somebody","uri":"spotify:artist:0123456789"}],` +
			`"album":{"id":"abcdefghijklmnopqrstuv","name":"An Album","release_date":"1959-08-17","total_tracks":11},"description":"`
		end = `"}`
	)
	short := len(before) + len(name) + len(after) + len(end) + 2*len(id)
	track := make([]byte, 0, max(short, size))
	track = append(track, before...)
	track = append(track, id...)
	track = append(track, name...)
	track = append(track, id...)
	track = append(track, after...)
	for len(track)+len(end) < size {
		track = append(track, 'x')
	}
	return append(track, end...)
}

// serveBatch answers for as many ids as it is asked for.
func serveBatch(w http.ResponseWriter, r *http.Request, size int) {
	answer := []byte(`{"tracks":[`)
	for i, id := range strings.Split(r.URL.Query().Get("ids"), ",") {
		if i > 0 {
			answer = append(answer, ',')
		}
		answer = append(answer, batchTrack(id, size)...)
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(answer, "]}"...)) // the client sees what is missing
}

// openBatch opens an empty repository of such tracks in a file.
func openBatch(ctx context.Context, path string) (*sqlite.Store, *repository.ResponseRepository[string, Track], error) {
	store, err := sqlite.Open(ctx, path, nil)
	if err != nil {
		return nil, nil, err
	}
	repo, err := repository.New(ctx, store, settings.RepositorySettings[string, Track]{
		Name:     "batch",
		Endpoint: request.Pattern[string]("GET " + batchPath + "/{id}"),
		Batch:    request.BatchPattern[string]("GET "+batchPath+"?ids={id}", batchSize, payload.SplitArray("tracks"), nil),
		Payload:  payload.JSON[Track](),
		NameOf:   func(t Track) string { return t.Name },
	}, nil)
	return store, repo, err
}

// batchID is the i-th key. They come in no order, as those of APIs do.
func batchID(i int) string { return fmt.Sprintf("%016x", uint64(i)*0x9e3779b97f4a7c15) }

// prefetchBatch fetches n tracks in batches and saves them, against waiting as
// long as the server does.
func prefetchBatch(n, size int) func(context.Context, *dataset, *contest) error {
	return func(ctx context.Context, d *dataset, c *contest) error {
		keys := make([]string, n)
		for i := range keys {
			keys[i] = batchID(i)
		}
		path := filepath.Join(d.folder, "batch.db")
		c.onClose(func() error { return removeDatabase(path) })
		store, repo, err := openBatch(ctx, path)
		if err != nil {
			return err
		}
		c.onClose(store.Close)
		fetcher, err := batchFetcher(c, repo, batchLatency, size)
		if err != nil {
			return err
		}
		opts := &prefetch.Options{Concurrency: concurrency}
		var result *prefetch.Result[string]
		c.ops = n
		c.restore = func(s side) error {
			if s == theirs {
				return nil
			}
			_, err := repo.Clear(ctx, repository.All)
			return err
		}
		c.run[ours] = func(int) (err error) {
			result, err = prefetch.Run(ctx, fetcher, slices.Values(keys), opts)
			return err
		}
		c.run[theirs] = func(int) error {
			return share(concurrency, n/batchSize, func(_, _ int) error {
				time.Sleep(batchLatency)
				return nil
			})
		}
		c.verify = func(int) error {
			if result.Fetched != n || result.Requests != n/batchSize {
				return fmt.Errorf("%d of %d keys fetched with %d requests", result.Fetched, n, result.Requests)
			}
			saved, err := repo.GetManyRaw(ctx, keys)
			if err != nil {
				return err
			}
			have, want := make([][]byte, n), make([][]byte, n)
			for i, key := range keys {
				have[i], want[i] = saved[key], batchTrack(key, size)
			}
			if err := compareAnswers(have, want, sameBytes); err != nil {
				return err
			}
			again, err := prefetch.Run(ctx, fetcher, slices.Values(keys), opts)
			if err == nil && (again.Cached != n || again.Requests != 0) {
				err = fmt.Errorf("the second run found %d of %d keys and made %d requests", again.Cached, n, again.Requests)
			}
			return err
		}
		return nil
	}
}

// batchFetcher asks a server of its own.
func batchFetcher(c *contest, repo *repository.ResponseRepository[string, Track], latency time.Duration, size int) (*fetch.Fetcher[string, Track], error) {
	baseURL, err := startServer(c, size, 0, latency)
	if err != nil {
		return nil, err
	}
	return newFetcher(c, repo, baseURL)
}

// prefetchMemory is the line of what a long run needs, and its target, in bytes.
const (
	prefetchMemory = "prefetch-memory-1000000"
	memoryTarget   = 200 << 20
)

// measureMemory lets a process of its own prefetch ten keys for each row of the dataset,
// which are a million by default, and prints how much memory that took at the most.
func measureMemory(ctx context.Context, d *dataset) (met bool, err error) {
	program, err := os.Executable()
	if err != nil {
		return false, err
	}
	path := filepath.Join(d.folder, "long.db")
	defer func() { err = errors.Join(err, removeDatabase(path)) }()
	cmd := exec.CommandContext(ctx, program, "-long", fmt.Sprintf("%d,%s", 10*d.rows, path))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return false, err
	}
	var n, before, peak, seconds int
	if _, err := fmt.Sscan(string(out), &n, &before, &peak, &seconds); err != nil {
		return false, fmt.Errorf("%q: %w", out, err)
	}
	used := peak - before
	fmt.Printf("RATIO %s %.2f target 1.00   %d MiB of %d MiB at the peak of %d keys, after %d MiB before, in %d seconds\n",
		prefetchMemory, float64(used)/memoryTarget, used>>20, memoryTarget>>20, n, before>>20, seconds)
	return used <= memoryTarget, nil
}

// peakMemory is the most memory that the process has had until now, in bytes: what the
// kernel says, else what Go has taken from it.
func peakMemory() int {
	status, _ := os.ReadFile("/proc/self/status") // there may be none
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	var kib int
	if _, err := fmt.Sscan(rest, &kib); err == nil {
		return kib << 10
	}
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int(stats.Sys)
}

// long is that process: it prefetches as many keys into a file and prints what
// [measureMemory] reads.
func long(what string) (err error) {
	number, path, _ := strings.Cut(what, ",")
	var n int
	if _, err := fmt.Sscan(number, &n); err != nil {
		return err
	}
	ctx := context.Background()
	var c contest
	defer func() { err = errors.Join(err, c.close()) }()
	store, repo, err := openBatch(ctx, path)
	if err != nil {
		return err
	}
	c.onClose(store.Close)
	fetcher, err := batchFetcher(&c, repo, 0, 0)
	if err != nil {
		return err
	}
	fetched := 0
	keys := func(yield func(string) bool) {
		for i := 0; i < n && yield(fmt.Sprintf("%016d", i)); i++ {
		}
	}
	before := peakMemory()
	result, err := prefetch.Each(ctx, fetcher, keys, &prefetch.Options{Concurrency: concurrency}, func(item prefetch.Item[string]) {
		if item.Status == prefetch.Fetched {
			fetched++
		}
	})
	if err != nil {
		return err
	}
	if fetched != n || result.Requests != (n+batchSize-1)/batchSize {
		return fmt.Errorf("%d of %d keys fetched with %d requests", fetched, n, result.Requests)
	}
	fmt.Println(n, before, peakMemory(), int(result.Elapsed.Seconds()))
	return nil
}
