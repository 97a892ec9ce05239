package fetch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/repository"
)

// errStoreSlow means that the store did not answer in time.
var errStoreSlow = errors.New("the store did not answer in time")

// limit is a context for an operation on n keys.
func (e *Endpoint[K, V]) limit(ctx context.Context, n int) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, e.opts.StoreTimeout*time.Duration(1+n/1000), errStoreSlow)
}

// read does an operation on the store that reads n keys, see [bounded].
func read[K comparable, V, T any](ctx context.Context, e *Endpoint[K, V], n int, op func(context.Context) (T, error)) (T, error) {
	if !e.repo.GetsPromptly() {
		return bounded(ctx, e, n, op)
	}
	// Another goroutine would take as long as half of the get.
	limited, cancel := e.limit(ctx, n)
	defer cancel()
	value, err := op(limited)
	return value, slow(limited, err)
}

// bounded does an operation on n keys on another goroutine, and waits for it no
// longer than [EndpointOptions.StoreTimeout], though the store may hang, nor than ctx
// lets it. A panic is the caller's.
func bounded[K comparable, V, T any](ctx context.Context, e *Endpoint[K, V], n int, op func(context.Context) (T, error)) (T, error) {
	limited, cancel := e.limit(ctx, n)
	defer cancel()
	type result struct {
		value    T
		err      error
		panicked any
	}
	done := make(chan result, 1)
	go func() {
		r := result{err: errEnded}
		defer func() {
			r.panicked = recover()
			done <- r
		}()
		r.value, r.err = op(limited)
	}()
	select {
	case r := <-done:
		if r.panicked != nil {
			panic(r.panicked)
		}
		return r.value, slow(limited, r.err)
	case <-limited.Done():
		return *new(T), context.Cause(limited)
	}
}

// slow tells of an error that it comes from the limit.
func slow(ctx context.Context, err error) error {
	if err != nil && errors.Is(context.Cause(ctx), errStoreSlow) && !errors.Is(err, errStoreSlow) {
		return fmt.Errorf("%w: %w", errStoreSlow, err)
	}
	return err
}

// storeFailed tells of an operation that failed, which no call has to suffer for.
func (e *Endpoint[K, V]) storeFailed(op string, err error) {
	e.counts.storeErrors.Add(1)
	e.opts.Logger.Warn("endpointcache: "+op+" failed", "repository", e.settings.Name, "error", err)
}

// undecodable tells of an entry that was saved when V was another type. The error
// itself has the key, and often a piece of the body.
func (e *Endpoint[K, V]) undecodable(err error) {
	var decode *repository.DecodeError
	errors.As(err, &decode)
	e.counts.undecodable.Add(1)
	e.opts.Logger.Warn("endpointcache: get failed: the body cannot be decoded",
		"repository", e.settings.Name, "error", fmt.Sprintf("%T", decode.Err))
}

// lookup returns what the repository has for keys, by index. What it cannot tell is
// unknown. The error is ctx's.
func (e *Endpoint[K, V]) lookup(ctx context.Context, c *call, keys []K, opts ...repository.ReadOption) ([]repository.Found[V], error) {
	found, err := read(ctx, e, len(keys), func(ctx context.Context) ([]repository.Found[V], error) {
		return e.repo.Lookup(ctx, keys, opts...)
	})
	if err != nil {
		return make([]repository.Found[V], len(keys)), e.lookupFailed(ctx, c, err)
	}
	for i := range found {
		if err := found[i].Err; err != nil {
			e.undecodable(err)
			found[i] = repository.Found[V]{}
		}
	}
	return found, nil
}

// lookupEntries is lookup for whole entries.
func (e *Endpoint[K, V]) lookupEntries(ctx context.Context, c *call, keys []K, opts ...repository.ReadOption) ([]repository.Found[repository.Entry], error) {
	entries, err := read(ctx, e, len(keys), func(ctx context.Context) (map[K]repository.Entry, error) {
		return e.repo.GetEntries(ctx, keys, opts...)
	})
	found := make([]repository.Found[repository.Entry], len(keys))
	if err != nil {
		return found, e.lookupFailed(ctx, c, err)
	}
	for i, key := range keys {
		if entry, ok := entries[key]; ok {
			found[i].Presence, found[i].Value = presenceOf(entry.Status), entry
		}
	}
	return found, nil
}

func (e *Endpoint[K, V]) lookupFailed(ctx context.Context, c *call, err error) error {
	if ctx.Err() != nil {
		return ended(ctx)
	}
	// A store that is too slow to read is not asked to save.
	c.readOnly = c.readOnly || errors.Is(err, errStoreSlow)
	e.storeFailed("get", err)
	return nil
}

func presenceOf(status int) repository.Presence {
	switch {
	case repository.HasValue(status):
		return repository.Present
	case (&StatusError{Code: status}).Is(ErrAbsent):
		return repository.Absent
	}
	return repository.Unknown
}

// checkSave reports what is wrong with options of a save, for which nothing is
// saved.
func (e *Endpoint[K, V]) checkSave(ctx context.Context, opts []repository.SaveOption) error {
	if len(opts) == 0 || e.repo == nil {
		return nil
	}
	_, err := bounded(ctx, e, 0, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, e.repo.SaveDecoded(ctx, nil, opts...)
	})
	var ofStore *driver.OpError
	if err != nil && !errors.As(err, &ofStore) && !errors.Is(err, errStoreSlow) && ctx.Err() == nil {
		return fmt.Errorf("fetch: %w", err)
	}
	return nil // if it is the store's, it will be found again
}
