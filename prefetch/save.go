package prefetch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/repository"
)

// collect gathers answers into batches. One that is worth it is saved at once, so
// that little is left to save at the end; while that goes on, the next grows. No
// more is taken when it is full: so no more payloads are held than two batches
// have.
func (r *run[K, V]) collect(fetched <-chan []answer[K, V], batches chan<- []answer[K, V]) {
	defer close(batches)
	var batch []answer[K, V]
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
		case answers, ok := <-in:
			if !ok {
				if len(batch) > 0 {
					batches <- batch
				}
				return
			}
			if len(batch) == 0 {
				timer = time.After(saveWithin)
			}
			batch = append(batch, answers...)
			for i := range answers {
				size += len(answers[i].response.Entry.Payload)
			}
		case <-timer:
			due = true
		case out <- batch:
			batch, size, timer, due = nil, 0, nil, false
		}
	}
}

// save saves batches, also what was fetched before ctx was done. After the store
// has failed, the rest fails with the same error.
func (r *run[K, V]) save(ctx context.Context, batches <-chan []answer[K, V]) {
	ctx, cancel := withGrace(ctx, saveGrace)
	defer cancel()
	for batch := range batches {
		// Apart, as one may fail where the other is saved.
		values, absent := apart(batch)
		for part := range slices.Chunk(values, r.SaveEvery) {
			r.saveBatch(ctx, part, r.putValues)
		}
		for part := range slices.Chunk(absent, r.SaveEvery) {
			r.saveBatch(ctx, part, r.putAbsent)
		}
	}
}

// apart returns the answers that have a response, and those that have none.
func apart[K comparable, V any](batch []answer[K, V]) (values, absent []answer[K, V]) {
	first := slices.IndexFunc(batch, func(a answer[K, V]) bool { return a.absent })
	if first < 0 {
		return batch, nil
	}
	values = batch[:first:first]
	for _, a := range batch[first:] {
		if a.absent {
			absent = append(absent, a)
		} else {
			values = append(values, a)
		}
	}
	return values, absent
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

// saveBatch saves a batch with put. One with an entry that the store cannot hold is
// halved, so that this entry is the only one to fail.
func (r *run[K, V]) saveBatch(ctx context.Context, batch []answer[K, V], put func(context.Context, []answer[K, V]) error) {
	defer r.catch()
	err := r.broken
	if err == nil {
		err = put(ctx, batch)
	}
	switch {
	case err == nil:
		r.ledger.saved(outcomes(batch))
	case !errors.Is(err, driver.ErrTooLarge):
		r.storeFailed(err, batch)
	case len(batch) > 1:
		half := len(batch) / 2
		r.saveBatch(ctx, batch[:half], put)
		r.saveBatch(ctx, batch[half:], put)
	default:
		if row := r.ledger.refused(batch[0].job, err); r.MaxFailures > 0 && row >= r.MaxFailures {
			r.abort(fmt.Errorf("%w: %d could not be saved", ErrMaxFailures, row))
		}
	}
}

func (r *run[K, V]) putValues(ctx context.Context, batch []answer[K, V]) error {
	responses := make([]repository.Decoded[K, V], len(batch))
	for i := range batch {
		responses[i] = batch[i].response
	}
	return r.repo.SaveDecoded(ctx, responses, r.Save...)
}

func (r *run[K, V]) putAbsent(ctx context.Context, batch []answer[K, V]) error {
	keys := make([]K, len(batch))
	for i := range batch {
		keys[i] = batch[i].key
	}
	return r.repo.SaveAbsent(ctx, keys)
}

func outcomes[K comparable, V any](batch []answer[K, V]) []outcome[K] {
	all := make([]outcome[K], len(batch))
	for i := range batch {
		all[i] = outcome[K]{job: batch[i].job, status: Absent}
		if !batch[i].absent {
			all[i].status, all[i].size = Fetched, len(batch[i].response.Entry.Payload)
		}
	}
	return all
}

// storeFailed ends the run, the first time.
func (r *run[K, V]) storeFailed(err error, batch []answer[K, V]) {
	if r.broken == nil {
		r.broken = fmt.Errorf("prefetch: save: %w", err)
		r.abort(r.broken)
	}
	for i := range batch {
		r.ledger.decide(outcome[K]{job: batch[i].job, status: Failed, err: r.broken})
	}
}
