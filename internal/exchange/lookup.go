package exchange

import (
	"context"
	"errors"
	"sync"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/rfc9111"
	"github.com/endpointcache/endpointcache/policy"
)

// get reads entries within the limits of the guard. It does not look at sel afterwards, which
// the caller has at hand: a copy would cost a hit an allocation.
func (t *Table) get(ctx context.Context, keys []driver.Key, sel *driver.Selection, visit func(int, driver.Entry)) error {
	if t.getNear(ctx, keys, *sel, visit) {
		return nil
	}
	if t.isPrompt {
		return t.x.guard.prompt(ctx, t, "get", len(keys), func(ctx context.Context) error {
			return t.table.Get(ctx, keys, *sel, visit)
		})
	}
	return t.getWatched(ctx, keys, *sel, visit)
}

// getWatched is get for a table whose reads may hang: one that was given up goes on.
func (t *Table) getWatched(ctx context.Context, keys []driver.Key, sel driver.Selection, visit func(int, driver.Entry)) error {
	var gate gate
	err := t.x.guard.do(ctx, t, "get", len(keys), func(ctx context.Context) error {
		return t.table.Get(ctx, keys, sel, func(i int, e driver.Entry) {
			gate.pass(func() { visit(i, e) })
		})
	})
	gate.shut()
	return err
}

// gate keeps a read that was given up from writing to what its caller has.
type gate struct {
	mu   sync.RWMutex
	late bool
}

func (g *gate) pass(do func()) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	if !g.late {
		do()
	}
}

func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.late = true
}

// lookup returns what is stored for the ask, live or not, nil where there is nothing of
// use. The error is that of the caller's own context: a store that fails is a miss.
func (x *Exchange) lookup(ctx context.Context, a *Ask) (*Stored, error) {
	if !a.Table.Keeps() || a.Rules.Use() == policy.Disabled {
		return nil, nil
	}
	a.keys[0], a.found, a.ok = a.Key, driver.Entry{}, false
	a.sel = allParts(x)
	if a.below {
		a.sel.Parts |= driver.Usage
	}
	err := a.Table.get(ctx, a.keys[:], &a.sel, a.visit)
	if err != nil || !a.ok {
		return nil, x.lookupFailed(ctx, a, err)
	}
	return x.stored(ctx, a, a.found)
}

// bare reports whether the payload of what is stored is not read: neither the caller
// wants it nor does a policy look at it.
func (a *Ask) bare() bool {
	return a.Bare && a.Rules.serve == nil && !a.Rules.decidesByBody()
}

// stored is the stored response that answers the ask, made of the latest entry of its
// key; nil where that is of no use.
func (x *Exchange) stored(ctx context.Context, a *Ask, e driver.Entry) (*Stored, error) {
	a.present, a.asOf = true, e.CachedAt
	if a.Distrust || !a.useful(e.Status) {
		return a.unfit(hasNoValue), nil
	}
	s, err := newStored(e)
	if err != nil {
		x.log.Warn("endpointcache: a stored response cannot be read", "repository", a.Table.Name, "error", err)
		return a.unfit(isUnreadable), nil
	}
	s.showTo(a.Rules).bare = a.bare()
	switch {
	case a.Rules.Controls() && rfc9111.Varies(s.Head.Header):
		a.vary = s.Head.Header["Vary"]
		if s, err = x.selectVariant(ctx, a, s); err != nil {
			return nil, x.lookupFailed(ctx, a, err)
		}
		if s == nil {
			return a.unfit(isOtherVariant), nil
		}
	case !a.understands(s):
		return a.unfit(isOtherCoding), nil
	}
	return x.fit(a, s), nil
}

// fit is s, which has the headers that the ask is for, or nil where it is of no use all the
// same.
func (x *Exchange) fit(a *Ask, s *Stored) *Stored {
	switch {
	case s.isPart() && !a.takesPart(s):
		return a.unfit(isUnaskedPart)
	case a.leadsToItself(s.Entry.Status, s.Head.Header) || a.cameBack(s.Entry.Status):
		return a.unfit(leadsBack)
	case a.Rules.serve != nil && !x.permits(a.Rules.serve, s.exchange(a.request())):
		return a.unfit(policyRefuses)
	}
	return s
}

// unfit is nil, with the ground for it.
func (a *Ask) unfit(g ground) *Stored {
	a.why = g
	return nil
}

func (x *Exchange) lookupFailed(ctx context.Context, a *Ask, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	// A store that is too slow to read is not asked to save.
	a.ReadOnly = a.ReadOnly || errors.Is(err, ErrStoreSlow) || errors.Is(err, ErrStoreDown)
	return nil
}
