package transport

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/settings"
)

// errStoreSlow means that the store did not answer in time.
var errStoreSlow = errors.New("the store did not answer in time")

// bounded runs an operation on the store, and waits for it no longer than the
// transport's limit, whatever the store does. A call whose own context ends waits
// no longer either. It runs on a goroutine of its own, as a store may hang: that
// goroutine then ends with the operation.
func bounded[T any](ctx context.Context, t *Transport, op func(context.Context) (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	limited, cancel := context.WithTimeout(ctx, t.opts.StoreTimeout)
	done := make(chan result, 1)
	go func() {
		var r result
		defer func() {
			if p := recover(); p != nil {
				r.err = fmt.Errorf("panic: %v", p)
			}
			done <- r
		}()
		r.value, r.err = op(limited)
	}()
	defer cancel()
	select {
	case r := <-done:
		if r.err != nil && limited.Err() != nil && ctx.Err() == nil {
			r.err = fmt.Errorf("%w: %w", errStoreSlow, r.err)
		}
		return r.value, r.err
	case <-limited.Done():
		var none T
		if err := ctx.Err(); err != nil {
			return none, err
		}
		return none, errStoreSlow
	}
}

// storeFailed tells of an operation that failed, which no request has to suffer
// for.
func (t *Transport) storeFailed(op string, r *repository.Responses, err error) {
	var undecodable *repository.DecodeError
	if errors.As(err, &undecodable) {
		t.counts.undecodable.Add(1)
	} else {
		t.counts.storeErrors.Add(1)
	}
	t.log.Warn("endpointcache: "+op+" failed", "repository", r.Name(), "error", err)
}

// lookup returns what is stored for the call, live or not, nil where there is
// nothing. The error is that of the call's own context.
func (c *call) lookup() (*stored, error) {
	s, err := c.t.load(c.context(), c.repository, c.key)
	if err == nil && s != nil && c.controls() && varies(s.head.Header) {
		s, err = c.t.selectVariant(c.context(), c, s)
	}
	if err != nil {
		if ctxErr := c.context().Err(); ctxErr != nil {
			return nil, ctxErr
		}
		// Whether it cannot read or is slow: it would not save either.
		c.readOnly = c.readOnly || errors.Is(err, errStoreSlow)
		c.t.storeFailed("get", c.repository, err)
		return nil, nil
	}
	return s, nil
}

// load returns the entry of a key, nil where there is none.
func (t *Transport) load(ctx context.Context, r *repository.Responses, key driver.Key) (*stored, error) {
	return bounded(ctx, t, func(ctx context.Context) (*stored, error) {
		entries, err := r.GetMatched(ctx, []driver.Key{key}, repository.AllowExpired())
		if err != nil || entries[0] == nil {
			return nil, err
		}
		return newStored(*entries[0])
	})
}

// save saves s under the call's key, where prior may have been, and reports whether
// it did. Its error is told.
func (c *call) save(s, prior *stored) bool {
	if c.controls() && varies(s.head.Header) {
		c.t.prepareVariant(c, s, prior)
	}
	entry, err := repository.NewEntry(s.entry.Status, s.head, s.entry.Payload)
	if err == nil {
		_, err = bounded(context.WithoutCancel(c.context()), c.t, func(ctx context.Context) (int, error) {
			return c.repository.SaveMatched(ctx, []driver.Key{c.key}, []repository.Entry{entry}, expireOption(s.entry.ExpiresAt))
		})
	}
	if err != nil {
		c.t.storeFailed("save", c.repository, err)
		return false
	}
	c.t.counts.stored.Add(1)
	return true
}

const neverExpire = settings.NeverExpire

func expireOption(at time.Time) repository.SaveOption {
	if at.IsZero() {
		return repository.ExpireIn(neverExpire)
	}
	return repository.ExpireAt(at)
}

// remove deletes the entry of a key.
func (t *Transport) remove(ctx context.Context, r *repository.Responses, key driver.Key) {
	_, err := bounded(context.WithoutCancel(ctx), t, func(ctx context.Context) (int, error) {
		return r.DeleteMatched(ctx, []driver.Key{key})
	})
	if err != nil {
		t.storeFailed("delete", r, err)
	}
}
