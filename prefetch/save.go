package prefetch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/repository"
)

// collect gathers answers into batches. One that is worth it is saved at once, so
// that little is left to save at the end; while that goes on, the next grows. No
// more is taken when it is full: so no more payloads are held than two batches
// have.
func (r *run[K, V]) collect(fetched <-chan answer[K], batches chan<- []answer[K]) {
	defer close(batches)
	var batch []answer[K]
	var size int
	var timer <-chan time.Time
	var due bool
	for {
		in, out := fetched, batches
		switch full := len(batch) >= r.SaveEvery || size >= saveBytes; {
		case full:
			in = nil
		case len(batch) < saveFrom && !due:
			out = nil
		}
		select {
		case a, ok := <-in:
			if !ok {
				if len(batch) > 0 {
					batches <- batch
				}
				return
			}
			if len(batch) == 0 {
				timer = time.After(saveWithin)
			}
			batch = append(batch, a)
			size += len(a.entry.Payload)
		case <-timer:
			due = true
		case out <- batch:
			batch, size, timer, due = nil, 0, nil, false
		}
	}
}

// save saves batches, also what was fetched before ctx was done. After the store
// has failed, the rest fails with the same error.
func (r *run[K, V]) save(ctx context.Context, batches <-chan []answer[K]) {
	ctx, cancel := withGrace(ctx, saveGrace)
	defer cancel()
	var broken error
	for batch := range batches {
		if broken == nil {
			broken = r.saveBatch(ctx, batch)
			if broken == nil {
				continue
			}
			r.abort(broken)
		}
		r.ledger.saved(batch, allFailed(batch, broken))
	}
}

// withGrace returns a context that is done a while after ctx is.
func withGrace(ctx context.Context, grace time.Duration) (context.Context, context.CancelFunc) {
	later, cancel := context.WithCancel(context.WithoutCancel(ctx))
	forget := context.AfterFunc(ctx, func() {
		timer := time.AfterFunc(grace, cancel)
		context.AfterFunc(later, func() { timer.Stop() })
	})
	return later, func() {
		forget()
		cancel()
	}
}

// saveBatch returns an error only if the store failed, and has then entered
// none of the batch in the ledger.
func (r *run[K, V]) saveBatch(ctx context.Context, batch []answer[K]) error {
	defer r.catch()
	entries := make(map[K]repository.Entry, len(batch))
	for _, a := range batch {
		entries[a.key] = a.entry
	}
	refused, err := refusals[K](r.repo.SaveEntries(ctx, entries, r.Save...))
	switch {
	case errors.Is(err, driver.ErrTooLarge) && len(batch) == 1:
		refused = allFailed(batch, err)
	case errors.Is(err, driver.ErrTooLarge):
		return r.saveHalves(ctx, batch)
	case err != nil:
		return fmt.Errorf("prefetch: save: %w", err)
	}
	if row := r.ledger.saved(batch, refused); r.MaxFailures > 0 && row >= r.MaxFailures {
		r.abort(fmt.Errorf("%w: %d could not be saved", ErrMaxFailures, row))
	}
	return nil
}

// saveHalves saves a batch with an entry that the store cannot hold, which then
// is the only one to fail.
func (r *run[K, V]) saveHalves(ctx context.Context, batch []answer[K]) error {
	half := len(batch) / 2
	if err := r.saveBatch(ctx, batch[:half]); err != nil {
		return err
	}
	return r.saveBatch(ctx, batch[half:])
}

func allFailed[K comparable](batch []answer[K], err error) map[K]error {
	failed := make(map[K]error, len(batch))
	for _, a := range batch {
		failed[a.key] = err
	}
	return failed
}

// refusals takes the keys whose payloads could not be decoded out of the error
// of a save. What remains is the store's.
func refusals[K comparable](err error) (refused map[K]error, store error) {
	refused = make(map[K]error)
	parts := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		parts = joined.Unwrap()
	}
	var rest []error
	for _, part := range parts {
		if decode, ok := part.(*repository.DecodeError); ok {
			if key, ok := decode.Key.(K); ok {
				refused[key] = decode
				continue
			}
		}
		rest = append(rest, part)
	}
	return refused, errors.Join(rest...)
}
