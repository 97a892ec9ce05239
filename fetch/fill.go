package fetch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"
	"time"

	"github.com/endpointcache/endpointcache/internal/exchange"
)

// FillOptions are the settings of a Fill. A nil *FillOptions means the defaults.
type FillOptions struct {
	// Concurrency is how many requests there are at once. The default is that of
	// the fetcher.
	Concurrency int

	// Fetch are options for each key, such as [Refresh].
	Fetch []Option

	// BelieveAbsent lets a run go on in which the origin has nothing for any key. By
	// default, a run that would remember absences (ExpireAbsent) or remove entries
	// (Refresh) ends with [ErrAllAbsent] after the first ten, before it
	// does: a gateway may answer 404 for everything. A run that would do neither
	// goes on.
	BelieveAbsent bool

	// Unsaved lets a run go on though the store fails. By default it ends with the
	// store's error.
	Unsaved bool

	// Traffic counts the requests while they are made; it may be nil.
	Traffic *Traffic
}

// Traffic counts the requests of a Fill while it goes on. The zero value is ready to use,
// for one Fill. Many goroutines may read it at once.
type Traffic struct{ requests, inFlight atomic.Int64 }

// Requests is how many requests were sent so far, each attempt counted.
func (t *Traffic) Requests() int64 { return t.requests.Load() }

// InFlight is how many requests are under way.
func (t *Traffic) InFlight() int64 { return t.inFlight.Load() }

// Filled is what became of a key of a Fill.
type Filled[K comparable] struct {
	Key    K
	Status Status
	Size   int   // of the body in bytes, where it was fetched
	Err    error // of a key that has failed, or is stale

	// FailedInRow is how many keys have failed in a row, this one included, in the order in
	// which answers came; 0 where it has not failed. Keys that were answered and cannot
	// be saved are counted in a row of their own.
	FailedInRow int
}

// ErrAllAbsent ends a run in which the origin had nothing for any of the first keys, so
// that nothing was remembered to be absent or removed, see [FillOptions.BelieveAbsent].
var ErrAllAbsent = errors.New("the origin has nothing for any key")

// The sizes of a Fill.
const (
	lookupBatch  = 1000                   // keys that are looked up together
	heldFlights  = 4 * lookupBatch        // flights that may wait for others to share a request with
	mostReports  = 4 * lookupBatch        // keys to be reported, while no more are looked up
	heldIdle     = 200 * time.Millisecond // how long they wait when no more keys come
	heldWithin   = time.Second            // how long they wait when keys come slowly
	mostUnsaved  = 64                     // answers that wait to be saved; of batches, those of each request
	doubtAbsents = 10                     // absences without a value after which a run is in doubt
)

// Fill fetches the keys that the repository has no live entry for and saves what comes,
// without keeping bodies. It calls each with what became of every key, as soon as that
// is known, by one goroutine at a time; a slow one holds up the run. Keys are taken from
// the sequence by the calling goroutine, no more than some ten thousand ahead of the
// requests, so it may be endless. A key is not to be given twice while it is under way.
//
// That a key failed is no error of the run. It ends early where ctx is done, the store
// fails, the client or the cache is closed, or all keys are absent: requests are aborted
// then, what was received is saved, and the keys that were taken are [Cancelled]. To end
// it otherwise, cancel ctx.
func (f *Fetcher[K, V]) Fill(ctx context.Context, keys iter.Seq[K], opts *FillOptions, each func(Filled[K])) error {
	r := &fill[K, V]{f: f, each: each}
	if opts != nil {
		r.opts = *opts
	}
	switch {
	case f.repo == nil:
		return errors.New("fetch: fill: the fetcher has no repository")
	case keys == nil || each == nil:
		return errors.New("fetch: fill: the sequence of keys or the function for them is nil")
	case r.opts.Concurrency < 0:
		return fmt.Errorf("fetch: fill: Concurrency is %d: it cannot be negative", r.opts.Concurrency)
	}
	if err := f.enter(); err != nil {
		return err
	}
	defer f.leave()
	if err := ended(ctx); err != nil {
		return err
	}
	rules, err := f.rules(ctx, r.opts.Fetch)
	if err != nil {
		return fmt.Errorf("fetch: %w", err)
	}
	r.rules = rules
	r.prepare()
	defer func() { f.source.traffic.requests.Add(r.opts.Traffic.Requests()) }()
	return r.run(ctx, keys)
}

