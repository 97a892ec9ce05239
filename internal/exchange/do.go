package exchange

import (
	"context"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/endpointcache/endpointcache/internal/background"
	"github.com/endpointcache/endpointcache/internal/head"
	"github.com/endpointcache/endpointcache/internal/rfc9111"
)

// ErrUnanswered means that there is no answer without the origin, which is not to be
// asked.
var ErrUnanswered = errors.New("not in the cache, and the policy does not let the origin be asked")

// Answer is the answer to an ask for a response: one of Stored and Response.
type Answer struct {
	Stored   *Stored        // from the store, perhaps confirmed by the origin; the receiver's own
	Outcome  Outcome        // of Stored
	Cookies  http.Header    // of the 304 that has confirmed Stored
	Response *http.Response // from the origin; its body is to be closed

	joined bool // another caller had begun the request
}

// maxLooks is how often a caller looks again because a flight has landed since it looked:
// with a slow store and many requests, another one would have landed each time.
const maxLooks = 3

// RoundTrip answers an ask for a response, of any status.
func (x *Exchange) RoundTrip(ctx context.Context, a *Ask) (*Answer, error) {
	if a.Alone && !a.neverForward() {
		return x.alone(ctx, a, nil, false)
	}
	seen := x.seen(a)
	s, err := x.lookup(ctx, a)
	if err != nil {
		return nil, err
	}
	switch x.judge(a, s) {
	case serveIt:
		return x.hit(s), nil
	case serveAndRenew:
		x.renew(ctx, a, s, seen)
		return x.hit(s), nil
	case unanswered:
		x.counts.unanswered.Add(1)
		return nil, ErrUnanswered
	case revalidateIt:
		return x.answer(ctx, a, s, true, seen)
	default: // with completeIt, too: the flight takes what is stored for what it is
		return x.answer(ctx, a, s, false, seen)
	}
}

// seen is the number of flights that have landed before a caller looks, see
// [flights.landings].
func (x *Exchange) seen(a *Ask) int64 {
	if a.looked >= maxLooks {
		return math.MaxInt64
	}
	return x.flights.landings()
}

func (x *Exchange) judge(a *Ask, s *Stored) verdict {
	random := 0.0
	if a.Rules.beta > 0 {
		random = rand.Float64() //nolint:gosec // it is no secret
	}
	v, _ := judge(s, &a.Terms, x.Now(), random)
	return v
}

func (x *Exchange) hit(s *Stored) *Answer {
	x.counts.hits.Add(1)
	return &Answer{Stored: s, Outcome: Outcome{Hit: true}}
}

// newFlight makes a flight for the ask. It shares nothing of the caller's request: that
// is the caller's again as soon as it is answered, which may be before the flight ends.
func (x *Exchange) newFlight(ctx context.Context, a *Ask, old *Stored, conditional bool) *Flight {
	f := &Flight{x: x, ask: *a, old: old, conditional: conditional}
	f.setPart()
	f.ask.flightKey()
	f.values = detached(ctx)
	f.ctx = f.values
	if a.Batched {
		return f
	}
	f.share.budget = &x.budget
	f.ctx, f.cancel = context.WithCancelCause(&sharing{f.ctx, &f.share, f})
	f.send, f.ask.Request = a.Door.Begin(f)
	return f
}

// detached is ctx without its end.
func detached(ctx context.Context) context.Context {
	if ctx.Done() == nil {
		return ctx // it has none
	}
	return context.WithoutCancel(ctx)
}

// answer answers the ask from the origin, together with others that ask the same.
func (x *Exchange) answer(ctx context.Context, a *Ask, old *Stored, conditional bool, seen int64) (*Answer, error) {
	if a.ReadOnly && a.method() == http.MethodHead || a.Partial && !conditional {
		return x.alone(ctx, a, old, false)
	}
	if old.isPart() && conditional {
		return x.alone(ctx, a, old, true)
	}
	x.flights.mu.Lock()
	f, first := x.flights.join(a, seen, func() *Flight { return x.newFlight(ctx, a, old, conditional) })
	x.flights.mu.Unlock()
	if f == nil {
		return x.lookAgain(ctx, a)
	}
	if first {
		go f.run()
	}
	return f.await(ctx, a, first)
}

// lookAgain answers from what a flight has saved in the store, or begins anew.
func (x *Exchange) lookAgain(ctx context.Context, a *Ask) (*Answer, error) {
	a.looked++
	return x.RoundTrip(ctx, a)
}

// alone answers the ask with a request of its own.
func (x *Exchange) alone(ctx context.Context, a *Ask, old *Stored, conditional bool) (*Answer, error) {
	f := x.newFlight(ctx, a, old, conditional)
	x.flights.lone(f)
	go f.run()
	return f.await(ctx, a, true)
}

