package transport

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/rfc9111"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/settings"
)

// errStoreSlow means that the store did not answer in time.
var errStoreSlow = errors.New("the store did not answer in time")

// limit is a context for an operation on the store.
func (t *Transport) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, t.opts.StoreTimeout, errStoreSlow)
}

// slow tells of an error that it comes from a context's limit.
func slow(ctx context.Context, err error) error {
	if err != nil && errors.Is(context.Cause(ctx), errStoreSlow) && !errors.Is(err, errStoreSlow) {
		return fmt.Errorf("%w: %w", errStoreSlow, err)
	}
	return err
}

// bounded runs an operation on the store on another goroutine, and waits for it no
// longer than the limit, though the store may hang, nor than the context of a call.
func bounded[T any](ctx context.Context, t *Transport, op func(context.Context) (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	limited, cancel := t.limit(ctx)
	defer cancel()
	done := make(chan result, 1)
	go func() {
		var r result
		defer func() { done <- r }()
		r.err = guarded(func() (err error) {
			r.value, err = op(limited)
			return err
		})
	}()
	select {
	case r := <-done:
		return r.value, slow(limited, r.err)
	case <-limited.Done():
		return *new(T), context.Cause(limited)
	}
}

// guarded makes an error of a panic in a store, or in what a repository was made of.
func guarded(op func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return op()
}

// storeFailed tells of an operation that failed, which no request has to suffer
// for.
func (t *Transport) storeFailed(op string, r *repository.Responses, err error) {
	var undecodable *repository.DecodeError
	if errors.As(err, &undecodable) {
		// Its text has the key, and often a piece of the body.
		t.counts.undecodable.Add(1)
		t.log.Warn("endpointcache: "+op+" failed: the body cannot be decoded",
			"repository", r.Name(), "error", fmt.Sprintf("%T", undecodable.Err))
		return
	}
	t.counts.storeErrors.Add(1)
	t.log.Warn("endpointcache: "+op+" failed", "repository", r.Name(), "error", err)
}

// lookup returns what is stored for the call, live or not, nil where there is
// nothing. The error is that of the call's own context.
func (c *call) lookup() (*stored, error) {
	s, err := c.t.load(c.context(), c.repository, c.key)
	if err == nil && s != nil && c.controls() && rfc9111.Varies(s.head.Header) {
		s, err = c.t.selectVariant(c.context(), c, s)
	}
	if err == nil && s != nil && !c.controls() && !c.understands(s) {
		s = nil
	}
	if err != nil {
		if ctxErr := context.Cause(c.context()); ctxErr != nil {
			return nil, ctxErr
		}
		// A store that is too slow to read is not asked to save.
		c.readOnly = c.readOnly || errors.Is(err, errStoreSlow)
		c.t.storeFailed("get", c.repository, err)
		return nil, nil
	}
	return s, nil
}

// understands reports whether s is coded as the call would have it from the origin.
// Outside Cache-Control mode there is one response for a key, whatever its coding.
func (c *call) understands(s *stored) bool {
	asked, ok := s.head.Notes[variantNote]
	return !ok || s.head.Header.Get("Content-Encoding") == "" || asked == rfc9111.CodingVariant(c.caller.Header)
}

// load returns the entry of a key, nil where there is none.
func (t *Transport) load(ctx context.Context, r *repository.Responses, key driver.Key) (*stored, error) {
	if !r.GetsPromptly() {
		return bounded(ctx, t, func(ctx context.Context) (*stored, error) { return get(ctx, r, key) })
	}
	// Another goroutine would take as long as half of the get.
	limited, cancel := t.limit(ctx)
	defer cancel()
	s, err := get(limited, r, key)
	return s, slow(limited, err)
}

func get(ctx context.Context, r *repository.Responses, key driver.Key) (*stored, error) {
	entries, err := r.GetMatched(ctx, []driver.Key{key}, repository.AllowExpired())
	if err != nil || entries[0] == nil {
		return nil, err
	}
	return newStored(*entries[0])
}

// save saves s under the call's key.
func (c *call) save(ctx context.Context, s *stored) error {
	if c.controls() && rfc9111.Varies(s.head.Header) {
		done, err := c.t.variants.saving(ctx, c.flightKey())
		if err != nil {
			return err
		}
		defer done()
		if err := c.t.prepareVariant(ctx, c, s); err != nil {
			return fmt.Errorf("variant: %w", err)
		}
	} else if !c.controls() && s.head.Header.Get("Content-Encoding") != "" {
		s.note(variantNote, rfc9111.CodingVariant(c.caller.Header))
	}
	entry, err := repository.NewEntry(s.entry.Status, s.head, s.entry.Payload)
	if err != nil {
		return err
	}
	_, err = c.repository.SaveMatched(ctx, []driver.Key{c.key}, []repository.Entry{entry}, expireOption(s.entry.ExpiresAt))
	return err
}

// saved tells of a save.
func (c *call) saved(err error) {
	if err != nil {
		c.t.storeFailed("save", c.repository, err)
		return
	}
	c.t.counts.stored.Add(1)
}

func expireOption(at time.Time) repository.SaveOption {
	if at.IsZero() {
		return repository.ExpireIn(settings.NeverExpire)
	}
	return repository.ExpireAt(at)
}

// remove deletes the entries of keys.
func (t *Transport) remove(ctx context.Context, r *repository.Responses, keys ...driver.Key) {
	_, err := bounded(context.WithoutCancel(ctx), t, func(ctx context.Context) (int, error) {
		return r.DeleteMatched(ctx, keys)
	})
	if err != nil {
		t.storeFailed("delete", r, err)
	}
}
