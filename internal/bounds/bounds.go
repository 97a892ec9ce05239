// Package bounds keeps what a store holds within limits, and removes what has expired
// long ago, in the background.
//
// A [Keeper] counts what is saved through its tables. Where a limit may have been
// exceeded, it looks at the size that the table really has, and evicts. A save waits for
// that only where evictions cannot keep up with the saves.
package bounds

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/hooks"
	"github.com/endpointcache/endpointcache/settings"
)

// OwnPrefix begins the names of tables that hold no responses. They are neither measured
// nor evicted from.
const OwnPrefix = "endpointcache_"

// Options are the settings of a keeper. All but Evicted are to be set.
type Options struct {
	Store       driver.Store
	Limit       settings.Limit // of all tables of the store together
	Every       time.Duration  // at least, between two looks at what has expired; negative: never
	KeepExpired time.Duration  // how long an expired entry stays; negative: until it is cleared
	MaxWait     time.Duration  // how long a save waits at most for room
	Now         func() time.Time
	Log         *slog.Logger

	// Evicted is told of what has left: the bytes as far as they are known.
	Evicted func(table string, reason hooks.Reason, gone driver.Size)
}

// Keeper keeps the tables of a store within their limits, on a goroutine of its own that
// begins with the first table.
type Keeper struct {
	opts   Options
	ctx    context.Context // done when the keeper is closed
	cancel context.CancelFunc
	ended  chan struct{} // closed when the goroutine has ended; nil before it begins
	wake   chan struct{}
	all    total

	mu     sync.Mutex
	closed bool
	tables map[string]*kept // those that were opened by way of the keeper, by name
	others map[string]*kept // those of other programs that it has opened itself
	round  chan struct{}    // closed at the end of the round that goes on, or else of the next
	failed bool             // the last round did, which was logged
}

// kept is what the keeper knows of a table, which may have been opened several times.
type kept struct {
	driver.Table // as it was opened first
	spec         driver.TableSpec
	declared     Declared
	own          total

	mu   sync.Mutex
	uses map[string]*use // that are not recorded in the store yet, by encoded key
}

// New returns a keeper, which is to be closed before its store is.
func New(o Options) *Keeper {
	k := &Keeper{
		opts: o, wake: make(chan struct{}, 1), round: make(chan struct{}),
		tables: make(map[string]*kept), others: make(map[string]*kept),
	}
	k.ctx, k.cancel = context.WithCancel(context.Background())
	k.all.limit = o.Limit
	return k
}

// Declared is what a declaration says of a table's upkeep.
type Declared struct {
	Limit       settings.Limit
	KeepExpired time.Duration // at least, for what may stand in for a response after its expiry
}

// Table returns t, the table of spec, with what the keeper has to know of its use. What is
// declared takes the place of what was before; nil leaves that as it is. Where the keeper is
// closed, or has nothing to do, it is t itself.
func (k *Keeper) Table(t driver.Table, spec driver.TableSpec, d *Declared) driver.Table {
	if strings.HasPrefix(spec.Name, OwnPrefix) {
		return t
	}
	known := k.add(t, spec, d)
	if known == nil || known.own.limit.IsZero() && k.opts.Limit.IsZero() {
		return t
	}
	return newTable(t, k, known)
}

// add is nil where there is nothing to keep.
func (k *Keeper) add(t driver.Table, spec driver.TableSpec, d *Declared) *kept {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return nil
	}
	known := k.tables[spec.Name]
	if known != nil && (d == nil || *d == known.declared) {
		return known
	}
	if d == nil {
		d = &Declared{}
	}
	k.retire(spec.Name)
	if d.Limit.IsZero() && k.opts.Limit.IsZero() && !k.clears() {
		return nil
	}
	// A round may go on with what was known: it is not changed.
	known = &kept{Table: t, spec: spec, declared: *d, own: total{limit: d.Limit}}
	k.tables[spec.Name] = known
	if k.ended == nil {
		k.ended = make(chan struct{})
		go k.run()
	}
	return known
}

// retire ends the limit of a table. It is called with the lock held.
func (k *Keeper) retire(name string) {
	if known := k.tables[name]; known != nil {
		known.own.retire()
		delete(k.tables, name)
	}
	delete(k.others, name)
}