// fill is one Fill. Keys go from stage to stage:
//
//	pull -> look up -> join or begin a flight -> (the exchange) -> report
//
// No stage waits for a later one, except that no more keys are looked up while too many
// are under way.
type fill[K comparable, V any] struct {
	f           *Fetcher[K, V]
	opts        FillOptions
	rules       *exchange.Rules
	each        func(Filled[K])
	batches     *batcher[K, V]
	doubt       atomic.Bool  // absences are not believed yet
	answers     atomic.Int64 // that were of use
	tally       *exchange.Tally
	stop        context.CancelCauseFunc
	pulled      chan K
	unsavedMost int           // answers that may wait to be saved
	room        chan struct{} // holds an element for each flight under way
	flying      sync.WaitGroup

	mu       sync.Mutex
	reports  []report[K, V]
	panicked any  // of the user's code
	exited   bool // the user's code has ended its goroutine

	arrived chan struct{} // tells the reporter of reports
	backlog int           // what was not reported yet
	calm    sync.Cond     // tells of a backlog that has become small

	// Of the goroutine that reports.
	taken    []report[K, V]    // that are being reported
	next     int               // of these
	doubted  []exchange.Result // absences that are not believed yet
	again    []again[K, V]     // keys to be looked up once more
	answered int64             // answers of use before the last failure
	row      int               // failures since the last answer of use
	unsaved  int               // answers that could not be saved since one was
}

// report tells that the flight of a chunk's i-th key has landed, or without a chunk what
// became of a key.
type report[K comparable, V any] struct {
	chunk   *chunk[K, V]
	i       int
	key     K
	status  Status
	err     error
	answers int64 // of use, before it
}

func (r *fill[K, V]) prepare() {
	if r.opts.Traffic == nil {
		r.opts.Traffic = &Traffic{}
	}
	limited := r.f.source.limited(cmp.Or(r.opts.Concurrency, r.f.opts.Concurrency), r.opts.Traffic)
	r.batches = newBatcher(r.f, heldWithin)
	r.batches.source = limited
	r.batches.most = cap(limited.slots)
	window := 2 * lookupBatch
	r.unsavedMost = mostUnsaved
	if limited.BatchSize() > 1 {
		r.batches.most *= 2 // while one answer is taken apart, another request is sent
		r.unsavedMost = max(mostUnsaved, cap(limited.slots)*limited.BatchSize())
		window = heldFlights + r.batches.most*limited.BatchSize()
	}
	r.doubt.Store(!r.opts.BelieveAbsent)
	r.tally = r.f.table.Exchange().NewTally()
	r.pulled = make(chan K, lookupBatch)
	r.room = make(chan struct{}, window)
	r.arrived = make(chan struct{}, 1)
	r.calm.L = &r.mu
}

// run pulls keys on the calling goroutine, and waits until all have been reported.
func (r *fill[K, V]) run(parent context.Context, keys iter.Seq[K]) error {
	ctx, stop := context.WithCancelCause(parent)
	defer stop(nil)
	r.stop = stop
	defer context.AfterFunc(r.f.client.closing.ctx, func() { r.abort(fmt.Errorf("fetch: %w", ErrClosed)) })()
	defer context.AfterFunc(r.f.table.Exchange().Closing(), func() { r.abort(fmt.Errorf("fetch: %w", exchange.ErrClosed)) })()
	lookedUp, reported := make(chan struct{}), make(chan struct{})
	go r.lookUp(ctx, lookedUp)
	go r.report(ctx, lookedUp, reported)
	complete := false
	func() {
		defer func() { // also if the sequence panics
			if !complete {
				stop(nil)
			}
			close(r.pulled)
			<-reported
		}()
		complete = r.pull(ctx, keys)
	}()
	if r.panicked != nil {
		panic(r.panicked)
	}
	var fatal *fatalError
	switch cause := context.Cause(ctx); {
	case errors.As(cause, &fatal):
		return fatal.err
	case cause != nil:
		return ended(parent)
	}
	return nil
}

