package prefetch

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/request"
)

// answer is what the origin said for a key, and what is to be saved.
type answer[K comparable, V any] struct {
	job[K]
	absent   bool
	response repository.Decoded[K, V] // unless it is absent
}

// fetch fetches on as many goroutines as there may be requests at once. For batches
// there are as many more: while one takes an answer apart, another sends the next request.
func (r *run[K, V]) fetch(ctx context.Context, requests <-chan []job[K], fetched chan<- []answer[K, V]) {
	defer close(fetched)
	n := r.Concurrency
	if r.source.BatchSize() > 1 {
		n *= 2
	}
	var workers sync.WaitGroup
	for range n {
		workers.Go(func() {
			for jobs := range requests {
				if ctx.Err() == nil {
					r.fetchTogether(ctx, jobs, fetched)
				}
			}
		})
	}
	workers.Wait()
}

// fetchTogether fetches the keys of one request.
func (r *run[K, V]) fetchTogether(ctx context.Context, jobs []job[K], fetched chan<- []answer[K, V]) {
	defer r.catch()
	answers := make([]answer[K, V], 0, len(jobs))
	r.source.Fetch(ctx, keysOf(jobs), func(i int, a fetch.Answer) {
		if taken, ok := r.take(ctx, jobs[i], a); ok {
			answers = append(answers, taken)
		}
	})
	if len(answers) > 0 {
		fetched <- answers
	}
}

// take makes an answer of what has come for a key, or notes that there is none.
func (r *run[K, V]) take(ctx context.Context, j job[K], a fetch.Answer) (_ answer[K, V], ok bool) {
	taken, err := answer[K, V]{job: j}, a.Err
	if err == nil {
		taken.response, err = r.decode(j.key, a.Entry)
	}
	taken.absent = errors.Is(a.Err, fetch.ErrAbsent)
	switch {
	case err == nil, taken.absent:
		r.ledger.answered()
		return taken, true
	case a.Err != nil && ctx.Err() != nil && errors.Is(a.Err, ctx.Err()):
		// The key has not failed: the run did not come to it.
	case errors.Is(err, fetch.ErrClosed), errors.Is(err, request.ErrNoRequest) && r.source.BatchSize() == 1:
		r.abort(fmt.Errorf("prefetch: %w", err))
	default:
		if row := r.ledger.failed(j, err); r.MaxFailures > 0 && row >= r.MaxFailures {
			r.abort(fmt.Errorf("%w: %d, the last: %w", ErrMaxFailures, row, err))
		}
	}
	return taken, false
}

// decoder returns what decodes responses before they are saved, as far as a save
// asks for it: for the name, and to know that they can be decoded. Here it is done on
// the goroutines that fetch, while others are being saved.
func decoder[K comparable, V any](repo *repository.ResponseRepository[K, V]) func(K, repository.Entry) (repository.Decoded[K, V], error) {
	s := repo.Settings()
	_, decodesAll := s.Payload.(payload.Total)
	return func(key K, e repository.Entry) (repository.Decoded[K, V], error) {
		d := repository.Decoded[K, V]{Key: key, Entry: e}
		if decodesAll && s.NameOf == nil {
			return d, nil
		}
		value, err := repo.Decode(key, e)
		if s.NameOf != nil {
			d.Value = value
		}
		return d, err
	}
}
