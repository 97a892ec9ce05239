package exchange

import (
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/endpointcache/endpointcache/internal/head"
	"github.com/endpointcache/endpointcache/internal/rfc9111"
	"github.com/endpointcache/endpointcache/internal/secret"
)

// discardTimeout is how long the body of a response without use is waited for.
const discardTimeout = 100 * time.Millisecond

// discard reads the body of a response that is of no use, if it is small, so that its
// connection can be used again.
func discard(resp *http.Response) {
	if resp.Body == http.NoBody {
		return
	}
	closed := closer(resp.Body)
	late := time.AfterFunc(discardTimeout, func() { _ = closed() })
	defer late.Stop()
	defer closed() //nolint:errcheck // it is of no use
	defer func() { _ = recover() }()
	_, _ = io.CopyN(io.Discard, resp.Body, 4<<10)
}

// closer closes a body once. A panic is an error, as perhaps no caller could recover
// from it.
func closer(body io.Closer) func() error {
	return sync.OnceValue(func() (err error) {
		defer func() {
			if p := recover(); p != nil {
				err = basePanic(p)
			}
		}()
		return body.Close()
	})
}

// basePanic is the error of a panic in the base transport.
func basePanic(p any) error {
	return fmt.Errorf("panic in the base transport: %s", secret.Mask(fmt.Sprint(p)))
}

// receiveBody answers with the origin's response, which is kept or shared if it may be.
func (f *Flight) receiveBody(resp *http.Response, payload []byte, whole bool) {
	if l := f.like; l != nil {
		f.age, f.stream = l.age, l.stream
	} else {
		f.age, f.stream = rfc9111.InitialAge(resp.Header, f.asked, f.answered), isStream(resp.Header)
	}
	if len(resp.Header) > 0 { // without any, it is stored without a head, and dated when it is read
		resp.Header = rfc9111.WithDate(resp.Header, f.answered)
	}
	f.resp, f.trailer = resp, head.Announced(resp.Trailer)
	f.personal, f.foreign = f.mayCross(resp), f.isForeign(resp)
	if f.kept = f.mayKeep(); f.kept && f.foreign {
		f.kept = false
		f.ask.Table.RefuseForeign()
	}
	if f.ask.Rules.Controls() && rfc9111.Varies(resp.Header) {
		f.variant = rfc9111.Variant(resp.Header, f.ask.header())
	}
	if resp.Header.Get("Content-Encoding") != "" {
		f.coding = rfc9111.CodingVariant(f.ask.header())
	}
	fs := &f.x.flights
	fs.mu.Lock()
	defer fs.mu.Unlock()
	switch {
	case whole:
		f.whole, f.body = true, f.wholeBody(payload, f.readers)
	case f.kept, f.mayShareFailure():
		f.body = f.newBody(f.announced(), f.readers)
	default:
		fs.forget(f)
		f.close = closer(resp.Body)
		if f.callers <= 0 { // the caller is gone
			f.abandoned = true
			f.cancel(ErrGivenUp)
			go f.close() //nolint:errcheck // nobody is left to be told
		}
	}
}

// fill reads the body, for the callers that read along, and prepares the save if all of it
// has come.
func (f *Flight) fill() {
	var err error
	whole := f.whole
	if !whole {
		whole, err = f.readBody()
	}
	var payload []byte
	if err == nil && whole {
		payload, err = f.body.whole(f.ctx)
		if err == nil && f.cutShort(payload) {
			err = fmt.Errorf("%w: %d bytes of %d", io.ErrUnexpectedEOF, len(payload), f.resp.ContentLength)
		}
	}
	if err == nil && whole {
		f.prepare(payload)
	} else {
		f.save = saveNothing
	}
	if f.save == saveNothing {
		f.body.finish(err, f.resp.Trailer)
	}
	f.complete = err == nil
}

// cutShort reports whether a body is shorter than the response has announced. Test
// doubles and hand-written transports leave ContentLength at zero.
func (f *Flight) cutShort(payload []byte) bool {
	return int64(len(payload)) < f.resp.ContentLength && f.ask.method() != http.MethodHead
}

// readBody reads the body from the origin and closes it. A panic is an error: on this
// goroutine, no caller can recover from it.
func (f *Flight) readBody() (whole bool, err error) {
	defer func() {
		if p := recover(); p != nil {
			f.x.counts.panics.Add(1)
			whole, err = false, basePanic(p)
		}
	}()
	closed := closer(f.resp.Body)
	defer closed() //nolint:errcheck // all that counts was read
	f.interruptWith(closed)
	if f.announced() < 0 {
		late := time.AfterFunc(f.x.opts.StreamAfter, f.becomeStream)
		defer late.Stop()
	}
	limit := int64(-1) // of the body's size, once no caller reads along; -1 until then
	return f.body.fill(f.ctx, f.resp.Body, func(size int64) bool {
		if size > f.x.opts.MaxBody {
			f.stopSharing()
		}
		switch {
		case !f.unused(false):
			limit = -1
			return true
		case f.goesOn:
			limit = f.x.opts.MaxBody
		case limit < 0:
			limit = size + f.x.opts.FinishBytes
		}
		return size <= min(limit, f.x.opts.MaxBody) || !f.unused(true)
	})
}

// interruptWith has a body closed when nobody needs the flight any more: not every body
// ends with the context of its request.
func (f *Flight) interruptWith(closed func() error) {
	fs := &f.x.flights
	fs.mu.Lock()
	f.interrupt = closed
	abandoned := f.abandoned
	fs.mu.Unlock()
	if abandoned {
		_ = closed()
	}
}

// becomeStream gives up keeping and sharing a body that does not end.
func (f *Flight) becomeStream() {
	f.body.mu.Lock()
	if !f.body.done {
		f.body.becomeStream()
	}
	f.body.mu.Unlock()
	f.stopSharing() // after that, as it wakes the callers that wait for the whole of it
}

// stopSharing lets no more callers join, and wakes those that wait for the whole body:
// they will not get it. Nor will those of other processes, who may ask now.
func (f *Flight) stopSharing() {
	fs := &f.x.flights
	fs.mu.Lock()
	fs.forget(f)
	f.changed()
	fs.mu.Unlock()
	if f.ask.Rules.lease > 0 {
		f.freeLease(false)
	}
}