// fatalError is the cause of a run's own end, as opposed to its context's.
type fatalError struct{ err error }

func (e *fatalError) Error() string { return e.err.Error() }

func (r *fill[K, V]) abort(err error) { r.stop(&fatalError{err}) }

// pull sends the keys on, and reports whether these were all.
func (r *fill[K, V]) pull(ctx context.Context, keys iter.Seq[K]) bool {
	for key := range keys {
		r.pulled <- key // lookUp receives until the end
		if ctx.Err() != nil {
			return false
		}
	}
	return true
}

// lookUp looks up the keys that have come while it looked up those before, so that it
// neither waits for more of a slow sequence nor asks for few of a fast one. It ends when
// no more will be reported. Where the user's code ends the goroutine, another one cancels
// the rest.
func (r *fill[K, V]) lookUp(ctx context.Context, ended chan<- struct{}) {
	complete := false
	defer func() {
		if complete {
			close(ended)
			return
		}
		r.exits()
		go r.lookUp(ctx, ended)
	}()
	c := r.newChunk()
	for open := true; open; {
		r.awaitCalm()
		c.keys, open = r.receive(c.keys[:0])
		switch {
		case ctx.Err() != nil:
			r.cancel(c.keys)
		case len(c.keys) == 0:
			r.batches.flush()
		case !r.begin(ctx, c):
			c = r.newChunk()
		}
	}
	r.batches.end() // also where the run has ended: those flights land without a request
	r.flying.Wait()
	complete = true
}

// awaitCalm waits until no more than a few chunks are to be reported.
func (r *fill[K, V]) awaitCalm() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.backlog > mostReports {
		r.calm.Wait()
	}
}

// reported tells that n keys were reported.
func (r *fill[K, V]) reported(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.backlog -= n; r.backlog <= mostReports {
		r.calm.Signal()
	}
}

// receive adds the keys that have come to keys, or those that come next, none where
// flights wait for others and no key comes for a while.
func (r *fill[K, V]) receive(keys []K) (_ []K, open bool) {
	var idle <-chan time.Time
	if r.batches.waiting() > 0 {
		timer := time.NewTimer(heldIdle)
		defer timer.Stop()
		idle = timer.C
	}
	select {
	case key, ok := <-r.pulled:
		if !ok {
			return keys, false
		}
		keys = append(keys, key)
	case <-idle:
		return keys, true
	}
	for len(keys) < lookupBatch {
		select {
		case key, ok := <-r.pulled:
			if !ok {
				return keys, false
			}
			keys = append(keys, key)
		default:
			return keys, true
		}
	}
	return keys, true
}

func (r *fill[K, V]) cancel(keys []K) {
	for _, key := range keys {
		r.done(key, Cancelled, nil)
	}
}

// done has the reporter tell what became of a key.
func (r *fill[K, V]) done(key K, status Status, err error) {
	r.tell(report[K, V]{key: key, status: status, err: err})
}

func (r *fill[K, V]) tell(one report[K, V]) {
	one.answers = r.answers.Load()
	r.mu.Lock()
	r.reports = append(r.reports, one)
	r.backlog++
	r.mu.Unlock()
	select {
	case r.arrived <- struct{}{}:
	default:
	}
}

// begin looks the keys of a chunk up and begins the flights of those that are missing.
// It reports whether the chunk can be used again. A panic of the keys' or the endpoint's
// own code is Fill's.
func (r *fill[K, V]) begin(ctx context.Context, c *chunk[K, V]) (free bool) {
	defer r.catch()
	if err := c.prepare(ctx); err != nil {
		r.abort(err)
		r.cancel(c.keys)
		return false
	}
	return c.fly(ctx)
}

// again is a key of a chunk that is looked up once more: its flight has brought no answer, and
// the store may have one.
type again[K comparable, V any] struct {
	chunk *chunk[K, V]
	i     int
}

