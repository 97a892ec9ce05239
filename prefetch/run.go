package prefetch

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"
	"time"

	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/request"
)

// Run fetches the keys that have no live entry in repo and saves what comes
// back, whole responses of status 200, as its entries. The bodies are those that
// the client's transport delivers; one with a Content-Encoding of gzip is
// unpacked, as resty does.
//
// The result says what became of each key. That a key failed is no error of the
// run, and keeps no other key from being fetched. The run fails, without a result,
// where the options are wrong, the repository has no endpoint or nothing can be
// saved in it. It ends early where ctx is done, the store fails, the endpoint
// builds no requests, or as [Options.MaxFailures] says: then there is an error and
// the result of what was done until then.
//
// When ctx is done, requests are aborted, what was already fetched is saved, and
// the error wraps that of ctx. Keys are taken from the sequence by the calling
// goroutine, no more than a few thousand ahead of the requests, so it may be
// endless; memory grows by the keys, which the result has. Run cannot return while the sequence blocks: one that waits for
// its keys should watch ctx itself.
func Run[K comparable, V any](ctx context.Context, repo *repository.ResponseRepository[K, V], keys iter.Seq[K], opts *Options) (*Result[K], error) {
	if repo == nil || keys == nil {
		return nil, errors.New("prefetch: the repository or the sequence of keys is nil")
	}
	endpoint := repo.Settings().Endpoint
	if endpoint == nil {
		return nil, fmt.Errorf("prefetch: repository %q has no endpoint", repo.Name())
	}
	p, err := opts.plan()
	if err != nil {
		return nil, fmt.Errorf("prefetch: %w", err)
	}
	defer p.close()
	// Nothing is saved to learn, before the first request, that it can be.
	if err := repo.SaveEntries(ctx, nil, p.Save...); err != nil && ctx.Err() == nil {
		return nil, fmt.Errorf("prefetch: %w", err)
	}
	r := &run[K, V]{plan: p, repo: repo, fetcher: newFetcher(endpoint, p), start: time.Now()}
	return r.run(ctx, keys)
}

// run is one call of Run. Keys go from stage to stage through channels:
//
//	pull -> lookup -> fetch, on many goroutines -> collect -> save
//
// Each stage receives until its channel is closed and then closes the next, so
// that no send ever blocks for good. What is left to do once the run has been
// stopped is to do nothing for each key, except for saving what was fetched.
type run[K comparable, V any] struct {
	*plan
	repo    *repository.ResponseRepository[K, V]
	fetcher *fetcher[K]
	ledger  ledger[K]
	start   time.Time
	total   atomic.Int64 // the number of keys, as far as it is known
	stop    context.CancelCauseFunc

	panicOnce sync.Once
	panicked  any // of the user's code on one of the run's goroutines
}

func (r *run[K, V]) run(parent context.Context, keys iter.Seq[K]) (*Result[K], error) {
	ctx, stop := context.WithCancelCause(parent)
	r.stop = stop
	r.total.Store(int64(r.Total))

	var stages sync.WaitGroup
	pulled := make(chan K, lookupBatch)
	missing := make(chan job[K], lookupBatch)
	fetched := make(chan answer[K], r.Concurrency)
	batches := make(chan []answer[K])
	start(&stages, func() { r.lookup(ctx, pulled, missing) })
	start(&stages, func() { r.fetch(ctx, missing, fetched) })
	start(&stages, func() { r.collect(fetched, batches) })
	start(&stages, func() { r.save(ctx, batches) })
	endProgress := r.reportProgress()

	var unique int
	var ended bool
	func() {
		// Also if the sequence panics.
		defer func() {
			if !ended {
				stop(nil)
			}
			close(pulled)
			stages.Wait()
			stop(nil)
			endProgress()
		}()
		unique, ended = r.pull(ctx, keys, pulled)
	}()
	if r.panicked != nil {
		panic(r.panicked)
	}

	final := r.ledger.snapshot()
	result := &Result[K]{
		Items:   r.ledger.decided(),
		Cached:  final.Cached,
		Fetched: final.Fetched,
		Failed:  final.Failed,
		Bytes:   final.Bytes,
		Elapsed: time.Since(r.start),
	}
	complete := ended && final.Done == unique
	return result, r.outcome(parent, ctx, complete)
}

// catch, deferred around the user's code, ends the run after a panic, which then is
// Run's own.
func (r *run[K, V]) catch() {
	if p := recover(); p != nil {
		r.panicOnce.Do(func() { r.panicked = p })
		r.stop(nil)
	}
}

