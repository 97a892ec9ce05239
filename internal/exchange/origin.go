package exchange

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/head"
	"github.com/endpointcache/endpointcache/internal/rfc9111"
	"github.com/endpointcache/endpointcache/policy"
)

// run makes the request and sees the response through.
func (f *Flight) run() {
	saving := false
	defer func() {
		if !saving { // also where a function of the policy or the client ends the goroutine
			f.land()
		}
	}()
	f.receive()
	if f.body != nil {
		f.fill()
	}
	f.doubtAbsence()
	if f.save != saveNothing {
		saving = true
		f.ask.Table.save(f)
	}
}

// doubtAbsence keeps back what is to be saved of an absence that is not believed yet. A
// value ends the doubt: not when it has been saved, which takes longer than an absence.
func (f *Flight) doubtAbsence() {
	d := f.ask.Doubt
	switch {
	case d == nil || !d.Load():
	case f.used != nil && f.outcome.Detail == "":
		d.Store(false)
	case f.resp != nil && f.foreign:
	case f.resp != nil && hasValue(f.resp.StatusCode) && f.decodeErr == nil:
		d.Store(false)
	case f.resp != nil && Gone(f.resp.StatusCode):
		f.doubted, f.save = f.save, saveNothing
	}
}

// receive gets the answer.
func (f *Flight) receive() {
	var resp *http.Response
	var payload []byte
	var whole bool
	var err error
	taken := false
	defer func() {
		if !taken { // the user's code has ended the goroutine
			f.refuse(resp)
		}
		if f.body != nil || f.save == saveNothing {
			f.head()
		}
	}()
	if !f.awaitLease() {
		taken = true
		return
	}
	f.markSent()
	if hard := f.ask.Rules.hard; hard > 0 {
		late := time.AfterFunc(hard, func() { f.cancel(policy.ErrTimeout) })
		defer late.Stop()
	}
	resp, payload, whole, err = f.sendOnce() //nolint:bodyclose // take sees to it, or refuse
	if err == nil && f.conditional && (f.confirmsAnother(resp) || resp.StatusCode == http.StatusNotModified && f.isForeign(resp)) {
		discard(resp)
		f.conditional = false
		resp, payload, whole, err = f.sendOnce() //nolint:bodyclose // as above
	}
	if err == nil && f.rest != nil {
		var ok bool
		if resp, ok = f.completed(resp); !ok {
			discard(resp)
			f.rest = nil
			resp, payload, whole, err = f.sendOnce() //nolint:bodyclose // as above
		}
	}
	f.take(resp, payload, whole, err)
	taken = true
}

// refuse ends a flight with an error instead of a response that was not taken.
func (f *Flight) refuse(resp *http.Response) {
	f.err, f.used, f.resp, f.save = errEnded, nil, nil, saveNothing
	if resp != nil && resp.Body != nil {
		_ = closer(resp.Body)()
	}
}

// sendOnce sends the request once.
func (f *Flight) sendOnce() (resp *http.Response, payload []byte, whole bool, err error) {
	defer func() {
		if p := recover(); p != nil {
			f.x.counts.panics.Add(1)
			err = basePanic(p)
			if f.ask.Values {
				f.panicked = p // which is that of each typed caller
			}
		}
	}()
	var stored http.Header
	if f.conditional {
		stored = f.old.Head.Header
	}
	resp, payload, whole, err = f.send(f.ctx, stored)
	switch {
	case err != nil:
	case resp == nil:
		err = errors.New("the base transport returned neither a response nor an error")
	case resp.Body == nil:
		resp.Body = http.NoBody // as http.Client takes it
	}
	return resp, payload, whole, err
}

// isForeign reports whether a redirect has led to a host that may not answer.
func (f *Flight) isForeign(resp *http.Response) bool {
	var until *http.Response
	if req := f.ask.Request; req != nil {
		until = req.Response // which has led to the caller's own request
	}
	return f.ask.Table.IsForeign(resp, until)
}

