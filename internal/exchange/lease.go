package exchange

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/hooks"
)

// LeasesTable is the name of the table of leases. A lease is the right to ask the origin for
// a key, of one process among all that use the store: an entry that is live. It is created
// when the cache first needs one.
const LeasesTable = "endpointcache_leases"

// leaseColumns are the key of a lease.
var leaseColumns = []driver.Column{{Name: "repository", Kind: driver.String}, {Name: "item", Kind: driver.String}}

// leaseKey is what a lease is for: a key, or where its responses are known to vary, one
// variant of them.
type leaseKey struct {
	flightKey
	variant string
}

// lease is one that this process has.
type lease struct {
	key    leaseKey
	flight *Flight
	table  *Table // of the entry
	row    driver.Entry
	period time.Duration // how long it lives when it is put or extended
	kept   bool          // the answer that it was for is stored

	doubtful bool // the store has failed to extend it: it may be another process's by now
}

// leases are those of an exchange's store. They go by the machine's clock, and not by the
// exchange's: other processes have the same.
//
// A flight first puts its lease where there is none that is live. If it gets it, it looks
// whether another process has stored an answer since its caller looked, and asks the
// origin otherwise. If it does not get it, it waits, see [queue].
type leases struct {
	ownTable
	mu      sync.Mutex
	held    map[leaseKey]*lease
	freed   []*lease          // that are to be given back
	giving  map[leaseKey]bool // of these, and of those that are being given back
	keeping bool
	wake    chan struct{}
	queues  map[*Table]*queue
	cleared time.Time // when those of processes that have died were last removed
	left    map[leaseKey]leftRenewal
}

func (l *leases) init(x *Exchange) {
	l.x, l.spec = x, driver.TableSpec{Name: LeasesTable, Key: leaseColumns}
	l.held, l.queues = make(map[leaseKey]*lease), make(map[*Table]*queue)
	l.left, l.giving = make(map[leaseKey]leftRenewal), make(map[leaseKey]bool)
	l.wake = make(chan struct{}, 1)
}

// leaseNow is the time by the machine's clock.
func leaseNow() time.Time { return instant(time.Now()) }

// leaseKey is that of the lease that the flight needs.
func (f *Flight) leaseKey() leaseKey { return leaseKey{f.ask.flightKey(), f.selected} }

// selectLease makes the flight need the lease of its variant, once it is known by what the
// responses of its key vary.
func (f *Flight) selectLease(vary []string) {
	if f.selected == "" && vary != nil {
		a := f.ask // which stays as it is, though its request may be built
		f.selected = a.variant(http.Header{"Vary": vary})
	}
}

// row is the key of the lease in the store. It is a digest, as keys may be long.
func (k leaseKey) row(t *Table) driver.Key {
	of := []byte(k.key)
	if k.variant != "" {
		of = driver.AppendKey(of, driver.Key{k.variant})
	}
	sum := sha256.Sum256(of)
	return driver.Key{t.stored, base64.RawURLEncoding.EncodeToString(sum[:])}
}

// takesLease reports whether the flight needs a lease before the origin is asked: the
// answer can be shared by way of the store. It is not where its caller has looked for an answer
// there in vain, though there seemed to be one.
func (f *Flight) takesLease() bool {
	if f.ask.Rules.lease <= 0 || f.ask.Alone || f.ask.alone || f.ask.wantsNews() || f.part != nil || !f.storable() {
		return false
	}
	if f.ask.looked >= maxLooks {
		return false
	}
	f.x.leases.mu.Lock()
	defer f.x.leases.mu.Unlock()
	return f.lease == nil && !f.unleased
}

// awaitLease waits until the flight may ask the origin. It is false where another process
// has asked, and what it has stored is an answer.
func (f *Flight) awaitLease() bool {
	if !f.takesLease() {
		return true
	}
	l, verdict := &f.x.leases, make(chan bool, 1)
	switch mine, ended := l.claim([]*Flight{f}, verdict); {
	case len(mine) > 0:
		return true
	case len(ended) > 0:
		f.elsewhere = true
		return false
	}
	select {
	case ask := <-verdict:
		f.elsewhere = !ask
		return ask
	case <-f.ctx.Done():
		f.freeLease(false) // which it may be getting now
		return true        // which fails at once
	}
}

