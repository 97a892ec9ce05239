package fetch

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/endpointcache/endpointcache/internal/exchange"
	"github.com/endpointcache/endpointcache/internal/head"
	"github.com/endpointcache/endpointcache/internal/keytype"
	"github.com/endpointcache/endpointcache/repository"
)

// Fetch returns the value for key: the stored one where the policies let it be used, else
// the origin's, which has been saved then.
//
// The error wraps [ErrAbsent] where the origin has nothing for the key, or is
// remembered to have nothing. Others are a [StatusError], a [RequestError], a
// repository.DecodeError, an endpoint that can make no request for the key, a policy that
// is not valid, the error of ctx, [ErrNotCached], [ErrOffline] or [ErrClosed].
func (f *Fetcher[K, V]) Fetch(ctx context.Context, key K, opts ...Option) (V, error) {
	value, _, err := fetchOne(ctx, f, key, opts, false, f.value)
	return value, err
}

// FetchEntry is [Fetcher.Fetch] for the whole response, which belongs to the caller.
// Cached tells that it was in the repository already.
func (f *Fetcher[K, V]) FetchEntry(ctx context.Context, key K, opts ...Option) (entry repository.Entry, cached bool, err error) {
	entry, kind, err := fetchOne(ctx, f, key, opts, true, f.entry)
	return entry, err == nil && kind != exchange.Fetched, err
}

// fetchOne returns a T for key, which take makes of the answer. With meta, that has headers
// and times.
func fetchOne[K comparable, V, T any](ctx context.Context, f *Fetcher[K, V], key K, opts []Option, meta bool, take func(context.Context, K, *exchange.Result) (T, error)) (value T, kind exchange.Kind, err error) {
	if err := f.enter(); err != nil {
		return value, exchange.Ended, err
	}
	defer f.leave()
	if err := ended(ctx); err != nil {
		return value, exchange.Ended, err
	}
	rules, err := f.rules(ctx, opts)
	if err != nil {
		return value, exchange.Failed, fmt.Errorf("fetch: %w", err)
	}
	a := &ask[K, V]{}
	c, err := f.caller(ctx, &key)
	if err != nil {
		return value, exchange.Failed, err
	}
	if err := c.set(ctx, &a.Ask, &a.door, rules, a.values[:0], key); err != nil {
		return value, exchange.Failed, err
	}
	a.Meta, a.Batched = meta, f.shared != nil && f.batched(key)
	began := f.table.Exchange().Began()
	r := f.table.Exchange().Value(ctx, &a.Ask)
	defer func() { f.table.TellResult(ctx, &r, began) }()
	r.HideCookies(rules)
	value, err = take(ctx, key, &r)
	if err != nil && r.Kind == exchange.Hit && isDecodeError(err) {
		f.table.Undecodable(err) // it was saved when V was another type
		a.Distrust = true
		r = f.table.Exchange().Value(ctx, &a.Ask)
		r.HideCookies(rules)
		value, err = take(ctx, key, &r)
	}
	return value, r.Kind, err
}

func isDecodeError(err error) bool {
	var decode *repository.DecodeError
	return errors.As(err, &decode)
}

// value is the value of a result.
func (f *Fetcher[K, V]) value(ctx context.Context, key K, r *exchange.Result) (none V, err error) {
	if err := f.failure(ctx, key, r); err != nil {
		return none, err
	}
	if value, ok := r.Value.(V); ok {
		return value, nil
	}
	return f.decode(key, r.Entry.Payload)
}

// entry is the response of a result.
func (f *Fetcher[K, V]) entry(ctx context.Context, key K, r *exchange.Result) (repository.Entry, error) {
	if err := f.failure(ctx, key, r); err != nil {
		return repository.Entry{}, err
	}
	if r.Kind == exchange.Hit {
		if _, err := f.decode(key, r.Entry.Payload); err != nil {
			return repository.Entry{}, err
		}
	}
	encoded, err := r.Header()
	if err != nil {
		return repository.Entry{}, err
	}
	h, err := head.Decode(encoded)
	if err != nil {
		return repository.Entry{}, err
	}
	e, err := repository.NewEntry(r.Entry.Status, h, bytes.Clone(r.Entry.Payload))
	e.Name, e.CachedAt, e.ExpiresAt = r.Entry.Name, r.Entry.CachedAt, r.Entry.ExpiresAt
	return e, err
}

// failure is why a result has no value, nil where it has one. A panic of the
// declaration's functions is that of each caller.
func (f *Fetcher[K, V]) failure(ctx context.Context, key K, r *exchange.Result) error {
	if r.Panic != nil {
		panic(r.Panic)
	}
	switch r.Kind {
	case exchange.Ended:
		switch {
		case ctx.Err() != nil:
			return ended(ctx)
		case errors.Is(r.Err, exchange.ErrCanceled):
			return fmt.Errorf("fetch: %w", ErrClosed)
		}
		return fmt.Errorf("fetch: %w", r.Err)
	case exchange.Failed:
		return f.explain(key, r.Err)
	default:
	}
	switch {
	case exchange.HasValue(r.Entry.Status):
		return nil
	case r.Response != nil && r.Response.Status != leftOut:
		return statusError(r.Response)
	case exchange.Gone(r.Entry.Status):
		return f.absent(key)
	}
	return &StatusError{Code: r.Entry.Status}
}

func (f *Fetcher[K, V]) explain(key K, err error) error {
	var decode *exchange.DecodeError
	switch {
	case errors.As(err, &decode):
		return f.decodeError(key, decode.Err)
	case errors.Is(err, exchange.ErrUnanswered):
		return fmt.Errorf("fetch: repository %q: key %s: %w", f.settings.Name, keytype.Show(key), ErrNotCached)
	}
	return err
}

// absent is the error of a key that is remembered to be absent, or that a batch's answer
// has left out.
func (f *Fetcher[K, V]) absent(key K) error {
	return fmt.Errorf("fetch: repository %q: key %s: %w", f.settings.Name, keytype.Show(key), ErrAbsent)
}
