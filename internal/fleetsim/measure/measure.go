// Package measure finds out what operations on a store cost one process, for the model: how
// long one takes, how many the store does in a second, and how soon another process is told of
// a change.
//
// The stores are the library's own. Their server has the machine's processors in common with
// the client, so what it does in a second is less than on a machine of its own. Other work of the
// machine only makes operations slower: so each is measured in several rounds, and the best one
// counts.
package measure

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/fleetsim/model"
	"github.com/endpointcache/endpointcache/internal/fleetsim/simulation"
)

const (
	payloadSize = 2 << 10
	rows        = 1_000
	taken       = 5_000 // leases that are there to be given back
	bulk        = 100   // keys of a bulk get
	atOnce      = 32    // goroutines that find out how many operations a store does
)

// Effort is how much is measured.
type Effort struct {
	Rounds  int           // of which the best one counts, for each operation
	Single  int           // operations of a round, one after the other
	Busy    time.Duration // for how long goroutines then keep the store busy
	Changes int           // that are told
}

// Full is the effort for numbers that are worth keeping.
var Full = Effort{Rounds: 10, Single: 500, Busy: 300 * time.Millisecond, Changes: 200}

var (
	everything = driver.Selection{Parts: driver.Payload | driver.Meta}
	ignore     = func(int, driver.Entry) {}
)

// bench is a store whose operations are measured.
type bench struct {
	effort          Effort
	entries, leases driver.Table
}

// operation is one kind of them. Its numbers begin at 1 in each round.
type operation struct {
	name    string
	cost    *model.Cost
	prepare func(ctx context.Context) error // before a round; may be nil
	do      func(ctx context.Context, i int64) error
	most    int64 // the last number; 0: any
}

// Open opens a store, always the same one.
type Open func(ctx context.Context) (driver.Store, error)