// Forget lets go of a table, which was dropped.
func (k *Keeper) Forget(name string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.retire(name)
}

// Close ends what the keeper does and waits for it. Closing twice is not an error.
func (k *Keeper) Close() {
	k.mu.Lock()
	k.closed = true
	ended := k.ended
	k.mu.Unlock()
	k.cancel()
	if ended != nil {
		<-ended
	}
}

// restFor is how many times as long as a look at what has expired takes the keeper rests
// behind it: stores without an index of expiries look at all entries.
const restFor = 100

// useEvery is how often uses are recorded, if no eviction needs them before.
const useEvery = time.Minute

// clears reports whether the keeper removes what has expired. A store that does so by
// itself needs no help, which would cost it a scan.
func (k *Keeper) clears() bool {
	return k.opts.Every >= 0 && k.opts.KeepExpired >= 0 && !k.opts.Store.Traits().Vanishes
}

func (k *Keeper) run() {
	defer close(k.ended)
	defer k.endRound()
	var due <-chan time.Time
	var timer *time.Timer
	if k.clears() {
		timer = time.NewTimer(k.opts.Every)
		defer timer.Stop()
		due = timer.C
	}
	flush := time.NewTicker(useEvery)
	defer flush.Stop()
	for {
		select {
		case <-k.ctx.Done():
			return
		case <-k.wake:
			k.report(errors.Join(k.flushUses(k.ctx, mostUses), k.enforce(k.ctx)))
		case <-flush.C:
			k.report(k.flushUses(k.ctx, 1))
		case <-due:
			begun := time.Now()
			err := k.clearExpired(k.ctx)
			timer.Reset(max(k.opts.Every, restFor*time.Since(begun)))
			k.report(errors.Join(err, k.enforce(k.ctx)))
		}
		k.endRound()
	}
}

// endRound lets go on who waits for the end of a round.
func (k *Keeper) endRound() {
	k.mu.Lock()
	defer k.mu.Unlock()
	close(k.round)
	k.round = make(chan struct{})
}

// report logs the first error of a spell.
func (k *Keeper) report(err error) {
	k.mu.Lock()
	first := err != nil && !k.failed && !k.closed
	k.failed = err != nil
	k.mu.Unlock()
	if first {
		k.opts.Log.Warn("endpointcache: the upkeep of what is stored fails", "error", err)
	}
}

// kick lets a round begin soon.
func (k *Keeper) kick() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// wait lets a round begin soon, and waits for the end of one. It is false where there was
// none in time.
func (k *Keeper) wait(ctx context.Context, late <-chan time.Time) bool {
	k.mu.Lock()
	closed, round := k.closed, k.round
	k.mu.Unlock()
	k.kick()
	if closed {
		return false
	}
	select {
	case <-round:
		return k.ctx.Err() == nil
	case <-late:
		return false
	case <-ctx.Done():
		return false
	}
}

func (k *Keeper) snapshot() []*kept {
	k.mu.Lock()
	defer k.mu.Unlock()
	all := make([]*kept, 0, len(k.tables))
	for _, t := range k.tables {
		all = append(all, t)
	}
	return all
}

// clearExpired removes what expired long enough ago.
func (k *Keeper) clearExpired(ctx context.Context) error {
	now := k.now()
	var errs []error
	for _, t := range k.snapshot() {
		at := now.Add(-max(k.opts.KeepExpired, t.declared.KeepExpired)).Truncate(time.Microsecond)
		n, err := t.Clear(ctx, driver.Filter{State: driver.Expired, Now: at})
		errs = append(errs, err)
		t.own.remove(n)
		k.all.remove(n)
		k.tell(t, hooks.Expired, driver.Size{Entries: n})
	}
	return errors.Join(errs...)
}

// tell tells of what has left.
func (k *Keeper) tell(t *kept, reason hooks.Reason, gone driver.Size) {
	if k.opts.Evicted != nil && gone.Entries > 0 {
		k.opts.Evicted(t.spec.Name, reason, gone)
	}
}

func (k *Keeper) now() time.Time { return k.opts.Now().UTC().Truncate(time.Microsecond) }