// confirmsAnother reports whether a 304 is about another response than the stored one,
// which is of no use then.
func (f *Flight) confirmsAnother(resp *http.Response) bool {
	return f.conditional && resp.StatusCode == http.StatusNotModified && !rfc9111.Confirms(resp.Header, f.old.Head.Header)
}

// take decides what becomes of what the origin has said.
func (f *Flight) take(resp *http.Response, payload []byte, whole bool, err error) {
	if f.like != nil {
		f.answered = f.like.answered
	} else {
		f.answered = f.x.Now()
	}
	late := errors.Is(context.Cause(f.context()), policy.ErrTimeout)
	gaveUp := f.context().Err() != nil && !late
	switch {
	case err != nil && !gaveUp && f.ask.standsIn(f.old, true, f.answered):
		f.failure = err
		f.standIn(0)
	case err != nil:
		f.err, f.personal = err, resp != nil && f.mayCross(resp)
		if late && !errors.Is(err, policy.ErrTimeout) {
			f.err = fmt.Errorf("%w: %w", policy.ErrTimeout, err)
		}
	case resp.StatusCode == http.StatusNotModified && f.conditional:
		discard(resp)
		f.confirm(resp)
	case f.ask.Rules.failed(resp.StatusCode) && f.ask.standsIn(f.old, false, f.answered):
		discard(resp)
		f.standIn(resp.StatusCode)
	default:
		f.receiveBody(resp, payload, whole)
		f.forgetGone(resp.StatusCode)
	}
}

// forgetGone removes what is stored where the origin says that there is nothing any
// more, and its saying so is not kept instead.
func (f *Flight) forgetGone(status int) {
	if Gone(status) && !f.kept && !f.foreign && (f.ask.present || f.overtakes) && f.storable() {
		f.save = saveRemoval // of what an older flight has saved meanwhile, too
	}
}

// tellsGone reports whether the origin has said that there is nothing any more, and is
// believed.
func (f *Flight) tellsGone() bool {
	return f.err == nil && f.resp != nil && Gone(f.resp.StatusCode) && !f.foreign && (f.ask.Doubt == nil || !f.ask.Doubt.Load())
}

// asOf is the instant that the answer is knowledge of: that of the request. It is never
// before that of what was stored then, though clocks may differ or be set back.
func (f *Flight) asOf() time.Time {
	asked, stored := f.asOfAsk, f.ask.asOf
	if f.old != nil && f.old.Entry.CachedAt.After(stored) {
		stored = f.old.Entry.CachedAt
	}
	if stored.After(asked) {
		asked = stored.Add(time.Microsecond)
		f.x.order.noteKnown(asked)
	}
	return asked
}

// standIn answers with what is stored, expired as it may be.
func (f *Flight) standIn(status int) {
	f.x.counts.stale.Add(1)
	f.used = f.old
	f.used.control() // before callers share it
	f.outcome = Outcome{Fwd: f.forwarded(), Status: status, Detail: "stale-if-error"}
}

// forwarded is why the origin was asked though something is stored, RFC 9211,
// section 2.2.
func (f *Flight) forwarded() string {
	if f.old.Fresh(f.x.Now()) {
		return "request"
	}
	return "stale"
}

