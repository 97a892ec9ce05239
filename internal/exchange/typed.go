package exchange

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/head"
	"github.com/endpointcache/endpointcache/policy"
)

// Kind is how a typed ask was answered.
type Kind uint8

// The kinds of result.
const (
	Pending   Kind = iota // there is no result yet
	Hit                   // from the store
	Confirmed             // from the store, as the origin has confirmed
	Fetched               // from the origin
	Stale                 // from the store, as the origin failed or was slow
	Failed                // see Result.Err
	Ended                 // the wait ended before there was an answer
)

// Result is the answer to an ask for a value. Its entry has a value, or tells by its
// status that the origin has nothing, or has failed.
type Result struct {
	Kind  Kind
	Entry driver.Entry // its payload is to be read only; without headers where it was not asked for
	Value any          // decoded of the entry, for this caller alone; nil: it is to be decoded

	// Response is the origin's, where it was just fetched; its body has been read.
	Response *http.Response

	// SaveErr is why the answer could not be saved.
	SaveErr error

	flight *Flight
	joined bool // another caller had begun the request

	Err   error // of Failed, Ended and Stale: why there is no other answer
	Panic any   // of a function of the declaration: it is that of each caller
}

// ErrTooLarge means that a body is too large to be held in memory, or does not end.
var ErrTooLarge = errors.New("the response's body is larger than the cache's limit, or does not end")

// DecodeError tells that the declaration cannot decode a body.
type DecodeError struct{ Err error }

func (e *DecodeError) Error() string { return "decode: " + e.Err.Error() }

// Unwrap returns the cause.
func (e *DecodeError) Unwrap() error { return e.Err }

// Value answers an ask for a value.
func (x *Exchange) Value(ctx context.Context, a *Ask) Result {
	if a.Rules.Use() == policy.Disabled {
		return x.aloneValue(ctx, a, nil)
	}
	if !a.Distrust && a.looked == 0 && a.Rules.plain() && a.Table.Keeps() {
		seen := x.flights.landings()
		r, err := x.liveValue(ctx, a)
		switch {
		case r.Kind != Pending:
			return r
		case err != nil:
			return x.valueBy(ctx, a, nil, seen)
		}
		return x.slowValue(ctx, a, seen)
	}
	return x.slowValue(ctx, a, x.seen(a))
}

// liveValue reads no more of an entry than its payload, where it is live. The error is
// the store's, which is not asked twice.
func (x *Exchange) liveValue(ctx context.Context, a *Ask) (Result, error) {
	a.keys[0] = a.Key
	a.sel = driver.Selection{Filter: driver.Filter{State: driver.Live, Now: instant(x.Now())}, Parts: driver.Payload}
	switch {
	case a.Meta:
		a.sel.Parts |= driver.Meta
	case a.Bare:
		a.sel.Parts = 0
	}
	err := a.Table.get(ctx, a.keys[:], &a.sel, a.visit)
	switch {
	case err != nil:
		if err := x.lookupFailed(ctx, a, err); err != nil {
			return Result{Kind: Ended, Err: err}, err
		}
		return Result{}, err
	case a.ok && a.useful(a.found.Status):
		x.counts.hits.Add(1)
		return Result{Kind: Hit, Entry: a.found}, nil
	}
	return Result{}, nil
}

func (a *Ask) visit(_ int, e driver.Entry) { a.found, a.ok = e, true }

// slowValue looks at all that is stored, and asks the origin where that is no answer.
func (x *Exchange) slowValue(ctx context.Context, a *Ask, seen int64) Result {
	s, err := x.lookup(ctx, a)
	if err != nil {
		return Result{Kind: Ended, Err: err}
	}
	return x.valueBy(ctx, a, s, seen)
}

// valueBy answers the ask by what is stored, nil for nothing, or by the origin.
func (x *Exchange) valueBy(ctx context.Context, a *Ask, s *Stored, seen int64) Result {
	conditional := false
	switch x.judge(a, s) {
	case serveIt:
		x.counts.hits.Add(1)
		return Result{Kind: Hit, Entry: s.Entry}
	case serveAndRenew:
		x.renew(ctx, a, s, seen)
		x.counts.hits.Add(1)
		return Result{Kind: Hit, Entry: s.Entry}
	case unanswered:
		x.counts.unanswered.Add(1)
		return Result{Kind: Failed, Err: ErrUnanswered}
	case revalidateIt:
		conditional = true
	default:
	}
	x.flights.mu.Lock()
	f, first := x.flights.join(a, seen, func() *Flight { return x.newFlight(ctx, a, s, conditional) })
	x.flights.mu.Unlock()
	if f == nil {
		a.looked++
		return x.Value(ctx, a)
	}
	if first {
		x.start(f)
	}
	return f.awaitValue(ctx, a, first)
}