// isKept reports whether others find the flight's answer in the store, and can use it.
func (f *Flight) isKept() bool {
	var expires time.Time
	switch f.save {
	case saveEntry:
		expires = f.entry.ExpiresAt
	case saveRenewal:
		expires = f.renewed.ExpiresAt
	case saveVariant:
		expires = f.stored.Entry.ExpiresAt
	default:
		return false
	}
	return f.saveErr == nil && !f.outdated.Load() && driver.Entry{ExpiresAt: expires}.Live(f.x.Now())
}

// Claim gets the leases of flights of one table, which a door is to send together. It returns
// those that may be sent now. The others are the exchange's: they land when another process
// has stored their answer, or else the door is given them by Launch.
func Claim(flights []*Flight) []*Flight {
	var mine, wanting []*Flight
	for _, f := range flights {
		if f.takesLease() {
			wanting = append(wanting, f)
		} else {
			mine = append(mine, f)
		}
	}
	if len(wanting) == 0 {
		return mine
	}
	won, ended := wanting[0].x.leases.claim(wanting, nil)
	for _, f := range ended {
		f.landElsewhere()
	}
	return append(mine, won...)
}

// landElsewhere ends a flight that no request was made for.
func (f *Flight) landElsewhere() {
	f.x.flights.mu.Lock()
	f.elsewhere = !f.landed
	f.x.flights.mu.Unlock()
	f.land()
}

// claim gets the leases of flights of one table that have none. It returns those that may
// ask the origin, with a lease or, where the store fails, without, and those that need not:
// they are answered by what is stored, or another process renews it. The others wait in the
// table's queue: verdict is told whether they may ask, or is nil where a door sends them.
func (l *leases) claim(flights []*Flight, verdict chan bool) (mine, ended []*Flight) {
	t := flights[0].ask.Table
	for _, f := range flights {
		f.selectLease(f.ask.vary)
	}
	since := leaseNow()
	flights, shared, mine := l.withoutOwn(flights)
	if len(shared) > 0 {
		l.wait(t, shared, since, verdict)
	}
	if len(flights) == 0 {
		return mine, nil
	}
	own := l.givenBack(flights)
	won, err := l.put(t, flights, since)
	if err != nil {
		return append(mine, l.without(flights)...), nil
	}
	var lost []*Flight
	flights, lost = split(flights, won)
	left, lost := l.leaveRenewals(lost, own, since)
	if len(lost) > 0 {
		l.wait(t, lost, since, verdict)
	}
	answered, flights := split(flights, l.check(t, flights))
	others, asking := split(flights, l.outgrown(flights))
	if len(others) > 0 {
		l.wait(t, others, since, verdict)
	}
	tellLeases(hooks.LeaseAcquired, asking, 0)
	tellLeases(hooks.LeaseAwaited, answered, 0)
	return append(mine, asking...), append(left, answered...)
}

// leftRenewal is a renewal that another process makes.
type leftRenewal struct {
	of    time.Time // CachedAt of what is renewed
	until time.Time // when the other process must have made it, or have died
}

// mostLeft is how many of these are remembered. Who forgets one asks for its lease again.
const mostLeft = 4096

// givenBack are the flights whose lease this process had just now, and may not have given back.
func (l *leases) givenBack(flights []*Flight) map[*Flight]bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	own := make(map[*Flight]bool)
	for _, f := range flights {
		if l.giving[f.leaseKey()] {
			own[f] = true
		}
	}
	return own
}

