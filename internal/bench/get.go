package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"

	json "github.com/go-json-experiment/json/v1"

	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/sqlite"
)

// getsPerRun is how many single gets a side makes in a round.
const getsPerRun = 4_000

func getRaw(ctx context.Context, d *dataset, c *contest) error {
	return getPayloads(ctx, d, c, 1)
}

func getConcurrently(ctx context.Context, d *dataset, c *contest) error {
	return getPayloads(ctx, d, c, 8)
}

// getPayloads gives each worker of the hand-written side a connection.
func getPayloads(ctx context.Context, d *dataset, c *contest, workers int) error {
	repo, err := openRepository(ctx, d.path(), c, payload.Bytes())
	if err != nil {
		return err
	}
	readers, err := openReaders(d, c, workers)
	if err != nil {
		return err
	}
	compareGets(d, c, workers, sameBytes,
		func(_ int, k *Key) ([]byte, error) { return found(repo.GetRaw(ctx, *k)) },
		func(worker int, k *Key) ([]byte, error) { return readers[worker].payload(k) })
	return nil
}

func getTyped(ctx context.Context, d *dataset, c *contest) error {
	repo, err := openRepository(ctx, d.path(), c, payload.JSON[Track]())
	if err != nil {
		return err
	}
	readers, err := openReaders(d, c, 1)
	if err != nil {
		return err
	}
	compareGets(d, c, 1, sameTrack,
		func(_ int, k *Key) (Track, error) { return found(repo.Get(ctx, *k)) },
		func(_ int, k *Key) (t Track, err error) {
			b, err := readers[0].payload(k)
			if err != nil {
				return t, err
			}
			return t, json.Unmarshal(b, &t)
		})
	return nil
}

// compareGets is a contest of single gets by a number of workers at once.
func compareGets[T any](d *dataset, c *contest, workers int, same func(a, b T) bool, byUs, byHand func(worker int, k *Key) (T, error)) {
	n := min(getsPerRun, len(d.keys))
	answers := [2][]T{make([]T, n), make([]T, n)}
	for s, get := range [2]func(int, *Key) (T, error){ours: byUs, theirs: byHand} {
		c.run[s] = func(round int) error {
			keys := d.some(n, round)
			return share(workers, n, func(worker, i int) (err error) {
				answers[s][i], err = get(worker, &keys[i])
				return err
			})
		}
	}
	c.ops = n
	c.verify = func(int) error { return compareAnswers(answers[ours], answers[theirs], same) }
}

// compareAnswers forgets the answers that it has compared.
func compareAnswers[T any](us, them []T, same func(a, b T) bool) error {
	for i := range us {
		if !same(us[i], them[i]) {
			return fmt.Errorf("answer %d is %v and %v", i, us[i], them[i])
		}
	}
	clear(us)
	clear(them)
	return nil
}

// sameBytes and sameTrack are false also where there is nothing.

func sameBytes(a, b []byte) bool { return len(a) > 0 && bytes.Equal(a, b) }

func sameTrack(a, b Track) bool { return a.ID != "" && reflect.DeepEqual(a, b) }

func found[V any](value V, ok bool, err error) (V, error) {
	if err == nil && !ok {
		err = errMissing
	}
	return value, err
}

// share does n pieces of work with so many workers at once, each those that
// follow on one another.
func share(workers, n int, do func(worker, i int) error) error {
	part := func(worker int) error {
		for i := worker * n / workers; i < (worker+1)*n/workers; i++ {
			if err := do(worker, i); err != nil {
				return err
			}
		}
		return nil
	}
	if workers == 1 {
		return part(0)
	}
	var wait sync.WaitGroup
	errs := make([]error, workers)
	for worker := range workers {
		wait.Add(1)
		go func() {
			defer wait.Done()
			errs[worker] = part(worker)
		}()
	}
	wait.Wait()
	return errors.Join(errs...)
}

// openRepository opens the library on a file, for as long as the contest lasts.
func openRepository[V any](ctx context.Context, path string, c *contest, handler payload.Handler[V]) (*repository.ResponseRepository[Key, V], error) {
	store, err := sqlite.Open(ctx, path, nil)
	if err != nil {
		return nil, err
	}
	c.onClose(store.Close)
	return newRepository(ctx, store, handler)
}

// openReaders opens hand-written connections to the dataset.
func openReaders(d *dataset, c *contest, n int) ([]*reader, error) {
	readers := make([]*reader, n)
	for i := range readers {
		r, err := openReader(d.path())
		if err != nil {
			return nil, err
		}
		c.onClose(r.close)
		readers[i] = r
	}
	return readers, nil
}
