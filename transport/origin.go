package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"sync"
	"time"

	"github.com/endpointcache/endpointcache/internal/head"
	"github.com/endpointcache/endpointcache/internal/rfc9111"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/settings"
)

// errEnded means that the base, or a function of the policy, has ended the goroutine
// it was called on, as the FailNow of a test does.
var errEnded = errors.New("transport: the request's goroutine was ended")

// run makes the request and sees the response through.
func (f *fetch) run() {
	defer f.land() // even where a function of the policy or the base ends the goroutine
	f.receive()
	if f.content != nil {
		f.keep()
	}
}

// land ends the fetch. What is left is at most a response that its caller reads
// from the origin itself.
func (f *fetch) land() {
	fl := &f.t.flights
	fl.mu.Lock()
	defer fl.mu.Unlock()
	if f.landed {
		return
	}
	f.landed = true
	fl.forgetLocked(f)
	if f.content != nil {
		f.content.finish(errEnded, nil) // if it has not come to another end
	}
	if f.finishing != nil {
		f.finishing.Stop()
	}
	if f.background {
		f.t.leave()
	}
	if f.close == nil {
		f.cancel()
	}
}

// receive gets the answer.
func (f *fetch) receive() {
	defer func() {
		if f.err == nil && f.used == nil && f.resp == nil {
			f.err = errEnded
		}
		close(f.ready)
	}()
	asked := f.t.cache.Now()
	resp, err := f.send() //nolint:bodyclose // each case below closes or hands it on
	if err == nil && f.confirmsAnother(resp) {
		discard(resp)
		f.asks = false
		if err = f.rewind(); err == nil {
			resp, err = f.send() //nolint:bodyclose // likewise
		}
	}
	answered := f.t.cache.Now()
	switch {
	case err != nil && f.ctx.Err() == nil && f.call.standsIn(f.old, true):
		f.standIn(0)
	case err != nil:
		f.err = err
	case resp.StatusCode == http.StatusNotModified && f.asks:
		discard(resp)
		f.confirm(resp.Header, asked, answered)
	case failed(resp.StatusCode) && f.call.standsIn(f.old, false):
		discard(resp)
		f.standIn(resp.StatusCode)
	default:
		f.take(resp, asked, answered)
		f.forgetGone(resp.StatusCode)
	}
}

// forgetGone removes a response that is live where the origin says that there is
// none any more, and its saying so is not kept instead.
func (f *fetch) forgetGone(status int) {
	gone := status == http.StatusNotFound || status == http.StatusGone
	if gone && f.content == nil && f.old != nil && !f.call.readOnly && f.old.fresh(f.answered) {
		f.t.remove(f.ctx, f.call.repository, f.call.key)
	}
}

// failed reports whether a status is one that a stored response may stand in for,
// RFC 5861, section 4.
func failed(status int) bool {
	switch status {
	case http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// send makes the request. Nothing of it is shared with the caller, who may be gone
// before it ends.
func (f *fetch) send() (resp *http.Response, err error) {
	defer func() {
		if p := recover(); p != nil {
			f.t.counts.panics.Add(1)
			err = fmt.Errorf("transport: panic in the base transport: %v", p)
		}
	}()
	req := f.call.req
	if f.asks {
		req = req.Clone(f.ctx)
		rfc9111.SetValidators(req.Header, f.old.head.Header)
		req.Header.Del("Range")
		req.Header.Del("If-Range")
	}
	resp, err = f.call.base.RoundTrip(req)
	switch {
	case err != nil:
	case resp == nil:
		err = errors.New("transport: the base transport returned neither a response nor an error")
	case resp.Body == nil:
		resp.Body = http.NoBody // as http.Client takes it
	}
	return resp, err
}

// confirmsAnother reports whether a 304 is about another response than the stored
// one, which is of no use then.
func (f *fetch) confirmsAnother(resp *http.Response) bool {
	return f.asks && resp.StatusCode == http.StatusNotModified && !rfc9111.Confirms(resp.Header, f.old.head.Header)
}

// rewind makes the request one that can be sent again.
func (f *fetch) rewind() error {
	req := f.call.req
	if !hasBody(req) {
		return nil
	}
	body, err := req.GetBody()
	if err != nil {
		return fmt.Errorf("transport: get the request's body: %w", err)
	}
	req.Body = body
	return nil
}

// discardTimeout is how long the body of a response without use is waited for.
const discardTimeout = 100 * time.Millisecond

// discard reads what little a response without use may have, so that its
// connection can be used again.
func discard(resp *http.Response) {
	closed := closer(resp.Body)
	late := time.AfterFunc(discardTimeout, func() { _ = closed() })
	defer late.Stop()
	defer closed() //nolint:errcheck // it is of no use
	defer func() { _ = recover() }()
	_, _ = io.CopyN(io.Discard, resp.Body, 4<<10)
}

// closer closes a body once. A panic is an error, as it may be that nobody could
// recover from it.
func closer(body io.Closer) func() error {
	return sync.OnceValue(func() (err error) {
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("transport: panic in the base transport: %v", p)
			}
		}()
		return body.Close()
	})
}