// leaveRenewals takes out of flights the renewals that nobody waits for: the process that has
// got the lease renews, unless that is this one's own of before. While it may, this one does
// not try again.
func (l *leases) leaveRenewals(lost []*Flight, own map[*Flight]bool, now time.Time) (left, waiting []*Flight) {
	for _, f := range lost {
		if !own[f] && f.isUnawaitedRenewal() {
			left = append(left, f)
		} else {
			waiting = append(waiting, f)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range left {
		if len(l.left) >= mostLeft {
			clear(l.left)
		}
		l.left[leftKey(f.ask.flightKey(), f.old)] = leftRenewal{f.old.Entry.CachedAt, now.Add(f.ask.Rules.lease)}
	}
	return left, waiting
}

// leftKey is that of the renewal of s.
func leftKey(key flightKey, s *Stored) leaseKey { return leaseKey{key, s.Head.Notes[variantNote]} }

func (f *Flight) isUnawaitedRenewal() bool {
	fs := &f.x.flights
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return f.renews && f.callers == 0
}

// isLeft reports whether the renewal of s is left to another process.
func (l *leases) isLeft(key flightKey, s *Stored) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	r, ok := l.left[leftKey(key, s)]
	return ok && r.of.Equal(s.Entry.CachedAt) && leaseNow().Before(r.until)
}

// withoutOwn are the flights whose lease this process does not have already. Some of the others
// share it. The rest have overtaken a flight that has it, or is to get it with them, and do not
// wait for it.
func (l *leases) withoutOwn(flights []*Flight) (foreign, shared, own []*Flight) {
	l.mu.Lock()
	defer l.mu.Unlock()
	wanted := make(map[leaseKey]bool, len(flights))
	for _, f := range flights {
		switch key := f.leaseKey(); {
		case l.shares(f):
			shared = append(shared, f)
		case l.held[key] == nil && !wanted[key]:
			wanted[key] = true
			foreign = append(foreign, f)
		default:
			f.unleased = true
			own = append(own, f)
		}
	}
	return foreign, shared, own
}

// shares reports whether the flight, which wants a variant, waits for one of this process that
// has the lease of that, or of all of the key: other processes that find a variant take that for
// stored which had the lease of the key. The lock is held.
func (l *leases) shares(f *Flight) bool {
	key := f.leaseKey()
	if key.variant == "" {
		return false
	}
	held := l.held[key]
	if held == nil {
		held = l.held[leaseKey{flightKey: key.flightKey}]
	}
	return held != nil && !held.flight.outdated.Load()
}

// without lets flights ask without a lease.
func (l *leases) without(flights []*Flight) []*Flight {
	l.mu.Lock()
	for _, f := range flights {
		f.unleased = true
	}
	l.mu.Unlock()
	tellLeases(hooks.LeaseFailed, flights, 0)
	return flights
}

// split takes apart those of which something is true, and the others.
func split[T any](all []T, of []bool) (in, out []T) {
	for i, one := range all {
		if of[i] {
			in = append(in, one)
		} else {
			out = append(out, one)
		}
	}
	return in, out
}

// put puts the leases of flights where none is live, and reports which it has put.
func (l *leases) put(t *Table, flights []*Flight, now time.Time) ([]bool, error) {
	rows := make([]driver.Entry, len(flights))
	for i, f := range flights {
		rows[i] = driver.Entry{
			Key: f.leaseKey().row(t), Status: http.StatusOK,
			CachedAt: now, ExpiresAt: instant(now.Add(f.ask.Rules.lease)),
		}
	}
	won, err := guardedBy(l, t, "save", len(rows), func(ctx context.Context, table driver.Table) ([]bool, error) {
		return table.PutIf(ctx, rows, driver.Condition{If: driver.IfNotLive, Now: now})
	})
	if err != nil {
		return nil, err
	}
	l.hold(flights, rows, won)
	return won, nil
}

// takeOver takes the leases whose holders have given them back, as they were seen, and
// reports which it has taken.
func (l *leases) takeOver(t *Table, flights []*Flight, seen []driver.Entry) ([]bool, error) {
	now := leaseNow()
	rows, renewals := make([]driver.Entry, len(flights)), make([]driver.Renewal, len(flights))
	for i, f := range flights {
		rows[i] = seen[i]
		rows[i].Header, rows[i].CachedAt, rows[i].ExpiresAt = "", now, instant(now.Add(f.ask.Rules.lease))
		renewals[i] = renewalOf(seen[i], rows[i])
	}
	won, err := guardedBy(l, t, "save", len(rows), func(ctx context.Context, table driver.Table) ([]bool, error) {
		return table.Renew(ctx, renewals)
	})
	if err != nil {
		return nil, err
	}
	l.hold(flights, rows, won)
	return won, nil
}

// renewalOf makes a stored lease another one.
func renewalOf(seen, row driver.Entry) driver.Renewal {
	return driver.Renewal{
		Key: seen.Key, Seen: seen.CachedAt, Status: seen.Status, Header: row.Header, CachedAt: row.CachedAt, ExpiresAt: row.ExpiresAt,
	}
}

// check looks what has been stored for the keys of flights that have a lease since their
// callers looked, and reports which of them need not ask the origin: these have no lease any
// more.
func (l *leases) check(t *Table, flights []*Flight) []bool {
	if len(flights) == 0 {
		return nil
	}
	answered, err := l.x.answered(t, flights)
	if err != nil {
		return make([]bool, len(flights))
	}
	for i, f := range flights {
		if answered[i] {
			f.freeLease(true)
		}
	}
	return answered
}

// outgrown reports which of the flights have learnt that they need the lease of a variant,
// while they got that of the key: these have no lease any more.
func (l *leases) outgrown(flights []*Flight) []bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	outgrown := make([]bool, len(flights))
	for i, f := range flights {
		if outgrown[i] = f.lease != nil && f.lease.key != f.leaseKey(); outgrown[i] {
			l.release(f, true)
		}
	}
	return outgrown
}

