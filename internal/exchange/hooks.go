package exchange

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/hooks"
	"github.com/endpointcache/endpointcache/internal/errortype"
)

// told calls a hook, which is not nil. One that panics does no harm.
func told[E any](ctx context.Context, x *Exchange, hook func(context.Context, E), e E) {
	defer x.recovered()
	hook(ctx, e)
}

// toldApart is told on a goroutine of the hook's own, which it may end, as a test's FailNow does:
// the caller's has more to do.
func toldApart[E any](ctx context.Context, x *Exchange, hook func(context.Context, E), e E) {
	apart(func() { told(ctx, x, hook, e) })
}

// apart runs a function on a goroutine of its own, and reports whether it has returned.
func apart(run func()) (returned bool) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		run()
		returned = true
	}()
	<-ended
	return returned
}

// recovered, deferred around a hook, ends its panic.
func (x *Exchange) recovered() {
	if p := recover(); p != nil {
		x.counts.panics.Add(1)
		x.log.Error("endpointcache: panic in a hook", "panic", fmt.Sprint(p))
	}
}

// errorType is the kind of an error, for events.
func errorType(err error) string {
	if err == nil {
		return ""
	}
	var panicked *panicError
	switch {
	case errors.Is(err, ErrStoreSlow):
		return "timeout"
	case errors.Is(err, ErrGivenUp), errors.Is(err, ErrCanceled):
		return "cancelled"
	case errors.As(err, &panicked):
		return "panic"
	}
	return errortype.Of(err)
}

// Began is the time at which a door's call begins. Where nobody wants to know of answers it is
// zero, which costs nothing.
func (x *Exchange) Began() time.Time {
	if x.opts.Hooks.Answered == nil {
		return time.Time{}
	}
	return time.Now()
}

// tellAnswered tells of answers to keys of a table, nil for none.
func (x *Exchange) tellAnswered(ctx context.Context, t *Table, r hooks.Result, keys int, took time.Duration) {
	if hook := x.opts.Hooks.Answered; hook != nil && keys > 0 {
		a := hooks.Answer{Store: x.opts.Store, Result: r, Keys: keys, Duration: took}
		if t != nil {
			a.Repository = t.Name
		}
		told(ctx, x, hook, a)
	}
}

// TellResult tells of the answer to a typed call that began at an instant.
func (t *Table) TellResult(ctx context.Context, r *Result, began time.Time) {
	if began.IsZero() {
		return
	}
	t.x.tellAnswered(ctx, t, t.x.kindOf(r), 1, time.Since(began))
}

// kindOf is the kind of a result.
func (x *Exchange) kindOf(r *Result) hooks.Result {
	switch r.Kind {
	case Hit:
		return x.kindOfHit(&r.Entry)
	case Ended:
		return hooks.Cancelled
	case Failed:
		return kindOfError(r.Err)
	case Stale:
		return hooks.Stale
	default:
	}
	return kindOfAnswer(r.Entry.Status, r.Kind == Confirmed, r.joined)
}

// kindOfHit is the kind of an answer from the store.
func (x *Exchange) kindOfHit(e *driver.Entry) hooks.Result {
	switch {
	case !e.Live(x.Now()):
		return hooks.Stale
	case Gone(e.Status):
		return hooks.Absent
	}
	return hooks.Fresh
}

func kindOfError(err error) hooks.Result {
	switch {
	case errors.Is(err, ErrUnanswered):
		return hooks.Unanswered
	case errors.Is(err, ErrClosed), errors.Is(err, ErrCanceled), errors.Is(err, ErrGivenUp), errors.Is(err, context.Canceled):
		return hooks.Cancelled
	}
	return hooks.Failed
}

// kindOfAnswer is the kind of an answer for which the origin was asked.
func kindOfAnswer(status int, confirmed, joined bool) hooks.Result {
	switch {
	case status >= http.StatusBadRequest && !Gone(status):
		return hooks.Failed
	case joined:
		return hooks.Coalesced
	case confirmed:
		return hooks.Revalidated
	}
	return hooks.Fetched
}

// TellAnswer tells of the answer to a RoundTrip that began at an instant.
func (t *Table) TellAnswer(ctx context.Context, a *Answer, err error, began time.Time) {
	if began.IsZero() {
		return
	}
	var kind hooks.Result
	switch {
	case err != nil && ctx.Err() != nil:
		kind = hooks.Cancelled
	case err != nil:
		kind = kindOfError(err)
	case a.Response != nil:
		kind = kindOfAnswer(a.Response.StatusCode, false, a.joined)
	case a.Outcome.Detail != "":
		kind = hooks.Stale
	case a.Outcome.Hit:
		kind = t.x.kindOfHit(&a.Stored.Entry)
	default:
		kind = kindOfAnswer(a.Stored.Entry.Status, true, a.joined)
	}
	t.x.tellAnswered(ctx, t, kind, 1, time.Since(began))
}

// CountBypassed counts a request that is not for the cache.
func (x *Exchange) CountBypassed(ctx context.Context) {
	x.counts.bypassed.Add(1)
	x.tellAnswered(ctx, nil, hooks.Bypassed, 1, 0)
}