// Measure measures a store. Where it does not tell of changes, Notify of the costs is nil.
func Measure(ctx context.Context, open Open, effort Effort) (costs *Store, err error) {
	store, err := open(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	b, err := newBench(ctx, store, effort)
	if err != nil {
		return nil, err
	}
	costs = &Store{}
	operations := []operation{
		{"get", &costs.Get, nil, b.get, 0},
		{"bulk get", &costs.GetMany, nil, b.getMany, 0},
		{"save", &costs.Save, nil, b.save, 0},
		{"lease", &costs.Lease, b.clearLeases, b.lease, 0},
		{"refused lease", &costs.Refused, b.takeLeases, b.refused, 0},
		{"release", &costs.Release, b.takeLeases, b.release, taken},
	}
	for range effort.Rounds {
		for _, o := range operations {
			if err := b.round(ctx, &o); err != nil {
				return nil, fmt.Errorf("%s: %w", o.name, err)
			}
		}
	}
	if costs.Notify, err = b.notify(ctx, open); err != nil {
		return nil, fmt.Errorf("notify: %w", err)
	}
	return costs, errors.Join(store.DropTable(ctx, "fleetsim"), store.DropTable(ctx, "fleetsim_leases"))
}

func newBench(ctx context.Context, store driver.Store, effort Effort) (b *bench, err error) {
	b = &bench{effort: effort}
	for name, table := range map[string]*driver.Table{"fleetsim": &b.entries, "fleetsim_leases": &b.leases} {
		spec := driver.TableSpec{Name: name, Key: []driver.Column{{Name: "id", Kind: driver.Int}}}
		if *table, err = store.OpenTable(ctx, spec); err != nil {
			return nil, err
		}
	}
	for i := range int64(rows) {
		if err := b.save(ctx, i); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func entry(i int64, size int) driver.Entry {
	now := time.Now().UTC().Truncate(time.Microsecond)
	return driver.Entry{
		Key: driver.Key{i}, Status: 200, Header: `{"Content-Type":["application/json"]}`,
		Payload: bytes.Repeat([]byte{'x'}, size), CachedAt: now, ExpiresAt: now.Add(time.Hour),
	}
}

func (b *bench) get(ctx context.Context, i int64) error {
	return b.entries.Get(ctx, []driver.Key{{i % rows}}, everything, ignore)
}

func (b *bench) getMany(ctx context.Context, i int64) error {
	keys := make([]driver.Key, bulk)
	for n := range keys {
		keys[n] = driver.Key{(i + int64(n)) % rows}
	}
	return b.entries.Get(ctx, keys, everything, ignore)
}

func (b *bench) save(ctx context.Context, i int64) error {
	_, err := b.entries.PutIf(ctx, []driver.Entry{entry(i%rows, payloadSize)}, driver.Condition{If: driver.IfNewer})
	return err
}

func (b *bench) clearLeases(ctx context.Context) error {
	_, err := b.leases.Clear(ctx, driver.Filter{State: driver.All})
	return err
}

// takeLeases takes those up to a number.
func (b *bench) takeLeases(ctx context.Context) error {
	leases := make([]driver.Entry, taken)
	for i := range leases {
		leases[i] = entry(int64(i+1), 0)
	}
	return b.leases.Put(ctx, leases)
}

// lease takes a lease that nobody has.
func (b *bench) lease(ctx context.Context, i int64) error { return b.take(ctx, i, true) }

// refused tries to take one that another has, and all want.
func (b *bench) refused(ctx context.Context, _ int64) error { return b.take(ctx, 1, false) }

func (b *bench) take(ctx context.Context, i int64, want bool) error {
	e := entry(i, 0)
	stored, err := b.leases.PutIf(ctx, []driver.Entry{e}, driver.Condition{If: driver.IfNotLive, Now: e.CachedAt})
	if err == nil && stored[0] != want {
		return fmt.Errorf("lease %d was taken: %t, want %t", i, stored[0], want)
	}
	return err
}

func (b *bench) release(ctx context.Context, i int64) error {
	n, err := b.leases.Delete(ctx, []driver.Key{{i}})
	if err == nil && n != 1 {
		return fmt.Errorf("lease %d was not there", i)
	}
	return err
}

// round measures an operation, each time with another number.
func (b *bench) round(ctx context.Context, o *operation) error {
	if o.prepare != nil {
		if err := o.prepare(ctx); err != nil {
			return err
		}
	}
	took := make([]time.Duration, b.effort.Single)
	for i := range took {
		begin := time.Now()
		if err := o.do(ctx, int64(i+1)); err != nil {
			return err
		}
		took[i] = time.Since(begin)
	}
	if latency := simulation.Measured(took); o.cost.PerSecond == 0 || latency.Median() < o.cost.Latency.Median() {
		o.cost.Latency = latency
	}
	perSecond, err := b.most(ctx, o)
	o.cost.PerSecond = max(o.cost.PerSecond, perSecond)
	return err
}

// most is how many of an operation the store does in a second.
func (b *bench) most(ctx context.Context, o *operation) (float64, error) {
	var next, done atomic.Int64
	next.Store(int64(b.effort.Single))
	errs := make([]error, atOnce)
	var working sync.WaitGroup
	begin := time.Now()
	for g := range atOnce {
		working.Go(func() {
			for time.Since(begin) < b.effort.Busy && errs[g] == nil {
				i := next.Add(1)
				if o.most > 0 && i > o.most {
					return
				}
				if errs[g] = o.do(ctx, i); errs[g] == nil {
					done.Add(1)
				}
			}
		})
	}
	working.Wait()
	return math.Floor(float64(done.Load()) / time.Since(begin).Seconds()), errors.Join(errs...)
}

// notify measures how soon another Store is told of what this one has saved.
func (b *bench) notify(ctx context.Context, open Open) (took *simulation.Distribution, err error) {
	other, err := open(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, other.Close()) }()
	watcher, ok := driver.As[driver.Watcher](other)
	if !ok {
		return nil, nil
	}
	ctx, stop := context.WithCancel(ctx)
	begun, told, ended := make(chan struct{}), make(chan time.Time, b.effort.Changes), make(chan error, 1)
	go func() {
		ended <- watcher.Watch(ctx, func() { close(begun) }, func(driver.Change) {
			select {
			case told <- time.Now():
			default: // more often than we have saved
			}
		})
	}()
	defer func() {
		stop()
		if watchErr := <-ended; err == nil && !errors.Is(watchErr, context.Canceled) {
			err = watchErr
		}
	}()
	return b.notified(ctx, begun, told, ended)
}

// notified saves and waits to be told, again and again. The pauses between are of another
// length each time, so that a store which polls is met at any point between two polls.
func (b *bench) notified(ctx context.Context, begun <-chan struct{}, told <-chan time.Time, ended chan error) (*simulation.Distribution, error) {
	await := func() (time.Time, error) {
		select {
		case at := <-told:
			return at, nil
		case err := <-ended:
			ended <- err
			return time.Time{}, err
		case <-time.After(time.Minute):
			return time.Time{}, errors.New("nothing was told within a minute")
		}
	}
	select {
	case <-begun:
	case err := <-ended:
		ended <- err
		return nil, err
	}
	took := make([]time.Duration, b.effort.Changes)
	for i := range took {
		time.Sleep(time.Duration(i*7%101) * time.Millisecond)
		for len(told) > 0 {
			<-told // of the change before, once more
		}
		if err := b.save(ctx, int64(i)); err != nil {
			return nil, err
		}
		saved := time.Now()
		at, err := await()
		if err != nil {
			return nil, err
		}
		took[i] = max(at.Sub(saved), 0)
	}
	measured := simulation.Measured(took)
	return &measured, nil
}

// MemoryGet measures a get from a store in this process's memory.
func MemoryGet(ctx context.Context, store driver.Store, effort Effort) (took simulation.Distribution, err error) {
	b, err := newBench(ctx, store, effort)
	if err != nil {
		return took, err
	}
	var c model.Cost
	for range effort.Rounds {
		if err := b.round(ctx, &operation{name: "get", cost: &c, do: b.get}); err != nil {
			return took, err
		}
	}
	return c.Latency, nil
}