// start runs f on a goroutine of the group.
func start(group *sync.WaitGroup, f func()) {
	group.Add(1)
	go func() {
		defer group.Done()
		f()
	}()
}

// outcome is the error of a run whose stages have ended.
func (r *run[K, V]) outcome(parent, ctx context.Context, complete bool) error {
	var fatal *fatalError
	switch {
	case errors.As(context.Cause(ctx), &fatal):
		return fatal.err
	case complete:
		return nil
	default:
		return fmt.Errorf("prefetch: %w", parent.Err())
	}
}

// fatalError is the cause of a run's own end, as opposed to its context's.
type fatalError struct{ err error }

func (e *fatalError) Error() string { return e.err.Error() }

func (r *run[K, V]) abort(err error) { r.stop(&fatalError{err}) }

// pull sends each key once. It returns how many it has sent, and whether these
// were all.
func (r *run[K, V]) pull(ctx context.Context, keys iter.Seq[K], pulled chan<- K) (unique int, ended bool) {
	seen := make(map[K]struct{})
	for key := range keys {
		if ctx.Err() != nil {
			return len(seen), false
		}
		if _, twice := seen[key]; twice {
			continue
		}
		seen[key] = struct{}{}
		pulled <- key
	}
	r.total.Store(int64(len(seen)))
	return len(seen), true
}

// lookup looks up the keys that have come while it looked up those before, so
// that it neither waits for more of a slow sequence nor asks for few of a fast
// one.
func (r *run[K, V]) lookup(ctx context.Context, pulled <-chan K, missing chan<- job[K]) {
	defer close(missing)
	keys := make([]K, 0, lookupBatch)
	for key := range pulled {
		keys = append(keys[:0], key)
		for len(keys) < lookupBatch {
			key, ok := tryReceive(pulled)
			if !ok {
				break
			}
			keys = append(keys, key)
		}
		if ctx.Err() != nil {
			continue
		}
		absent, err := keys, error(nil)
		if !r.Refresh {
			absent, err = r.repo.Missing(ctx, keys)
		}
		if err != nil {
			if ctx.Err() == nil {
				r.abort(fmt.Errorf("prefetch: look keys up: %w", err))
			}
			continue
		}
		for _, j := range r.ledger.add(keys, absent) {
			missing <- j
		}
	}
}

// tryReceive receives what is there.
func tryReceive[T any](ch <-chan T) (value T, ok bool) {
	select {
	case value, ok = <-ch:
	default:
	}
	return value, ok
}

// fetch fetches on as many goroutines as there may be requests at once.
func (r *run[K, V]) fetch(ctx context.Context, missing <-chan job[K], fetched chan<- answer[K]) {
	defer close(fetched)
	var workers sync.WaitGroup
	for range r.Concurrency {
		start(&workers, func() {
			for j := range missing {
				if ctx.Err() == nil {
					r.fetchOne(ctx, j, fetched)
				}
			}
		})
	}
	workers.Wait()
}

func (r *run[K, V]) fetchOne(ctx context.Context, j job[K], fetched chan<- answer[K]) {
	defer r.catch()
	entry, err := r.fetcher.fetch(ctx, j.key)
	switch {
	case err == nil:
		r.ledger.answered()
		fetched <- answer[K]{j, entry}
	case ctx.Err() != nil:
		// The key has not failed: the run did not come to it.
	case errors.Is(err, request.ErrNoRequest):
		r.abort(err)
	default:
		if row := r.ledger.failed(j.index, err); row == r.MaxFailures {
			r.abort(fmt.Errorf("%w: %d, the last: %w", ErrMaxFailures, row, err))
		}
	}
}

// reportProgress calls Progress until the function is called that it returns,
// and then for the last time.
func (r *run[K, V]) reportProgress() (end func()) {
	if r.Progress == nil {
		return func() {}
	}
	ended := make(chan struct{})
	var reporter sync.WaitGroup
	start(&reporter, func() {
		defer r.catch()
		ticker := time.NewTicker(progressEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				r.Progress(r.progress())
			case <-ended:
				r.Progress(r.progress())
				return
			}
		}
	})
	return func() {
		close(ended)
		reporter.Wait()
	}
}

func (r *run[K, V]) progress() Progress {
	p := r.ledger.snapshot()
	p.Total = int(r.total.Load())
	p.InFlight = int(r.fetcher.inFlight.Load())
	p.Elapsed = time.Since(r.start)
	return p
}
