package fetch

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/repository"
)

// Keep saves responses that have come in another way than by a fetch, such as the items
// of a listing, all at once. They replace what there is; of two with the same key, the
// later wins. An endpoint without a repository keeps nothing.
//
// As for a fetch, a store that fails or is slow is no error, but logged and counted, and
// waited for no longer than [EndpointOptions.StoreTimeout]. As a save that is given up may
// still go on, payloads are not to be changed afterwards. The error is one of opts, ctx's,
// or [ErrClosed].
func (e *Endpoint[K, V]) Keep(ctx context.Context, responses []repository.Decoded[K, V], opts ...repository.SaveOption) error {
	return e.keep(ctx, responses, opts, e.put)
}

// KeepMissing is [Endpoint.Keep] for responses that may be older than what is stored:
// those of keys that have a live entry, or are remembered to be absent, are left out, and
// all are where the store cannot tell.
func (e *Endpoint[K, V]) KeepMissing(ctx context.Context, responses []repository.Decoded[K, V], opts ...repository.SaveOption) error {
	return e.keep(ctx, responses, opts, e.putMissing)
}

// putFunc saves responses, of which there are some. The error is ctx's.
type putFunc[K comparable, V any] func(context.Context, []repository.Decoded[K, V], []repository.SaveOption) error

func (e *Endpoint[K, V]) keep(ctx context.Context, responses []repository.Decoded[K, V], opts []repository.SaveOption, put putFunc[K, V]) error {
	if !e.client.closing.enter() {
		return fmt.Errorf("fetch: %w", ErrClosed)
	}
	defer e.client.closing.leave()
	if err := ended(ctx); err != nil {
		return err
	}
	if err := e.checkSave(ctx, opts); err != nil || e.repo == nil || len(responses) == 0 {
		return err
	}
	return put(ctx, responses, opts)
}

func (e *Endpoint[K, V]) putMissing(ctx context.Context, responses []repository.Decoded[K, V], opts []repository.SaveOption) error {
	keys := make([]K, len(responses))
	for i, r := range responses {
		keys[i] = r.Key
	}
	known, err := read(ctx, e, len(keys), func(ctx context.Context) ([]repository.Presence, error) {
		return e.repo.Presence(ctx, keys)
	})
	if err != nil {
		return e.putFailed(ctx, "get", err)
	}
	var missing []repository.Decoded[K, V]
	for i, r := range responses {
		if known[i] == repository.Unknown {
			missing = append(missing, r)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return e.put(ctx, missing, opts)
}

// put saves in halves what cannot be saved together.
func (e *Endpoint[K, V]) put(ctx context.Context, responses []repository.Decoded[K, V], opts []repository.SaveOption) error {
	_, err := bounded(ctx, e, len(responses), func(ctx context.Context) (struct{}, error) {
		return struct{}{}, e.repo.SaveDecoded(ctx, responses, opts...)
	})
	if half := len(responses) / 2; half > 0 && errors.Is(err, driver.ErrTooLarge) {
		return cmp.Or(e.put(ctx, responses[:half], opts), e.put(ctx, responses[half:], opts))
	}
	return e.putFailed(ctx, "save", err)
}

// putFailed tells of an operation that failed, unless it was ended by ctx.
func (e *Endpoint[K, V]) putFailed(ctx context.Context, op string, err error) error {
	if err == nil || ctx.Err() != nil {
		return ended(ctx)
	}
	e.storeFailed(op, err)
	return nil
}
