package exchange

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/hooks"
	"github.com/endpointcache/endpointcache/internal/rfc9111"
	"github.com/endpointcache/endpointcache/policy"
)

// Many is a number of asks for values of one table, with the same terms. All are looked
// up together; no two have the same key.
type Many struct {
	Asks []Ask

	// Found takes a stored entry as the answer to the i-th ask. It is false where the
	// entry cannot be decoded: the origin is asked then. It is called by several
	// goroutines at once, never twice for one i.
	Found func(i int, e driver.Entry) bool

	// Tally counts the answers, see [Exchange.NewTally].
	Tally *Tally

	x        *Exchange
	seen     int64
	storeErr error // of the last lookup
	readErr  error // for which answers are not saved
}

// StoreErr is why the last lookup found nothing, where the store has failed.
func (m *Many) StoreErr() error { return m.storeErr }

// NewMany prepares the asks; there is at least one.
func (x *Exchange) NewMany(asks []Ask, found func(int, driver.Entry) bool) *Many {
	return &Many{Asks: asks, Found: found, Tally: x.NewTally(), x: x}
}

// Lookup looks up the asks with these indexes and returns those that the origin has to
// be asked for. The error is the caller's context's; refuse is called
// for each ask that can neither be answered nor sent.
func (m *Many) Lookup(ctx context.Context, of []int, refuse func(i int, err error)) (missing []int, err error) {
	if len(of) == 0 {
		return nil, nil
	}
	first := &m.Asks[of[0]]
	m.seen, m.storeErr = m.x.seen(first), nil
	disabled := first.Rules.Use() == policy.Disabled
	for _, at := range of {
		m.Asks[at].alone = m.Asks[at].alone || disabled
	}
	if !first.Table.Keeps() || disabled {
		return m.judge(ctx, of, make([]bool, len(of)), refuse)
	}
	if first.Rules.plain() && first.looked == 0 {
		if of, err = m.live(ctx, of); err != nil || len(of) == 0 {
			return nil, err
		}
	}
	stored := make([]bool, len(of))
	if m.storeErr != nil { // the store is not asked twice
		return m.judge(ctx, of, stored, refuse)
	}
	sel := allParts(m.x)
	if first.bare() {
		sel.Parts = driver.Meta
	}
	if slices.ContainsFunc(of, func(at int) bool { return m.Asks[at].below }) {
		sel.Parts |= driver.Usage
	}
	err = first.Table.get(ctx, m.keys(of), &sel, func(i int, e driver.Entry) {
		a := &m.Asks[of[i]]
		a.found, stored[i] = e, true
	})
	if err != nil {
		clear(stored)
		if err := m.failed(ctx, of, err); err != nil {
			return nil, err
		}
	}
	return m.judge(ctx, of, stored, refuse)
}

func (m *Many) keys(of []int) []driver.Key {
	keys := make([]driver.Key, len(of))
	for i, at := range of {
		keys[i] = m.Asks[at].Key
	}
	return keys
}

// failed notes that the store has failed. The error is the caller's context's.
func (m *Many) failed(ctx context.Context, of []int, err error) error {
	m.storeErr, m.readErr = err, err
	for _, at := range of {
		if err := m.x.lookupFailed(ctx, &m.Asks[at], err); err != nil {
			return err
		}
	}
	return nil
}

// live answers those of the asks that have a live entry, of which it reads no more than
// is wanted, and returns the others.
func (m *Many) live(ctx context.Context, of []int) (missing []int, err error) {
	first := &m.Asks[of[0]]
	sel := driver.Selection{Filter: driver.Filter{State: driver.Live, Now: instant(m.x.Now())}, Parts: driver.Payload}
	if first.Bare {
		sel.Parts = 0
	}
	answered := make([]bool, len(of))
	err = first.Table.readGuarded(ctx, m.keys(of), sel, func(i int, e driver.Entry) {
		a := &m.Asks[of[i]]
		if a.useful(e.Status) {
			answered[i] = m.found(of[i], e)
			a.Distrust = !answered[i]
		}
	})
	if err != nil {
		if err := m.failed(ctx, of, err); err != nil {
			return nil, err
		}
	}
	for i, at := range of {
		if !answered[i] {
			missing = append(missing, at)
		}
	}
	return missing, nil
}

// unanswered refuses an ask that only the origin could answer.
func (m *Many) unanswered(i int, refuse func(int, error)) {
	m.x.counts.unanswered.Add(1)
	m.Tally.add(hooks.Unanswered)
	refuse(i, ErrUnanswered)
}

