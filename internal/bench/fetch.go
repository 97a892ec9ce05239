package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/internal/exchange"
	"github.com/endpointcache/endpointcache/memory"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/prefetch"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/sqlite"
)

// fetchHit fetches keys that are all there, against getting them from the repository.
func fetchHit(ctx context.Context, d *dataset, c *contest) error {
	repo, err := openRepository(ctx, d.path(), c, payload.JSON[Track]())
	if err != nil {
		return err
	}
	fetcher, err := newFetcher(c, repo, cachedHost)
	if err != nil {
		return err
	}
	compareGets(d, c, 1, sameTrack,
		func(_ int, k *Key) (Track, error) { return fetcher.Fetch(ctx, *k) },
		func(_ int, k *Key) (Track, error) { return found(repo.Get(ctx, *k)) })
	return nil
}

// refresh asks whether n entries still hold, which they do, against requests that are
// sent by hand.
func refresh(n int) func(context.Context, *dataset, *contest) error {
	return func(ctx context.Context, d *dataset, c *contest) error {
		path := filepath.Join(d.folder, "refresh.db")
		c.onClose(func() error { return removeDatabase(path) })
		store, err := sqlite.Open(ctx, path, nil)
		if err != nil {
			return err
		}
		c.onClose(store.Close)
		repo, err := newRepository(ctx, store, payload.JSON[Track]())
		if err != nil {
			return err
		}
		baseURL, err := startServer(c, 0, n, d.latency)
		if err != nil {
			return err
		}
		keys := make([]Key, n)
		for i, r := range newRows(0, n) {
			keys[i] = r.key
		}
		fetcher, err := newFetcher(c, repo, baseURL)
		if err != nil {
			return err
		}
		if filled, err := prefetch.Run(ctx, fetcher, slices.Values(keys), nil); err != nil || filled.Fetched != n {
			return fmt.Errorf("%d of %d tracks fetched: %w", filled.Fetched, n, err)
		}
		client := &http.Client{Transport: newBase(c)}
		opts := &fetch.FillOptions{Concurrency: concurrency, Fetch: []fetch.Option{fetch.Refresh()}}
		confirmed := [2]int{}
		c.ops = n
		c.run[ours] = func(int) error {
			confirmed[ours] = 0
			return fetcher.Fill(ctx, slices.Values(keys), opts, func(f fetch.Filled[Key]) {
				if f.Status == fetch.Confirmed {
					confirmed[ours]++
				}
			})
		}
		c.run[theirs] = func(int) error {
			held := make([]bool, n)
			err := inTurn(n, func(i int) (err error) {
				held[i], err = holds(ctx, client, urlOf(baseURL, &keys[i]))
				return err
			})
			confirmed[theirs] = 0
			for _, ok := range held {
				if ok {
					confirmed[theirs]++
				}
			}
			return err
		}
		c.verify = func(int) error {
			if confirmed != [2]int{n, n} {
				return fmt.Errorf("%d were confirmed, want %d each", confirmed, n)
			}
			return nil
		}
		return nil
	}
}

// holds asks whether a track still holds.
func holds(ctx context.Context, client *http.Client, url string) (bool, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false, err
	}
	req.Header.Set("If-None-Match", trackTag)
	resp, err := client.Do(req)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close() //nolint:errcheck // all was read
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode == http.StatusNotModified, err
}

// hooksUnset fetches keys that are all in memory, of a cache without hooks, against the same
// without the tests whether there are hooks. As the library cannot leave these out, our side
// has them twice instead.
func hooksUnset(ctx context.Context, d *dataset, c *contest) error {
	store, err := memory.New(nil)
	if err != nil {
		return err
	}
	owner, err := ownCache(store, c, nil)
	if err != nil {
		return err
	}
	repo, err := cache.CreateRepository(ctx, owner, trackSettings(payload.Bytes()))
	if err != nil {
		return err
	}
	entries := make(map[Key]repository.Entry, d.rows)
	for i := range d.rows {
		if r := d.row(i); !r.expired {
			entries[r.key] = repository.Entry{Status: 200, Payload: r.payload}
		}
	}
	if err := repo.SaveEntries(ctx, entries); err != nil {
		return err
	}
	fetcher, err := newFetcher(c, repo, cachedHost)
	if err != nil {
		return err
	}
	table := exchange.OfRepository(repo.Responses)
	var none exchange.Result
	compareGets(d, c, 1, sameBytes,
		func(_ int, k *Key) ([]byte, error) {
			began := table.Exchange().Began()
			defer func() { table.TellResult(ctx, &none, began) }()
			return fetcher.Fetch(ctx, *k)
		},
		func(_ int, k *Key) ([]byte, error) { return fetcher.Fetch(ctx, *k) })
	return nil
}
