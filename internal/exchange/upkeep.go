package exchange

import (
	"errors"
	"sync"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/bounds"
	"github.com/endpointcache/endpointcache/settings"
)

// upkeep has the keeper of the exchange's store, once there is one.
type upkeep struct {
	mu     sync.Mutex
	keeper *bounds.Keeper
}

// ErrUnkeptLimit means that a table has a limit, and its exchange is none that is closed:
// whoever keeps limits in the background has to be ended.
var ErrUnkeptLimit = errors.New("Limit needs a cache, which evicts in the background until it is closed")

// keep returns a table that was opened as one that is kept within its limit, and of which
// expired entries are removed.
func (x *Exchange) keep(store driver.Store, table driver.Table, spec driver.TableSpec, limit settings.Limit) (driver.Table, error) {
	if x.opts.Upkeep == (Upkeep{}) {
		if !limit.IsZero() {
			return nil, ErrUnkeptLimit
		}
		return table, nil
	}
	return x.upkeep.open(x, store).Table(table, spec, limit), nil
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
			Now: x.Now, Log: x.log,
		})
	}
	return u.keeper
}

func (u *upkeep) close() {
	u.mu.Lock()
	keeper := u.keeper
	u.mu.Unlock()
	if keeper != nil {
		keeper.Close()
	}
}
