package transport

import (
	"fmt"
	"io"
	"mime"
	"net/http"
	"sync"
	"time"

	"github.com/endpointcache/endpointcache/repository"
)

// run makes the request and sees the response through.
func (f *fetch) run() {
	f.receive()
	if f.content != nil {
		f.keep()
	}
	fl := &f.t.flights
	fl.mu.Lock()
	defer fl.mu.Unlock()
	fl.forgetLocked(f)
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
	defer close(f.ready)
	asked := f.t.cache.Now()
	resp, err := f.send()
	if err == nil && f.confirmsAnother(resp) {
		discard(resp)
		f.asks = false
		resp, err = f.send()
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
	req := f.call.req.Clone(f.ctx)
	if f.asks {
		setValidators(req.Header, f.old.head.Header)
		req.Header.Del("Range")
		req.Header.Del("If-Range")
	}
	return f.call.base.RoundTrip(req)
}

// confirmsAnother reports whether a 304 is about another response than the stored
// one, which is of no use then. A request with a body is not repeated.
func (f *fetch) confirmsAnother(resp *http.Response) bool {
	noBody := f.call.req.Body == nil || f.call.req.Body == http.NoBody
	return f.asks && noBody && resp.StatusCode == http.StatusNotModified && !confirms(resp.Header, f.old.head.Header)
}

// discard reads what little a response without use may have, so that its
// connection can be used again.
func discard(resp *http.Response) {
	_, _ = io.CopyN(io.Discard, resp.Body, 4<<10)
	_ = resp.Body.Close()
}

// standIn answers with what is stored, expired as it may be.
func (f *fetch) standIn(status int) {
	f.t.counts.stale.Add(1)
	f.used = f.old
	f.outcome = outcome{fwd: "stale", status: status, detail: "stale-if-error"}
}

// confirm answers with what is stored, which a 304 has confirmed, and saves it
// with the headers and expiry that it has now.
func (f *fetch) confirm(h http.Header, asked, answered time.Time) {
	f.t.counts.revalidated.Add(1)
	s := f.old.clone()
	s.head.Header = updated(f.old.head.Header, h, answered)
	if !f.call.controls() {
		s.head.Header.Del("Set-Cookie")
	}
	f.age = initialAge(h, asked, answered)
	s.entry.CachedAt = answered
	s.noteAge(f.age)
	s.parsed = false
	f.used, f.outcome = s, outcome{fwd: "stale", status: http.StatusNotModified}
	if f.call.rules.use == Revalidate {
		f.outcome.fwd = "request"
	}
	if expires, ok := f.expiry(s.exchange(f.call.caller), answered); ok {
		s.entry.ExpiresAt = expires
		f.save(s)
	}
}

// take answers with the origin's response, which is kept if it may be.
func (f *fetch) take(resp *http.Response, asked, answered time.Time) {
	fl := &f.t.flights
	f.answered, f.age = answered, initialAge(resp.Header, asked, answered)
	keep := f.mayKeep(resp)
	if f.call.controls() && varies(resp.Header) {
		f.variant = variant(resp.Header, f.call.caller.Header)
	}
	fl.mu.Lock()
	defer fl.mu.Unlock()
	f.resp = resp
	if keep {
		f.content = newContent(resp.ContentLength, f.t.opts.MaxBody)
		return
	}
	fl.forgetLocked(f)
	f.close = sync.OnceValue(resp.Body.Close)
	if f.callers <= 0 { // the caller is gone
		_ = f.close()
		f.cancel()
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
	return mayStore(c.asked, status, h, parseDirectives(h)) && (c.rules.statuses == nil || c.rules.allows(status))
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
	if byCall.kind != unset {
		return byCall.instant(answered), byCall.kind != doNotCache
	}
	fixed := of(c.rules.fixedExpiry)
	if fixed.kind == doNotCache {
		return time.Time{}, false
	}
	if c.controls() {
		return f.controlledExpiry(x, fixed, answered)
	}
	if fixed.kind == unset {
		fixed = After(c.repository.Expire())
		if c.repository.Expire() == neverExpire {
			fixed = Never()
		}
	}
	return fixed.instant(answered), true
}

// controlledExpiry is expiry where the response's own headers come first.
func (f *fetch) controlledExpiry(x *Exchange, fixed Expiry, answered time.Time) (expires time.Time, ok bool) {
	d := parseDirectives(x.Header)
	life, explicit := lifetime(x.Header, d, answered)
	switch {
	case d.noCache:
		return answered, hasValidator(x.Header)
	case explicit:
		expires = answered.Add(life - f.age)
	case fixed.kind != unset && f.call.rules.allows(x.Status):
		return fixed.instant(answered), true
	default:
		expires = answered.Add(heuristic(x.Status, x.Header, d, answered) - f.age)
	}
	if expires.Before(answered) {
		expires = answered
	}
	useful := expires.After(answered) || hasValidator(x.Header) ||
		d.staleIfError.Duration > 0 || d.staleWhileRevalidate.Duration > 0
	return expires, useful
}

// keep reads the body, for those who read along, and saves the response if all of
// it came.
func (f *fetch) keep() {
	body := f.resp.Body
	limit := int64(-1) // of the body's size, once nobody reads along
	whole, err := f.content.fill(f.ctx, body, func(size int64) bool {
		if size > f.t.opts.MaxBody {
			f.t.flights.forget(f)
		}
		if !f.unused() {
			limit = -1
			return true
		}
		if limit < 0 {
			limit = size + f.t.opts.FinishBytes
		}
		return size <= min(limit, f.t.opts.MaxBody)
	})
	_ = body.Close()
	payload := f.content.bytes()
	if err == nil && whole && f.resp.ContentLength >= 0 && f.resp.ContentLength != int64(len(payload)) && f.call.req.Method != http.MethodHead {
		err = io.ErrUnexpectedEOF
	}
	if err == nil && whole {
		f.saveResponse(payload)
	}
	f.content.finish(err)
}

func (f *fetch) saveResponse(payload []byte) {
	x := &Exchange{Request: f.call.caller, Status: f.resp.StatusCode, Header: f.resp.Header, Body: payload}
	expires, ok := f.expiry(x, f.answered)
	if !ok {
		return
	}
	now := f.t.cache.Now()
	s := &stored{
		entry: repository.Entry{Status: f.resp.StatusCode, Payload: payload, CachedAt: now, ExpiresAt: expires},
		head:  repository.HeadOf(f.resp),
	}
	if f.call.controls() {
		s.head.Header = f.resp.Header // with cookies: the origin says what is not to be stored
	}
	s.noteAge(f.age + now.Sub(f.answered))
	f.save(s)
}

// save saves s, unless it is not wanted or outdated by now.
func (f *fetch) save(s *stored) {
	c := f.call
	if c.readOnly || f.outdated.Load() {
		return
	}
	if c.rules.keep != nil && !f.t.permits(c.rules.keep, s.exchange(c.caller)) {
		return
	}
	if c.save(s, f.old) && f.outdated.Load() {
		f.t.remove(f.ctx, c.repository, c.key)
	}
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
