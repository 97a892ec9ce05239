package transport

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

var (
	errGivenUp    = errors.New("transport: nobody waits for the response any more")
	errClosedBody = errors.New("transport: read on closed response body")
)

// fetch is one request to the origin, on behalf of one caller or of several with
// the same key. It does not depend on the context of any: it ends when nobody is
// left who waits for it.
type fetch struct {
	t    *Transport
	call *call   // of the caller that began it
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
	finishing  *time.Timer // ends it when nobody reads any more; nil while somebody does
	background bool        // Close waits for it

	answer
}

// answer is how a fetch ends: it is one of an error, a stored response, a response
// that is being kept, and one for the first caller alone.
type answer struct {
	err      error
	used     *stored
	outcome  outcome // of used
	resp     *http.Response
	answered time.Time     // when resp came
	age      time.Duration // how old it was then
	content  *content      // of a resp that is being kept
	close    func() error  // closes the body of one that is not
	variant  string        // of resp, where it varies
}

func (c *call) newFetch(old *stored, asks bool) *fetch {
	f := &fetch{t: c.t, call: c, old: old, asks: asks, ready: make(chan struct{})}
	f.ctx, f.cancel = context.WithCancel(context.WithoutCancel(c.context()))
	return f
}

// fetch answers the call from the origin, together with others who ask the same.
// Seen is the count of fetches that had landed before the store was asked.
func (c *call) fetch(old *stored, asks bool, seen int64) (*http.Response, error) {
	if c.caller.Method == http.MethodHead && c.readOnly {
		return c.alone(old, false)
	}
	if !asks && (isConditional(c.req.Header) || len(c.req.Header["Range"]) > 0) {
		return c.alone(old, false)
	}
	f, first := c.t.flights.join(c.flightKey(), seen, func() *fetch { return c.newFetch(old, asks) })
	if f == nil {
		return c.do() // what was not stored may be by now
	}
	if first {
		go f.run()
	}
	return f.await(c, first)
}

// alone answers the call with a request of its own.
func (c *call) alone(old *stored, asks bool) (*http.Response, error) {
	f := c.newFetch(old, asks)
	f.callers = 1
	go f.run()
	return f.await(c, true)
}

// renew fetches anew what s was, in the background.
func (t *Transport) renew(c *call, s *stored) {
	if !t.enter() {
		return
	}
	copied := *c
	f, first := t.flights.join(c.flightKey(), t.flights.landed(), func() *fetch {
		f := copied.newFetch(s.clone(), hasValidator(s.head.Header))
		f.callers = -1 // the one who begins it does not wait
		f.background = true
		f.finishing = time.AfterFunc(t.opts.RevalidateTimeout, f.cancelUnused)
		t.counts.renewed.Add(1)
		go f.run()
		return f
	})
	if first {
		return
	}
	t.leave()
	if f != nil {
		f.release()
	}
}

// await answers a caller, who is counted among f's, as soon as there is an answer.
func (f *fetch) await(c *call, first bool) (*http.Response, error) {
	select {
	case <-f.ready:
	case <-c.context().Done():
		f.release()
		return nil, c.context().Err()
	}
	if !first && !f.suits(c) {
		f.release()
		return c.alone(nil, false)
	}
	if first && f.resp != nil {
		f.t.counts.misses.Add(1)
	}
	switch {
	case f.content != nil:
		body, ok := f.content.read(c.context(), f.release)
		if !ok {
			f.release()
			return c.alone(nil, false)
		}
		f.t.shared(first, c)
		return f.response(c, body), nil
	case f.resp != nil:
		return f.response(c, f.direct(c)), nil
	}
	defer f.release()
	f.t.shared(first, c)
	if f.err != nil {
		return nil, f.err
	}
	return c.respond(f.used.clone(), f.outcome)
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
		return true
	case f.used != nil:
		return !c.controls() || c.matches(f.used)
	case f.content == nil:
		return false
	}
	return !c.controls() || !varies(f.resp.Header) || f.variant == variant(f.resp.Header, c.caller.Header)
}

// response is the origin's response for a caller.
func (f *fetch) response(c *call, body io.ReadCloser) *http.Response {
	resp := *f.resp
	resp.Header = f.resp.Header.Clone()
	resp.Request = c.caller
	resp.Body = body
	return &resp
}

// release tells that a caller needs the fetch no more. When nobody does, it ends,
// unless there is a body that is worth being read to its end.
func (f *fetch) release() {
	fl := &f.t.flights
	fl.mu.Lock()
	defer fl.mu.Unlock()
	f.callers--
	if f.callers > 0 {
		return
	}
	if f.finishing != nil || f.content != nil && !f.content.ended() && (f.background || f.t.enter()) {
		f.background = true
		if f.finishing == nil {
			f.finishing = time.AfterFunc(f.t.opts.FinishTimeout, f.cancelUnused)
		} else if f.content != nil {
			f.finishing.Reset(f.t.opts.FinishTimeout)
		}
		return
	}
	fl.forgetLocked(f)
	f.cancel()
	if f.close != nil {
		go f.close() //nolint:errcheck // nobody is left to be told
	}
}

// cancelUnused ends a fetch that nobody needs.
func (f *fetch) cancelUnused() {
	fl := &f.t.flights
	fl.mu.Lock()
	defer fl.mu.Unlock()
	if f.callers <= 0 {
		fl.forgetLocked(f)
		f.cancel()
	}
}

// unused reports whether the fetch goes on only to be saved.
func (f *fetch) unused() bool {
	fl := &f.t.flights
	fl.mu.Lock()
	defer fl.mu.Unlock()
	return f.callers <= 0
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
	if err != nil && err != io.EOF && b.ctx.Err() != nil {
		err = b.ctx.Err()
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
