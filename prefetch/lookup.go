package prefetch

import (
	"context"
	"fmt"
	"time"

	"github.com/endpointcache/endpointcache/repository"
)

// lookup looks up the keys that have come while it looked up those before, so
// that it neither waits for more of a slow sequence nor asks for few of a fast
// one. Those that are missing wait for others that can share their request.
func (r *run[K, V]) lookup(ctx context.Context, pulled <-chan job[K], requests chan<- []job[K]) {
	defer close(requests)
	held := newHolder(r.source, requests)
	jobs := make([]job[K], 0, lookupBatch)
	open := true
	for open {
		jobs, open = receive(pulled, jobs[:0], held.patience)
		if ctx.Err() == nil {
			r.hold(ctx, jobs, held)
		}
	}
	if ctx.Err() == nil {
		held.flush()
	}
}

// receive adds the jobs that have come to jobs, or those that come next, none if they
// take longer than there is patience for. It returns false when there are no more.
func receive[K comparable](pulled <-chan job[K], jobs []job[K], patience func() <-chan time.Time) (_ []job[K], open bool) {
	select {
	case j, ok := <-pulled:
		if !ok {
			return jobs, false
		}
		jobs = append(jobs, j)
	default:
		select {
		case j, ok := <-pulled:
			if !ok {
				return jobs, false
			}
			jobs = append(jobs, j)
		case <-patience():
			return jobs, true
		}
	}
	for len(jobs) < lookupBatch {
		select {
		case j, ok := <-pulled:
			if !ok {
				return jobs, false
			}
			jobs = append(jobs, j)
		default:
			return jobs, true
		}
	}
	return jobs, true
}

// hold gives those of the jobs to the holder that are to be fetched.
func (r *run[K, V]) hold(ctx context.Context, jobs []job[K], held *holder[K]) {
	defer r.catch()
	if len(jobs) == 0 {
		held.notice()
		return
	}
	missing, err := r.missing(ctx, jobs)
	if err != nil {
		if ctx.Err() == nil {
			r.abort(fmt.Errorf("prefetch: look keys up: %w", err))
		}
		return
	}
	for _, j := range missing {
		held.add(j)
	}
	held.hurry()
}

// missing decides about those of the jobs of which the repository knows, and returns
// the others.
func (r *run[K, V]) missing(ctx context.Context, jobs []job[K]) ([]job[K], error) {
	if r.Refresh {
		return jobs, nil
	}
	presence, err := r.repo.Presence(ctx, keysOf(jobs))
	if err != nil {
		return nil, err
	}
	var missing []job[K]
	known := make([]outcome[K], 0, len(jobs))
	for i, j := range jobs {
		switch presence[i] {
		case repository.Present:
			known = append(known, outcome[K]{job: j, status: Cached})
		case repository.Absent:
			known = append(known, outcome[K]{job: j, status: Absent})
		default:
			missing = append(missing, j)
		}
	}
	r.ledger.decide(known...)
	return missing, nil
}