// found calls Found, and counts an answer. A panic of it is not the store's: the entry is one that cannot be
// decoded.
func (m *Many) found(i int, e driver.Entry) (ok bool) {
	err := guarded(func() error {
		ok = m.Found(i, e)
		return nil
	})
	switch {
	case err != nil:
		m.x.counts.panics.Add(1)
		return false
	case ok:
		m.hit(&e)
	}
	return ok
}

// judge decides about each ask by what is stored, and returns those to be sent.
func (m *Many) judge(ctx context.Context, of []int, stored []bool, refuse func(int, error)) (missing []int, err error) {
	for i, at := range of {
		a := &m.Asks[at]
		var s *Stored
		if stored[i] {
			if s, err = m.x.stored(ctx, a, a.found); err != nil {
				return nil, err
			}
		}
		a.old, a.conditional = s, false
		switch v := m.x.judge(a, s); v {
		case serveIt, serveAndRenew:
			if !m.found(at, s.Entry) {
				a.Distrust, a.old = true, nil
				if a.neverForward() {
					m.unanswered(at, refuse)
				} else {
					missing = append(missing, at)
				}
				continue
			}
			if v == serveAndRenew {
				m.x.renew(ctx, a, s, m.seen)
			}
		case unanswered:
			m.unanswered(at, refuse)
		case revalidateIt:
			a.conditional = true
			missing = append(missing, at)
		default:
			missing = append(missing, at)
		}
	}
	return missing, nil
}

// Join joins the flights of the asks with these indexes, or begins them. The waiter is
// told when they land. The flights in begun are the door's to send. For the asks in again
// a flight has landed meanwhile: they are to be looked up once more.
func (m *Many) Join(ctx context.Context, of []int, w Waiter) (begun []*Flight, again []int) {
	fs := &m.x.flights
	ctx = context.WithoutCancel(ctx)
	var landed, started []*Flight
	var landedAt []int
	fs.mu.Lock()
	for _, at := range of {
		a := &m.Asks[at]
		f, first := fs.join(a, m.seen, func() *Flight { return m.x.newFlight(ctx, a, a.old, a.conditional) })
		if f == nil {
			a.looked++
			again = append(again, at)
			continue
		}
		a.flight, a.first, a.gaveUp = f, first, false
		if f.landed {
			landed, landedAt = append(landed, f), append(landedAt, at)
			continue
		}
		f.waiters = append(f.waiters, waiting{w, at})
		switch {
		case !first:
		case f.send != nil:
			started = append(started, f)
		default:
			begun = append(begun, f)
		}
	}
	fs.mu.Unlock()
	for _, f := range started {
		go f.run()
	}
	for i, f := range landed {
		w.Landed(landedAt[i], f)
	}
	return begun, again
}

// Result is what the flight of the i-th ask, which has landed, has brought. It is false
// where that is no answer to the ask: it is to be looked up again, or to be sent alone,
// which Join does.
func (m *Many) Result(i int) (Result, bool) {
	a := &m.Asks[i]
	f := a.flight
	r, next := f.result(a, a.first)
	r.joined = !a.first
	if a.ReadOnly && r.SaveErr == nil && (r.Kind == Fetched || r.Kind == Confirmed) {
		r.SaveErr = m.readErr
	}
	m.Leave(i)
	switch next {
	case settled:
		m.settled(&r)
		return r, true
	case askAlone:
		a.alone = true
		a.looked++
	default:
	}
	return r, false
}

// Soon answers the i-th ask with what is stored, where its soft limit has passed and
// that may be used. The flight goes on.
func (m *Many) Soon(i int) (Result, bool) {
	a := &m.Asks[i]
	if a.flight == nil {
		return Result{}, false
	}
	s := a.flight.oldFor(a)
	if !a.standsInSoon(s, m.x.Now()) {
		return Result{}, false
	}
	m.x.counts.stale.Add(1)
	m.Tally.add(hooks.Stale)
	a.flight.leaveToItself(a)
	a.flight = nil
	return Result{Kind: Stale, Entry: s.Entry, Err: policy.ErrTimeout}, true
}

// SoftLimit is how long callers wait before they are answered by [Many.Soon], 0 for as
// long as it takes.
func (m *Many) SoftLimit() time.Duration { return max(0, m.Asks[0].Rules.soft) }

// Leave tells that nobody waits for the i-th ask any more.
func (m *Many) Leave(i int) {
	a := &m.Asks[i]
	m.GiveUp(i)
	a.flight = nil
}

