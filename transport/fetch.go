package transport

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/endpointcache/endpointcache/internal/rfc9111"
)

var (
	errGivenUp    = errors.New("transport: nobody waits for the response any more")
	errClosedBody = errors.New("transport: read on closed response body")
	errCanceled   = errors.New("transport: request cancelled")
)

// fetch is one request to the origin, on behalf of one caller or of several with
// the same key. It does not depend on the context of any: it ends when nobody is
// left who waits for it.
type fetch struct {
	t    *Transport
	call *call   // of the caller that began it, with a request of its own
	old  *stored // what is stored; may be nil
	asks bool    // whether the origin is asked if old still holds

	ctx      context.Context
	cancel   context.CancelFunc
	ready    chan struct{} // closed when there is an answer
	outdated atomic.Bool   // it must not be saved

	// Guarded by the flights' lock.
	key        flightKey
	shared     bool        // it is among the flights
	callers    int         // who wait for it or read from it
	finishing  *time.Timer // ends it when nobody reads any more; nil until then
	overdue    bool        // that went off while somebody did
	background bool        // Close waits for it
	landed     bool        // nothing of it goes on
	saving     bool        // the store may get it yet
	renewal    bool        // it was begun for nobody

	answer
}

// answer is how a fetch ends: it is one of an error, a stored response, a response
// that is being kept, and one for the first caller alone.
type answer struct {
	err      error
	used     *stored
	outcome  outcome  // of used
	cookies  []string // of the 304 that confirmed used, for the first caller alone
	resp     *http.Response
	trailer  http.Header   // that resp announces
	answered time.Time     // when resp came
	age      time.Duration // how old it was then
	content  *content      // of a resp that is being kept
	close    func() error  // closes the body of one that is not
	variant  string        // of resp, where it varies
}

// newFetch makes a fetch for the call. It shares nothing of the request: that is the
// caller's again as soon as the caller is answered, which may be before the fetch
// ends.
func (c *call) newFetch(old *stored, asks bool) *fetch {
	f := &fetch{t: c.t, old: old, asks: asks, ready: make(chan struct{})}
	f.ctx, f.cancel = context.WithCancel(context.WithoutCancel(c.context()))
	// The request is the caller's again as soon as it gives up.
	own := *c
	own.req = c.req.Clone(f.ctx)
	// With a Timeout, http.Client ends the request by it, beside its context.
	own.req.Cancel = nil //nolint:staticcheck // it is the first caller's alone
	own.caller = own.req
	f.call = &own
	return f
}

// fetch answers the call from the origin, together with others who ask the same.
// Seen is the count of fetches that had landed before the store was asked.
func (c *call) fetch(old *stored, asks bool, seen int64) (*http.Response, error) {
	if c.caller.Method == http.MethodHead && c.readOnly {
		return c.alone(old)
	}
	if !asks && (rfc9111.IsConditional(c.req.Header) || len(c.req.Header["Range"]) > 0) {
		return c.alone(old)
	}
	f, first := c.t.flights.join(c.flightKey(), seen, func() *fetch { return c.newFetch(old, asks) })
	if f == nil {
		c.looked++
		return c.do() // what was not stored may be by now
	}
	if first {
		go f.run()
	}
	return f.await(c, first)
}

// alone answers the call with a request of its own.
func (c *call) alone(old *stored) (*http.Response, error) {
	f := c.newFetch(old, false)
	f.callers = 1
	c.t.flights.add(c.flightKey(), f)
	go f.run()
	return f.await(c, true)
}

// renew fetches anew what s was, in the background. Seen is as for fetch.
func (t *Transport) renew(c *call, s *stored, seen int64) {
	if !t.enter() {
		return
	}
	var body io.ReadCloser // of its own: the caller's is closed with the answer
	if hasBody(c.req) {
		var err error
		if body, err = c.req.GetBody(); err != nil {
			t.leave()
			return
		}
	}
	begun := t.flights.begin(c.flightKey(), seen, func() *fetch {
		f := c.newFetch(s.clone(), rfc9111.HasValidator(s.head.Header))
		if body != nil {
			f.call.req.Body = body
		}
		f.background, f.renewal = true, true
		f.finishing = time.AfterFunc(t.opts.RevalidateTimeout, f.cancelUnused)
		t.counts.renewed.Add(1)
		go f.run()
		return f
	})
	if !begun {
		if body != nil {
			_ = body.Close()
		}
		t.leave()
	}
}

func hasBody(req *http.Request) bool { return req.Body != nil && req.Body != http.NoBody }

// await answers a caller, who is counted among f's, as soon as there is an answer.
func (f *fetch) await(c *call, first bool) (*http.Response, error) {
	select {
	case <-f.ready:
	case <-c.context().Done():
		return nil, f.givenUp(c, first, context.Cause(c.context()))
	case <-c.caller.Cancel: //nolint:staticcheck // some still use it
		return nil, f.givenUp(c, first, errCanceled)
	}
	if !first && !f.suits(c) {
		f.abandon()
		return c.alone(f.oldFor(c))
	}
	if first && f.resp != nil {
		f.t.counts.misses.Add(1)
	}
	switch {
	case f.content != nil:
		body, ok := f.content.read(c.context(), f.release)
		if !ok {
			f.abandon()
			return c.alone(nil)
		}
		f.t.shared(first, c)
		resp := f.response(c, body)
		if !first && !c.controls() { // they are the first caller's, as with a hit
			resp.Header.Del("Set-Cookie")
			resp.Header.Del("Set-Cookie2")
		}
		return resp, nil
	case f.resp != nil:
		body := f.direct(c)
		f.resp.Request, f.resp.Body = c.caller, body
		return f.resp, nil // nobody else has it
	}
	defer f.release()
	f.t.shared(first, c)
	if f.err != nil {
		return nil, f.err
	}
	resp, err := c.respond(f.used.clone(), f.outcome)
	if err == nil && first && f.cookies != nil {
		resp.Header["Set-Cookie"] = f.cookies
	}
	return resp, err
}