func (x *Exchange) start(f *Flight) {
	if f.send != nil {
		go f.run()
	} else {
		f.ask.Door.Launch(f)
	}
}

// aloneValue answers the ask with a request of its own.
func (x *Exchange) aloneValue(ctx context.Context, a *Ask, old *Stored) Result {
	f := x.newFlight(ctx, a, old, false)
	x.flights.lone(f)
	x.start(f)
	return f.awaitValue(ctx, a, true)
}

func (f *Flight) awaitValue(ctx context.Context, a *Ask, first bool) Result {
	late, err := f.wait(ctx, a, true)
	switch {
	case err != nil:
		f.abandon(a)
		return Result{Kind: Ended, Err: err}
	case late:
		s := f.oldFor(a)
		f.x.counts.stale.Add(1)
		f.leaveToItself(a)
		return Result{Kind: Stale, Entry: s.Entry, Err: policy.ErrTimeout}
	}
	r, again := f.result(a, first)
	r.joined = !first
	f.abandon(a)
	switch again {
	case lookAgain:
		return f.x.Value(ctx, a)
	case askAlone:
		return f.x.aloneValue(ctx, a, f.oldFor(a))
	default:
		return r
	}
}

// next is what a caller does after its flight has landed.
type next uint8

const (
	settled   next = iota // it is an answer
	lookAgain             // the store has it
	askAlone              // the caller needs a request of its own
)

// result is what a flight that has landed is to a caller.
func (f *Flight) result(a *Ask, first bool) (Result, next) {
	if f.elsewhere {
		a.lookBelow()
		return Result{}, lookAgain
	}
	if f.panicked != nil {
		return Result{Kind: Failed, Panic: f.panicked, Err: &panicError{f.panicked}}, settled
	}
	if !first && (f.used != nil || f.err != nil || f.resp != nil) {
		if s, o := f.standsInFor(a, first); s != nil {
			return Result{Kind: Stale, Entry: s.Entry, Err: f.causeOf(o)}, settled
		}
		switch {
		case f.used != nil && f.used.bare && !a.Bare:
			a.looked++
			return Result{}, lookAgain
		case !f.suits(a):
			return Result{}, askAlone
		case f.resp != nil && !f.ask.Values && !a.useful(f.resp.StatusCode) && f.resp.StatusCode < 400:
			return Result{}, askAlone // a redirect, which typed callers follow
		}
		f.x.counts.shared.Add(1)
	}
	switch {
	case f.err != nil:
		return Result{Kind: Failed, Err: f.err}, settled
	case f.used != nil && f.outcome.Detail != "":
		return Result{Kind: Stale, Entry: f.used.Entry, Err: f.causeOf(f.outcome)}, settled
	case f.used != nil:
		return Result{Kind: Confirmed, Entry: f.used.Entry, SaveErr: f.saveErr}, settled
	case f.resp == nil:
		return Result{Kind: Failed, Err: errEnded}, settled
	case f.body == nil, f.body.isStream():
		return Result{Kind: Failed, Err: ErrTooLarge}, settled
	}
	if first {
		f.x.counts.misses.Add(1)
	}
	if f.body.err != nil {
		return Result{Kind: Failed, Err: f.body.err}, settled
	}
	r := Result{Kind: Fetched, Entry: f.entry, Response: f.resp, SaveErr: f.saveErr, flight: f}
	if f.decodeErr != nil {
		r.Kind, r.Err = Failed, &DecodeError{f.decodeErr}
		return r, settled
	}
	if !f.given.Swap(true) {
		r.Value = f.value
	}
	return r, settled
}

// causeOf is why the origin's answer was of no use, where something stored has stood in
// for it.
func (f *Flight) causeOf(o Outcome) error {
	if err := errors.Join(f.failure, f.err); err != nil {
		return err
	}
	return fmt.Errorf("the origin's status is %d %s", o.Status, http.StatusText(o.Status))
}

// Doubted reports whether the result is an absence that was not believed, see Ask.Doubt.
func (r *Result) Doubted() bool { return r.flight != nil && r.flight.doubted != saveNothing }

// HideCookies takes the cookies out of the result's entry where they are not for those who
// ask by the rules.
func (r *Result) HideCookies(rules *Rules) {
	if !rules.Cookies() {
		r.Entry.Header = head.StripCookies(r.Entry.Header)
	}
}

// Header is the encoded header of a result's entry, where the entry was not saved.
func (r *Result) Header() (string, error) {
	if r.Entry.Header != "" || r.Response == nil {
		return r.Entry.Header, nil
	}
	h := head.Of(r.Response)
	if r.flight != nil {
		h = r.flight.ask.Table.redacted(h)
	}
	return head.Encode(h)
}
