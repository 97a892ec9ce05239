package exchange

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/rfc9111"
	"github.com/endpointcache/endpointcache/policy"
)

var (
	// ErrGivenUp is the error of a request that nobody waits for any more.
	ErrGivenUp = errors.New("nobody waits for the response any more")

	errEnded = errors.New("a function of the declaration or of the client has ended the request's goroutine")

	// ErrCanceled is the error of a caller whose Ask.Cancel was closed.
	ErrCanceled = errors.New("request cancelled")
)

// Flight is one request to the origin for one key, on behalf of one caller or of
// several. It depends on the context of none: it ends when no caller waits for it any
// more.
type Flight struct {
	x           *Exchange
	ask         Ask             // of the caller that began it, with a request of its own
	old         *Stored         // what is stored; may be nil
	conditional bool            // the origin is asked whether old still holds
	part        *Stored         // what is stored of the response, and is no answer; may be nil
	rest        *rfc9111.Span   // what part lacks, and the origin is asked for; nil: for all
	renews      bool            // it has begun in the background
	begun       time.Time       // when it has, by the process's own clock
	send        Send            // nil: the door answers it, see [Flight.Answer]
	values      context.Context // has the values of the first caller's, and does not end
	ctx         context.Context
	cancel      context.CancelCauseFunc // nil: it has no request of its own, see trip
	share       Share                   // of the memory for bodies
	outdated    atomic.Bool             // its answer must not be saved
	given       atomic.Bool             // its decoded value was given to a caller
	lease       *lease                  // guarded by the leases' lock, as is unleased; nil: it has none
	unleased    bool                    // it gets none any more
	selected    string                  // the variant that it has a lease for; empty: for all of the key

	// Guarded by the flights' lock.
	next       *Flight       // of the same key, older
	joinable   bool          // callers that want the key share it
	wanted     string        // the variant that callers share it for, where it is not joinable; see [Exchange.apartFrom]
	linked     bool          // it is among the flights of its key
	overtakes  bool          // there were others, which it was asked after
	sent       bool          // the request is on its way
	headed     bool          // there is an answer, perhaps without its body yet
	landed     bool          // nothing of it goes on, except a save that is late
	saving     bool          // the store may get it yet
	abandoned  bool          // nobody waits, and its request may end
	callers    int           // that wait for it or read from it
	readers    int           // of these, that want to read a response as it comes
	finishing  *time.Timer   // ends it a while after the last caller has left; nil until then
	overdue    bool          // finishing went off while a caller read
	background bool          // Close waits for it
	goesOn     bool          // it goes on though nobody waits, as long as finishing lets it
	trip       *Trip         // of several flights that share a request
	wake       chan struct{} // closed at the next change of headed, landed or saving; nil where nobody waits
	waiters    []waiting     // are told when it has landed

	answer
}

// answer is how a flight ends: it is one of an error, a stored response, a response
// that is being kept or shared, and one for the first caller alone.
type answer struct {
	elsewhere bool // another process has asked: what it has stored is the answer
	err       error
	failure   error // that used has stood in for
	used      *Stored
	outcome   Outcome     // of used
	cookies   http.Header // of the 304 that confirmed used, for the first caller alone
	resp      *http.Response
	trailer   http.Header   // that resp announces
	like      *Flight       // one of the same response, see [Flight.likeness]
	stream    bool          // resp does not end
	asked     time.Time     // when the request was sent
	asOfAsk   time.Time     // the same, after all invalidations before
	answered  time.Time     // when the answer came
	age       time.Duration // how old it was then
	body      *body         // of a resp that is being kept or shared
	whole     bool          // the body has come with the response
	foreign   bool          // it is the answer of a host that may not answer for the table
	complete  bool          // all of the body has come
	kept      bool          // the policy lets it be stored
	personal  bool          // the answer may be the first caller's own, see [Table.MayCross]
	close     func() error  // closes the body of one that is neither

	interrupt func() error // closes a body that is being kept, guarded by the flights' lock
	variant   string       // of resp, where it varies
	coding    string       // of the request, where resp is coded

	exchange  policy.Exchange // of resp, for the policies
	save      saveKind
	doubted   saveKind       // what is saved once it is believed
	stored    *Stored        // the variant that is saved
	entry     driver.Entry   // of a resp whose body has come
	saved     []byte         // its payload as it is saved
	renewed   driver.Renewal // of used
	value     any            // decoded of the entry, for typed callers
	tags      string         // of the entry, as its note has them
	decodeErr error          // why there is no value
	panicked  any            // of the declaration's functions
	saveErr   error
}

