package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/origin"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/prefetch"
	"github.com/endpointcache/endpointcache/repository"
)

// prefetchWarm runs a prefetch whose keys are all cached, against reading them.
func prefetchWarm(n int) func(context.Context, *dataset, *contest) error {
	return func(ctx context.Context, d *dataset, c *contest) error {
		repo, err := openRepository(ctx, d.path(), c, payload.JSON[Track]())
		if err != nil {
			return err
		}
		var (
			result *prefetch.Result[Key]
			values map[Key]Track
		)
		fetcher, err := newFetcher(c, repo, cachedHost)
		if err != nil {
			return err
		}
		c.ops = len(d.some(n, 0))
		c.run[ours] = func(round int) (err error) {
			result, err = prefetch.Run(ctx, fetcher, slices.Values(d.some(n, round)), nil)
			return err
		}
		c.run[theirs] = func(round int) (err error) {
			values, err = repo.GetMany(ctx, d.some(n, round))
			return err
		}
		c.verify = func(round int) error {
			keys := d.some(n, round)
			if len(values) != len(keys) || result.Cached != len(keys) || len(result.Items) != len(keys) {
				return fmt.Errorf("%d and %d of %d keys found", result.Cached, len(values), len(keys))
			}
			for i, k := range keys {
				if item := result.Items[i]; item.Key != k || item.Status != prefetch.Cached || values[k].ID != k.ID {
					return fmt.Errorf("the item of %+v is %+v and %+v", k, item, values[k])
				}
			}
			result, values = nil, nil
			return nil
		}
		return nil
	}
}

// newFetcher returns a fetcher of the repository that asks the server at baseURL.
func newFetcher[K comparable, V any](c *contest, repo *repository.ResponseRepository[K, V], baseURL string) (*fetch.Fetcher[K, V], error) {
	client, err := fetch.NewClient(&fetch.Options{BaseURL: baseURL, Retry: &origin.RetryOptions{Retries: origin.NoRetries}})
	if err != nil {
		return nil, err
	}
	c.onClose(client.Close)
	return fetch.New(client, repo, nil)
}

// concurrency is how many requests there are at once.
const concurrency = 8

// prefetchCold fetches what is not there and saves it, against fetching alone.
func prefetchCold(n int) func(context.Context, *dataset, *contest) error {
	return func(ctx context.Context, d *dataset, c *contest) error {
		f, err := openFiles(ctx, d, c)
		if err != nil {
			return err
		}
		repo, err := newRepository(ctx, f.store, payload.JSON[Track]())
		if err != nil {
			return err
		}
		baseURL, err := startServer(c, d.rows, n, d.latency)
		if err != nil {
			return err
		}
		rows := newRows(d.rows, n)
		keys := make([]Key, n)
		for i, r := range rows {
			keys[i] = r.key
		}
		client := &http.Client{Transport: newBase(c)}
		fetcher, err := newFetcher(c, repo, baseURL)
		if err != nil {
			return err
		}
		var (
			result *prefetch.Result[Key]
			bodies = make([][]byte, n)
		)
		c.ops = n
		c.restore = f.removeNew
		c.run[ours] = func(int) (err error) {
			result, err = prefetch.Run(ctx, fetcher, slices.Values(keys), &prefetch.Options{Concurrency: concurrency})
			return err
		}
		c.run[theirs] = func(int) error {
			return inTurn(n, func(i int) (err error) {
				bodies[i], err = get(ctx, client, baseURL, &keys[i])
				return err
			})
		}
		c.verify = func(int) error {
			if result.Fetched != n {
				return fmt.Errorf("%d of %d keys fetched", result.Fetched, n)
			}
			saved, err := repo.GetManyRaw(ctx, keys)
			if err != nil {
				return err
			}
			have, want := make([][]byte, n), make([][]byte, n)
			for i, r := range rows {
				have[i], want[i] = saved[r.key], r.payload
				if !sameBytes(bodies[i], r.payload) {
					return fmt.Errorf("the body of %+v is %s", r.key, bodies[i])
				}
			}
			clear(bodies)
			return compareAnswers(have, want, sameBytes)
		}
		return nil
	}
}

// inTurn calls do for each of n, by as many goroutines as there may be requests at once.
func inTurn(n int, do func(i int) error) error {
	var next atomic.Int64
	return share(concurrency, concurrency, func(_, _ int) error {
		for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
			if err := do(int(i)); err != nil {
				return err
			}
		}
		return nil
	})
}

func urlOf(baseURL string, k *Key) string {
	return baseURL + trackPath + k.ID + "?market=" + k.Market + "&disc=" + strconv.Itoa(k.Disc) + "&number=" + strconv.Itoa(k.Number)
}

// get is the hand-written code for one key.
func get(ctx context.Context, client *http.Client, baseURL string, k *Key) (body []byte, err error) {
	url := urlOf(baseURL, k)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	if resp.StatusCode != http.StatusOK || resp.ContentLength < 0 {
		return nil, fmt.Errorf("%s: status %s, %d bytes", url, resp.Status, resp.ContentLength)
	}
	body = make([]byte, resp.ContentLength)
	if _, err := io.ReadFull(resp.Body, body); err != nil {
		return nil, err
	}
	// The end of the body, so that the connection is used again.
	if n, err := resp.Body.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		return nil, fmt.Errorf("%s: the body goes on: %w", url, err)
	}
	return body, nil
}

// The server's path of the tracks, and the tag that each has.
const (
	trackPath = "/v1/tracks/"
	trackTag  = `"1"`
)

// startServer starts this program again as the server, and returns its address. A
// process of its own takes the same processor time from both sides, while its
// garbage and allocations are neither's.
func startServer(c *contest, first, n int, latency time.Duration) (string, error) {
	program, err := os.Executable()
	if err != nil {
		return "", err
	}
	cmd := exec.Command(program, "-serve", fmt.Sprintf("%d,%d,%v", first, n, latency))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return "", err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", err
	}
	c.onClose(func() error { return errors.Join(in.Close(), cmd.Wait()) })
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("the server did not start: %w", err)
	}
	return strings.TrimSpace(address), nil
}

// serve serves n rows from the first on, until its input ends. What says which,
// and how long each takes: "first,n,latency". For no rows it is the server of the
// batches, whose items have the size that is in place of the first.
func serve(what string) error {
	var first, n int
	var text string
	if _, err := fmt.Sscanf(what, "%d,%d,%s", &first, &n, &text); err != nil {
		return err
	}
	latency, err := time.ParseDuration(text)
	if err != nil {
		return err
	}
	bodies := make(map[string][]byte, n)
	for _, r := range newRows(first, n) {
		bodies[trackPath+r.key.ID] = r.payload
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(latency)
		if r.URL.Path == batchPath {
			serveBatch(w, r, first)
			return
		}
		body, ok := bodies[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("ETag", trackTag)
		w.Header().Set("Cache-Control", "max-age=3600")
		if r.Header.Get("If-None-Match") == trackTag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = w.Write(body) // the client sees what is missing
	})}
	fmt.Println("http://" + listener.Addr().String())
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(ended)
	}()
	select {
	case err := <-failed:
		return err
	case <-ended:
		return server.Close()
	}
}
