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
	"github.com/endpointcache/endpointcache/hooks"
	"github.com/endpointcache/endpointcache/internal/gate"
	"github.com/endpointcache/endpointcache/origin"
	"github.com/endpointcache/endpointcache/request"
)

// Run fetches the keys that have no live entry in the fetcher's repository and saves
// what comes back, responses whose status comes with a value, as its entries. Where the
// repository's settings have a request.Batch, keys share requests.
//
// The result says what became of each key, in the order of the input. That a key
// failed is no error of the run, and keeps no other key from being fetched. The run
// fails, without a result, where the options are wrong, the fetcher has no repository
// or nothing can be saved in it. It ends early where ctx is done, the store fails, the
// client or the cache is closed, the endpoint builds no requests, the origin has
// nothing for any key, or as [Options.MaxFailures] says: then there is an error and the
// result of what was done until then.
//
// When ctx is done, requests are aborted, what was already received is saved, and
// the error wraps that of ctx. Keys are taken from the sequence by the calling
// goroutine, no more than some ten thousand ahead of the requests, so it may be
// endless. Run cannot return while the sequence blocks: one that waits for
// its keys should watch ctx itself.
//
// A process that is killed loses what it has received and not saved yet: 64 bodies at most
// and those to the requests under way, with batches those of Concurrency requests; and
// some hundred renewals by a 304, which cost a request without a body each.
//
// The result has all keys, so memory grows with their number. [Each] keeps none.
func Run[K comparable, V any](ctx context.Context, fetcher *fetch.Fetcher[K, V], keys iter.Seq[K], opts *Options) (*Result[K], error) {
	return start(ctx, fetcher, keys, opts, nil)
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
func Each[K comparable, V any](ctx context.Context, fetcher *fetch.Fetcher[K, V], keys iter.Seq[K], opts *Options, item func(Item[K])) (*Result[K], error) {
	if item == nil {
		return nil, errors.New("prefetch: the function for the items is nil")
	}
	return start(ctx, fetcher, keys, opts, item)
}

func start[K comparable, V any](ctx context.Context, fetcher *fetch.Fetcher[K, V], keys iter.Seq[K], opts *Options, item func(Item[K])) (*Result[K], error) {
	switch {
	case ctx == nil:
		return nil, fmt.Errorf("prefetch: %w", gate.ErrNoContext)
	case fetcher == nil || keys == nil:
		return nil, errors.New("prefetch: the fetcher or the sequence of keys is nil")
	case fetcher.Repository() == nil:
		return nil, errors.New("prefetch: the fetcher has no repository")
	}
	p, err := opts.plan()
	if err != nil {
		return nil, fmt.Errorf("prefetch: %w", err)
	}
	// Nothing is saved to learn, before the first request, that it can be.
	if err := fetcher.Repository().SaveMany(ctx, nil); err != nil && ctx.Err() == nil && !p.Unsaved {
		return nil, fmt.Errorf("prefetch: %w", err)
	}
	r := &run[K, V]{plan: p, fetcher: fetcher, ledger: newLedger(item), start: time.Now()}
	return r.run(ctx, keys)
}

// run is one call of Run or Each. The fetcher does the work; a run keeps the books.
type run[K comparable, V any] struct {
	*plan
	fetcher *fetch.Fetcher[K, V]
	traffic fetch.Traffic
	ledger  *ledger[K]
	start   time.Time
	pace    pace
	tell    func(hooks.Progress) // nil: no hook wants to know
	toldEnd bool                 // that the run has ended
	total   atomic.Int64         // the number of keys, as far as it is known
	stop    context.CancelCauseFunc

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
	defer r.endProgress() // for the hooks, also after a panic
	defer endReports()

	unique, ended := 0, false
	err := r.fetcher.Fill(ctx, func(yield func(K) bool) {
		for key := range keys {
			if !r.ledger.enter(key) {
				if ctx.Err() != nil {
					return
				}
				continue
			}
			if unique++; !yield(key) {
				return
			}
		}
		ended = true
		r.total.Store(int64(unique))
	}, r.filling(), r.decide)
	endReports() // also those of a panic
	if r.panicked != nil {
		panic(r.panicked)
	}
	err = r.outcome(parent, ctx, err, ended && r.ledger.snapshot().Done == unique)
	final := r.progress()
	final.Ended = true
	r.reportLast(parent, final, err)
	result := r.ledger.result(final)
	result.NoRetriesLeft = r.budget != nil && r.budget.Exhausted()
	return result, err
}

func (r *run[K, V]) filling() *fetch.FillOptions {
	return &fetch.FillOptions{
		Concurrency: r.Concurrency, Fetch: r.Fetch,
		BelieveAbsent: r.BelieveAbsent, Unsaved: r.Unsaved, Traffic: &r.traffic,
	}
}

// decide enters what became of a key, and ends the run where no other will fare better.
func (r *run[K, V]) decide(f fetch.Filled[K]) {
	switch {
	case f.Err == nil:
	case errors.Is(f.Err, request.ErrNoRequest) && r.fetcher.Settings().Batch == nil:
		r.abort(fmt.Errorf("prefetch: %w", f.Err))
	case r.MaxFailures > 0 && f.FailedInRow >= r.MaxFailures:
		r.abort(fmt.Errorf("%w: %d, the last: %w", ErrMaxFailures, f.FailedInRow, f.Err))
	}
	r.ledger.decide(f)
}

// catch, deferred around the user's code, ends the run after a panic, which then is
// Run's own.
func (r *run[K, V]) catch() {
	if p := recover(); p != nil {
		r.panicOnce.Do(func() { r.panicked = p })
		r.stop(nil)
	}
}

// outcome is the error of a run that has ended with that of its fetcher.
func (r *run[K, V]) outcome(parent, ctx context.Context, err error, complete bool) error {
	var fatal *fatalError
	switch {
	case errors.As(context.Cause(ctx), &fatal):
		return fatal.err
	case err == nil, complete && parent.Err() != nil && errors.Is(err, parent.Err()):
		return nil
	}
	return fmt.Errorf("prefetch: %w", err)
}

// fatalError is the cause of a run's own end, as opposed to its context's.
type fatalError struct{ err error }

func (e *fatalError) Error() string { return e.err.Error() }

func (r *run[K, V]) abort(err error) { r.stop(&fatalError{err}) }