// Waiter is told of flights that have landed.
type Waiter interface {
	// Landed is called once for each flight that was joined with this index, by a
	// goroutine that must not be held up.
	Landed(i int, f *Flight)
}

type waiting struct {
	waiter Waiter
	i      int
}

// change is a channel that is closed at the flight's next change. The lock is held.
func (f *Flight) change() <-chan struct{} {
	if f.wake == nil {
		f.wake = make(chan struct{})
	}
	return f.wake
}

// changed wakes the goroutines that wait. The lock is held.
func (f *Flight) changed() {
	if f.wake != nil {
		close(f.wake)
		f.wake = nil
	}
}

// beginSave reports whether the flight may be saved. If so, endSave is due.
func (f *Flight) beginSave() bool {
	fs := &f.x.flights
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if f.outdated.Load() {
		return false
	}
	f.saving = true
	return true
}

func (f *Flight) endSave() {
	fs := &f.x.flights
	fs.mu.Lock()
	defer fs.mu.Unlock()
	f.saving = false
	if f.landed {
		fs.unlink(f)
	}
	f.changed()
}

// joined counts one more caller. The flights' lock is held.
func (f *Flight) joined(a *Ask) {
	f.callers++
	f.countReader(a, 1)
	if f.body != nil && !a.Values {
		f.body.await(1)
	}
	if f.background { // it goes on for that caller now, not for the cache
		f.background = false
		f.x.running.leave()
	}
}

func (f *Flight) countReader(a *Ask, n int) {
	if !a.Values {
		f.readers += n
	}
}

// abandon is release for a caller that has not begun to read. It reports whether the
// flight goes on for others, or until there is an answer.
func (f *Flight) abandon(a *Ask) (goesOn bool) {
	fs := &f.x.flights
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if f.body != nil && !a.Values {
		f.body.await(-1)
	}
	f.countReader(a, -1)
	f.releaseLocked()
	return !f.landed && !f.abandoned && (f.callers > 0 || f.body == nil)
}

// release tells that the reader of a response needs the flight no more. When nobody
// does, it ends, unless there is a body that is worth being read to its end.
func (f *Flight) release() {
	fs := &f.x.flights
	fs.mu.Lock()
	defer fs.mu.Unlock()
	f.readers--
	f.releaseLocked()
}

func (f *Flight) releaseLocked() {
	f.callers--
	if f.callers > 0 || f.finishes() {
		return
	}
	f.x.flights.forget(f)
	f.end(ErrGivenUp)
}

// leaveToItself is release for a caller that has another answer, and wants that of the
// origin to be saved nevertheless.
func (f *Flight) leaveToItself(a *Ask) {
	fs := &f.x.flights
	fs.mu.Lock()
	defer fs.mu.Unlock()
	f.countReader(a, -1)
	if f.body != nil && !a.Values { // it has come just now
		f.body.await(-1)
	}
	if !f.landed && f.close == nil && !f.goesOn { // also where others wait, and give up
		f.goesOn = true
		if f.finishing != nil {
			f.finishing.Stop()
		}
		f.finishing = time.AfterFunc(f.x.opts.RenewTimeout, f.endUnused)
	}
	f.releaseLocked()
}

// end ends the request of a flight that nobody needs. The lock is held.
func (f *Flight) end(cause error) {
	if f.abandoned {
		return
	}
	f.abandoned = true
	switch {
	case f.trip != nil:
		f.trip.leave()
	case f.cancel != nil:
		f.cancel(cause)
	case !f.landed: // it still waits for others to share a request with
		f.err = cause
		go f.land() // which takes the lock
	}
	if f.close != nil {
		go f.close() //nolint:errcheck // nobody is left to be told
	}
	if f.interrupt != nil {
		go f.interrupt() //nolint:errcheck // nobody is left to be told
	}
}

