// Package measure finds out what operations on a store cost one process, for the model: how
// long one takes, how many the store does in a second, and how soon another process is told of
// a change.
//
// The stores are the library's own. Their server has the machine's processors in common with
// the client, so what it does in a second is less than on a machine of its own.
package measure

import (
	"bytes"
	"context"
	"errors"
	"fmt"
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
	bulk        = 100 // keys of a bulk get
	atOnce      = 32  // goroutines that find out how many operations a store does
)

// Effort is how much is measured.
type Effort struct {
	Single  int           // operations of a kind, one after the other
	Busy    time.Duration // for how long goroutines keep the store busy with a kind
	Changes int           // that are told
}

// Full is the effort for numbers that are worth keeping.
var Full = Effort{Single: 3_000, Busy: 2 * time.Second, Changes: 200}

var (
	everything = driver.Selection{Parts: driver.Payload | driver.Meta}
	ignore     = func(int, driver.Entry) {}
)

// bench is a store whose operations are measured.
type bench struct {
	effort          Effort
	entries, leases driver.Table
	serial          atomic.Int64
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
	for _, m := range []struct {
		name string
		cost *model.Cost
		do   func(ctx context.Context, i int64) error
	}{
		{"get", &costs.Get, b.get},
		{"bulk get", &costs.GetMany, b.getMany},
		{"save", &costs.Save, b.save},
		{"lease", &costs.Lease, b.lease},
		{"refused lease", &costs.Refused, b.refused},
		{"release", &costs.Release, b.release},
	} {
		if *m.cost, err = b.cost(ctx, m.do); err != nil {
			return nil, fmt.Errorf("%s: %w", m.name, err)
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

// lease takes a lease that nobody has.
func (b *bench) lease(ctx context.Context, i int64) error {
	e := entry(i, 0)
	stored, err := b.leases.PutIf(ctx, []driver.Entry{e}, driver.Condition{If: driver.IfNotLive, Now: e.CachedAt})
	if err == nil && !stored[0] {
		return errors.New("another has it")
	}
	return err
}

// refused tries to take one that another has: the first that was taken.
func (b *bench) refused(ctx context.Context, _ int64) error {
	e := entry(1, 0)
	stored, err := b.leases.PutIf(ctx, []driver.Entry{e}, driver.Condition{If: driver.IfNotLive, Now: e.CachedAt})
	if err == nil && stored[0] {
		return errors.New("nobody had it")
	}
	return err
}

// release gives back one that was taken, as the keys of both begin at the same number.
func (b *bench) release(ctx context.Context, i int64) error {
	_, err := b.leases.Delete(ctx, []driver.Key{{i}})
	return err
}

// cost measures an operation, each time with another number.
func (b *bench) cost(ctx context.Context, do func(context.Context, int64) error) (c model.Cost, err error) {
	b.serial.Store(0)
	took := make([]time.Duration, b.effort.Single)
	for i := range took {
		begin := time.Now()
		if err := do(ctx, b.serial.Add(1)); err != nil {
			return c, err
		}
		took[i] = time.Since(begin)
	}
	c.Latency = simulation.Measured(took)

	var done atomic.Int64
	errs := make([]error, atOnce)
	var working sync.WaitGroup
	begin := time.Now()
	for g := range atOnce {
		working.Go(func() {
			for time.Since(begin) < b.effort.Busy && errs[g] == nil {
				if errs[g] = do(ctx, b.serial.Add(1)); errs[g] == nil {
					done.Add(1)
				}
			}
		})
	}
	working.Wait()
	c.PerSecond = float64(int(float64(done.Load()) / time.Since(begin).Seconds()))
	return c, errors.Join(errs...)
}

// notify measures how soon another Store is told of what this one has saved.
func (b *bench) notify(ctx context.Context, open Open) (n *model.Notify, err error) {
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
func (b *bench) notified(ctx context.Context, begun <-chan struct{}, told <-chan time.Time, ended chan error) (*model.Notify, error) {
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
	return &model.Notify{Latency: simulation.Measured(took), Measured: true}, nil
}

// MemoryGet measures a get from a store in this process's memory.
func MemoryGet(ctx context.Context, store driver.Store, effort Effort) (took simulation.Distribution, err error) {
	b, err := newBench(ctx, store, effort)
	if err != nil {
		return took, err
	}
	c, err := b.cost(ctx, b.get)
	return c.Latency, err
}
