package prefetch

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"
	"time"

	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/origin"
	"github.com/endpointcache/endpointcache/repository"
)

// Run fetches the keys that have no live entry in repo and saves what comes
// back, responses whose status comes with a value, as its entries. Where the repository's settings
// have a request.Batch, keys share requests.
//
// The result says what became of each key, in the order of the input. That a key
// failed is no error of the run, and keeps no other key from being fetched. The run
// fails, without a result, where the options are wrong, the repository has no endpoint
// or nothing can be saved in it. It ends early where ctx is done, the store fails, the
// client is closed, the endpoint builds no requests, or as [Options.MaxFailures] says:
// then there is an error and the result of what was done until then.
//
// When ctx is done, requests are aborted, what was already fetched is saved, and
// the error wraps that of ctx. Keys are taken from the sequence by the calling
// goroutine, no more than a few thousand ahead of the requests, so it may be
// endless. Run cannot return while the sequence blocks: one that waits for
// its keys should watch ctx itself.
//
// Memory grows by the keys, which the result has. [Each] is for more keys than that.
func Run[K comparable, V any](ctx context.Context, repo *repository.ResponseRepository[K, V], keys iter.Seq[K], opts *Options) (*Result[K], error) {
	return start(ctx, repo, keys, opts, nil)
}

// Each is [Run] for any number of keys: it calls item with what became of each, as
// soon as that is known, and keeps no list. The memory that it takes does not grow with
// the number of keys, and the result has no items.
//
// item is called by one goroutine at a time, in the order in which keys are decided.
// A slow one holds up the run. When the run ends early, it is called for the keys
// that were taken from the sequence and are Cancelled, in no order.
//
// A key that comes again while it is being looked up or fetched counts once. One that
// comes again later counts twice: it is found in the store then. With
// [Options.Refresh], or where it was absent and this is not remembered, it is
// asked for again.
func Each[K comparable, V any](ctx context.Context, repo *repository.ResponseRepository[K, V], keys iter.Seq[K], opts *Options, item func(Item[K])) (*Result[K], error) {
	if item == nil {
		return nil, errors.New("prefetch: the function for the items is nil")
	}
	return start(ctx, repo, keys, opts, item)
}

func start[K comparable, V any](ctx context.Context, repo *repository.ResponseRepository[K, V], keys iter.Seq[K], opts *Options, item func(Item[K])) (_ *Result[K], err error) {
	if repo == nil || keys == nil {
		return nil, errors.New("prefetch: the repository or the sequence of keys is nil")
	}
	p, err := opts.plan()
	if err != nil {
		return nil, fmt.Errorf("prefetch: %w", err)
	}
	defer func() { err = errors.Join(err, p.close()) }()
	s := repo.Settings()
	source, err := fetch.NewSource(p.Client, s)
	if err != nil {
		return nil, fmt.Errorf("prefetch: %w", err)
	}
	source.Limit(p.Concurrency)
	// Nothing is saved to learn, before the first request, that it can be.
	if err := repo.SaveDecoded(ctx, nil, p.Save...); err != nil && ctx.Err() == nil {
		return nil, fmt.Errorf("prefetch: %w", err)
	}
	r := &run[K, V]{plan: p, repo: repo, source: source, ledger: newLedger(item), decode: decoder(repo), start: time.Now()}
	return r.run(ctx, keys)
}

// run is one call of Run or Each. Keys go from stage to stage through channels:
//
//	pull -> lookup -> fetch, on many goroutines -> collect -> save
//
// Each stage receives until its channel is closed and then closes the next, so
// that no send ever blocks for good. What is left to do once the run has been
// stopped is to do nothing for each key, except for saving what was fetched.
type run[K comparable, V any] struct {
	*plan
	repo   *repository.ResponseRepository[K, V]
	source *fetch.Source[K]
	ledger *ledger[K]
	decode func(K, repository.Entry) (repository.Decoded[K, V], error)
	start  time.Time
	pace   pace
	total  atomic.Int64 // the number of keys, as far as it is known
	broken error        // of the store, once it has failed; the stage that saves has it
	stop   context.CancelCauseFunc

	panicOnce sync.Once
	panicked  any // of the user's code on one of the run's goroutines
}

func (r *run[K, V]) run(parent context.Context, keys iter.Seq[K]) (*Result[K], error) {
	ctx, stop := context.WithCancelCause(parent)
	defer stop(nil)
	if r.budget != nil {
		ctx = origin.WithRetryBudget(ctx, r.budget)
	}
	r.stop = stop
	r.total.Store(int64(r.Total))
	endReports := r.report(ctx)
	defer endReports()

	unique, ended := r.work(ctx, keys)
	endReports() // also those of a panic
	if r.panicked != nil {
		panic(r.panicked)
	}
	complete := ended && r.ledger.snapshot().Done == unique
	err := r.outcome(parent, ctx, complete)
	r.ledger.cancelRest()
	final := r.progress()
	final.Ended = true
	r.reportLast(parent, final, err)
	result := r.ledger.result(final)
	result.NoRetriesLeft = r.budget != nil && r.budget.Exhausted()
	return result, err
}

// work lets the keys go through the stages until all have ended. It returns how many
// keys there were, and whether these were all.
func (r *run[K, V]) work(ctx context.Context, keys iter.Seq[K]) (unique int, ended bool) {
	var stages sync.WaitGroup
	pulled := make(chan job[K], lookupBatch)
	requests := make(chan []job[K], max(2*r.Concurrency, lookupBatch/r.source.BatchSize()))
	fetched := make(chan []answer[K, V])
	batches := make(chan []answer[K, V])
	stages.Go(func() { r.lookup(ctx, pulled, requests) })
	stages.Go(func() { r.fetch(ctx, requests, fetched) })
	stages.Go(func() { r.collect(fetched, batches) })
	stages.Go(func() { r.save(ctx, batches) })
	// Also if the sequence panics.
	defer func() {
		if !ended {
			r.stop(nil)
		}
		close(pulled)
		stages.Wait()
	}()
	return r.pull(ctx, keys, pulled)
}

// catch, deferred around the user's code, ends the run after a panic, which then is
// Run's own.
func (r *run[K, V]) catch() {
	if p := recover(); p != nil {
		r.panicOnce.Do(func() { r.panicked = p })
		r.stop(nil)
	}
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

// pull sends each key once. It returns how many it has taken, and whether these were
// all. One that comes when the run has ended is Cancelled: the sequence has it no more.
func (r *run[K, V]) pull(ctx context.Context, keys iter.Seq[K], pulled chan<- job[K]) (unique int, ended bool) {
	if ctx.Err() != nil {
		return 0, false
	}
	for key := range keys {
		j, ok := r.ledger.enter(key)
		if ok {
			unique++
		}
		switch {
		case ctx.Err() != nil:
			return unique, false
		case ok:
			pulled <- j
		}
	}
	r.total.Store(int64(unique))
	return unique, true
}
