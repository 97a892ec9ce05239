package transport

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"sync"
)

// content is a response's body while it comes in: one goroutine appends, and any
// number of callers read, each from the beginning and at its own pace. All of it
// stays in memory until it ends or becomes too large to be kept. From then on it
// is a stream, which goes as fast as the slowest of its readers.
type content struct {
	limit int64

	mu      sync.Mutex
	buf     []byte
	dropped int64 // bytes before buf, which nobody can read any more
	stream  bool  // it is larger than limit
	done    bool
	err     error         // with done: nil, or why the body ended early
	changed chan struct{} // closed at the next change; nil where nobody waits
	trailer http.Header   // with done
	readers map[*reader]bool
	awaited int // callers who have not begun to read yet
}

// errMiscounted means that a body's Read has returned a number which cannot be.
var errMiscounted = errors.New("transport: the response body miscounts what it reads")

// streamWindow is how far a stream may be ahead of its slowest reader.
const streamWindow = 64 << 10

func newContent(size, limit int64, awaited int) *content {
	// What is announced is not believed without limit.
	room := min(max(size, 0), 1<<20) + 512
	return &content{limit: limit, buf: make([]byte, 0, room), readers: make(map[*reader]bool), awaited: awaited}
}

// await counts callers who will read, or with -1 one who will not after all.
func (c *content) await(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.awaited += n
	c.notify()
}

// notify wakes those who wait. The lock is held.
func (c *content) notify() {
	if c.changed != nil {
		close(c.changed)
		c.changed = nil
	}
}

// wait is a channel that is closed at the next change. The lock is held.
func (c *content) wait() <-chan struct{} {
	if c.changed == nil {
		c.changed = make(chan struct{})
	}
	return c.changed
}

// fill appends what body has until it ends, and reports whether all of it is in
// memory. It stops early where keep going says no.
func (c *content) fill(ctx context.Context, body io.Reader, goOn func(size int64) bool) (whole bool, err error) {
	for {
		c.mu.Lock()
		if len(c.buf) == cap(c.buf) {
			c.buf = append(c.buf, 0)[:len(c.buf)]
		}
		free := c.buf[len(c.buf):cap(c.buf)]
		c.mu.Unlock()
		n, err := body.Read(free)
		if n < 0 || n > len(free) {
			return false, errMiscounted
		}
		c.mu.Lock()
		c.buf = c.buf[:len(c.buf)+n]
		size := c.dropped + int64(len(c.buf))
		c.stream = c.stream || size > c.limit
		c.notify()
		c.mu.Unlock()
		switch {
		case err == io.EOF:
			return !c.stream, nil
		case err != nil:
			return false, err
		case !goOn(size):
			return false, errGivenUp
		}
		if err := c.pace(ctx); err != nil {
			return false, err
		}
	}
}

// pace makes room in a stream: it waits for the readers and drops what all have
// read.
func (c *content) pace(ctx context.Context) error {
	for {
		c.mu.Lock()
		if !c.stream {
			c.mu.Unlock()
			return nil
		}
		slowest := c.dropped + int64(len(c.buf))
		for r := range c.readers {
			slowest = min(slowest, r.offset)
		}
		if c.awaited > 0 {
			slowest = c.dropped
		}
		c.buf = append(c.buf[:0:min(cap(c.buf), 2*streamWindow)], c.buf[slowest-c.dropped:]...)
		c.dropped = slowest
		if len(c.buf) < streamWindow {
			c.mu.Unlock()
			return nil
		}
		changed := c.wait()
		c.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// finish ends the body, after all that was appended: with an error where that is
// not all of it. The first end counts.
func (c *content) finish(err error, trailer http.Header) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done {
		return
	}
	c.done, c.err, c.trailer = true, err, trailer
	c.notify()
}

// useful reports whether there is more to come, and all of it may be kept.
func (c *content) useful() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.done && !c.stream
}

// bytes is the whole body, to be read only.
func (c *content) bytes() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.buf
}

// reader is the body of one caller's response.
type reader struct {
	ctx     context.Context
	content *content
	release func() // tells that this caller needs the body no more
	stop    func() bool
	resp    *http.Response // whose body it is; given its trailer at the end

	offset int64 // guarded by the content's lock
	closed bool
}

// read adds a reader of the whole body, unless its beginning is gone. When ctx
// ends, it ends; release is called once, when it does or is closed.
func (c *content) read(ctx context.Context, release func()) (*reader, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dropped > 0 {
		return nil, false
	}
	r := &reader{ctx: ctx, content: c, release: release}
	c.readers[r] = true
	c.awaited--
	r.stop = context.AfterFunc(ctx, func() { r.leave() })
	return r, true
}

// Read implements io.Reader.
func (r *reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	c := r.content
	for {
		c.mu.Lock()
		switch from := r.offset - c.dropped; {
		case r.closed:
			c.mu.Unlock()
			if err := context.Cause(r.ctx); err != nil {
				return 0, err
			}
			return 0, errClosedBody
		case from < int64(len(c.buf)):
			n := copy(p, c.buf[from:])
			r.offset += int64(n)
			if c.stream {
				c.notify()
			}
			c.mu.Unlock()
			return n, nil
		case c.done:
			err := c.err
			c.mu.Unlock()
			if err == nil {
				r.setTrailer()
				err = io.EOF
			}
			return 0, err
		}
		changed := c.wait()
		c.mu.Unlock()
		select {
		case <-changed:
		case <-r.ctx.Done():
			return 0, context.Cause(r.ctx)
		}
	}
}

// setTrailer gives the response the trailer that came after the body, which does
// not change any more.
func (r *reader) setTrailer() {
	for name, values := range r.content.trailer {
		if r.resp.Trailer == nil {
			r.resp.Trailer = make(http.Header)
		}
		r.resp.Trailer[name] = slices.Clone(values)
	}
}

// Close implements io.Closer.
func (r *reader) Close() error {
	r.stop()
	r.leave()
	return nil
}

func (r *reader) leave() {
	c := r.content
	c.mu.Lock()
	left := !r.closed
	r.closed = true
	delete(c.readers, r)
	if c.stream {
		c.notify()
	}
	c.mu.Unlock()
	if left {
		r.release()
	}
}