// apartFrom answers the ask, which the answer of f does not suit. If that is so as the answer
// varies, the ask shares a request with others that want the same variant.
func (x *Exchange) apartFrom(ctx context.Context, a *Ask, f *Flight) (*Answer, error) {
	wanted := f.variantFor(a)
	if wanted == "" || a.apart {
		return x.alone(ctx, a, f.oldFor(a), false)
	}
	a.apart, a.vary = true, f.header()["Vary"]
	x.flights.mu.Lock()
	own, first := x.flights.joinVariant(a, wanted, func() *Flight { return x.newFlight(ctx, a, f.oldFor(a), false) })
	x.flights.mu.Unlock()
	if first {
		go own.run()
	}
	return own.await(ctx, a, first)
}

// variantFor names the variant that the ask wants, where the answer is another one that is
// kept; empty where it does not suit for another reason.
func (f *Flight) variantFor(a *Ask) string {
	if f.personal || !f.kept || f.body == nil && f.used == nil || !a.Rules.Controls() || !rfc9111.Varies(f.header()) {
		return ""
	}
	return rfc9111.Variant(f.header(), a.header())
}

// header is that of the flight's answer, which there is.
func (f *Flight) header() http.Header {
	if f.used != nil {
		return f.used.Head.Header
	}
	return f.resp.Header
}

// renew asks the origin for a newer response than s, in the background, unless a flight
// for it is under way.
func (x *Exchange) renew(ctx context.Context, a *Ask, s *Stored, seen int64) {
	if a.Rules.lease > 0 && x.leases.isLeft(a.flightKey(), s) || !x.running.enter() {
		return
	}
	fs := &x.flights
	fs.mu.Lock()
	if fs.joinableFor(a) != nil || fs.landedSince(a.flightKey(), seen) {
		fs.mu.Unlock()
		x.running.leave()
		return
	}
	own := *a
	own.Batched = a.Batched || a.Gathers
	f := x.newFlight(background.With(ctx), &own, s.Clone(), !a.Gathers && rfc9111.HasValidator(s.Head.Header))
	f.renews, f.joinable, f.background, f.goesOn = true, true, true, true
	f.finishing = time.AfterFunc(x.opts.RenewTimeout, f.endUnused)
	f.begun = time.Now()
	fs.link(f)
	fs.mu.Unlock()
	x.renewing(f)
	x.start(f)
}

// softLimit returns a channel that tells when the caller is to be answered with what is
// stored, nil where it never is, and what ends its timer.
func (f *Flight) softLimit(a *Ask) (<-chan time.Time, func() bool) {
	if a.Rules.soft <= 0 || !a.standsInSoon(f.oldFor(a), f.x.Now()) {
		return nil, func() bool { return true }
	}
	timer := time.NewTimer(a.Rules.soft)
	return timer.C, timer.Stop
}

// wait waits until the flight has an answer, or with landed until it has landed. Late is
// true where the soft limit has passed before.
func (f *Flight) wait(ctx context.Context, a *Ask, landed bool) (late bool, err error) {
	fs := &f.x.flights
	var soft <-chan time.Time
	var closing <-chan struct{}
	for first := true; ; first = false {
		fs.mu.Lock()
		if f.landed || f.headed && (!landed || f.body != nil && f.body.isStream()) {
			fs.mu.Unlock()
			return false, nil
		}
		changed := f.change()
		fs.mu.Unlock()
		if first {
			var stop func() bool
			soft, stop = f.softLimit(a)
			defer stop()
			if a.Values {
				closing = f.x.running.ctx.Done()
			}
		}
		select {
		case <-changed:
		case <-soft:
			return true, nil
		case <-ctx.Done():
			return false, context.Cause(ctx)
		case <-a.Cancel:
			return false, ErrCanceled
		case <-closing:
			return false, ErrClosed
		}
	}
}

// await answers a caller, which is counted among those of f, as soon as there is an answer.
func (f *Flight) await(ctx context.Context, a *Ask, first bool) (*Answer, error) {
	// Callers share what may be kept. Whether it may can depend on the body.
	late, err := f.wait(ctx, a, !first && f.ask.Rules.decidesByBody())
	switch {
	case err != nil:
		f.abandon(a)
		return nil, err
	case late:
		return f.answerSoon(a), nil
	case f.elsewhere:
		f.abandon(a)
		a.lookBelow()
		return f.x.RoundTrip(ctx, a)
	case !first && f.used != nil && f.used.bare:
		f.abandon(a)
		return f.x.lookAgain(ctx, a)
	}
	if s, outcome := f.standsInFor(a, first); s != nil {
		f.abandon(a)
		return &Answer{Stored: s, Outcome: outcome}, nil
	}
	if !first && !f.suits(a) {
		f.abandon(a)
		return f.x.apartFrom(ctx, a, f)
	}
	if first && f.resp != nil {
		f.x.counts.misses.Add(1)
	}
	if !first {
		f.x.counts.shared.Add(1)
	}
	switch {
	case f.body != nil:
		body, ok := f.body.read(ctx, f)
		if !ok {
			f.abandon(a)
			return f.x.alone(ctx, a, nil, false)
		}
		if !first && !f.sharesCookies(a) {
			body.withoutCookies = true
		}
		body.shared = !first
		return &Answer{Response: f.response(body), joined: !first}, nil //nolint:bodyclose // it is the caller's
	case f.resp != nil:
		f.resp.Body = f.direct(ctx)
		return &Answer{Response: f.resp}, nil // nobody else has it
	}
	defer f.abandon(a)
	if f.err != nil {
		return nil, f.err
	}
	answer := &Answer{Stored: f.used.Clone().showTo(a.Rules), Outcome: f.outcome, joined: !first}
	if first {
		answer.Cookies = f.cookies
	} else {
		answer.Stored.Head = f.ask.Table.redacted(answer.Stored.Head)
	}
	return answer, nil
}