// standIn answers with what is stored, expired as it may be.
func (f *fetch) standIn(status int) {
	f.t.counts.stale.Add(1)
	f.used = f.old
	f.used.control() // before callers share it
	f.outcome = outcome{fwd: f.forwarded(), status: status, detail: "stale-if-error"}
}

// forwarded is why the origin was asked though something is stored, RFC 9211,
// section 2.2.
func (f *fetch) forwarded() string {
	if f.old.fresh(f.t.cache.Now()) {
		return "request"
	}
	return "stale"
}

// confirm answers with what is stored, which a 304 has confirmed, and saves it
// with the headers and expiry that it has now.
func (f *fetch) confirm(h http.Header, asked, answered time.Time) {
	f.t.counts.revalidated.Add(1)
	s := f.old.clone()
	s.head.Header = rfc9111.Update(f.old.head.Header, h, answered)
	if !f.call.controls() {
		f.cookies = h["Set-Cookie"]
		s.head.Header.Del("Set-Cookie")
		s.head.Header.Del("Set-Cookie2")
	}
	f.age = rfc9111.InitialAge(h, asked, answered)
	s.entry.CachedAt = answered
	s.noteAge(f.age)
	s.parsed = false
	f.used, f.outcome = s, outcome{fwd: f.forwarded(), status: http.StatusNotModified}
	if expires, ok := f.expiry(s.exchange(f.call.caller), answered); ok {
		s.entry.ExpiresAt = expires
		f.save(s)
	}
}

// take answers with the origin's response, which is kept if it may be.
func (f *fetch) take(resp *http.Response, asked, answered time.Time) {
	fl := &f.t.flights
	f.answered, f.age = answered, rfc9111.InitialAge(resp.Header, asked, answered)
	keep := f.mayKeep(resp)
	if f.call.controls() && rfc9111.Varies(resp.Header) {
		f.variant = rfc9111.Variant(resp.Header, f.call.caller.Header)
	}
	f.trailer = resp.Trailer.Clone()
	fl.mu.Lock()
	defer fl.mu.Unlock()
	f.resp = resp
	if keep {
		f.content = newContent(resp.ContentLength, f.t.opts.MaxBody, f.callers)
		return
	}
	fl.forgetLocked(f)
	f.close = closer(resp.Body)
	if f.callers <= 0 { // the caller is gone
		f.cancel()
		go f.close() //nolint:errcheck // nobody is left to be told
	}
}

// mayKeep reports whether a response is to be saved, as far as can be said before
// its body has come.
func (f *fetch) mayKeep(resp *http.Response) bool {
	if resp.ContentLength > f.t.opts.MaxBody || isStream(resp.Header) || f.call.caller.Method == http.MethodHead && f.call.readOnly {
		return false
	}
	for l := range f.call.rules.all {
		if l.policy.ExpireFunc != nil {
			return f.mayStore(resp.StatusCode, resp.Header)
		}
	}
	_, ok := f.expiry(&Exchange{Request: f.call.caller, Status: resp.StatusCode, Header: resp.Header}, f.answered)
	return ok
}