// confirm answers with what is stored, which a 304 has confirmed, and has it saved with
// the headers and expiry that it has now.
func (f *Flight) confirm(resp *http.Response) {
	h := resp.Header
	f.x.counts.revalidated.Add(1)
	s := f.old.withHeader(rfc9111.Update(f.old.Head.Header, h, f.answered))
	if !f.ask.Rules.Cookies() {
		f.cookies = head.Cookies(h)
		s.Head.Header = head.WithoutCookies(s.Head.Header)
	}
	f.age = rfc9111.InitialAge(h, f.asked, f.answered)
	s.Entry.CachedAt, s.old = f.asOf(), false
	s.noteAge(f.age - f.answered.Sub(f.asked))
	s.parsed = false
	s.control()
	f.used, f.outcome = s, Outcome{Fwd: f.forwarded(), Status: http.StatusNotModified}
	x := s.exchange(f.ask.policyRequest())
	f.personal = f.mayCross(resp)
	expires, ok := f.expiry(x)
	if !ok || !f.permitted(x) || f.personal {
		return
	}
	f.kept = true
	s.Entry.ExpiresAt = expires
	switch {
	case !f.storable():
	case f.ask.Rules.Controls() && (s.beside || f.savesApart(s) || !f.ask.matches(s)):
		if !s.bare { // a variant is moved with its payload
			f.stored, f.save = s.Clone(), saveVariant
			f.stored.Head = f.ask.Table.redacted(f.stored.Head)
		}
	default:
		encoded, err := head.Encode(f.ask.Table.redacted(s.Head))
		if err != nil {
			return
		}
		s.Entry.Header = encoded
		f.save = saveRenewal
		f.renewed = driver.Renewal{
			Key: f.ask.Key, Seen: f.old.Entry.CachedAt, Header: encoded,
			CachedAt: s.Entry.CachedAt, ExpiresAt: expires,
			Name: f.old.Entry.Name, Status: f.old.Entry.Status,
		}
	}
}

// savesApart reports whether other processes may be saving other variants of s, over it.
func (f *Flight) savesApart(s *Stored) bool {
	return f.ask.Rules.lease > 0 && s.Head.Notes[severalNote] != "" && !s.bare
}

func (f *Flight) mayCross(resp *http.Response) bool {
	return f.ask.Table.MayCross(resp, f.ask.Key, f.asAsked())
}

// asAsked returns the request as it was asked for, for [Table.MayCross].
func (f *Flight) asAsked() func() *http.Request {
	if f.ask.Values && !f.ask.Table.Scoped() {
		return func() *http.Request { return nil }
	}
	return f.ask.request
}

// MayTake reports whether a response is one for the flight, though it was asked for on
// behalf of another one, by: the same call has begun both, or it is nobody's own.
func (f *Flight) MayTake(resp *http.Response, by *Flight) bool {
	if f == by || reflect.ValueOf(f.values).Comparable() && f.values == by.values {
		return true
	}
	_, crosses := f.ask.Table.crossing(resp, f.ask.Key, f.asAsked())
	return !crosses
}

// mayKeep reports whether the response is to be saved, as far as can be said before its
// body has come.
func (f *Flight) mayKeep() bool {
	resp := f.resp
	if f.announced() > f.x.opts.MaxBody || f.stream || f.ask.ReadOnly && f.ask.method() == http.MethodHead {
		return false
	}
	switch {
	case f.personal, f.ask.leadsToItself(resp.StatusCode, resp.Header), !f.ask.Table.redactor.Keeps(resp.StatusCode, resp.Header):
		return false
	case resp.StatusCode == http.StatusPartialContent && !f.ask.keepsPart(resp.Header):
		return false
	case f.ask.Range != nil && resp.StatusCode != http.StatusPartialContent && len(resp.Header["Content-Range"]) > 0:
		return false // it does not look like the whole
	case f.ask.Rules.asksExpiry():
		return f.ask.mayStore(resp.StatusCode, resp.Header)
	}
	f.exchange = policy.Exchange{Request: f.ask.policyRequest(), Status: policyStatus(resp.StatusCode), Header: resp.Header}
	_, ok := f.expiry(&f.exchange)
	return ok
}

// overloaded are the statuses of an origin that should not be asked again by each of the
// callers that asked for the same at the same time.
var overloaded = []int{http.StatusTooManyRequests, http.StatusServiceUnavailable}

func (f *Flight) mayShareFailure() bool {
	return !f.personal && slices.Contains(overloaded, f.resp.StatusCode) && f.ask.mayShare(f.ask.method(), f.resp.StatusCode, f.resp.Header) &&
		f.announced() <= f.x.opts.MaxBody && !f.ask.Partial
}