// answered reports which of the flights are answered by what is stored now, and is newer
// than what their callers have seen. It asks the store for what nothing in between knows.
func (x *Exchange) answered(t *Table, flights []*Flight) ([]bool, error) {
	sel := driver.Selection{Parts: driver.Meta | driver.Usage}
	keys := make([]driver.Key, len(flights))
	for i, f := range flights {
		keys[i] = f.ask.Key
		if f.ask.Rules.serve != nil {
			sel.Parts |= driver.Payload
		}
	}
	ctx := flights[0].values
	entries := make([]driver.Entry, len(flights))
	stored := make([]bool, len(flights))
	err := t.getWatched(ctx, keys, sel, func(i int, e driver.Entry) { entries[i], stored[i] = e, true })
	if err != nil {
		return nil, err
	}
	n := 0
	for i, f := range flights {
		if !stored[i] || f.ask.vary == nil && !entries[i].CachedAt.After(f.ask.asOf) {
			stored[i] = false
			continue
		}
		a := f.ask
		a.Distrust = false // what could not be read is not there any more
		a.unread = a.Rules.serve == nil
		s, err := x.stored(ctx, &a, entries[i])
		f.selectLease(a.vary)
		v := x.judge(&a, s)
		if stored[i] = err == nil && f.isNews(s) && (v == serveIt || v == serveAndRenew); stored[i] {
			n++
		}
	}
	x.counts.awaited.Add(int64(n))
	return stored, nil
}

// isNews reports whether s, which may be nil, is newer than what the flight's caller has seen.
func (f *Flight) isNews(s *Stored) bool {
	seen := f.ask.asOf // of the latest response of the key
	switch {
	case s == nil:
		return false
	case s.beside && f.old != nil:
		seen = f.old.Entry.CachedAt
	case s.beside && !f.ask.Distrust:
		return true
	}
	return s.Entry.CachedAt.After(seen)
}

// lookBelow lets a caller look once more, for what another process has stored.
func (a *Ask) lookBelow() {
	a.looked++
	a.below, a.Distrust = true, false
}

// guardedBy runs an operation on n leases of a table's entries, within the limits of the guard.
// What is given up may go on, and its result is lost.
func guardedBy[T any](l *leases, t *Table, op string, n int, run func(context.Context, driver.Table) (T, error)) (result T, err error) {
	var done atomic.Pointer[T]
	err = l.x.guard.do(context.Background(), t, op, n, func(ctx context.Context) error {
		table, err := l.open(ctx)
		if err != nil {
			return err
		}
		result, err := run(ctx, table)
		if err == nil {
			done.Store(&result)
		}
		return err
	})
	if err == nil {
		result = *done.Load()
	}
	return result, err
}
