package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/fleetsim/measure"
	"github.com/endpointcache/endpointcache/internal/fleetsim/simulation"
	"github.com/endpointcache/endpointcache/memory"
	"github.com/endpointcache/endpointcache/postgres"
	"github.com/endpointcache/endpointcache/redis"
	"github.com/endpointcache/endpointcache/sqlite"
)

// calibrate measures the stores whose servers there are, and writes what they cost. Of the
// others it keeps what was measured before.
func calibrate(ctx context.Context, path string) (err error) {
	folder, err := os.MkdirTemp("", "fleetsim-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	f, err := measure.Parse(costs)
	if err != nil {
		return err
	}
	f.Date, f.Cores = time.Now().UTC().Format(time.DateOnly), runtime.NumCPU()
	if f.Memory, err = measureMemory(ctx); err != nil {
		return err
	}
	for kind, open := range stores(folder) {
		if open == nil {
			fmt.Fprintf(os.Stderr, "fleetsim: %s is left as it was: there is no server; go run ./internal/testserver/run -durable starts them\n", kind)
			continue
		}
		measured, err := measure.Measure(ctx, open, measure.Full)
		if err != nil {
			return fmt.Errorf("%s: %w", kind, err)
		}
		f.Stores[kind] = measured
		fmt.Printf("%s: a get takes %v, and %.0f are done in a second\n", kind, measured.Get.Latency.Median(), measured.Get.PerSecond)
	}
	text, err := f.Text()
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o644) // #nosec G306 -- it is part of the project
}

// stores opens each store that there is a server of; the others are nil.
func stores(folder string) map[string]measure.Open {
	open := map[string]measure.Open{
		"sqlite": func(ctx context.Context) (driver.Store, error) {
			return sqlite.Open(ctx, filepath.Join(folder, "fleet.db"), nil)
		},
		"redis": nil, "postgres": nil,
	}
	if url := os.Getenv("REDIS_TEST_URL"); url != "" {
		open["redis"] = func(ctx context.Context) (driver.Store, error) {
			return redis.Open(ctx, url, &redis.Options{Prefix: "fleetsim"})
		}
	}
	if url := os.Getenv("POSTGRES_TEST_URL"); url != "" {
		open["postgres"] = func(ctx context.Context) (driver.Store, error) {
			return postgres.Open(ctx, url, &postgres.Options{Schema: "fleetsim"})
		}
	}
	return open
}

func measureMemory(ctx context.Context) (took simulation.Distribution, err error) {
	store, err := memory.New(nil)
	if err != nil {
		return took, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	return measure.MemoryGet(ctx, store, measure.Full)
}
