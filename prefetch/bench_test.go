package prefetch_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/prefetch"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/sqlite"
)

// document is JSON of about 2 KiB.
var document = `{"id":"1","title":"Blue Train","text":"` + strings.Repeat("All tracks of the record. ", 78) + `"}`

func benchRepository(b *testing.B) *repository.ResponseRepository[string, track] {
	store, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "bench.db"), nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { store.Close() })
	repo, err := repository.New(b.Context(), store, settings.RepositorySettings[string, track]{
		Name:     "tracks",
		Endpoint: request.Pattern[string]("/tracks/{id}"),
		Payload:  payload.JSON[track](),
		NameOf:   func(t track) string { return t.Title },
	}, nil)
	if err != nil {
		b.Fatal(err)
	}
	return repo
}

func benchServer(b *testing.B, latency time.Duration) *httptest.Server {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(latency)
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, document)
	}))
	b.Cleanup(server.Close)
	return server
}

func benchKeys(n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("track-%06d", i)
	}
	return keys
}

// BenchmarkMissing fetches 2,000 keys of 2 KiB, 8 at once: with Run, and with a
// pool of http.Client that saves nothing.
//
// At no latency the server, the clients and SQLite compete for the processors,
// and saving costs what it costs. At any other it vanishes behind the waits.
func BenchmarkMissing(b *testing.B) {
	for _, latency := range []time.Duration{0, time.Millisecond} {
		b.Run(fmt.Sprintf("latency=%v", latency), func(b *testing.B) { benchMissing(b, latency) })
	}
}

func benchMissing(b *testing.B, latency time.Duration) {
	const concurrency = 8
	keys := benchKeys(2000)
	server := benchServer(b, latency)

	b.Run("Run", func(b *testing.B) {
		repo := benchRepository(b)
		b.ReportAllocs()
		for b.Loop() {
			result, err := prefetch.Run(b.Context(), over(b, repo, to(b, fetch.Options{BaseURL: server.URL})), slices.Values(keys), &prefetch.Options{Concurrency: concurrency})
			if err != nil || result.Fetched != len(keys) {
				b.Fatal(result, err)
			}
			b.StopTimer()
			if _, err := repo.Clear(b.Context(), repository.All); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
		}
	})
	b.Run("BarePool", func(b *testing.B) {
		transport := &http.Transport{MaxIdleConnsPerHost: concurrency}
		defer transport.CloseIdleConnections()
		b.ReportAllocs()
		for b.Loop() {
			if err := barePool(b.Context(), &http.Client{Transport: transport}, server.URL, keys, concurrency); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func barePool(ctx context.Context, client *http.Client, baseURL string, keys []string, concurrency int) (failed error) {
	queue := make(chan string)
	var workers sync.WaitGroup
	var once sync.Once
	for range concurrency {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for key := range queue {
				if err := bareGet(ctx, client, baseURL+"/tracks/"+key); err != nil {
					once.Do(func() { failed = err })
				}
			}
		}()
	}
	for _, key := range keys {
		queue <- key
	}
	close(queue)
	workers.Wait()
	return failed
}

func bareGet(ctx context.Context, client *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.ReadAll(resp.Body)
	return err
}

// BenchmarkCached runs over 10,000 keys that are all there, and reads their
// values for comparison.
func BenchmarkCached(b *testing.B) {
	keys := benchKeys(10_000)
	repo := benchRepository(b)
	entries := make(map[string]repository.Entry, len(keys))
	for _, key := range keys {
		entry, err := repository.NewEntry(http.StatusOK, repository.Head{}, []byte(document))
		if err != nil {
			b.Fatal(err)
		}
		entries[key] = entry
	}
	if err := repo.SaveEntries(b.Context(), entries); err != nil {
		b.Fatal(err)
	}
	b.Run("Run", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			result, err := prefetch.Run(b.Context(), alone(b, repo), slices.Values(keys), nil)
			if err != nil || result.Cached != len(keys) {
				b.Fatal(result, err)
			}
		}
	})
	b.Run("GetMany", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if found, err := repo.GetMany(b.Context(), keys); err != nil || len(found) != len(keys) {
				b.Fatal(len(found), err)
			}
		}
	})
	b.Run("Missing", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if missing, err := repo.Missing(b.Context(), keys); err != nil || len(missing) != 0 {
				b.Fatal(len(missing), err)
			}
		}
	})
}