// GiveUp lets the flight of the i-th ask end, and reports whether it goes on for others
// nevertheless, for as long as these want it to. Its result can still be asked for once it
// has landed.
func (m *Many) GiveUp(i int) (goesOn bool) {
	a := &m.Asks[i]
	if a.flight == nil || a.gaveUp {
		return false
	}
	a.gaveUp = true
	return a.flight.abandon(a)
}

// readGuarded is Read within the limits of the guard.
func (t *Table) readGuarded(ctx context.Context, keys []driver.Key, sel driver.Selection, convert func(int, driver.Entry)) error {
	if t.isPrompt {
		return t.x.guard.prompt(ctx, t, "get", len(keys), func(ctx context.Context) error {
			return t.Read(ctx, keys, sel, convert)
		})
	}
	var gate gate
	err := t.x.guard.do(ctx, t, "get", len(keys), func(ctx context.Context) error {
		return t.Read(ctx, keys, sel, func(i int, e driver.Entry) {
			gate.pass(func() { convert(i, e) })
		})
	})
	gate.shut()
	return err
}

// Waits reports whether the i-th ask has a flight.
func (m *Many) Waits(i int) bool { return m.Asks[i].flight != nil }

// Ask is the ask that began the flight, to be read only.
func (f *Flight) Ask() *Ask { return &f.ask }

// Conditions are the headers of the stored response that the request is to ask about,
// nil for none.
func (f *Flight) Conditions() http.Header {
	if !f.conditional {
		return nil
	}
	return f.old.Head.Header
}

// Conditional reports whether the flight asks if what is stored still holds.
func (f *Flight) Conditional() bool { return f.conditional }

// Renews reports whether the flight has begun in the background, as what is stored
// expires soon or has expired.
func (f *Flight) Renews() bool { return f.renews }

// Reply is what the origin has said to a flight that a door sends itself: a response
// whose body has been read, or an error.
type Reply struct {
	Flight   *Flight
	Response *http.Response
	Payload  []byte
	Err      error
	Panic    any // of the declaration's or the client's functions, which ended the request
}

// Deliver answers flights that a door has sent itself, and has what they bring saved
// together. Each flight is answered once.
func Deliver(replies []Reply) {
	var saving []*Flight
	delivered := 0
	defer func() {
		if delivered < len(replies) { // a function of the declaration has ended the goroutine
			replies[delivered].Flight.land()
			Deliver(replies[delivered+1:])
		}
		if len(saving) > 0 {
			saving[0].ask.Table.save(saving...)
		}
	}()
	var last *Flight
	for _, r := range replies {
		f := r.Flight
		f.like, last = f.likeness(last, r.Response), f
		saves := f.deliver(r)
		f.like = nil
		if saves {
			saving = append(saving, f)
		} else {
			f.land()
		}
		delivered++
	}
}

// likeness is the flight before this one in a batch, if their responses differ in nothing
// but the body: the header and expiry that were made for that one hold for this one, too.
func (f *Flight) likeness(before *Flight, resp *http.Response) *Flight {
	if before == nil || resp == nil || before.resp != resp || before.ask.Rules != f.ask.Rules || !before.asked.Equal(f.asked) ||
		f.ask.Rules.Controls() || before.coding != "" {
		return nil
	}
	return before
}

// deliver takes a reply, and reports whether there is something to be saved.
func (f *Flight) deliver(r Reply) (saves bool) {
	defer func() {
		if f.err == nil && f.used == nil && f.resp == nil {
			f.err, saves = errEnded, false
		}
	}()
	f.panicked = r.Panic
	f.take(r.Response, r.Payload, true, r.Err)
	if f.body != nil {
		f.fill()
	}
	f.doubtAbsence()
	if n := f.ask.Answers; n != nil && f.isOfUse() {
		n.Add(1)
	}
	return f.save != saveNothing
}

// isOfUse reports whether the origin's answer tells what there is for the key.
func (f *Flight) isOfUse() bool {
	switch {
	case f.err != nil, f.decodeErr != nil, f.panicked != nil:
		return false
	case f.used != nil:
		return f.outcome.Detail == ""
	}
	return f.resp != nil && (hasValue(f.resp.StatusCode) || Gone(f.resp.StatusCode))
}

// ConfirmsAnother reports whether a 304 is about another response than the stored one:
// the request is to be repeated without conditions.
func (f *Flight) ConfirmsAnother(resp *http.Response) bool {
	if !f.conditional || resp == nil || resp.StatusCode != http.StatusNotModified || rfc9111.Confirms(resp.Header, f.old.Head.Header) {
		return false
	}
	f.conditional = false
	return true
}