// answerSoon answers with what is stored, as the origin takes its time. Its answer is
// saved when it comes.
func (f *Flight) answerSoon(a *Ask) *Answer {
	f.x.counts.stale.Add(1)
	old := f.oldFor(a)
	f.leaveToItself(a)
	return &Answer{Stored: old, Outcome: Outcome{Hit: true, Detail: "soft-timeout"}}
}

// standsInFor is the stored response for a caller other than the first, where the flight
// has failed and that caller's policy lets the response stand in. The origin is not asked
// once more.
func (f *Flight) standsInFor(a *Ask, first bool) (*Stored, Outcome) {
	if first || f.err == nil && f.resp == nil || f.resp != nil && !a.Rules.failed(f.resp.StatusCode) {
		return nil, Outcome{}
	}
	s := f.oldFor(a)
	if !a.standsIn(s, f.err != nil, f.x.Now()) {
		return nil, Outcome{}
	}
	f.x.counts.stale.Add(1)
	o := Outcome{Fwd: f.forwarded(), Detail: "stale-if-error"}
	if f.resp != nil {
		o.Status = f.resp.StatusCode
	}
	return s, o
}

// suits reports whether a caller other than the first can have the flight's answer.
func (f *Flight) suits(a *Ask) bool {
	now := f.x.Now()
	switch {
	case f.personal:
		return false
	case f.err != nil:
		return true
	case f.used != nil && f.outcome.Detail != "" && !a.standsIn(f.used.Clone(), f.outcome.Status == 0, now):
		return false // its own policy wants the failure
	case f.resp != nil && a.cameBack(f.resp.StatusCode):
		return false
	case f.used != nil:
		return !a.Rules.Controls() || a.matches(f.used)
	case f.body == nil, !f.kept && !f.sharesFailure(a):
		return false
	case !a.Rules.Controls() || !rfc9111.Varies(f.resp.Header):
		return f.coding == "" || f.coding == rfc9111.CodingVariant(a.header())
	}
	return f.variant == rfc9111.Variant(f.resp.Header, a.header())
}

// sharesFailure reports whether another caller can have an answer that is not kept: typed
// callers ask with the same declaration for the same value.
func (f *Flight) sharesFailure(a *Ask) bool {
	if f.ask.Values && a.Values {
		return f.resp.StatusCode >= 400 || f.ask.Rules.keep == nil && !f.ask.Rules.asksExpiry()
	}
	return f.mayShareFailure()
}

// oldFor is what was stored, where it may be an answer for another caller.
func (f *Flight) oldFor(a *Ask) *Stored {
	if f.old == nil || f.old.bare && !a.Bare || a.Rules.serve != nil || !a.useful(f.old.Entry.Status) || a.Rules.Controls() && !a.matches(f.old) {
		return nil
	}
	return f.old.Clone().showTo(a.Rules)
}

// sharesCookies reports whether a caller other than the first gets the cookies of a
// response: where it would with a hit. Otherwise they are the session of the first.
func (f *Flight) sharesCookies(a *Ask) bool {
	return f.kept && f.ask.Rules.Cookies() && a.Rules.Cookies()
}

// response is the origin's response for a caller.
func (f *Flight) response(body *Reader) *http.Response {
	from := f.resp // whose trailer may be coming in
	header, trailer := from.Header.Clone(), f.trailer.Clone()
	if body.withoutCookies {
		header, trailer = head.WithoutCookies(header), head.WithoutCookies(trailer)
	}
	if body.shared {
		header = f.ask.Table.redactor.Header(header)
	}
	body.resp = &http.Response{
		Status: from.Status, StatusCode: from.StatusCode,
		Proto: from.Proto, ProtoMajor: from.ProtoMajor, ProtoMinor: from.ProtoMinor,
		Header: header, Trailer: trailer,
		Body: body, ContentLength: from.ContentLength,
		TransferEncoding: from.TransferEncoding, Close: from.Close, Uncompressed: from.Uncompressed,
		Request: from.Request, TLS: from.TLS,
	}
	return body.resp
}

// directBody is the origin's body, for one caller. When the caller's context ends, so
// does the request.
type directBody struct {
	body    io.Reader
	close   func() error
	ctx     context.Context
	stop    func() bool
	release func()
}

func (f *Flight) direct(ctx context.Context) io.ReadCloser {
	release := sync.OnceFunc(f.release)
	return &directBody{
		body:    f.resp.Body,
		close:   f.close,
		ctx:     ctx,
		stop:    context.AfterFunc(ctx, release),
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