// CountUnanswered counts an answer that only the origin could give, which was not to be
// asked, to a request that belongs to no table.
func (x *Exchange) CountUnanswered(ctx context.Context) {
	x.counts.unanswered.Add(1)
	x.tellAnswered(ctx, nil, hooks.Unanswered, 1, 0)
}

// Tally counts answers to many keys by their kinds, so that they are told together. A nil
// Tally counts nothing. Many goroutines may use it at once.
type Tally struct {
	kinds [hooks.Results]atomic.Int64
}

// NewTally is nil where nobody wants to know.
func (x *Exchange) NewTally() *Tally {
	if x.opts.Hooks.Answered == nil {
		return nil
	}
	return new(Tally)
}

func (c *Tally) add(r hooks.Result) {
	if c != nil {
		c.kinds[r].Add(1)
	}
}

// Tell tells of what was counted since it was told before. Took is how long it took, 0 where
// nobody knows.
func (c *Tally) Tell(ctx context.Context, t *Table, took time.Duration) {
	if c == nil {
		return
	}
	for kind := range c.kinds {
		if n := c.kinds[kind].Swap(0); n > 0 {
			t.x.tellAnswered(ctx, t, hooks.Result(kind), int(n), took) //nolint:gosec // there are few
		}
	}
}

// hit counts an answer from the store.
func (m *Many) hit(e *driver.Entry) {
	m.x.counts.hits.Add(1)
	if m.Tally != nil {
		m.Tally.add(m.x.kindOfHit(e))
	}
}

// settled counts the result of a flight.
func (m *Many) settled(r *Result) {
	if m.Tally != nil {
		m.Tally.add(m.x.kindOf(r))
	}
}

// TellAll tells of the answers to a call for all of the asks that began at an instant. Those
// that have none are of a call that has ended before.
func (m *Many) TellAll(ctx context.Context, began time.Time) {
	if m.Tally == nil || len(m.Asks) == 0 {
		return
	}
	open := int64(len(m.Asks))
	for kind := range m.Tally.kinds {
		open -= m.Tally.kinds[kind].Load()
	}
	if open > 0 {
		m.Tally.kinds[hooks.Cancelled].Add(open)
	}
	m.Tally.Tell(ctx, m.Asks[0].Table, time.Since(began))
}

// Outgoing is a request to the origin that goes on, nil where nobody wants to know of it.
type Outgoing struct {
	x     *Exchange
	ended func(hooks.RequestEnd)
	once  sync.Once
	began time.Time

	received bool // there is a body, which ends it
}

// Begin tells that a request is made for a number of keys, with a context that was made of a
// flight's or a trip's. It returns the request's own.
func Begin(ctx context.Context, method string, keys int, conditional bool) (context.Context, *Outgoing) {
	f, _ := ctx.Value(flightOf{}).(*Flight)
	if f == nil || f.x.opts.Hooks.Requesting == nil {
		return ctx, nil
	}
	if method == "" {
		method = http.MethodGet
	}
	o := &Outgoing{x: f.x, began: time.Now()}
	derived := o.begin(ctx, hooks.Request{
		Repository: f.ask.Table.Name, Store: f.x.opts.Store,
		Method: method, Keys: keys, Conditional: conditional, Background: f.renews,
	})
	if derived != nil {
		ctx = derived
	}
	return ctx, o
}

func (o *Outgoing) begin(ctx context.Context, r hooks.Request) (derived context.Context) {
	defer o.x.recovered()
	derived, o.ended = o.x.opts.Hooks.Requesting(ctx, r)
	return derived
}

// flightOf is the key of the flight in the context of its request, or the first one in that of
// its trip.
type flightOf struct{}

// End tells how a request has ended: with a response whose body has that many bytes, or without
// one. Only the first end counts.
func (o *Outgoing) End(resp *http.Response, attempts int, bytes int64, err error) {
	if o == nil || o.ended == nil {
		return
	}
	o.once.Do(func() {
		e := hooks.RequestEnd{Attempts: attempts, Bytes: bytes, ErrorType: errorType(err), Duration: time.Since(o.began)}
		if resp != nil {
			e.Status = resp.StatusCode
		}
		if e.Status >= http.StatusBadRequest {
			e.ErrorType = strconv.Itoa(e.Status)
		}
		defer o.x.recovered()
		o.ended(e)
	})
}

// Abandon ends a request that has neither ended nor a body, as the user's code has panicked.
func (o *Outgoing) Abandon() {
	if o != nil && !o.received {
		o.End(nil, 1, 0, errEnded)
	}
}

// Receives is End for a response whose body is read by others: then it ends with the body.
func (o *Outgoing) Receives(resp *http.Response, err error) {
	switch {
	case o == nil, o.ended == nil:
	case err != nil, resp == nil, resp.Body == nil, resp.Body == http.NoBody, resp.StatusCode == http.StatusSwitchingProtocols:
		o.End(resp, 1, 0, err)
	default:
		o.received = true
		resp.Body = &measuredBody{ReadCloser: resp.Body, of: o, resp: resp}
	}
}

