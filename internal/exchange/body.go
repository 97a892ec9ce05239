package exchange

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/endpointcache/endpointcache/internal/head"
)

// body is a response's body while it comes in: one goroutine appends, and any number
// of callers read, each from the beginning and at its own pace. All of it stays in
// memory until it ends or turns out to be a stream: a body that is too large to be kept,
// or does not end. A stream goes as fast as the slowest of its readers.
type body struct {
	pieces                 // whose lock guards the rest, too
	patience time.Duration // how long the slowest reader of a stream may hold up others

	stream  bool
	done    bool
	err     error         // with done: nil, or why the body ended early
	changed chan struct{} // closed at the next change; nil where nobody waits
	trailer http.Header   // with done
	readers []*Reader
	only    [1]*Reader // where readers begins, as most bodies have one
	awaited int        // callers that have not begun to read yet
}

var (
	errTooSlow    = errors.New("the body was not read for too long, while others waited for it")
	errClosedBody = errors.New("read on closed response body")
)

// newBody returns the body of a response that announces size bytes, -1 for none, and
// that the given number of callers will read.
func (f *Flight) newBody(size int64, awaited int) *body {
	return &body{
		pieces:   pieces{announced: size, limit: f.x.opts.MaxBody, share: &f.share},
		patience: f.x.opts.FinishTimeout, awaited: awaited,
	}
}

// wholeBody returns a body that has come already.
func (f *Flight) wholeBody(payload []byte, awaited int) *body {
	b := f.newBody(int64(len(payload)), awaited)
	b.parts, b.size = [][]byte{payload}, int64(len(payload))
	return b
}

// await counts n callers that will read, or with -1 one that will not after all.
func (b *body) await(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.awaited += n
	b.notify()
}

// notify wakes the readers that wait. The lock is held.
func (b *body) notify() {
	if b.changed != nil {
		close(b.changed)
		b.changed = nil
	}
}

// wait is a channel that is closed at the next change. The lock is held.
func (b *body) wait() <-chan struct{} {
	if b.changed == nil {
		b.changed = make(chan struct{})
	}
	return b.changed
}

// fill appends what from has until it ends, and reports whether all of it is in
// memory. It stops early where goOn says no.
func (b *body) fill(ctx context.Context, from io.Reader, goOn func(size int64) bool) (whole bool, err error) {
	stream := false
	for {
		free, err := b.room(ctx, stream)
		if err != nil {
			return false, err
		}
		n, err := from.Read(free)
		if n < 0 || n > len(free) {
			return false, errMiscounted
		}
		b.mu.Lock()
		b.filled(n)
		size := b.size
		if size > b.limit {
			b.becomeStream()
		}
		b.notify()
		stream = b.stream
		b.mu.Unlock()
		switch {
		case err == io.EOF: //nolint:errorlint // the end of a reader is io.EOF itself
			return !stream, nil
		case err != nil:
			return false, err
		case !goOn(size):
			return false, ErrGivenUp
		}
		if err := b.pace(ctx); err != nil {
			return false, err
		}
	}
}

// becomeStream gives up keeping the body. The lock is held.
func (b *body) becomeStream() {
	if !b.stream {
		b.stream = true
		b.notify()
		b.share.Yield()
	}
}

// pace makes room in a stream: it waits for the readers and drops what all have read.
func (b *body) pace(ctx context.Context) error {
	var late *time.Timer
	var overdue <-chan time.Time
	for {
		b.mu.Lock()
		if !b.stream {
			b.mu.Unlock()
			return nil
		}
		slowest := b.slowest()
		b.drop(slowest)
		if b.size-slowest < streamWindow {
			b.mu.Unlock()
			return nil
		}
		if late == nil && len(b.readers) > 1 {
			late = time.NewTimer(b.patience)
			defer late.Stop()
			overdue = late.C
		}
		changed := b.wait()
		b.mu.Unlock()
		select {
		case <-changed:
		case <-overdue:
			b.leaveBehind()
			late.Reset(b.patience) // perhaps nobody was ahead yet
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// slowest is how far the slowest reader has come. The lock is held.
func (b *body) slowest() int64 {
	if b.awaited > 0 {
		return b.dropped
	}
	slowest := b.size
	for _, r := range b.readers {
		slowest = min(slowest, r.offset)
	}
	return slowest
}

// leaveBehind ends the readers that hold up others.
func (b *body) leaveBehind() {
	b.mu.Lock()
	defer b.mu.Unlock()
	fastest := b.dropped
	for _, r := range b.readers {
		fastest = max(fastest, r.offset)
	}
	b.readers = slices.DeleteFunc(b.readers, func(r *Reader) bool {
		if r.offset < fastest {
			r.err = errTooSlow
		}
		return r.offset < fastest
	})
	b.notify()
}

// finish ends the body, after all that was appended: with an error where that is not
// all of it. The first end counts.
func (b *body) finish(err error, trailer http.Header) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.done {
		return
	}
	b.done, b.err, b.trailer = true, err, trailer
	b.notify()
	b.share.Release()
}

// useful reports whether there is more to come, and all of it may be kept.
func (b *body) useful() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.done && !b.stream
}

// isStream reports whether the body is not kept.
func (b *body) isStream() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.stream
}

