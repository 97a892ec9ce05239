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
	"github.com/endpointcache/endpointcache/settings"
)

// OwnPrefix begins the names of tables that hold no responses. They are neither measured
// nor evicted from.
const OwnPrefix = "endpointcache_"

// Options are the settings of a keeper. All are to be set.
type Options struct {
	Store       driver.Store
	Limit       settings.Limit // of all tables of the store together
	Every       time.Duration  // at least, between two looks at what has expired; negative: never
	KeepExpired time.Duration  // how long an expired entry stays; negative: until it is cleared
	Now         func() time.Time
	Log         *slog.Logger
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
	tables []*table
	round  chan struct{} // closed at the end of the round after this one
	failed bool          // the last round did, which was logged
}

// New returns a keeper, which is to be closed before its store is.
func New(o Options) *Keeper {
	k := &Keeper{opts: o, wake: make(chan struct{}, 1), round: make(chan struct{})}
	k.ctx, k.cancel = context.WithCancel(context.Background())
	k.all.limit = o.Limit
	return k
}

// restFor is how many times as long as a look at what has expired takes the keeper rests
// behind it: stores without an index of expiries look at all entries.
const restFor = 100

// clears reports whether the keeper removes what has expired. A store that does so by
// itself needs no help, which would cost it a scan.
func (k *Keeper) clears() bool {
	return k.opts.Every >= 0 && k.opts.KeepExpired >= 0 && !k.opts.Store.Traits().Vanishes
}

// Idle reports whether there is nothing that the keeper would do for a table with that
// limit.
func (k *Keeper) Idle(limit settings.Limit) bool {
	return limit.IsZero() && k.opts.Limit.IsZero() && !k.clears()
}

// Table returns t, the table of spec, with what the keeper has to know of its use. Where
// the keeper is closed, or has nothing to do, it is t itself.
func (k *Keeper) Table(t driver.Table, spec driver.TableSpec, limit settings.Limit) driver.Table {
	if k.Idle(limit) || strings.HasPrefix(spec.Name, OwnPrefix) {
		return t
	}
	kept := &table{Table: t, keeper: k, name: spec.Name, own: total{limit: limit}}
	if !k.add(kept) || limit.IsZero() && k.opts.Limit.IsZero() {
		return t
	}
	return kept.wrapped()
}

// add is false where the keeper is closed.
func (k *Keeper) add(t *table) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return false
	}
	k.tables = append(k.tables, t)
	if k.ended == nil {
		k.ended = make(chan struct{})
		go k.run()
	}
	return true
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

func (k *Keeper) run() {
	defer close(k.ended)
	var due <-chan time.Time
	var timer *time.Timer
	if k.clears() {
		timer = time.NewTimer(k.opts.Every)
		defer timer.Stop()
		due = timer.C
	}
	for {
		select {
		case <-k.ctx.Done():
			k.endRound()
			return
		case <-k.wake:
			k.report(k.enforce(k.ctx))
		case <-due:
			begun := time.Now()
			err := k.clearExpired(k.ctx)
			timer.Reset(max(k.opts.Every, restFor*time.Since(begun)))
			k.report(errors.Join(err, k.flushUses(k.ctx), k.enforce(k.ctx)))
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
		k.opts.Log.Warn("endpointcache: what is stored cannot be kept within its limits", "error", err)
	}
}

// kick lets a round begin soon.
func (k *Keeper) kick() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// wait lets a round begin soon, and waits for the end of the one that goes on, or else of
// that. It is false where waiting is of no use.
func (k *Keeper) wait(ctx context.Context) bool {
	k.mu.Lock()
	useless := k.closed || k.failed
	round := k.round
	k.mu.Unlock()
	k.kick()
	if useless {
		return false
	}
	select {
	case <-round:
		return k.ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

func (k *Keeper) snapshot() []*table {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]*table(nil), k.tables...)
}

// clearExpired removes what expired long enough ago.
func (k *Keeper) clearExpired(ctx context.Context) error {
	limit := k.opts.Now().Add(-k.opts.KeepExpired).UTC().Truncate(time.Microsecond)
	var errs []error
	for _, t := range k.snapshot() {
		n, err := t.Table.Clear(ctx, driver.Filter{State: driver.Expired, Now: limit})
		errs = append(errs, err)
		t.own.remove(n)
		k.all.remove(n)
	}
	return errors.Join(errs...)
}
