package fetch

import (
	"context"
	"fmt"

	"github.com/endpointcache/endpointcache/repository"
)

// Option changes one call of an endpoint's methods.
type Option func(*call)

// call is what the options of one call say, and what it has learned.
type call struct {
	refresh  bool
	stale    bool
	save     *saveOptions
	readOnly bool // the store is too slow to save to
}

// Refresh asks the origin though there may be a live entry, which the answer then
// replaces. What the origin has no more is removed. A request for the key that another
// caller waits for is not made again.
func Refresh() Option { return func(c *call) { c.refresh = true } }

// StaleIfError returns what is still stored, expired or not, where the origin could
// not be asked or failed. That the origin has nothing for a key is no failure.
func StaleIfError() Option { return func(c *call) { c.stale = true } }

// Save sets options of the saves of values, such as repository.ExpireIn. Where several
// callers share a fetch, those of the one that began it apply.
func Save(opts ...repository.SaveOption) Option {
	return func(c *call) { c.save = &saveOptions{opts} }
}

func (e *Endpoint[K, V]) newCall(ctx context.Context, opts []Option) (*call, error) {
	c := &call{save: &e.usual}
	for _, opt := range opts {
		if opt != nil {
			opt(c)
		}
	}
	return c, e.checkSave(ctx, c.save.opts)
}

// Fetch returns the value for key: the cached one where there is a live entry, else the
// origin's, which has been saved then.
//
// The error wraps [ErrAbsent] where the origin has nothing for the key, or is
// remembered to have nothing. Others are a [StatusError], a [RequestError], a
// repository.DecodeError, that no request can be made for the key, ctx's, [ErrOffline]
// or [ErrClosed].
func (e *Endpoint[K, V]) Fetch(ctx context.Context, key K, opts ...Option) (V, error) {
	return fetchOne(ctx, e, key, opts, e.lookup, e.take)
}

// FetchEntry is [Endpoint.Fetch] for the whole response, which belongs to the
// caller. Its Name, CachedAt and ExpiresAt are set only where it was cached.
func (e *Endpoint[K, V]) FetchEntry(ctx context.Context, key K, opts ...Option) (repository.Entry, error) {
	return fetchOne(ctx, e, key, opts, e.lookupEntries, e.takeEntry)
}

// Decode returns the value of an entry that [Endpoint.FetchEntry] has returned. One
// that cannot be decoded is a repository.DecodeError.
func (e *Endpoint[K, V]) Decode(key K, entry repository.Entry) (V, error) {
	value, err := e.settings.Payload.Decode(entry.Payload)
	if err != nil {
		var none V
		return none, &repository.DecodeError{Repository: e.settings.Name, Key: key, Err: err}
	}
	return value, nil
}

// lookupFunc looks keys up in the repository, each as a T.
type lookupFunc[K comparable, T any] func(context.Context, *call, []K, ...repository.ReadOption) ([]repository.Found[T], error)

// fetchOne returns a T for key, which take makes of a flight's answer.
func fetchOne[K comparable, V, T any](ctx context.Context, e *Endpoint[K, V], key K, opts []Option, lookup lookupFunc[K, T], take func(*flight[K, V]) (T, error)) (value T, err error) {
	if !e.client.closing.enter() {
		return value, fmt.Errorf("fetch: %w", ErrClosed)
	}
	defer e.client.closing.leave()
	if err := ended(ctx); err != nil {
		return value, err
	}
	c, err := e.newCall(ctx, opts)
	if err != nil {
		return value, err
	}
	keys := []K{key}
	seen := e.flights.begin()
	if e.repo != nil && !c.refresh {
		found, err := lookup(ctx, c, keys)
		if err != nil {
			return value, err
		}
		switch found[0].Presence {
		case repository.Present:
			e.counts.cached.Add(1)
			return found[0].Value, nil
		case repository.Absent:
			e.counts.absent.Add(1)
			return value, e.absent(key)
		case repository.Unknown:
		}
	}
	joined := e.join(ctx, c, keys, seen)
	defer e.release(joined)
	f := joined[0]
	status, err := e.outcome(ctx, f)
	if status == Fetched || status == Cached {
		if value, err = take(f); err != nil {
			status = Failed
		}
	}
	if status == Failed && c.stale && e.repo != nil {
		found, lookupErr := lookup(ctx, c, keys, repository.AllowExpired())
		if lookupErr == nil && found[0].Presence == repository.Present {
			value, status, err = found[0].Value, Stale, nil
		}
	}
	e.counts.add(status)
	return value, err
}

// outcome waits for a flight and tells how it has ended.
func (e *Endpoint[K, V]) outcome(ctx context.Context, f *flight[K, V]) (Status, error) {
	if err := e.await(ctx, f); err != nil {
		return Cancelled, err
	}
	return f.outcome()
}

// absent is the error of a key that is remembered to be absent.
func (e *Endpoint[K, V]) absent(key K) error {
	return fmt.Errorf("fetch: repository %q: key %+v: %w", e.settings.Name, key, ErrAbsent)
}