// isStream reports whether a body is one that does not end.
func isStream(h http.Header) bool {
	mediaType, _, _ := mime.ParseMediaType(h.Get("Content-Type"))
	return mediaType == "text/event-stream" || mediaType == "multipart/x-mixed-replace"
}

// mayStore reports whether a response may be saved, if it is of any use.
func (f *fetch) mayStore(status int, h http.Header) bool {
	c := f.call
	if status < 200 || status == http.StatusPartialContent || status == http.StatusNotModified {
		return false
	}
	if !c.controls() {
		return c.rules.allows(status)
	}
	return rfc9111.MayStore(c.asked, status, h, rfc9111.ParseDirectives(h)) && (c.rules.statuses == nil || c.rules.allows(status))
}

// expiry is when a response expires, zero for never, and whether it is saved at
// all. The order is that of the table in docs/transport.md.
func (f *fetch) expiry(x *Exchange, answered time.Time) (expires time.Time, ok bool) {
	c := f.call
	if !f.mayStore(x.Status, x.Header) {
		return time.Time{}, false
	}
	of := func(layers func(*Exchange) Expiry) (e Expiry) {
		if !f.t.guard(func() { e = layers(x) }) {
			return DoNotCache()
		}
		return e
	}
	byCall := of(c.rules.callExpiry)
	if !byCall.IsZero() {
		return byCall.Instant(answered)
	}
	fixed := of(c.rules.fixedExpiry)
	if fixed == DoNotCache() {
		return time.Time{}, false
	}
	if c.controls() {
		return f.controlledExpiry(x, fixed, answered)
	}
	if fixed.IsZero() {
		fixed = After(c.repository.Expire())
		if c.repository.Expire() == settings.NeverExpire {
			fixed = Never()
		}
	}
	return fixed.Instant(answered)
}

// controlledExpiry is expiry where the response's own headers come first.
func (f *fetch) controlledExpiry(x *Exchange, fixed Expiry, answered time.Time) (expires time.Time, ok bool) {
	d := rfc9111.ParseDirectives(x.Header)
	life, explicit := rfc9111.Lifetime(x.Header, d, answered)
	byPolicy := !fixed.IsZero() && f.call.rules.allows(x.Status)
	if !explicit && !byPolicy && !d.Public && !rfc9111.HeuristicStatus(x.Status) {
		return time.Time{}, false // section 3: an error, say, that does not mention it
	}
	switch {
	case d.NoCache:
		return answered, rfc9111.HasValidator(x.Header)
	case explicit:
		expires = answered.Add(life - f.age)
	case byPolicy:
		return fixed.Instant(answered)
	default:
		expires = answered.Add(rfc9111.Heuristic(x.Status, x.Header, d, answered) - f.age)
	}
	if expires.Before(answered) {
		expires = answered
	}
	useful := expires.After(answered) || rfc9111.HasValidator(x.Header) ||
		d.StaleIfError.Duration > 0 || d.StaleWhileRevalidate.Duration > 0
	return expires, useful
}

// keep reads the body, for those who read along, and saves the response if all of
// it came.
func (f *fetch) keep() {
	limit := int64(-1) // of the body's size, once nobody reads along
	whole, err := f.fill(func(size int64) bool {
		if size > f.t.opts.MaxBody {
			f.t.flights.forget(f)
		}
		switch {
		case !f.unused(false):
			limit = -1
			return true
		case f.renewal:
			limit = f.t.opts.MaxBody
		case limit < 0:
			limit = size + f.t.opts.FinishBytes
		}
		return size <= min(limit, f.t.opts.MaxBody) || !f.unused(true)
	})
	payload := f.content.bytes()
	if err == nil && whole && int64(len(payload)) < f.resp.ContentLength && f.call.req.Method != http.MethodHead {
		err = io.ErrUnexpectedEOF
	}
	if err == nil && whole {
		f.saveWhile(payload)
	}
	f.content.finish(err, f.resp.Trailer)
}