// finishes lets a flight that nobody needs any more go on in the background, for a
// limited time, and reports whether it may. The flights' lock is held.
func (f *Flight) finishes() bool {
	switch {
	case f.landed, f.close != nil, f.abandoned:
		return false
	case f.body == nil && (f.finishing == nil || f.overdue): // and does not go on anyway, or is late
		return false
	case f.body != nil && !f.body.useful():
		return false
	case !f.background && !f.x.running.enter():
		return false
	}
	f.background = true
	switch {
	case f.finishing == nil:
		f.finishing = time.AfterFunc(f.x.opts.FinishTimeout, f.endUnused)
	case f.overdue || !f.goesOn:
		f.finishing.Reset(f.x.opts.FinishTimeout)
	}
	f.overdue = false
	return true
}

// endUnused ends a flight that nobody needs.
func (f *Flight) endUnused() {
	fs := &f.x.flights
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if f.callers > 0 {
		f.overdue = true
		return
	}
	fs.forget(f)
	f.end(ErrGivenUp)
}

// unused reports whether the flight goes on only to be saved. With end, nobody can join
// it any more then.
func (f *Flight) unused(end bool) bool {
	fs := &f.x.flights
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if f.callers > 0 {
		return false
	}
	if end {
		fs.forget(f)
	}
	return true
}

// land ends the flight. What is left is at most a response that its caller reads from
// the origin itself.
func (f *Flight) land() {
	fs := &f.x.flights
	fs.mu.Lock()
	if f.landed {
		fs.mu.Unlock()
		return
	}
	f.landed, f.headed = true, true
	if f.ask.wantsNews() && (f.kept && f.variant == "" || f.tellsGone()) {
		for older := f.next; older != nil; older = older.next {
			older.outdated.Store(true) // it was asked before
		}
	}
	fs.forget(f)
	if !f.saving {
		fs.unlink(f)
	}
	if f.body != nil { // which may have come to another end
		if f.complete {
			f.body.finish(nil, f.resp.Trailer)
		} else {
			f.body.finish(errEnded, nil)
		}
	}
	if f.finishing != nil {
		f.finishing.Stop()
	}
	if f.background {
		f.x.running.leave()
	}
	if f.close == nil && f.cancel != nil {
		f.cancel(context.Canceled)
	}
	f.share.Release()
	f.changed()
	waiters := f.waiters
	f.waiters = nil
	asks := f.send != nil || f.trip != nil
	fs.mu.Unlock()
	if f.ask.Rules.lease > 0 {
		f.freeLease(f.isKept())
	}
	if asks {
		f.ask.Door.Landed(f)
	}
	f.tellRenewed()
	for _, w := range waiters {
		w.waiter.Landed(w.i, f)
	}
}

// markSent tells that the request is on its way: callers that want to know what the
// origin knows now do not join any more.
func (f *Flight) markSent() {
	fs := &f.x.flights
	fs.mu.Lock()
	defer fs.mu.Unlock()
	f.sentAt(f.x.Now())
}

// sentAt is called with the flights' lock held.
func (f *Flight) sentAt(now time.Time) {
	f.sent, f.asked, f.asOfAsk = true, now, f.x.stamp(now)
}

// head tells that there is an answer.
func (f *Flight) head() {
	fs := &f.x.flights
	fs.mu.Lock()
	defer fs.mu.Unlock()
	f.headed = true
	f.changed()
}

// announced is the length that the response announces, -1 for none.
func (f *Flight) announced() int64 {
	if f.resp == nil {
		return -1
	}
	return f.resp.ContentLength
}

// Context is that of a flight's own request.
func (f *Flight) Context() context.Context { return f.ctx }

// End ends a flight's own request.
func (f *Flight) End(cause error) { f.cancel(cause) }

// context is that of the request that the flight is answered by.
func (f *Flight) context() context.Context {
	if f.trip != nil {
		return f.trip.ctx
	}
	return f.ctx
}