// Reader is the body of one caller's response.
type Reader struct {
	ctx    context.Context
	body   *body
	flight *Flight
	stop   func() bool    // nil where the context does not end
	resp   *http.Response // whose body it is; given its trailer at the end

	withoutCookies bool // those of the response are another caller's
	shared         bool // all of the response's credentials are

	// Guarded by the body's lock.
	offset int64
	closed bool
	err    error // why it was ended before it was closed
}

// read adds a reader of the whole body, unless its beginning is gone. When ctx ends, it
// ends; it releases the flight once, when it does or is closed.
func (b *body) read(ctx context.Context, f *Flight) (*Reader, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.dropped > 0 {
		return nil, false
	}
	r := &Reader{ctx: ctx, body: b, flight: f}
	if b.readers == nil {
		b.readers = b.only[:0]
	}
	b.readers = append(b.readers, r)
	b.awaited--
	if ctx.Done() != nil {
		r.stop = context.AfterFunc(ctx, r.leave)
	}
	return r, true
}

// Read implements io.Reader.
func (r *Reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	b := r.body
	for {
		b.mu.Lock()
		switch {
		case r.closed:
			b.mu.Unlock()
			if err := context.Cause(r.ctx); err != nil {
				return 0, err
			}
			return 0, errClosedBody
		case r.err != nil:
			err := r.err
			b.mu.Unlock()
			return 0, err
		case r.offset < b.size:
			n := b.copyAt(p, r.offset)
			r.offset += int64(n)
			if b.stream {
				b.notify()
			}
			b.mu.Unlock()
			return n, nil
		case b.done:
			err := b.err
			b.mu.Unlock()
			if err == nil {
				r.setTrailer()
				err = io.EOF
			}
			return 0, err
		}
		changed := b.wait()
		b.mu.Unlock()
		select {
		case <-changed:
		case <-r.ctx.Done():
			return 0, context.Cause(r.ctx)
		}
	}
}

// setTrailer gives the response the trailer that came after the body, which does not
// change any more.
func (r *Reader) setTrailer() {
	trailer := r.body.trailer
	if r.withoutCookies {
		trailer = head.WithoutCookies(trailer)
	}
	if r.shared {
		trailer = r.flight.ask.Table.redactor.Header(trailer)
	}
	for name, values := range trailer {
		if r.resp.Trailer == nil {
			r.resp.Trailer = make(http.Header)
		}
		r.resp.Trailer[name] = slices.Clone(values)
	}
}

// How long Close waits for the end of a body, where the origin may have delivered it.
const (
	endSoon     = 250 * time.Millisecond // that does not tell its length
	endExpected = time.Second            // of which little is missing
)

// littleUnread is what a decoder leaves of a body that it has read to the end of the
// value: white space, and what its buffer did not take.
const littleUnread = 4 << 10

// Close implements io.Closer. What the origin has delivered in full is saved when it
// returns: a decoder may stop reading at the end of a value, before it sees that of the
// body.
func (r *Reader) Close() error {
	if r.stop != nil {
		r.stop()
	}
	r.awaitEnd()
	r.leave()
	return nil
}

// awaitEnd waits until the body has been saved, if it is likely to end now.
func (r *Reader) awaitEnd() {
	b := r.body
	b.mu.Lock()
	gone := r.closed || r.ctx.Err() != nil || b.stream
	ended, left, unread := b.done, r.flight.announced()-b.size, b.size-r.offset
	b.mu.Unlock()
	var patience time.Duration
	switch {
	case gone || ended:
		return
	case r.flight.announced() >= 0 && left <= 0:
		patience = r.flight.x.opts.StoreTimeout + endExpected
	case r.flight.announced() >= 0 && left <= r.flight.x.opts.FinishBytes:
		patience = endExpected
	case r.flight.announced() < 0 && unread <= littleUnread:
		patience = endSoon
	default:
		return
	}
	late := time.NewTimer(patience)
	defer late.Stop()
	for {
		b.mu.Lock()
		if b.done || b.stream || r.closed {
			b.mu.Unlock()
			return
		}
		changed := b.wait()
		b.mu.Unlock()
		select {
		case <-changed:
		case <-late.C:
			return
		case <-r.ctx.Done():
			return
		}
	}
}

func (r *Reader) leave() {
	b := r.body
	b.mu.Lock()
	left := !r.closed
	r.closed = true
	b.readers = slices.DeleteFunc(b.readers, func(other *Reader) bool { return other == r })
	if b.stream {
		b.notify()
	}
	b.mu.Unlock()
	if left {
		r.flight.release()
	}
}