// expiry is when the response expires, and whether it is saved at all.
func (f *Flight) expiry(x *policy.Exchange) (expires time.Time, ok bool) {
	called := f.x.call(func() { expires, ok = f.ask.expiry(x, f.ask.Table.Expire, f.age, f.answered) })
	if !called || !ok {
		return time.Time{}, false
	}
	if !expires.IsZero() {
		expires = instant(expires)
	}
	return expires, true
}

// prepare makes the entry that is stored of a response whose body has come, if it is,
// and decodes it.
func (f *Flight) prepare(payload []byte) {
	x := &f.exchange
	*x = policy.Exchange{
		Request: f.ask.policyRequest(), Status: policyStatus(f.resp.StatusCode), Header: f.resp.Header, Body: payload, Trailer: f.resp.Trailer,
	}
	f.entry = driver.Entry{Key: f.ask.Key, Status: f.resp.StatusCode, Payload: payload}
	if hasValue(f.resp.StatusCode) && (f.kept || f.ask.Values) {
		f.decode(payload)
	}
	if !f.kept {
		return
	}
	expires, ok := f.expiry(x)
	if !ok || !f.permitted(x) {
		f.kept = false
		f.forgetGone(f.resp.StatusCode)
		return
	}
	if !f.storable() || f.decodeErr != nil || f.panicked != nil {
		return
	}
	f.entry.CachedAt, f.entry.ExpiresAt = f.asOf(), expires
	if !f.tag() {
		return
	}
	if l := f.like; l != nil && l.entry.Header != "" && f.ask.Table.Tags == nil {
		if f.redact(nil) {
			f.entry.Header, f.save = l.entry.Header, saveEntry
		}
		return
	}
	s := &Stored{Head: head.Of(f.resp)}
	if f.ask.Rules.Cookies() {
		s.Head = head.Whole(f.resp)
	}
	if !f.redact(&s.Head) {
		return
	}
	s.Entry = f.toSave()
	s.noteAge(f.age - f.answered.Sub(f.asked))
	if f.tags != "" {
		s.note(tagsNote, f.tags)
	}
	if f.resp.Header.Get("Content-Encoding") != "" {
		s.note(variantNote, rfc9111.CodingVariant(f.ask.header()))
	}
	if f.entry.Status == http.StatusPartialContent {
		p, ok := f.partOf(payload)
		if ok {
			s.Head.Header = s.Head.Header.Clone() // callers read the response's
			s.setParts(p)
			f.stored, f.save = s, savePart
		}
		return
	}
	if f.ask.Rules.beta > 0 {
		s.note(tookNote, strconv.FormatInt(f.answered.Sub(f.asked).Milliseconds(), 10))
	}
	if f.ask.Rules.Controls() && rfc9111.Varies(f.resp.Header) && !(f.ask.Values && variesByCodingAlone(f.resp.Header)) {
		f.stored, f.save = s, saveVariant
		return
	}
	var err error
	if f.entry.Header, err = head.Encode(s.Head); err != nil {
		f.x.log.Warn("endpointcache: a response cannot be saved", "repository", f.ask.Table.Name, "error", err)
		return
	}
	f.save = saveEntry
}

// permitted reports whether the policy lets a response be saved.
func (f *Flight) permitted(x *policy.Exchange) bool {
	return f.ask.Rules.keep == nil || f.x.permits(f.ask.Rules.keep, x)
}

// storable reports whether the answer can be saved.
func (f *Flight) storable() bool {
	return f.ask.Table.Keeps() && !f.ask.ReadOnly && !f.outdated.Load() && f.ask.Rules.Use() != policy.Disabled
}

// permits asks a filter. One that panics permits nothing.
func (x *Exchange) permits(filter func(*policy.Exchange) bool, e *policy.Exchange) (ok bool) {
	return x.call(func() { ok = filter(e) }) && ok
}

// call runs a function of a policy or an endpoint, and reports whether it returned.
func (x *Exchange) call(function func()) (returned bool) {
	defer func() {
		if p := recover(); p != nil {
			x.counts.panics.Add(1)
			x.log.Error("endpointcache: panic in a function of a policy or an endpoint", "panic", fmt.Sprint(p))
		}
	}()
	function()
	return true
}