// measuredBody tells of the end of a body.
type measuredBody struct {
	io.ReadCloser
	of   *Outgoing
	resp *http.Response
	n    atomic.Int64
}

// Read implements [io.Reader].
func (b *measuredBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	total := b.n.Add(int64(n))
	switch {
	case errors.Is(err, io.EOF):
		b.of.End(b.resp, 1, total, nil)
	case err != nil:
		b.of.End(b.resp, 1, total, err)
	}
	return n, err
}

// Close implements [io.Closer].
func (b *measuredBody) Close() error {
	err := b.ReadCloser.Close()
	b.of.End(b.resp, 1, b.n.Load(), nil)
	return err
}

// renewing counts and tells that a renewal begins in the background.
func (x *Exchange) renewing(f *Flight) {
	x.counts.renewed.Add(1)
	if hook := x.opts.Hooks.Renewing; hook != nil {
		toldApart(f.values, x, hook, hooks.Renewal{Repository: f.ask.Table.Name, Store: x.opts.Store, Outcome: hooks.RenewalBegun})
	}
}

// tellRenewed tells how a renewal has ended, where the flight is one.
func (f *Flight) tellRenewed() {
	hook := f.x.opts.Hooks.Renewing
	if !f.renews || hook == nil {
		return
	}
	outcome := hooks.RenewalFailed
	switch {
	case f.err != nil, f.decodeErr != nil, f.panicked != nil:
	case f.elsewhere:
		outcome = hooks.RenewalFetched
	case f.used != nil:
		if f.outcome.Detail == "" {
			outcome = hooks.RenewalConfirmed
		}
	case f.resp != nil && (f.body == nil || f.body.err == nil) && (f.resp.StatusCode < http.StatusBadRequest || Gone(f.resp.StatusCode)):
		outcome = hooks.RenewalFetched
	}
	toldApart(f.values, f.x, hook, hooks.Renewal{Repository: f.ask.Table.Name, Store: f.x.opts.Store, Outcome: outcome, Duration: time.Since(f.begun)})
}

// evicted tells of entries that have left.
func (x *Exchange) evicted(table string, reason hooks.Reason, gone driver.Size) {
	if hook := x.opts.Hooks.Evicted; hook != nil && gone.Entries > 0 {
		toldApart(x.running.ctx, x, hook, hooks.Eviction{Repository: table, Store: x.opts.Store, Reason: reason, Entries: gone.Entries, Bytes: gone.Bytes})
	}
}

// damaged counts and tells of damaged entries.
func (x *Exchange) damaged(table string, n int) {
	x.counts.damaged.Add(int64(n))
	if hook := x.opts.Hooks.Damaged; hook != nil {
		toldApart(x.running.ctx, x, hook, hooks.Damage{Repository: table, Store: x.opts.Store, Entries: n})
	}
}

// storeFailed counts and tells of an operation on the store that was of no use.
func (x *Exchange) storeFailed(ctx context.Context, t *Table, op string, err error) {
	x.counts.storeErrors.Add(1)
	if hook := x.opts.Hooks.StoreFailed; hook != nil {
		toldApart(ctx, x, hook, hooks.StoreFailure{
			Repository: t.Name, Store: x.opts.Store, Operation: op,
			Skipped: errors.Is(err, ErrStoreDown), ErrorType: errorType(err),
		})
	}
}

// storeState tells whether the store is left alone, nil where that has not changed.
func (x *Exchange) storeState(s *hooks.StoreState) {
	if hook := x.opts.Hooks.StoreState; hook != nil && s != nil {
		s.Store = x.opts.Store
		toldApart(x.running.ctx, x, hook, *s)
	}
}

// tellLeases tells what has become of the leases of flights of one table, for which they have
// waited so long at most.
func tellLeases(outcome hooks.LeaseOutcome, flights []*Flight, waited time.Duration) {
	if len(flights) == 0 {
		return
	}
	f := flights[0]
	if hook := f.x.opts.Hooks.Lease; hook != nil {
		toldApart(f.values, f.x, hook, hooks.LeaseEvent{
			Repository: f.ask.Table.Name, Store: f.x.opts.Store, Keys: len(flights), Outcome: outcome, Waited: waited,
		})
	}
}

// tellWaited is tellLeases for flights that have waited.
func tellWaited(outcome hooks.LeaseOutcome, waiting []*queued) {
	var waited time.Duration
	for _, w := range waiting {
		waited = max(waited, leaseNow().Sub(w.since))
	}
	tellLeases(outcome, flightsOf(waiting), waited)
}

// Prefetching tells that a prefetch begins. It returns what is to be told of its progress, nil
// where nobody wants to know.
func (t *Table) Prefetching(ctx context.Context) func(hooks.Progress) {
	hook := t.x.opts.Hooks.Prefetching
	if hook == nil {
		return nil
	}
	tell := func() func(hooks.Progress) {
		defer t.x.recovered()
		return hook(ctx, hooks.Prefetch{Repository: t.Name, Store: t.x.opts.Store})
	}()
	if tell == nil {
		return nil
	}
	return func(p hooks.Progress) {
		defer t.x.recovered()
		tell(p)
	}
}
