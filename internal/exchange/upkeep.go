package exchange

import (
	"errors"
	"math"
	"sync"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/bounds"
	"github.com/endpointcache/endpointcache/policy"
)

// upkeep has the keeper of the exchange's store, once there is one.
type upkeep struct {
	mu     sync.Mutex
	closed bool
	keeper *bounds.Keeper
}

// ErrUnkeptLimit means that a table has a limit, and its exchange is none that is closed:
// whoever keeps limits in the background has to be ended.
var ErrUnkeptLimit = errors.New("Limit needs a cache, which evicts in the background until it is closed")

// keep returns a table that was opened as one that is kept within its limit, and of which
// expired entries are removed, unless the store may only be read.
func (x *Exchange) keep(store driver.Store, table driver.Table, spec driver.TableSpec, d *bounds.Declared) (driver.Table, error) {
	if x.opts.Upkeep == (Upkeep{}) {
		if d != nil && !d.Limit.IsZero() {
			return nil, ErrUnkeptLimit
		}
		return table, nil
	}
	if store.Traits().ReadOnly {
		return table, nil
	}
	return x.upkeep.open(x, store).Table(table, spec, d), nil
}

// standsIn is how long an entry may be of use after its expiry, by the rules of a table.
func (r *Rules) standsIn() time.Duration {
	if r.use == policy.Offline {
		return math.MaxInt64 / 2 // it is all that there is
	}
	return max(r.staleIfError, r.staleWhileRevalidate)
}

// forget lets go of a table that was dropped.
func (u *upkeep) forget(table string) {
	u.mu.Lock()
	keeper := u.keeper
	u.mu.Unlock()
	if keeper != nil {
		keeper.Forget(table)
	}
}

func (u *upkeep) open(x *Exchange, store driver.Store) *bounds.Keeper {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.keeper == nil {
		every := x.opts.Upkeep.ClearEvery
		if every == 0 {
			every = -1
		}
		u.keeper = bounds.New(bounds.Options{
			Store: store, Limit: x.opts.Upkeep.Limit, Every: every, KeepExpired: x.opts.Upkeep.KeepExpired,
			MaxWait: x.opts.StoreTimeout / 4, // a save that waits longer would count as one that failed
			Now:     x.Now, Log: x.log, Evicted: x.evicted,
		})
		if u.closed { // what is opened late has nobody to end its upkeep
			u.keeper.Close()
		}
	}
	return u.keeper
}

func (u *upkeep) close() {
	u.mu.Lock()
	u.closed = true
	keeper := u.keeper
	u.mu.Unlock()
	if keeper != nil {
		keeper.Close()
	}
}