// givenUp ends the wait of a caller for an answer.
func (f *fetch) givenUp(c *call, first bool, err error) error {
	if !first { // else the base closes it
		closeBody(c.req)
	}
	f.abandon()
	return err
}

// shared counts a caller that is answered by another's fetch.
func (t *Transport) shared(first bool, c *call) {
	if !first {
		closeBody(c.req)
		t.counts.shared.Add(1)
	}
}

// suits reports whether the answer is one for another caller than the first.
func (f *fetch) suits(c *call) bool {
	switch {
	case f.err != nil:
		return !c.standsIn(f.oldFor(c), true)
	case f.used != nil && f.outcome.detail != "" && !c.standsIn(f.used, f.outcome.status == 0):
		return false // its own policy wants the failure
	case f.used != nil:
		return !c.controls() || c.matches(f.used)
	case f.content == nil, !c.controls() && !rfc9111.SameCoding(f.resp.Header, f.call.caller.Header, c.caller.Header):
		return false
	}
	return !c.controls() || !rfc9111.Varies(f.resp.Header) || f.variant == rfc9111.Variant(f.resp.Header, c.caller.Header)
}

// oldFor is what was stored, where it may be an answer for another caller.
func (f *fetch) oldFor(c *call) *stored {
	if f.old == nil || c.rules.serve != nil || c.controls() && !c.matches(f.old) {
		return nil
	}
	return f.old.clone()
}

// response is the origin's response for a caller.
func (f *fetch) response(c *call, body *reader) *http.Response {
	resp := *f.resp
	resp.Header, resp.Trailer = f.resp.Header.Clone(), f.trailer.Clone()
	resp.Request = c.caller
	resp.Body = body
	body.resp = &resp
	return &resp
}

// joined counts one more caller. The flights' lock is held.
func (f *fetch) joined() {
	f.callers++
	if f.content != nil {
		f.content.await(1)
	}
	if f.background { // it goes on for that caller now, not for the cache
		f.background = false
		f.t.leave()
	}
}

// abandon is release for a caller who has not begun to read.
func (f *fetch) abandon() {
	f.t.flights.mu.Lock()
	defer f.t.flights.mu.Unlock()
	if f.content != nil {
		f.content.await(-1)
	}
	f.releaseLocked()
}

// release tells that a caller needs the fetch no more. When nobody does, it ends,
// unless there is a body that is worth being read to its end.
func (f *fetch) release() {
	f.t.flights.mu.Lock()
	defer f.t.flights.mu.Unlock()
	f.releaseLocked()
}

func (f *fetch) releaseLocked() {
	f.callers--
	if f.callers > 0 || f.goesOn() {
		return
	}
	f.t.flights.forgetLocked(f)
	f.cancel()
	if f.close != nil {
		go f.close() //nolint:errcheck // nobody is left to be told
	}
}

// goesOn lets a fetch that nobody needs any more go on in the background, for a
// limited time, and reports whether it may. The flights' lock is held.
func (f *fetch) goesOn() bool {
	switch {
	case f.landed, f.close != nil:
		return false
	case f.content == nil && (f.finishing == nil || f.overdue): // and is no renewal, or a late one
		return false
	case f.content != nil && !f.content.useful():
		return false
	case !f.background && !f.t.enter():
		return false
	}
	f.background = true
	switch {
	case f.finishing == nil:
		f.finishing = time.AfterFunc(f.t.opts.FinishTimeout, f.cancelUnused)
	case f.overdue || !f.renewal:
		f.finishing.Reset(f.t.opts.FinishTimeout)
	}
	f.overdue = false
	return true
}

// cancelUnused ends a fetch that nobody needs.
func (f *fetch) cancelUnused() {
	fl := &f.t.flights
	fl.mu.Lock()
	defer fl.mu.Unlock()
	if f.callers > 0 {
		f.overdue = true
		return
	}
	fl.forgetLocked(f)
	f.cancel()
}

// unused reports whether the fetch goes on only to be saved. With end, nobody can
// join it any more then.
func (f *fetch) unused(end bool) bool {
	fl := &f.t.flights
	fl.mu.Lock()
	defer fl.mu.Unlock()
	if f.callers > 0 {
		return false
	}
	if end {
		fl.forgetLocked(f)
	}
	return true
}

// directBody is the origin's body, for one caller. When the caller's context
// ends, so does the request.
type directBody struct {
	body    io.Reader
	close   func() error
	ctx     context.Context
	stop    func() bool
	release func()
}

func (f *fetch) direct(c *call) io.ReadCloser {
	release := sync.OnceFunc(f.release)
	return &directBody{
		body:    f.resp.Body,
		close:   f.close,
		ctx:     c.context(),
		stop:    context.AfterFunc(c.context(), release),
		release: release,
	}
}

// Read implements io.Reader.
func (b *directBody) Read(p []byte) (int, error) {
	n, err := b.body.Read(p)
	if err != nil && !errors.Is(err, io.EOF) && b.ctx.Err() != nil {
		err = context.Cause(b.ctx)
	}
	return n, err
}

// Close implements io.Closer.
func (b *directBody) Close() error {
	err := b.close()
	b.stop()
	b.release()
	return err
}