// fill reads the body into the content and closes it. A panic is an error: on this
// goroutine, no caller can recover from it.
func (f *fetch) fill(goOn func(size int64) bool) (whole bool, err error) {
	defer func() {
		if p := recover(); p != nil {
			f.t.counts.panics.Add(1)
			whole, err = false, fmt.Errorf("transport: panic in the base transport: %v", p)
		}
	}()
	closed := closer(f.resp.Body)
	defer closed() //nolint:errcheck // all that counts was read
	// Not every body ends with the context of its request.
	defer context.AfterFunc(f.ctx, func() { _ = closed() })()
	return f.content.fill(f.ctx, f.resp.Body, goOn)
}

// saveWhile saves the response while the readers wait for the end of their body,
// though no longer than the limit: from then on a store that hangs holds up this
// goroutine alone.
func (f *fetch) saveWhile(payload []byte) {
	s, ok := f.newStored(payload)
	if !ok || !f.wanted(s) {
		return
	}
	c := f.call
	ctx, cancel := f.t.limit(context.WithoutCancel(f.ctx))
	defer cancel()
	onTime := context.AfterFunc(ctx, func() {
		c.saved(errStoreSlow)
		f.content.finish(nil, f.resp.Trailer)
		f.land()
	})
	err := f.saveUnlessOutdated(ctx, s)
	if onTime() {
		c.saved(err)
	}
}

// saveUnlessOutdated saves s, and takes it back where it has become outdated. That
// it can until the store has it, however long that takes.
func (f *fetch) saveUnlessOutdated(ctx context.Context, s *stored) error {
	f.t.flights.saving(f, true)
	err := guarded(func() error { return f.call.save(ctx, s) })
	f.t.flights.saving(f, false)
	if f.outdated.Load() {
		f.t.remove(context.WithoutCancel(ctx), f.call.repository, f.call.key)
	}
	return err
}

// newStored is what is stored of the response, if it is.
func (f *fetch) newStored(payload []byte) (*stored, bool) {
	x := &Exchange{Request: f.call.caller, Status: f.resp.StatusCode, Header: f.resp.Header, Body: payload}
	expires, ok := f.expiry(x, f.answered)
	if !ok {
		return nil, false
	}
	now := f.t.cache.Now()
	s := &stored{
		entry: repository.Entry{Status: f.resp.StatusCode, Payload: payload, CachedAt: now, ExpiresAt: expires},
		head:  head.Of(f.resp),
	}
	if f.call.controls() {
		s.head.Header = f.resp.Header // with cookies: the origin says what is not to be stored
	}
	s.noteAge(f.age + now.Sub(f.answered))
	return s, true
}

// wanted reports whether s is to be saved.
func (f *fetch) wanted(s *stored) bool {
	c := f.call
	return !c.readOnly && !f.outdated.Load() &&
		(c.rules.keep == nil || f.t.permits(c.rules.keep, s.exchange(c.caller)))
}

// save saves s before there is an answer.
func (f *fetch) save(s *stored) {
	c := f.call
	if !f.wanted(s) {
		return
	}
	// The readers of f.used do not see what a save notes.
	own := s.clone()
	_, err := bounded(context.WithoutCancel(f.ctx), f.t, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, f.saveUnlessOutdated(ctx, own)
	})
	c.saved(err)
}

// permits asks a filter. One that panics permits nothing.
func (t *Transport) permits(filter func(*Exchange) bool, x *Exchange) (ok bool) {
	return t.guard(func() { ok = filter(x) }) && ok
}

// guard runs a function of the policy's, and reports whether it returned.
func (t *Transport) guard(function func()) (returned bool) {
	defer func() {
		if p := recover(); p != nil {
			t.counts.panics.Add(1)
			t.log.Error("endpointcache: panic in a function of the policy", "panic", fmt.Sprint(p))
		}
	}()
	function()
	return true
}