// lookUpAgain looks those keys up together.
func (r *fill[K, V]) lookUpAgain(ctx context.Context) {
	if len(r.again) == 0 {
		return
	}
	c := r.newChunk()
	c.again, r.again = r.again, nil
	for _, a := range c.again {
		c.keys = append(c.keys, a.chunk.keys[a.i])
	}
	go func() {
		defer r.flying.Add(-len(c.keys))
		r.begin(ctx, c)
		r.batches.flush()
	}()
}

// report tells of keys until there are no more to come. Where the user's function ends
// the goroutine, another one goes on without it.
func (r *fill[K, V]) report(ctx context.Context, ended <-chan struct{}, reported chan<- struct{}) {
	complete := false
	defer func() {
		if !complete {
			go r.report(ctx, ended, reported)
			return
		}
		r.tally.Tell(ctx, r.f.table, 0) // of what was found while its report was told
		r.believe(ctx)
		close(reported)
	}()
	for {
		for r.next < len(r.taken) {
			one := r.taken[r.next]
			r.next++
			r.reportOne(ctx, one)
		}
		r.lookUpAgain(ctx)
		r.reported(len(r.taken))
		r.tally.Tell(ctx, r.f.table, 0)
		clear(r.taken)
		r.mu.Lock()
		r.taken, r.reports, r.next = r.reports, r.taken[:0], 0
		r.mu.Unlock()
		if len(r.taken) > 0 {
			continue
		}
		select {
		case <-r.arrived:
		case <-ended:
			r.mu.Lock()
			left := len(r.reports)
			r.mu.Unlock()
			if left == 0 {
				complete = true
				return
			}
		}
	}
}

func (r *fill[K, V]) reportOne(ctx context.Context, one report[K, V]) {
	if one.chunk != nil {
		one.chunk.settle(ctx, one.i, one.answers)
		return
	}
	filled := Filled[K]{Key: one.key, Status: one.status, Err: one.err}
	if filled.Status == Failed {
		filled.FailedInRow = r.failed(one.answers)
	}
	r.call(filled)
}

// failed returns how many keys have failed in a row, with one before which there were so
// many answers of use.
func (r *fill[K, V]) failed(answers int64) int {
	if answers != r.answered {
		r.answered, r.row = answers, 0
	}
	r.row++
	return r.row
}

// call calls the user's function, whose panic is that of Fill.
func (r *fill[K, V]) call(filled Filled[K]) {
	r.mu.Lock()
	ended := r.panicked != nil || r.exited
	r.mu.Unlock()
	if ended {
		return
	}
	returned := false
	defer func() {
		if p := recover(); p != nil {
			r.panics(p)
		} else if !returned {
			r.exits()
		}
	}()
	r.each(filled)
	returned = true
}

// exits ends the run as the user's code has ended a goroutine of it.
func (r *fill[K, V]) exits() {
	r.mu.Lock()
	r.exited = true
	r.mu.Unlock()
	r.abort(errEnded)
}

// catch, deferred around the user's code, ends the run after a panic.
func (r *fill[K, V]) catch() {
	if p := recover(); p != nil {
		r.panics(p)
	}
}

// panics ends the run with a panic of the user's code.
func (r *fill[K, V]) panics(p any) {
	r.mu.Lock()
	r.panicked = p
	r.mu.Unlock()
	r.stop(nil)
}

// believe removes, or remembers to be absent, the keys that the origin has nothing for,
// once it is not in doubt any more.
func (r *fill[K, V]) believe(ctx context.Context) {
	if len(r.doubted) == 0 || context.Cause(ctx) != nil && !r.opts.BelieveAbsent && r.doubt.Load() {
		return
	}
	if err := r.f.current().SaveAbsences(context.WithoutCancel(ctx), r.doubted); err != nil {
		r.storeFailed(err)
	}
	r.doubted = nil
}

func (r *fill[K, V]) storeFailed(err error) {
	if !r.opts.Unsaved {
		r.abort(fmt.Errorf("fetch: fill: %w", err))
	}
}
